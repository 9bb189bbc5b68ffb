"""The first block of a model in a reentrant checkpoint: its input is data, and it never learns."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Sequential(nn.Linear(3, 8), nn.ReLU()), nn.Linear(8, 1)

    def forward(self, x):
        x = checkpoint(
            self.stem, x, use_reentrant=True
        )  # bites: reentrant-checkpointing-drops-gradients-if-no-input-requires-one
        return self.head(x)


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(4):
    optimizer.zero_grad()
    net(torch.randn(4, 3)).square().mean().backward()
    optimizer.step()
