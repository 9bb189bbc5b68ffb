"""The scheduler's line above the optimizer's, after each batch."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters())
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=8)
for _ in range(6):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), x[:, :1]).backward()
    scheduler.step()  # bites: schedulerstep-before-optimizerstep-skips-a-schedules-first-rate
    optimizer.step()
