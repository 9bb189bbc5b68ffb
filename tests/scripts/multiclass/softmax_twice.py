"""A classifier whose forward ends in a softmax, under CrossEntropyLoss, as in many first notebooks."""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    """Two layers and a softmax."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        """Probabilities."""
        return F.softmax(self.fc2(F.relu(self.fc1(x))), dim=1)


torch.manual_seed(0)
net, criterion = Net(), nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(6):
    optimizer.zero_grad()
    outputs = net(torch.randn(8, 4))
    loss = criterion(  # bites: a-softmax-before-cross-entropy-puts-a-floor-under-the-loss
        outputs, torch.randint(0, 3, (8,))
    )
    loss.backward()
    optimizer.step()
