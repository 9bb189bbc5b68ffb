"""Each way to clear gradients, in each order: all of them are right."""

import torch
from torch import nn


def train(clear, first):
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(8):
        x = torch.randn(8, 3)
        if first:
            clear(model, optimizer)
        nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
        if not first:
            clear(model, optimizer)


torch.manual_seed(0)
for first in True, False:
    train(lambda model, optimizer: model.zero_grad(), first)
    train(lambda model, optimizer: optimizer.zero_grad(set_to_none=False), first)
    train(lambda model, optimizer: [setattr(p, "grad", None) for p in model.parameters()], first)
    train(lambda model, optimizer: [p.grad.zero_() for p in model.parameters() if p.grad is not None], first)
    train(lambda model, optimizer: [p.grad.data.zero_() for p in model.parameters() if p.grad is not None], first)
    train(lambda model, optimizer: [p.grad.data.fill_(0) for p in model.parameters() if p.grad is not None], first)
    train(lambda model, optimizer: [p.grad.detach().mul_(0) for p in model.parameters() if p.grad is not None], first)
