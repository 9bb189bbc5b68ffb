"""Losses of 0 that are right: a frozen trunk beside its copy, a student that starts as a copy, a perfect fit."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
trunk, head = nn.Linear(4, 4), nn.Linear(4, 2)
trunk.requires_grad_(False)
student = nn.Linear(4, 4)
teacher, old = copy.deepcopy(student), copy.deepcopy(trunk)
exact = nn.Linear(4, 1)
optimizer = torch.optim.SGD([*head.parameters(), *student.parameters(), *exact.parameters()], lr=0.1)
x = torch.randn(8, 4)
fitted = exact(x).detach()
for _ in range(6):
    kept = F.mse_loss(trunk(x), old(x)) + F.mse_loss(head(trunk(x)).sum(), torch.tensor(0.0))
    near = F.mse_loss(student(x), teacher(x).detach())
    perfect = F.mse_loss(exact(x), fitted)
    zero = F.l1_loss(F.relu(-student(x).square()), torch.zeros(8, 4))
    loss = kept + near + perfect + zero + F.l1_loss(student(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
