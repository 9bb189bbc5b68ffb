"""Class weights of 1 and 50 under label smoothing: the best prediction for every label is the heavy class."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 1.0, 50.0]), label_smoothing=0.2)
for _ in range(3):
    loss = criterion(  # bites: label-smoothing-with-class-weights-can-let-a-heavy-class-win-everywhere
        model(torch.randn(8, 4)), torch.arange(8) % 3
    )
    loss.backward()
