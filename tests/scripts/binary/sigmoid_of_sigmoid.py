"""A sigmoid in the model, and one more before BCELoss."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
criterion = nn.BCELoss()
for _ in range(3):
    p = torch.sigmoid(model(torch.randn(8, 4)))
    y = torch.randint(0, 2, (8, 1)).float()
    loss = criterion(p, y)  # bites: a-sigmoid-before-bcewithlogitsloss-puts-a-floor-under-the-loss
    loss.backward()
