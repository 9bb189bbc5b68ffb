"""OneCycleLR with epochs and steps_per_epoch, and its call one indentation too far left."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters())
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, epochs=3, steps_per_epoch=4)
for epoch in range(3):
    for x in torch.randn(4, 8, 3):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
    scheduler.step()  # bites: onecyclelr-stops-a-run-that-calls-it-more-than-total_steps-times
