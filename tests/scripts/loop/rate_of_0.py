"""A rate from the command line that was read as an integer: 0, and nothing moves."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
lr = int(0.01)
optimizer = torch.optim.AdamW(model.parameters(), lr=lr)  # bites: optimizers-refuse-an-empty-list-and-a-negative-lr-but-not-in-a-group
for _ in range(5):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), x[:, :1]).backward()
    optimizer.step()
