"""Missing labels as NaN, with a weight of 0: zero times NaN is NaN, and so are the gradients."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
y = torch.tensor([[1.0, torch.nan], [0.0, 1.0]])
weight = (~y.isnan()).float()
for _ in range(3):
    logits = model(torch.randn(2, 3))
    loss = nn.BCEWithLogitsLoss(weight)(  # bites: a-nan-label-makes-bcewithlogitsloss-nan-and-bceloss-refuses-it
        logits, y
    )
    loss.backward()
