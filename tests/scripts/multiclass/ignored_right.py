"""Ignored rows beside others, a batch without labels that is skipped or summed, and masked classes: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(4, 3)
absent = torch.tensor([False, False, True])
for step in range(8):
    x = torch.randn(4, 4)
    y = torch.randint(0, 2, (4,)) if step % 3 else torch.full((4,), -100)
    y[0] = -100
    z = model(x)
    total = F.cross_entropy(z, y, reduction="sum") / (y != -100).sum().clamp(min=1)
    loss = F.cross_entropy(z, y)
    if torch.isnan(loss):
        continue
    (loss + total + F.cross_entropy(z.masked_fill(absent, -torch.inf), y)).backward()
    bad = F.cross_entropy(model(x), torch.full((4,), -100))
    (F.cross_entropy(model(x), y.clamp(min=0)) + torch.nan_to_num(bad)).backward()
