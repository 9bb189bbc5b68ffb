"""An average of the weights that nobody updates is evaluated at the end."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

torch.manual_seed(0)
model = nn.Linear(4, 1)
ema = AveragedModel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(4):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
with torch.no_grad():
    nn.functional.mse_loss(ema(torch.randn(8, 4)), torch.zeros(8, 1))  # bites: by-default-averagedmodel-averages-parameters-and-copies-buffers
