"""A softmax where NLLLoss wants a log-softmax: the loss is negative, and spares the worst mistakes."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
for _ in range(3):
    loss = nn.NLLLoss()(  # bites: nllloss-on-probabilities-is-negative-and-spares-the-worst-mistakes
        model(torch.randn(8, 4)), torch.randint(0, 3, (8,))
    )
    loss.backward()
