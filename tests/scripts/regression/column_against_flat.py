"""A model's column of predictions against flat targets: every prediction is drawn to every target."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(8):
    x = torch.randn(16, 3)
    y = x.sum(1)
    loss = nn.MSELoss()(model(x), y)  # bites: mse-mae-huber-and-smoothl1-pair-n-1-with-n-and-only-warn
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
