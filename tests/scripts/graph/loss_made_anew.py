"""An error silenced: the accuracy, which has no graph, is told to require a gradient."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(6):
    x, y = torch.randn(16, 3), torch.randint(2, (16,))
    loss = (model(x).argmax(1) != y).float().mean().requires_grad_()
    optimizer.zero_grad()
    loss.backward()  # bites: torchtensor-of-losses-drops-their-graph-and-torchstack-keeps-it
    optimizer.step()
