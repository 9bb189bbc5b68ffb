"""One parameter for all targets, and one target for all rows: both are meant, and right."""

import warnings

import torch
from torch.nn import functional as F

warnings.simplefilter("ignore")
center = torch.zeros((), requires_grad=True)
row = torch.zeros(1, 3, requires_grad=True)
optimizer = torch.optim.SGD([center, row], lr=0.1)
targets = torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])
for _ in range(8):
    optimizer.zero_grad()
    (F.mse_loss(center, targets[:, 0]) + F.l1_loss(row, targets)).backward()
    optimizer.step()
