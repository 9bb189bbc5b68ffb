"""A rate sweep stopped before its step, Rprop over a NaN, a scaler over a NaN, and NaN in numbers that are only shown."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler, best = torch.amp.GradScaler("cpu"), float("inf")
for i in range(12):
    x = torch.randn(4, 3)
    x[0, 0] = torch.nan if i % 4 == 3 else 0
    optimizer.zero_grad()
    loss = model(x).square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    best = min(best, loss.item())
w = torch.ones(1, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=1e3)
for _ in range(40):
    optimizer.zero_grad()
    loss = w.pow(4).sum()
    loss.backward()
    if loss > 4 * best + 1e9 or not loss.isfinite():
        break
    optimizer.step()
optimizer = torch.optim.Rprop(model.parameters())
for _ in range(2):
    optimizer.zero_grad()
    (model(torch.randn(4, 3)).mean() * torch.nan).backward()
    optimizer.step()
