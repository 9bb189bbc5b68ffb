"""Targets that got a dimension, and predictions that lost theirs: the other way round, summed and halved."""

import torch
from torch import nn


class Net(nn.Module):
    """A model that squeezes its output."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        """One number a row."""
        return self.layer(x).squeeze(-1)


torch.manual_seed(1)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
for _ in range(4):
    x = torch.randn(12, 2)
    error = net(x) - x.sum(1, keepdim=True)
    loss = 0.5 * (error * error).sum() / 12
    optimizer.zero_grad()
    loss.backward()  # bites: mse-of-n-1-against-n-teaches-the-mean-of-all-targets
    optimizer.step()
