"""GradScaler for the backward, and the old line for the step: the step is 65536 times too long."""

import torch
from torch import nn

torch.manual_seed(0)
model, scaler = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), torch.amp.GradScaler("cpu")
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(8):
    x = torch.randn(16, 4)
    optimizer.zero_grad()
    loss = nn.functional.smooth_l1_loss(model(x), x[:, :1])
    scaler.scale(loss).backward()
    optimizer.step()  # bites: without-unscale_-or-scalerstep-sgd-moves-by-the-scaled-gradient
