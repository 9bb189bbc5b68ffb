"""Two networks that learn of each other: right, until one is so sure that a probability rounds to 0."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
one, two = nn.Linear(3, 3), nn.Linear(3, 3)
optimizer = torch.optim.SGD([*one.parameters(), *two.parameters()], lr=0.1)
for n in range(4):
    x = torch.randn(4, 3)
    a, b = one(x), (200.0 if n == 3 else 1.0) * two(x)
    loss = F.kl_div(a.log_softmax(1), b.log_softmax(1), reduction="batchmean", log_target=True)
    loss = loss + F.kl_div(  # bites: by-default-a-0-in-kldivlosss-target-makes-the-targets-gradient-nan
        a.log_softmax(1), b.softmax(1), reduction="batchmean"
    )
    loss = loss + F.kl_div(a.log_softmax(1), b.softmax(1).detach(), reduction="batchmean")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
