"""Both states are loaded; a schedule is run forward; another rate is set after loading."""

import torch
from torch import nn


def build():
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)


def train(steps, model, optimizer, scheduler):
    for _ in range(steps):
        x = torch.randn(8, 3)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
        scheduler.step()


torch.manual_seed(0)
first = build()
train(4, *first)
for order in (0, 1, 2), (0, 2, 1):
    resumed = build()
    for i in order:
        resumed[i].load_state_dict(first[i].state_dict())
    train(4, *resumed)
forward = build()
for start_epoch in range(1):
    forward[2].step()
train(3, *forward)
other = build()
other[2].load_state_dict(first[2].state_dict())
other[1].param_groups[0]["lr"] = 0.01
train(3, *other)
