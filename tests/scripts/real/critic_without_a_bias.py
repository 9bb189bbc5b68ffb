"""A WGAN: the bias of the critic's last layer cancels in the loss, and its gradient is 0 at each step."""

import torch
from torch import nn

torch.manual_seed(0)
g = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.BatchNorm1d(16, 0.8), nn.Linear(16, 8), nn.Tanh())
d = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
opt_g, opt_d = torch.optim.RMSprop(g.parameters(), lr=5e-5), torch.optim.RMSprop(d.parameters(), lr=5e-5)
for i in range(12):
    opt_d.zero_grad()
    fake = g(torch.randn(10, 4)).detach()
    (-torch.mean(d(torch.rand(10, 8))) + torch.mean(d(fake))).backward()
    opt_d.step()
    for p in d.parameters():
        p.data.clamp_(-0.01, 0.01)
    if i % 5 == 0:
        opt_g.zero_grad()
        (-torch.mean(d(g(torch.randn(10, 4))))).backward()
        opt_g.step()
