"""A binary classifier with one output under CrossEntropyLoss and float labels: the loss is 0 from the start."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
criterion = nn.CrossEntropyLoss()
for _ in range(3):
    y = torch.randint(0, 2, (8, 1)).float()
    loss = criterion(model(torch.randn(8, 4)), y)  # bites: cross-entropy-over-a-single-logit-is-0-and-trains-nothing
    loss.backward()
