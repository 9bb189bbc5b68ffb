"""Long embeddings in float16 under CosineEmbeddingLoss: every cosine reads 0."""

import torch
from torch import nn

torch.manual_seed(0)
tower = nn.Linear(4, 256).half()
for _ in range(3):
    a = 16 * tower(torch.randn(4, 4).half())
    loss = nn.CosineEmbeddingLoss()(  # bites: in-float16-cosineembeddingloss-treats-long-embeddings-as-orthogonal
        a, a.flip(0), torch.ones(4)
    )
    loss.backward()
