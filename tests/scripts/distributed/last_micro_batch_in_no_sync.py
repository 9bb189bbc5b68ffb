"""An epoch whose number of micro-batches the window does not divide ends inside `no_sync`, and steps."""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lossdemo.processes import run


def work(rank):
    torch.manual_seed(rank)
    model = DistributedDataParallel(nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        for i in range(3):
            with nullcontext() if (i + 1) % 2 == 0 else model.no_sync():
                model(torch.randn(4, 2)).square().mean().backward()
            if (i + 1) % 2 == 0 or i + 1 == 3:
                optimizer.step()  # bites: with-the-last-micro-batch-in-no_sync-too-ddps-ranks-can-step-apart
                optimizer.zero_grad()


run(work)
