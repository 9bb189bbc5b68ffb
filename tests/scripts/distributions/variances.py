"""Variances that are right: out of an exponential or a softplus, one a row, a float, and one that is put back."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model, var = nn.Linear(3, 2), torch.full((8, 1), 1e-7, requires_grad=True)
optimizer = torch.optim.SGD([*model.parameters(), var], lr=1e-6)
criterion = nn.GaussianNLLLoss()
for _ in range(5):
    x = torch.randn(8, 3)
    y = x[:, :1]
    mean, spread = model(x).chunk(2, 1)
    loss = criterion(mean, y, spread.exp()) + criterion(mean, y, F.softplus(spread) + 1e-9)
    loss = loss + criterion(mean[:, 0], y[:, 0], spread[:, 0].square()) + F.gaussian_nll_loss(mean, y, 0.5)
    loss = loss + criterion(y, y, var) + criterion(model(x), x[:, :2], torch.ones(8))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        var.clamp_(min=1e-7)
