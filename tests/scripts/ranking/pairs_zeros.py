"""Preferences of 0 and 1 under MarginRankingLoss, and distances with labels of 0 and 1."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
scorer, tower = nn.Linear(4, 1), nn.Linear(4, 3)
for _ in range(6):
    y = torch.tensor([0.0, 1.0, 0.0, 1.0])
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    loss = F.margin_ranking_loss(  # bites: label-0-is-no-negative-to-cosineembeddingloss-and-marginrankingloss
        scorer(a)[:, 0], scorer(b)[:, 0], y, margin=1.0
    )
    far = F.pairwise_distance(tower(a), tower(b))
    loss = loss + nn.HingeEmbeddingLoss()(  # bites: beyond-the-margin-hingeembeddingloss-treats-label-0-like-label-1
        far, y
    )
    loss.backward()
