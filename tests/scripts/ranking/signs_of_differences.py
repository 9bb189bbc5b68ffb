"""The sign of a difference as the label, with 0 for ties, and pairs that are all alike: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
scorer, tower = nn.Linear(4, 1), nn.Linear(4, 3)
grades = torch.randint(0, 3, (8,)).float()
first, second = torch.combinations(torch.arange(8)).T
for _ in range(4):
    x = torch.randn(8, 4)
    s = scorer(x)[:, 0]
    sign = torch.sign(grades[first] - grades[second])
    loss = F.margin_ranking_loss(s[first], s[second], sign, margin=0.1)
    loss = loss + F.margin_ranking_loss(s[first], s[second], torch.ones(28), margin=0.1)
    loss = loss + F.cosine_embedding_loss(tower(x), tower(x + 1), torch.ones(8), margin=1.0)
    loss.backward()
