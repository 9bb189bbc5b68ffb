"""Pairs that are meant: quantiles with samples of a target, distances, one against samples of its own."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")
torch.manual_seed(0)
quantiles, point = nn.Linear(3, 5), nn.Linear(3, 1)
optimizer = torch.optim.Adam([*quantiles.parameters(), *point.parameters()], lr=0.01)
taus = (torch.arange(5) + 0.5) / 5
for _ in range(8):
    x = torch.randn(5, 3)
    target = torch.randn(5, 5)
    pairs = F.smooth_l1_loss(quantiles(x).unsqueeze(2), target.unsqueeze(1), reduction="none")  # (B, N, N)
    under = (target.unsqueeze(1) < quantiles(x).unsqueeze(2)).float()
    loss = ((taus[:, None] - under).abs() * pairs).mean()
    loss = loss + ((point(x) - torch.randn(5, 5)) ** 2).mean()  # each against five samples of its own
    loss = loss + (point(x).squeeze(1)[:, None] - torch.linspace(-1, 1, 5)).square().amin(1).mean()
    cost = F.l1_loss(point(x).detach()[:, 0].unsqueeze(1), torch.randn(4), reduction="none")
    optimizer.zero_grad()
    (loss + 0 * cost.min()).backward()
    optimizer.step()
