"""The epoch's loss added up as tensors, for a print at the end."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
total = 0
for _ in range(12):
    x = torch.randn(16, 3)
    loss = nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
    optimizer.zero_grad()
    loss.backward()  # bites: a-recorded-sum-of-losses-keeps-the-graph-of-each-sum-item-instead
    optimizer.step()
    total += loss * len(x)
print(float(total) > 0)
