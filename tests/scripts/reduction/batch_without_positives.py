"""A detector's box loss over the positive anchors: a batch without any makes the whole loss NaN."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
boxes, scores = nn.Linear(4, 4), nn.Linear(4, 1)
optimizer = torch.optim.Adam([*boxes.parameters(), *scores.parameters()])
for n in range(8):
    x = torch.randn(10, 4)
    positive = torch.arange(10) < (0 if n == 6 else 3)
    box = F.smooth_l1_loss(  # bites: the-mean-of-mse-over-an-empty-batch-is-nan-and-its-gradient-zero
        boxes(x)[positive], x[positive]
    )
    score = F.binary_cross_entropy_with_logits(scores(x)[:, 0], positive.float())
    optimizer.zero_grad()
    (score + box).backward()
    optimizer.step()
