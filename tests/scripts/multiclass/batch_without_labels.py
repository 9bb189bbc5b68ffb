"""A batch in which every label is ignored: its mean is NaN, and so is the average of the epoch."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
total = 0.0
for step in range(12):
    y = torch.randint(0, 3, (4,)) if step != 9 else torch.full((4,), -100)
    optimizer.zero_grad()
    loss = nn.CrossEntropyLoss()(  # bites: cross-entropys-mean-over-ignored-labels-alone-is-nan-its-gradient-zero
        model(torch.randn(4, 4)), y
    )
    loss.backward()
    optimizer.step()
    total += loss.item()
