"""optimizer.step without parentheses: a name, and no call."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(4):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), x[:, :1])
    loss.backward()  # bites: step-moves-the-parameters-the-loss-and-backward-alone-do-not
    optimizer.step  # noqa: B018
