"""Saliency, an attack and Fisher information: backward many times, and no step is wanted."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
fisher = [torch.zeros_like(p) for p in model.parameters()]
x, y = torch.randn(8, 3), torch.randint(2, (8,))
for i in range(8):
    model.zero_grad()
    image = x[i : i + 1].clone().requires_grad_()
    nn.functional.cross_entropy(model(image), y[i : i + 1]).backward()
    for total, p in zip(fisher, model.parameters()):
        total += p.grad**2
    attacked = image.detach() + 0.1 * image.grad.sign()
with torch.no_grad():
    model(attacked)
