"""Labels of -1 and 255 whose losses are masked, infinite logits whose losses are left out, weights of 0: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(3, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
y = torch.tensor([[1.0, 0.0, -1.0, 255.0], [0.0, 1.0, 1.0, -1.0]])
known = (y == 0) | (y == 1)
for _ in range(4):
    z = model(torch.randn(2, 3))
    losses = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    masked = F.binary_cross_entropy_with_logits(z.masked_fill(~known, -torch.inf), y.clamp(0, 1), reduction="none")
    loss = (losses * known).sum() / known.sum() + masked[known].mean()
    loss = loss + F.binary_cross_entropy_with_logits(z, y, weight=known.float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
