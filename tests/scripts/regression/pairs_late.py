"""A loop whose targets lose a dimension long after it began: a watch that rests looks at some steps all the same."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.randn(16, 3), torch.randn(16, 1)
for step in range(170):
    optimizer.zero_grad()
    target = y if step < 150 else y[:, 0]
    loss = F.mse_loss(model(x), target)  # bites: mse-mae-huber-and-smoothl1-pair-n-1-with-n-and-only-warn
    loss.backward()
    optimizer.step()
