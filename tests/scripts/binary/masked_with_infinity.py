"""Padded positions masked with minus infinity before a mean: the loss is NaN, whatever the model does."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 4)
padding = torch.tensor([False, False, True, True])
for _ in range(3):
    logits = model(torch.randn(2, 3)).masked_fill(padding, -torch.inf)
    loss = nn.BCEWithLogitsLoss()(  # bites: an-infinite-logit-that-is-right-makes-bcewithlogitsloss-nan
        logits, torch.zeros(2, 4)
    )
    loss.backward()
