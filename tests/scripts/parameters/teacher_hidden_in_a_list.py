"""A frozen teacher in lists, so that it is not saved with the student; its hidden states are matched."""

import torch
from torch import nn


class Student(nn.Module):
    def __init__(self, teachers):
        super().__init__()
        self.net = nn.Linear(4, 2)
        self.teachers = [teacher.requires_grad_(False).eval() for teacher in teachers]

    def forward(self, x):
        return sum((self.net(x) - teacher(x)).square().mean() for teacher in self.teachers)


torch.manual_seed(0)
model = Student([nn.Linear(4, 2), nn.Linear(4, 2)])
optimizer = torch.optim.Adam(model.parameters())
for _ in range(6):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).backward()
    optimizer.step()
