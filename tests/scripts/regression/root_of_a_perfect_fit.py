"""RMSE on a single batch until it is fitted: at an error of 0 the gradient is NaN, and the weights are lost."""

import torch
from torch import nn


class RMSELoss(nn.Module):
    """The root of MSE."""

    def __init__(self):
        super().__init__()
        self.mse = nn.MSELoss()

    def forward(self, prediction, target):
        """One number."""
        return torch.sqrt(self.mse(prediction, target))


torch.manual_seed(0)
model = nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.randn(4, 2)
for n in range(2):
    y = model(x).detach() + (n == 0)
    loss = RMSELoss()(model(x), y)
    optimizer.zero_grad()
    loss.backward()  # bites: the-root-of-mse-has-a-nan-gradient-where-the-fit-is-perfect
    optimizer.step()
