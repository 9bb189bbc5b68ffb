"""Attention weights by F.softmax without dim: the batch shares one sum."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")
torch.manual_seed(0)
query, key = nn.Linear(3, 3), nn.Linear(3, 3)
for _ in range(3):
    x = torch.randn(2, 5, 3)
    scores = torch.bmm(query(x), key(x).transpose(1, 2)) / 3**0.5
    attention = F.softmax(scores)  # bites: without-dim-softmax-of-three-dimensional-logits-runs-over-dimension-0
    (attention @ x).square().mean().backward()
