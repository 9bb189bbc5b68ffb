"""A gradient penalty with its graph, an attack along a slope that needs none, and a loss with a constant."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(critic.parameters())
for _ in range(6):
    x, y = torch.randn(8, 4), torch.randint(2, (8, 1)).float()
    at = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic(at).sum(), at, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    (attack,) = torch.autograd.grad(F.binary_cross_entropy_with_logits(critic(at), y), at)
    optimizer.zero_grad()
    loss = F.binary_cross_entropy_with_logits(critic(x + 0.1 * attack.sign()), y)
    (loss + 10 * penalty + 1).backward()
    optimizer.step()
