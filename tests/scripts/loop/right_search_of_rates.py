"""A search over learning rates that begins with 0, to have the loss of a model that is not trained."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(32, 3)
for lr in 0.0, 0.01, 0.1:
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(8):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
