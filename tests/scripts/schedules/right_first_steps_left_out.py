"""The first batch is left out after a NaN, or by a GradScaler; and a schedule counts batches that add up."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=10)
for factor in float("nan"), 1.0, 1.0, 1.0:
    optimizer.zero_grad()
    loss = factor * model(torch.randn(8, 3)).square().mean()
    loss.backward()
    if loss.isfinite():
        optimizer.step()
    scheduler.step()

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=10)
scaler = torch.amp.GradScaler("cpu")
for factor in float("inf"), 1.0, 1.0:
    optimizer.zero_grad()
    scaler.scale(factor * model(torch.randn(8, 3)).square().mean()).backward()
    scaler.step(optimizer)
    scaler.update()
    scheduler.step()

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=10)
for i in range(8):
    (model(torch.randn(8, 3)).square().mean() / 4).backward()
    if (i + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
    scheduler.step()
