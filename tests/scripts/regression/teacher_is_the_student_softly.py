"""Distillation by a teacher that is the student itself: both sides of KL agree up to rounding, at every step."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
student = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
teacher = student
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
for _ in range(6):
    x, y = torch.randn(8, 6), torch.randint(4, (8,))
    with torch.no_grad():
        soft = F.softmax(teacher(x) / 3, -1)
    z = student(x)
    kd = F.kl_div(F.log_softmax(z / 3, -1), soft, reduction="batchmean")  # bites: a-step-moves-old--model-and-a-kept-state_dict-as-well-copy-them
    optimizer.zero_grad()
    (F.cross_entropy(z, y) + 9 * kd).backward()
    optimizer.step()
