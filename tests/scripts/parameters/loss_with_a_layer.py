"""The last layer is in the loss, and the optimizer has the model's parameters alone."""
# since: torch 2.13

import torch
from torch import nn

torch.manual_seed(0)
model, criterion = nn.Linear(4, 8), nn.LinearCrossEntropyLoss(8, 3)
optimizer = torch.optim.AdamW(model.parameters())  # bites: linearcrossentropyloss-owns-parameters-that-the-optimizer-needs
for _ in range(6):
    optimizer.zero_grad()
    criterion(model(torch.randn(8, 4)), torch.randint(3, (8,))).backward()
    optimizer.step()
