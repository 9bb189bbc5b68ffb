"""First-order MAML: a copy is trained by hand, and its gradients are given to the parameters that the optimizer holds."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(6):
    learner = copy.deepcopy(model)
    for _ in range(2):
        learner.zero_grad()
        learner(torch.randn(8, 3)).square().mean().backward()
        with torch.no_grad():
            for p in learner.parameters():
                p -= 0.1 * p.grad
    optimizer.zero_grad()
    for p, q in zip(model.parameters(), learner.parameters()):
        p.grad = q.grad.clone()
    optimizer.step()
