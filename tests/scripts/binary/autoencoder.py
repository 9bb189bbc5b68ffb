"""A VAE: BCE of a sigmoid against pixels from 0 to 1, beside a gated layer whose sigmoid makes no logit: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
encode, decode, gate = nn.Linear(8, 4), nn.Linear(2, 8), nn.Linear(8, 8)
x = torch.rand(6, 8)
for _ in range(3):
    mean, log_variance = encode(x).chunk(2, dim=1)
    code = mean + torch.randn(6, 2) * (log_variance / 2).exp()
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    (F.binary_cross_entropy(decode(code).sigmoid(), x, reduction="sum") + divergence).backward()
    F.binary_cross_entropy_with_logits(gate(x) * decode(mean.detach()).sigmoid(), x).backward()
    F.binary_cross_entropy_with_logits(decode(code.detach()) * gate(x).sigmoid(), x).backward()
