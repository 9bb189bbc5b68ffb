"""Accumulation with `no_sync`, a GAN's sum of losses, a loss that is printed, and weights averaged by hand."""

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lossdemo.processes import run


def work(rank):
    torch.manual_seed(rank)
    model = DistributedDataParallel(nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        with model.no_sync():
            model(torch.randn(4, 2)).square().mean().backward()
        real, fake = model(torch.randn(4, 2)), model(torch.randn(4, 2))
        loss = real.mean() + fake.square().mean()
        loss.backward()
        shown = loss.detach().clone()
        dist.all_reduce(shown)
        dist.all_reduce(loss)
        optimizer.step()
        optimizer.zero_grad()
    with model.no_sync():
        model(torch.randn(4, 2)).square().mean().backward()
    for p in model.parameters():
        dist.all_reduce(p.grad)
    optimizer.step()


run(work)
