"""Distillation as it should be, its target in logarithms, a symmetric one, and a Jensen-Shannon divergence."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
student, teacher = nn.Linear(6, 4), nn.Linear(6, 4)
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
prior = torch.full((4,), 0.25)
for _ in range(6):
    x, temperature = torch.randn(8, 6), 2.0
    with torch.no_grad():
        soft = (teacher(x) / temperature).softmax(1)
        logs = (teacher(x) / temperature).log_softmax(1)
    z = (student(x) / temperature).log_softmax(1)
    loss = temperature**2 * F.kl_div(z, soft, reduction="batchmean")
    loss = loss + nn.KLDivLoss(reduction="batchmean", log_target=True)(z, logs)
    loss = loss + F.kl_div(logs, z, reduction="batchmean", log_target=True)  # reverse
    middle = (z.exp() + soft) / 2
    loss = loss + F.kl_div(middle.log(), soft, reduction="sum") / 8
    loss = loss + F.kl_div((z.exp() + 1e-8).log(), prior.expand(8, 4), reduction="batchmean")
    loss = loss + F.kl_div(z, F.one_hot(torch.arange(8) % 4, 4).float(), reduction="batchmean")
    loss = loss + F.kl_div(z.view(2, 4, 4), soft.view(2, 4, 4), reduction="none").sum(-1).mean()
    padded = soft.masked_fill(torch.arange(8)[:, None] > 5, -1.0)
    loss = loss + F.kl_div(z, padded, reduction="none")[:6].sum() / 6
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
