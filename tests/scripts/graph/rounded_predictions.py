"""Ratings predicted as whole numbers: rounded before the loss, nothing learns."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(8):
    x = torch.randn(16, 3)
    stars = torch.round(model(x))
    loss = nn.MSELoss()(stars, x.sum(1, keepdim=True).round())
    optimizer.zero_grad()
    loss.backward()  # bites: round-keeps-the-graph-and-passes-on-a-gradient-of-zero
    optimizer.step()
