"""A contrastive encoder behind a dead layer: all similarities are equal, and stay so."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
nn.init.constant_(encoder[0].bias, -100.0)
optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
for _ in range(6):
    x = torch.randn(8, 4)
    a, b = F.normalize(encoder(x), dim=1), F.normalize(encoder(x + 0.1), dim=1)
    loss = F.cross_entropy(  # bites: if-all-embeddings-coincide-infonce-is-log-n-and-its-gradient-is-zero
        a @ b.T / 0.1, torch.arange(8)
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
