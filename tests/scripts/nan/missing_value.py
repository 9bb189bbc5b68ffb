"""A table with an empty cell, read as NaN; the classes are fitted to it all the same."""

import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(32, 3), torch.randint(2, (32,))
x[21, 1] = float("nan")
model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(2):
    for i in range(0, 32, 4):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[i : i + 4]), y[i : i + 4])
        loss.backward()  # bites: with-mse-one-nan-input-makes-all-relu-mlp-weights-nan-in-one-sgd-step
        optimizer.step()
