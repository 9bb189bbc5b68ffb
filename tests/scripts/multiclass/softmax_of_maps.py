"""A segmentation network with a Softmax2d before the loss, whose labeled pixels are chosen by a mask."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Softmax2d())
for _ in range(3):
    p = model(torch.randn(2, 1, 4, 4))
    labels = torch.randint(0, 3, (2, 4, 4))
    whole = nn.functional.cross_entropy(p, labels)  # bites: a-softmax-before-cross-entropy-puts-a-floor-under-the-loss
    known = labels > 0
    rows = p.permute(0, 2, 3, 1)[known]
    some = nn.functional.cross_entropy(  # bites: a-softmax-before-cross-entropy-puts-a-floor-under-the-loss
        rows, labels[known]
    )
    (whole + some).backward()
