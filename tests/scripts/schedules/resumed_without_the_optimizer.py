"""A checkpoint of model and scheduler: the rate starts anew, though the scheduler is in the middle."""

import torch
from torch import nn


def build():
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)


def train(steps, model, optimizer, scheduler):
    for _ in range(steps):
        x = torch.randn(8, 3)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
        scheduler.step()


torch.manual_seed(0)
first, second = build(), build()
train(4, *first)
second[0].load_state_dict(first[0].state_dict())
second[2].load_state_dict(first[2].state_dict())  # bites: a-schedulers-load_state_dict-leaves-the-optimizers-rate-as-it-is
train(4, *second)
