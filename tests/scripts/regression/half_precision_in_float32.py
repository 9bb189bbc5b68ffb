"""The same with the loss in float32, and by autocast."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
half, model = nn.Linear(3, 1).half(), nn.Linear(3, 1)
optimizer = torch.optim.SGD([*half.parameters(), *model.parameters()], lr=1e-6)
x, y = torch.randn(8, 3), torch.full((8, 1), 300.0)
for _ in range(3):
    loss = F.mse_loss(half(x.half()).float(), y)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = loss + F.mse_loss(model(x), y.half())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
