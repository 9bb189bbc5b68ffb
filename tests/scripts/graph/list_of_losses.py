"""Losses kept in a list for a plot, with their graphs, and divided for accumulation before backward."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
history = []
for i in range(60):
    x = torch.randn(16, 3)
    loss = nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
    (loss / 2).backward()  # bites: a-recorded-sum-of-losses-keeps-the-graph-of-each-sum-item-instead
    if i % 2:
        optimizer.step()
        optimizer.zero_grad()
    history.append(loss)
print(len(history))
