"""Labels 0 and 1 under SoftMarginLoss: the negatives teach nothing."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(6):
    x = torch.randn(8, 3)
    y = (x.sum(1, keepdim=True) > 0).float()
    optimizer.zero_grad()
    loss = nn.SoftMarginLoss()(model(x), y)  # bites: with-labels-0-and-1-softmarginloss-learns-from-the-positives-alone
    loss.backward()
    optimizer.step()
