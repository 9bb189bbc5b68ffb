"""Adversarial training: the inputs are leaves with gradients that no optimizer holds, and the attack has its own."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(6):
    x, y = torch.randn(8, 4), torch.randint(3, (8,))
    delta = torch.zeros_like(x, requires_grad=True)
    F.cross_entropy(model(x + delta), y).backward()
    optimizer.zero_grad()
    F.cross_entropy(model(x + 0.1 * delta.grad.sign()), y).backward()
    optimizer.step()
