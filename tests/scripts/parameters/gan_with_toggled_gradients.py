"""A GAN that freezes the discriminator for the generator's turn and keeps gradients of zero: both turns are right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
D = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Linear(8, 1))
g_optimizer, d_optimizer = torch.optim.Adam(G.parameters()), torch.optim.Adam(D.parameters())
for _ in range(8):
    fake = G(torch.randn(8, 2))
    D.requires_grad_(True)
    d_optimizer.zero_grad(set_to_none=False)
    real_loss = F.binary_cross_entropy_with_logits(D(torch.randn(8, 3)), torch.ones(8, 1))
    (real_loss + F.binary_cross_entropy_with_logits(D(fake.detach()), torch.zeros(8, 1))).backward()
    D.requires_grad_(False)
    g_optimizer.zero_grad(set_to_none=False)
    F.binary_cross_entropy_with_logits(D(fake), torch.ones(8, 1)).backward()
    d_optimizer.step()
    g_optimizer.step()
with torch.no_grad():
    G(torch.randn(4, 2))
