"""A layer frozen in the middle of the training, with gradients set to zero instead of None: Adam moves it on."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(8):
    if step == 3:
        model[0].requires_grad_(False)
    optimizer.zero_grad(set_to_none=False)
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()  # bites: adams-momentum-still-moves-a-frozen-parameter-with-a-gradient-of-zero
