"""A linear decay by hand in a run that is longer than it: the rate becomes negative."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 - t / 4)
for _ in range(7):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), x[:, :1]).backward()
    optimizer.step()  # bites: optimizers-refuse-an-empty-list-and-a-negative-lr-but-not-in-a-group
    scheduler.step()
