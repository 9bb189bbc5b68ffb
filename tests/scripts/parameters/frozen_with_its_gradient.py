"""A layer frozen after `backward`, in a loop that clears only what it believes to be trained: it moves on for ever."""

import torch
from torch import nn

torch.manual_seed(0)
first, last = nn.Linear(4, 4), nn.Linear(4, 1)
optimizer = torch.optim.SGD([*first.parameters(), *last.parameters()], lr=0.01)
for step in range(6):
    last.zero_grad()
    if step < 2:
        first.zero_grad()
    last(first(torch.randn(8, 4))).square().mean().backward()
    if step == 1:
        first.requires_grad_(False)
    optimizer.step()  # bites: step-moves-a-frozen-parameter-by-the-gradient-that-it-still-has
