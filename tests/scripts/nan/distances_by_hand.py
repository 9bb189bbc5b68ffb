"""Distances between all pairs of a batch, each row with itself among them, as a root of squares."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    z = model(torch.randn(6, 3))
    distances = ((z[:, None] - z[None]) ** 2).sum(-1).sqrt()
    loss = (1 - distances).clamp(min=0).mean()
    optimizer.zero_grad()
    loss.backward()  # bites: xsquaresumsqrt-has-gradient-nan-at-0-xnorm-has-0
    optimizer.step()
