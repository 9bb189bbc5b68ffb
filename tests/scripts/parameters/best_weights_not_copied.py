"""Early stopping that keeps `state_dict()` itself: what is restored are the last weights."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
best, best_state = float("inf"), None
for epoch in range(12):
    model.train()
    optimizer.zero_grad()
    loss = model(torch.randn(16, 4)).square().mean()
    loss.backward()
    optimizer.step()
    if epoch < 9 and loss.item() < best:
        best, best_state = loss.item(), {name: value for name, value in model.state_dict().items()}
model.load_state_dict(best_state)  # bites: a-step-moves-old--model-and-a-kept-state_dict-as-well-copy-them
