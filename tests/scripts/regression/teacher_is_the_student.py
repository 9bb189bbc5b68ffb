"""A mean teacher without a copy: both names are one model, and the consistency loss is 0 for ever."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
student = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
teacher = student
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
for _ in range(6):
    x, y = torch.randn(16, 4), torch.randint(2, (16,))
    with torch.no_grad():
        wanted = teacher(x)
    z = student(x)
    consistency = F.mse_loss(z, wanted)  # bites: a-step-moves-old--model-and-a-kept-state_dict-as-well-copy-them
    optimizer.zero_grad()
    (F.cross_entropy(z, y) + consistency).backward()
    optimizer.step()
