"""The backbone is unfrozen for the second phase, and the optimizer still holds the head alone."""

import torch
from torch import nn

torch.manual_seed(0)
backbone, head = nn.Sequential(nn.Linear(4, 8), nn.ReLU()), nn.Linear(8, 1)
model = nn.Sequential(backbone, head)
backbone.requires_grad_(False)
optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()))  # bites: an-optimizer-moves-and-clears-only-the-parameters-it-was-given
for epoch in range(4):
    if epoch == 2:
        backbone.requires_grad_(True)
    for _ in range(15):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
