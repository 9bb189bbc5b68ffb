"""Ratings as they were read, under Huber: the loss is computed, and backward stops."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
ratings = torch.randint(1, 6, (8, 1))
with torch.no_grad():
    print(nn.HuberLoss()(model(torch.ones(8, 3)), ratings).item() > 0)
loss = nn.HuberLoss()(  # bites: huberloss-takes-integer-targets-and-refuses-them-in-backward
    model(torch.randn(8, 3)), ratings
)
try:
    loss.backward()
except RuntimeError as error:
    print(error)
