"""Siamese outputs that are equal for one pair: the distance by hand has a NaN gradient there."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for n in range(3):
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    if n == 2:
        b[1] = a[1]
    distance = torch.sqrt(torch.sum((model(a) - model(b)) ** 2, dim=1))
    loss = torch.relu(1 - distance).mean()
    optimizer.zero_grad()
    loss.backward()  # bites: xsquaresumsqrt-has-gradient-nan-at-0-xnorm-has-0
    optimizer.step()
