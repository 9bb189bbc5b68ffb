"""A scheduler is made in the function that trains, and nothing calls it."""

import torch
from torch import nn


def main(epochs=3):
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 2])  # bites: a-scheduler-counts-its-own-step-calls-not-epochs-or-batches
    for epoch in range(epochs):
        x = torch.randn(8, 3)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
        print(epoch, scheduler.get_last_lr())


torch.manual_seed(0)
main()
