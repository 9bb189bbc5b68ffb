"""Clipping right after zero_grad, when there is nothing to clip."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(5):
    x = torch.randn(8, 3)
    loss = nn.functional.mse_loss(model(x), x[:, :1])
    optimizer.zero_grad()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # bites: on-a-used-up-generator-clip_grad_norm_-clips-nothing-and-only-warns
    loss.backward()
    optimizer.step()
