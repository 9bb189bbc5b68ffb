"""A schedule that is run forward to be plotted, and an encoder with an optimizer of its own while the head warms up."""

import torch
from torch import nn

torch.manual_seed(0)
encoder, head = nn.Linear(4, 8), nn.Linear(8, 1)
plotted = torch.optim.SGD(nn.Linear(4, 1).parameters(), lr=0.1)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(plotted, 6)
rates = []
for _ in range(6):
    plotted.step()
    rates.append(schedule.get_last_lr()[0])
    schedule.step()
optimizers = [torch.optim.Adam(part.parameters()) for part in (encoder, head)]
for _ in range(6):
    x = torch.randn(8, 4)
    loss = nn.functional.mse_loss(head(encoder(x).detach()), x[:, :1])
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
