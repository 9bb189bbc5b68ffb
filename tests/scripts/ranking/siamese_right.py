"""Labels converted to -1 and 1, distances and one less the cosine under HingeEmbeddingLoss: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
tower = nn.Linear(4, 3)
for _ in range(4):
    a, b = tower(torch.randn(8, 4)), tower(torch.randn(8, 4))
    y = 2.0 * torch.randint(0, 2, (8,)) - 1
    loss = F.cosine_embedding_loss(a, b, y, margin=0.5) + F.hinge_embedding_loss(F.pairwise_distance(a, b), y)
    loss = loss + F.hinge_embedding_loss(1 - F.cosine_similarity(a, b), y)
    loss = loss + F.hinge_embedding_loss(-F.cosine_similarity(a, b), y)
    loss.backward()
