"""Leaves as losses on purpose: a learned temperature, a multiplier moved by hand, an image that is optimized, FGSM."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
temperature = torch.zeros((), requires_grad=True)
image = torch.randn(1, 3, requires_grad=True)
optimizer = torch.optim.SGD([temperature, *model.parameters()], lr=0.1)
multiplier = torch.ones(1, requires_grad=True)
for _ in range(6):
    optimizer.zero_grad()
    temperature.backward()
    (multiplier * (model(image).mean().detach() - 1)).sum().backward()
    model(image)[0, 1].backward()
    optimizer.step()
    with torch.no_grad():
        multiplier += 0.1 * multiplier.grad
        image -= 0.1 * image.grad.sign()
