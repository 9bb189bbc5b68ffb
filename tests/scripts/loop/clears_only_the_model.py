"""A metric loss has weights of its own, which model.zero_grad() does not clear though the optimizer moves them."""

import torch
from torch import nn

torch.manual_seed(0)
model, centers = nn.Linear(4, 2), nn.Parameter(torch.randn(3, 2))
optimizer = torch.optim.SGD([*model.parameters(), centers], lr=0.1)
for _ in range(6):
    x, y = torch.randn(9, 4), torch.randint(3, (9,))
    model.zero_grad()
    (model(x) - centers[y]).square().mean().backward()
    optimizer.step()  # bites: under-plain-sgd-a-forgotten-zero_grad-is-momentum-10
