"""A layer's output as the variance: below eps on a good fit it is driven below 0, and the call stops."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
with torch.no_grad():
    model.weight.zero_()
    model.bias.copy_(torch.tensor([0.0, 1e-7]))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
criterion = nn.GaussianNLLLoss()
x, y = torch.randn(8, 3), torch.zeros(8, 1)
try:
    for _ in range(3):
        mean, var = model(x).split(1, dim=1)
        loss = criterion(mean, y, var)  # bites: at-small-errors-gaussiannllloss-drives-a-variance-below-eps-negative
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
except ValueError as error:
    print(error)
