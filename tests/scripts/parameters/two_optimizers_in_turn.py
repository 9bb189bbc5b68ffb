"""Two optimizers hold one model, each stepping along a gradient of its own."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
coarse, fine = torch.optim.SGD(model.parameters(), lr=0.1), torch.optim.Adam(model.parameters())
for _ in range(6):
    for optimizer in (coarse, fine):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
