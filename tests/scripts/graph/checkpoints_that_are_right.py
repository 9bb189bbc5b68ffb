"""Checkpoints without reentry, behind a trained layer, of a frozen block, and in validation without gradients."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)
frozen = nn.Linear(3, 3).requires_grad_(False)
first, second, head = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 1)
optimizer = torch.optim.SGD([*first.parameters(), *second.parameters(), *head.parameters()], lr=0.1)


def model(x):
    x = checkpoint(frozen, x, use_reentrant=True)
    x = checkpoint(first, x, use_reentrant=False)
    return head(checkpoint(lambda x: second(x).relu(), x, use_reentrant=True))


for _ in range(4):
    with torch.no_grad():
        model(torch.randn(4, 3))
    optimizer.zero_grad()
    model(torch.randn(4, 3)).square().mean().backward()
    optimizer.step()
