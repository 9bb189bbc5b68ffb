"""A GAN whose generator alone uses the scaler, and a scaler that is switched off: both are right."""

import torch
from torch import nn

torch.manual_seed(0)
G, D = nn.Linear(2, 3), nn.Linear(3, 1)
opt_g, opt_d = torch.optim.SGD(G.parameters(), lr=0.1), torch.optim.SGD(D.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu")
for _ in range(6):
    fake = G(torch.randn(4, 2))
    opt_g.zero_grad()
    scaler.scale(-D(fake).mean()).backward()
    scaler.step(opt_g)
    scaler.update()
    D.zero_grad()
    (D(fake.detach()).mean() - D(torch.randn(4, 3)).mean()).backward()
    nn.utils.clip_grad_norm_(D.parameters(), 0.1)
    opt_d.step()
off = torch.amp.GradScaler("cpu", enabled=False)
for _ in range(6):
    opt_d.zero_grad()
    off.scale(D(torch.randn(4, 3)).square().mean()).backward()
    opt_d.step()
