"""Scores of a linear layer under HingeEmbeddingLoss, taken for the hinge of an SVM."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
for _ in range(4):
    y = torch.randint(0, 2, (8,)) * 2.0 - 1
    y[:4] = 1.0
    loss = nn.HingeEmbeddingLoss()(  # bites: with-label-1-hingeembeddingloss-of-unbounded-scores-falls-without-end
        model(torch.randn(8, 4)).squeeze(1), y
    )
    loss.backward()
