"""Schedules after each step and after each epoch, in turn and multiplied, for exactly as long as they are."""

import torch
from torch import nn
from torch.optim import lr_scheduler as s


def train(make, steps=8, each=1):
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedulers = make(optimizer)
    for i in range(steps):
        x = torch.randn(8, 3)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
        for scheduler in schedulers if (i + 1) % each == 0 else ():
            scheduler.step()


torch.manual_seed(0)
train(lambda o: [s.CosineAnnealingLR(o, T_max=8)])
train(lambda o: [s.CosineAnnealingLR(o, T_max=2)], each=4)
train(lambda o: [s.CosineAnnealingWarmRestarts(o, T_0=2)])
train(lambda o: [s.OneCycleLR(o, max_lr=0.2, total_steps=8)])
train(lambda o: [s.OneCycleLR(o, max_lr=0.2, total_steps=4)], each=2)
train(lambda o: [s.SequentialLR(o, [s.LinearLR(o, total_iters=2), s.CosineAnnealingLR(o, 6)], milestones=[2])])
train(lambda o: [s.ChainedScheduler([s.ConstantLR(o, total_iters=2), s.ExponentialLR(o, 0.9)])])
train(lambda o: [s.ExponentialLR(o, 0.9), s.MultiStepLR(o, [3, 6])])
train(lambda o: [s.CyclicLR(o, base_lr=0.01, max_lr=0.1, step_size_up=2)])
train(lambda o: [s.LambdaLR(o, lambda t: max(0.0, 1 - t / 6))])
train(lambda o: [torch.optim.swa_utils.SWALR(o, swa_lr=0.05)], each=100)
