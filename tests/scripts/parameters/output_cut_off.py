"""A beginner's `Variable(out.data, requires_grad=True)`: backward ends at the copy, and no step finds a gradient."""

import torch
from torch import nn
from torch.autograd import Variable

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(6):
    x = torch.randn(8, 4)
    out = Variable(model(x).data, requires_grad=True)
    optimizer.zero_grad()
    nn.functional.mse_loss(out, x[:, :1]).backward()  # bites: a-check-after-step-says-why-a-parameter-did-not-move
    optimizer.step()
