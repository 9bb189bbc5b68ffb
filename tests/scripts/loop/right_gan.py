"""The generator's loss fills the discriminator's gradients, which are cleared before the discriminator's turn."""

import torch
from torch import nn

torch.manual_seed(0)
G, D = nn.Linear(2, 3), nn.Linear(3, 1)
g, d = (torch.optim.Adam(net.parameters(), lr=1e-3) for net in (G, D))
bce = nn.BCEWithLogitsLoss()
for _ in range(6):
    fake = G(torch.randn(8, 2))
    D.zero_grad()
    bce(D(torch.randn(8, 3)), torch.ones(8, 1)).backward()
    bce(D(fake.detach()), torch.zeros(8, 1)).backward()
    d.step()
    G.zero_grad()
    bce(D(fake), torch.ones(8, 1)).backward()
    nn.utils.clip_grad_norm_(G.parameters(), 1.0)
    g.step()
