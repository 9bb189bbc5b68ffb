"""A margin of 1 for cosines: no negative pair is driven apart."""

import torch
from torch import nn

torch.manual_seed(0)
tower, criterion = nn.Linear(4, 3), nn.CosineEmbeddingLoss(margin=1.0)
for _ in range(3):
    y = torch.tensor([1.0, -1.0, 1.0, -1.0])
    a, b = tower(torch.randn(4, 4)), tower(torch.randn(4, 4))
    loss = criterion(a, b, y)  # bites: at-margin-0-cosineembeddingloss-asks-negatives-for-90-degrees-or-more
    loss.backward()
