"""The raw outputs of a linear layer under NLLLoss: the loss falls without end."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(6):
    optimizer.zero_grad()
    loss = nn.NLLLoss()(  # bites: nllloss-on-probabilities-is-negative-and-spares-the-worst-mistakes
        model(torch.randn(8, 4)), torch.randint(0, 3, (8,))
    )
    loss.backward()
    optimizer.step()
