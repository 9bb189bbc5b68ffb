"""CLIP in both directions, a batch of one pair, and a first step from equal similarities: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
image, text = nn.Linear(4, 3), nn.Linear(5, 3, bias=False)
nn.init.zeros_(text.weight)
scale = nn.Parameter(torch.tensor(1.0))
optimizer = torch.optim.Adam([*image.parameters(), *text.parameters(), scale], lr=0.05)
for size in (6, 6, 6, 6, 6, 6, 1):
    a, b = F.normalize(image(torch.randn(size, 4)), dim=1), text(torch.randn(size, 5))
    similarities = scale.exp() * a @ b.T
    labels = torch.arange(size)
    loss = F.cross_entropy(similarities, labels) + F.cross_entropy(similarities.T, labels)
    loss = loss + F.nll_loss(F.log_softmax(similarities, dim=0), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
