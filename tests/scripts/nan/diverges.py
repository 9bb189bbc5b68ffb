"""Targets in the thousands and a rate of 0.5: the loss grows to infinity within a few steps."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 3)
y = 1000 * x.sum(1, keepdim=True)
model = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for _ in range(30):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()  # bites: plain-sgd-that-diverges-on-w-has-a-loss-of-inf-before-one-of-nan
    optimizer.step()
