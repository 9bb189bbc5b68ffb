"""A first look at a batch, epochs with `set_epoch`, and an evaluation in order: all are right."""

import torch
from torch.utils.data import DataLoader, DistributedSampler

data = list(torch.arange(8.0))
sampler = DistributedSampler(data, num_replicas=2, rank=0)
in_order = DistributedSampler(data, num_replicas=2, rank=0, shuffle=False)
loader, test = DataLoader(data, batch_size=2, sampler=sampler), DataLoader(data, batch_size=2, sampler=in_order)
next(iter(loader))
for epoch in range(3):
    sampler.set_epoch(epoch)
    for batch in loader:
        batch.sum()
    for batch in test:
        batch.sum()
