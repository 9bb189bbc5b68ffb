"""A GAN whose discriminator ends in a sigmoid, under the loss of logits, for both kinds of images."""

import torch
from torch import nn

torch.manual_seed(0)
D = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Sigmoid())
G = nn.Sequential(nn.Linear(2, 4), nn.Tanh())
bce = nn.BCEWithLogitsLoss()
for _ in range(4):
    real, fake = torch.randn(6, 4), G(torch.randn(6, 2))
    D.zero_grad()
    real_loss = bce(D(real), torch.ones(6, 1))  # bites: a-sigmoid-before-bcewithlogitsloss-puts-a-floor-under-the-loss
    fake_loss = bce(  # bites: a-sigmoid-before-bcewithlogitsloss-puts-a-floor-under-the-loss
        D(fake.detach()), torch.zeros(6, 1)
    )
    (real_loss + fake_loss).backward()
