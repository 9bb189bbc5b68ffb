"""Clipping in the same block as backward, and a step after every second batch."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for i in range(8):
    x = torch.randn(8, 3)
    (10 * nn.functional.mse_loss(model(x), x[:, :1] + 5)).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # bites: clipping-after-each-accumulated-batch-can-weigh-later-batches-more
    if i % 2:
        optimizer.step()
        optimizer.zero_grad()
