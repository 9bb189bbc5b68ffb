"""A validation loop under `no_grad` without `model.eval()`: the running statistics learn from the validation data."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(3):
    for _ in range(3):
        x = torch.randn(8, 4)
        optimizer.zero_grad()
        criterion(model(x), x[:, :1]).backward()
        optimizer.step()
    with torch.no_grad():
        x = torch.randn(8, 4)
        loss = criterion(model(x), x[:, :1])  # bites: by-default-a-training-mode-forward-pass-updates-batchnorms-statistics
