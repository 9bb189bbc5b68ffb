"""Targets of multi-label rows filled up with -1, which this loss takes for labels."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 3)
y = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]])
for _ in range(3):
    loss = nn.MultiLabelSoftMarginLoss()(  # bites: multilabelsoftmarginloss-reads-a--1-as-a-label-not-as-padding
        model(torch.randn(2, 3)), y
    )
    loss.backward()
