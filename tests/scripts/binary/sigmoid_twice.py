"""A model that ends in a sigmoid, under the loss that has one inside: no negative costs less than log 2."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters())
for _ in range(6):
    x = torch.randn(8, 3)
    y = (x.sum(1) > 0).float()
    optimizer.zero_grad()
    loss = criterion(model(x).squeeze(1), y)  # bites: a-sigmoid-before-bcewithlogitsloss-puts-a-floor-under-the-loss
    loss.backward()
    optimizer.step()
