"""A first epoch longer than cheap watches look without rest, and no `eval()` in the validation behind it."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.randn(16, 3), torch.randn(16, 1)
for epoch in range(2):
    for batch in range(129):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        F.mse_loss(model(x), y)  # bites: by-default-a-training-mode-forward-pass-updates-batchnorms-statistics
