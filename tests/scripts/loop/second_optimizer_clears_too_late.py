"""An encoder's and a decoder's optimizers: the second one clears its gradients after backward."""

import torch
from torch import nn

torch.manual_seed(0)
encoder, decoder = nn.Linear(4, 2), nn.Linear(2, 4)
first = torch.optim.Adam(encoder.parameters())
second = torch.optim.Adam(decoder.parameters())
for _ in range(4):
    x = torch.randn(8, 4)
    first.zero_grad()
    (decoder(encoder(x)) - x).square().mean().backward()
    first.step()
    second.zero_grad()
    second.step()  # bites: zero_grad-may-stand-anywhere-but-between-backward-and-step
