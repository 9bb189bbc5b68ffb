"""A loop over epochs that never tells the sampler which one it is."""

import torch
from torch.utils.data import DataLoader, DistributedSampler

data = list(torch.arange(8.0))
sampler = DistributedSampler(data, num_replicas=2, rank=0, shuffle=True)
loader = DataLoader(data, batch_size=2, sampler=sampler)
for epoch in range(3):
    for batch in loader:  # bites: a-shuffling-distributedsampler-repeats-its-order-without-set_epoch
        batch.sum()
