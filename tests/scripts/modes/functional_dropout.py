"""`F.dropout(x)` in forward: the predictions in eval are random."""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 16), nn.Linear(16, 2)

    def forward(self, x):
        x = F.dropout(F.relu(self.fc1(x)), 0.5)  # bites: with-dropout-a-batch-can-cost-more-in-training-mode-than-in-eval
        return self.fc2(x)


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    optimizer.zero_grad()
    F.cross_entropy(net(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
    optimizer.step()
net.eval()
with torch.no_grad():
    net(torch.randn(8, 4))
