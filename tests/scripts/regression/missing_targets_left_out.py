"""Missing measurements, chosen before the loss or replaced, and a batch that is left out for its NaN loss."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for n in range(9):
    x, y = torch.randn(6, 3), torch.randn(6, 1)
    y[0] = float("nan") if n < 7 else float("inf")
    good = y.isfinite()
    loss = F.mse_loss(model(x)[good], y[good]) + F.huber_loss(model(x), y.nan_to_num(posinf=0.0))
    whole = F.mse_loss(model(x), y)
    if torch.isfinite(whole):
        loss = loss + whole
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        _ = F.mse_loss(model(x), y, reduction="none").nanmean()
