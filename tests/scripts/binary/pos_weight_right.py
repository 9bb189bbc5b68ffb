"""pos_weight as a tensor per class, per channel, and one number: right."""

import torch
from torch import nn

torch.manual_seed(0)
linear, conv = nn.Linear(3, 2), nn.Conv2d(1, 2, 1)
weight = torch.tensor([2.0, 5.0])
for _ in range(3):
    y = torch.randint(0, 2, (4, 2)).float()
    loss = nn.BCEWithLogitsLoss(pos_weight=weight)(linear(torch.randn(4, 3)), y)
    maps = conv(torch.randn(2, 1, 2, 2))
    loss = loss + nn.BCEWithLogitsLoss(pos_weight=weight.view(2, 1, 1))(maps, torch.ones_like(maps))
    last = maps.movedim(1, -1).repeat(1, 1, 3, 1)
    loss = loss + nn.BCEWithLogitsLoss(pos_weight=weight)(last, torch.ones_like(last))
    loss = loss + nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))(linear(torch.randn(4, 3)), y)
    loss.backward()
