"""Layers are unfrozen one after the other, and given to the optimizer as they are."""

import torch
from torch import nn

torch.manual_seed(0)
layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
layers[:2].requires_grad_(False)
optimizer = torch.optim.SGD(layers[2].parameters(), lr=0.1, momentum=0.9)
for epoch in range(3):
    if epoch:
        layers[2 - epoch].requires_grad_(True)
        optimizer.add_param_group({"params": layers[2 - epoch].parameters()})
    for _ in range(4):
        x = torch.randn(8, 4)
        for layer in layers:
            x = layer(x).tanh()
        optimizer.zero_grad()
        x.square().mean().backward()
        optimizer.step()
