"""A notebook cell run twice: the model is made again, with a layer that it does not use, and the optimizer is not."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.spare = nn.Linear(4, 1), nn.Linear(2, 2)

    def forward(self, x):
        return self.body(x)


torch.manual_seed(0)
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.1)  # bites: after-model--deepcopymodel-an-older-optimizer-holds-the-old-weights
net = Net()
for _ in range(6):
    opt.zero_grad()
    net(torch.randn(8, 4)).square().mean().backward()
    opt.step()
