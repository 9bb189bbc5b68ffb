"""The log of a mean of softmaxes, a part of a log-softmax, and one over cells that are flattened: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
models, wide = nn.ModuleList([nn.Linear(4, 3) for _ in range(3)]), nn.Linear(4, 12)
for _ in range(4):
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    mean = torch.stack([model(x).softmax(1) for model in models]).mean(0)
    yes = torch.stack([model(x)[:, 0].sigmoid() for model in models]).mean(0)
    mixture = torch.logsumexp(torch.stack([F.log_softmax(model(x), 1) for model in models]), 0)
    loss = F.nll_loss(mean.log(), y) + F.binary_cross_entropy(yes, (y == 0).float()) + F.nll_loss(mixture, y)
    log_p = F.log_softmax(wide(x), 1)
    loss = loss + F.nll_loss(log_p[:, :4], y) - log_p.view(8, 3, 4)[:, 0, 0].mean()
    cells = wide(x).view(8, 3, 4)
    loss = loss + F.nll_loss(F.log_softmax(cells.flatten(1), 1), y)
    loss.backward()
