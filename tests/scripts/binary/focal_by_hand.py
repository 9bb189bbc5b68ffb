"""A focal loss on top of unreduced BCE, label smoothing by hand, and mixed labels: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(3, 2)
for _ in range(3):
    x, y = torch.randn(6, 3), torch.randint(0, 2, (6, 2)).float()
    z = model(x)
    losses = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    p = torch.exp(-losses)
    alpha = 0.25 * y + 0.75 * (1 - y)
    (alpha * (1 - p) ** 2 * losses).mean().backward()
    smooth = y * 0.9 + 0.05
    share = 0.3
    mixed = share * smooth + (1 - share) * smooth.flip(0)
    F.binary_cross_entropy_with_logits(model(share * x + (1 - share) * x.flip(0)), mixed).backward()
    F.multilabel_soft_margin_loss(model(x), y).backward()
