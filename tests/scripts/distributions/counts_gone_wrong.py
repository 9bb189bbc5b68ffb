"""A rate under a loss for log-rates, a log-rate under one for rates, standardized counts, and flat counts."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.PoissonNLLLoss()
for _ in range(4):
    x = torch.randn(16, 3)
    y = torch.poisson(torch.full((16, 1), 2.0))
    z = model(x)
    loss = criterion(F.softplus(z) + 1e-6, y)  # bites: by-default-poissonnllloss-expects-the-logarithm-of-the-rate
    loss = loss + criterion(  # bites: by-default-poissonnllloss-expects-the-logarithm-of-the-rate
        z.exp().squeeze(1), y.squeeze(1)
    )
    loss = loss + criterion(  # bites: by-default-poissonnllloss-expects-the-logarithm-of-the-rate
        z, (y - y.mean()) / y.std()
    )
    loss = loss + criterion(z, y[:, 0])  # bites: kldivloss-poissonnllloss-and-gaussiannllloss-broadcast-in-silence
    rate = z - z.mean()
    _ = F.poisson_nll_loss(  # bites: with-log_inputfalse-poissonnllloss-drives-a-rate-below--eps-down
        rate, y, log_input=False
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
