"""Fine-tuning: the head is replaced after the optimizer was made, and stays at its first values."""

import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.fc = nn.Sequential(nn.Linear(4, 8), nn.ReLU()), nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(self.body(x))


torch.manual_seed(0)
model = Backbone()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # bites: an-optimizer-moves-and-clears-only-the-parameters-it-was-given
model.fc = nn.Linear(8, 3)
criterion = nn.CrossEntropyLoss()
for _ in range(6):
    optimizer.zero_grad()
    criterion(model(torch.randn(8, 4)), torch.randint(3, (8,))).backward()
    optimizer.step()
