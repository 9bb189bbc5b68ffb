"""A mean teacher in training mode: its frozen BatchNorm follows the student, and an online batch is chosen by loss."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
student = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
teacher = copy.deepcopy(student).requires_grad_(False)
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
for _ in range(6):
    x, y = torch.randn(16, 4), torch.randint(2, (16,))
    with torch.no_grad():
        kept = F.cross_entropy(student(x), y, reduction="none").topk(8).indices
    consistency = F.mse_loss(student(x).softmax(1), teacher(x).softmax(1))
    optimizer.zero_grad()
    (F.cross_entropy(student(x[kept]), y[kept]) + consistency).backward()
    optimizer.step()
    with torch.no_grad():
        for old, new in zip(teacher.parameters(), student.parameters()):
            old.lerp_(new, 0.1)
