"""Roots at 0 that have a gradient: MSE and a small number, a norm, distances behind a mask, a metric."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(2, 2, bias=False)
with torch.no_grad():
    model.weight.copy_(torch.eye(2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(5, 2)
for _ in range(3):
    y = model(x)
    squares = (y[:, None] - y[None]).pow(2).sum(2)
    far = squares > 0
    distances = torch.where(far, torch.where(far, squares, 1.0).sqrt(), 0.0)
    loss = (F.mse_loss(y, x) + 1e-8).sqrt() + torch.linalg.vector_norm(y - x) + 0 * distances.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        print(f"RMSE {F.mse_loss(model(x), x).sqrt().item():.2f}")
