"""Actions that are not allowed, filled with -inf for student and teacher: the loss is NaN, and nobody sees it fall."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
student, teacher = nn.Linear(3, 5), nn.Linear(3, 5)
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
forbidden = torch.tensor([False, False, True, False, True])
for _ in range(3):
    x = torch.randn(4, 3)
    z = student(x).masked_fill(forbidden, -torch.inf)
    wanted = teacher(x).masked_fill(forbidden, -torch.inf).softmax(1).detach()
    loss = F.kl_div(  # bites: if-both-sides-mask-a-class-by--inf-kldivloss-is-nan-but-still-trains
        z.log_softmax(1), wanted, reduction="batchmean"
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    each = F.kl_div(z.log_softmax(1), wanted, reduction="none")
    print(each[:, ~forbidden].sum().item() > 0)
