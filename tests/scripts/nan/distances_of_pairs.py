"""Contrastive pairs, some of a row with itself; the NaN weights spoil all later batches, which is said once."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for i in range(10):
    a = torch.randn(8, 4)
    b = a.clone() if i % 4 == 3 else torch.randn(8, 4)
    distance = torch.sqrt(torch.sum((net(a) - net(b)) ** 2, dim=1))
    y = torch.full((8,), float(i % 2))
    loss = ((1 - y) * distance**2 + y * torch.clamp(1 - distance, min=0) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()  # bites: xsquaresumsqrt-has-gradient-nan-at-0-xnorm-has-0
    optimizer.step()
