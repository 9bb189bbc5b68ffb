"""Poisson regression as it should be: a log-rate, a rate out of softplus, an exposure, and positive effects."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model, effect = nn.Linear(3, 1), torch.zeros(3, requires_grad=True)
optimizer = torch.optim.Adam([*model.parameters(), effect], lr=0.01)
for _ in range(6):
    x, hours = torch.rand(16, 3), torch.rand(16, 1) + 0.5
    y = torch.poisson(2 * hours)
    z = model(x)
    loss = F.poisson_nll_loss(z + hours.log(), y)
    loss = loss + F.poisson_nll_loss(F.softplus(z) * hours, y, log_input=False)
    loss = loss + nn.PoissonNLLLoss(log_input=False, full=True)(z.exp(), y)
    loss = loss + F.poisson_nll_loss((F.softplus(effect) * x).sum(1, keepdim=True), y)
    loss = loss + F.poisson_nll_loss(z, y - 0.5)  # a background is taken off
    loss = loss + F.poisson_nll_loss(z[:, 0], y[:, 0])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
