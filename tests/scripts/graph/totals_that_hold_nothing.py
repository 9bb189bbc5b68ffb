"""Totals of numbers, of detached losses, a few losses kept, one backward for many losses, and a total each few steps."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
total, running, shown, kept = 0.0, torch.zeros(()), 0, []


def loss_of():
    x = torch.randn(16, 3)
    return nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))


for i in range(40):
    optimizer.zero_grad()
    loss = loss_of()
    loss.backward()
    optimizer.step()
    total, running, shown, kept = total + loss.item(), running + loss.detach(), shown + loss, [*kept[-3:], loss]
    if i % 5 == 4:
        shown = 0
optimizer.zero_grad()
sum(loss_of() for _ in range(30)).backward()
for loss in [loss_of() for _ in range(30)]:
    loss.backward()
optimizer.step()
