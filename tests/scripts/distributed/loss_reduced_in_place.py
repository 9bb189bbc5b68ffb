"""The loss is averaged over the ranks for the log, in place and before `backward`; the GAN's losses go backward alone."""

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lossdemo.processes import run


def work(rank):
    torch.manual_seed(rank)
    model = DistributedDataParallel(nn.Linear(2, 1))
    loss = model(torch.randn(4, 2)).square().mean().sqrt()
    dist.all_reduce(loss)  # bites: no-gradient-passes-between-ranks-through-distall_reduce
    (loss / 2).backward()
    real, fake = model(torch.randn(4, 2)).mean(), model(torch.randn(4, 2)).mean()
    real.backward()
    fake.backward()  # bites: default-ddp-averages-gradients-in-the-first-backward-after-a-forward


run(work)
