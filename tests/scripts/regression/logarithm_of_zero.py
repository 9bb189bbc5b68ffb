"""Sales with a zero among them, as logarithms: the target is minus infinity, and so is the gradient."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
sales = torch.tensor([[3.0], [0.0], [12.0], [5.0]])
criterion = nn.MSELoss()
loss = criterion(  # bites: an-infinite-target-makes-mses-gradient-infinite-not-that-of-mae
    model(torch.randn(4, 2)), sales.log()
)
loss.backward()
optimizer.step()
