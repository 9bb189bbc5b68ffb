"""Monte Carlo dropout, and a function that drops in eval because it says so."""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.drop, self.out = nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 2)

    def forward(self, x):
        x = F.dropout(self.fc(x), 0.5, training=True)
        x = F.dropout(x, 0.1, self.training)
        return self.out(self.drop(x))


torch.manual_seed(0)
net = Net()
net.eval()
net.drop.train()
with torch.no_grad():
    samples = torch.stack([net(torch.ones(2, 4)).softmax(1) for _ in range(4)])
    F.nll_loss(samples.mean(0).log(), torch.tensor([0, 1]))
