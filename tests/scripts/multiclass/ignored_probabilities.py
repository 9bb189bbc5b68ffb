"""Rows of soft labels marked by -1 and ignore_index=-1: they count with the probabilities -1."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
criterion = nn.CrossEntropyLoss(ignore_index=-1)
q = torch.tensor([[0.2, 0.3, 0.5], [-1.0, -1.0, -1.0]])
for _ in range(3):
    loss = criterion(  # bites: on-target-probabilities-smoothing-works-and-ignore_index-does-not
        model(torch.randn(2, 4)), q
    )
    loss.backward()
