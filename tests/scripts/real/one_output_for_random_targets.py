"""The toy trainer of a tutorial on distributed training: a regression to (N, 1) under the loss for classes."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(20, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for _ in range(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(torch.rand(32, 20)), torch.rand(32, 1))  # bites: cross-entropy-over-a-single-logit-is-0-and-trains-nothing
    loss.backward()
    optimizer.step()
