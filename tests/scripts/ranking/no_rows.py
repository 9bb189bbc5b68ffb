"""A batch from which all rows were filtered, under MultiMarginLoss: the loss is stale memory."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
for _ in range(3):
    x, y = torch.randn(4, 4), torch.randint(0, 3, (4,))
    keep = y > 5
    loss = nn.MultiMarginLoss()(  # bites: over-an-empty-batch-multimarginlosss-mean-and-sum-are-stale-memory
        model(x[keep]), y[keep]
    )
    loss.backward()
