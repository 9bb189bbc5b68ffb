"""The squared error as a formula, of a column and flat targets: nothing warns, and every row learns the mean."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
x = torch.randn(20, 4)
y = x[:, 0] - x[:, 1]
for _ in range(6):
    prediction = model(x)
    loss = torch.mean((y - prediction) ** 2)
    optimizer.zero_grad()
    loss.backward()  # bites: mse-of-n-1-against-n-teaches-the-mean-of-all-targets
    optimizer.step()
