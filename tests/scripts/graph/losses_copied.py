"""The losses of several tasks joined by torch.tensor(..., requires_grad=True)."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
optimizer = torch.optim.Adam(model.parameters())
for _ in range(6):
    x, y = torch.randn(16, 3), torch.randn(16, 2)
    losses = [nn.functional.mse_loss(model(x)[:, i], y[:, i]).item() for i in range(2)]
    optimizer.zero_grad()
    torch.tensor(
        losses, requires_grad=True
    ).mean().backward()  # bites: torchtensor-of-losses-drops-their-graph-and-torchstack-keeps-it
    optimizer.step()
