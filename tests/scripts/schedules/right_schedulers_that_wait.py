"""A schedule that begins after a warm-up, one that is kept in a list, and the rates of one that is only drawn."""

import torch
from torch import nn


def train(epochs=2, warmup=5):
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    kept = [torch.optim.lr_scheduler.StepLR(optimizer, 30)]
    for epoch in range(epochs):
        x = torch.randn(8, 3)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
        if epoch > warmup:
            scheduler.step()
            plateau.step(1.0)
    return kept


torch.manual_seed(0)
train()
optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
drawn = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
rates = []
for _ in range(4):
    optimizer.step()
    rates.append(drawn.get_last_lr())
    drawn.step()
