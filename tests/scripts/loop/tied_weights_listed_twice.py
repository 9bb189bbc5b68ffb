"""Actor and critic share a trunk, and the list that joins their parameters holds it twice."""

import torch
from torch import nn

torch.manual_seed(0)
trunk = nn.Linear(4, 8)
actor, critic = nn.Sequential(trunk, nn.Linear(8, 2)), nn.Sequential(trunk, nn.Linear(8, 1))
both = list(actor.parameters()) + list(critic.parameters())
optimizer = torch.optim.Adam(both, lr=1e-3)  # bites: a-parameter-listed-twice-in-one-group-is-moved-twice-by-each-step
for _ in range(3):
    x = torch.randn(6, 4)
    optimizer.zero_grad()
    (actor(x).square().mean() + critic(x).square().mean()).backward()
    optimizer.step()
