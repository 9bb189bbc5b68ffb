"""LBFGS calls the closure many times, and zero_grad stands outside of it."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(20, 3)
model = nn.Linear(3, 1)
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=5)


def closure():
    loss = nn.functional.mse_loss(model(x), x[:, :1])
    loss.backward()
    return loss


for _ in range(3):
    optimizer.zero_grad()
    optimizer.step(closure)  # bites: zero_grad-may-stand-anywhere-but-between-backward-and-step
