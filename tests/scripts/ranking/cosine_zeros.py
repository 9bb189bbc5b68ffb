"""Pairs labeled 0 and 1 under CosineEmbeddingLoss: those labeled 0 teach nothing."""

import torch
from torch import nn

torch.manual_seed(0)
tower = nn.Linear(4, 3)
criterion = nn.CosineEmbeddingLoss(margin=0.2)
for _ in range(6):
    y = torch.randint(0, 2, (8,)).float()
    y[:2] = torch.tensor([0.0, 1.0])
    loss = criterion(  # bites: label-0-is-no-negative-to-cosineembeddingloss-and-marginrankingloss
        tower(torch.randn(8, 4)), tower(torch.randn(8, 4)), y
    )
    loss.backward()
