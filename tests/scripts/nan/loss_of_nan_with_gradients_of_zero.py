"""The logarithm of dead units under a mask: the loss is NaN, its gradient zero, and the loop goes on all the same."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
nn.init.constant_(model[2].bias, -10.0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, mask = torch.randn(16, 4), torch.arange(16) % 2
for _ in range(8):
    optimizer.zero_grad()
    p = torch.relu(model(x))[:, 0]
    loss = -(torch.log(p) * mask).mean()
    loss.backward()  # bites: the-first-nan-or-infinite-tensor-of-a-step-tells-where-to-look
    optimizer.step()
