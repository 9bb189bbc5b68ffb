"""Missing measurements, left out after the loss by a mask: its value looks right, and its gradient is NaN."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for n in range(3):
    x, y = torch.randn(6, 3), torch.randn(6, 2)
    y[0, 1] = float("nan") if n == 0 else 0.0
    loss = F.mse_loss(  # bites: a-nan-target-makes-mses-gradients-nan-behind-a-mask-of-zeros-too
        model(x), y, reduction="none"
    )
    loss = torch.where(y.isnan(), 0.0, loss).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
