"""A focal loss of each sample, weights last, and a loss whose exponential is only printed: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model, weight = nn.Linear(4, 3), torch.tensor([1.0, 2.0, 3.0])
log_variance = nn.Parameter(torch.zeros(()))
for _ in range(3):
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    losses = F.cross_entropy(model(x), y, reduction="none")
    p = torch.exp(-losses)
    (weight[y] * (1 - p) ** 2 * losses).mean().backward()
    loss = F.cross_entropy(model(x), y, weight=weight)
    print("perplexity", loss.exp().item() > 0)
    (torch.exp(-log_variance) * loss + log_variance).backward()
    one = F.cross_entropy(model(x[:1]), y[:1])
    ((1 - torch.exp(-one)) ** 2 * one).backward()
