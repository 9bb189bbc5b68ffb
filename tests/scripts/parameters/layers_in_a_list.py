"""Hidden layers in a Python list: they compute, and only the last layer is trained."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.hidden = [nn.Linear(4, 4) for _ in range(depth)]
        self.out = nn.Linear(4, 1)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.out(x)


torch.manual_seed(0)
net = Net(3)
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)  # bites: layers-held-by-a-python-list-alone-are-not-in-a-modules-parameters
for _ in range(6):
    loss = nn.functional.mse_loss(net(torch.randn(8, 4)), torch.zeros(8, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
