"""A GAN with a sigmoid and BCELoss, smoothed labels, and a detached fake: right."""

import torch
from torch import nn

torch.manual_seed(0)
D = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Sigmoid())
G = nn.Sequential(nn.Linear(2, 4), nn.Tanh())
bce = nn.BCELoss()
d_steps, g_steps = torch.optim.Adam(D.parameters()), torch.optim.Adam(G.parameters())
for _ in range(4):
    fake = G(torch.randn(6, 2))
    d_steps.zero_grad()
    (bce(D(torch.randn(6, 4)), torch.full((6, 1), 0.9)) + bce(D(fake.detach()), torch.zeros(6, 1))).backward()
    d_steps.step()
    g_steps.zero_grad()
    bce(D(fake), torch.ones(6, 1)).backward()
    g_steps.step()
