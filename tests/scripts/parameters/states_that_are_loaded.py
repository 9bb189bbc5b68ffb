"""A state loaded right away, one merged with a checkpoint, a soft update of a target, and a copied best state."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
model, target = nn.Linear(4, 1), nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
best = copy.deepcopy(model.state_dict())
live = model.state_dict()
for _ in range(4):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
    mixed, new = target.state_dict(), model.state_dict()
    for name in new:
        mixed[name] = 0.9 * mixed[name] + 0.1 * new[name]
    target.load_state_dict(mixed)
target.load_state_dict(live)
merged = model.state_dict()
merged.update({"bias": torch.zeros(1)})
model.load_state_dict(merged)
model.load_state_dict(model.state_dict())
model.load_state_dict(best)
