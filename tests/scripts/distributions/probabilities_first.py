"""KLDivLoss on what `softmax` makes, on a layer's output, in the wrong dimension, and on targets of the other form."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
student, teacher = nn.Linear(6, 4), nn.Linear(6, 4)
criterion = nn.KLDivLoss(reduction="batchmean")
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
for _ in range(3):
    x = torch.randn(8, 6)
    z, soft = student(x), teacher(x).softmax(1).detach()
    loss = criterion(  # bites: summed-over-distributions-kldivloss-is-below-0-only-by-rounding
        F.softmax(z, dim=1), soft
    )
    loss = loss + criterion(z, soft)  # bites: summed-over-distributions-kldivloss-is-below-0-only-by-rounding
    loss = loss + criterion(  # bites: summed-over-distributions-kldivloss-is-below-0-only-by-rounding
        F.log_softmax(z, 0), soft
    )
    _ = criterion(  # bites: by-default-kldivloss-wants-log-probabilities-first-then-probabilities
        F.log_softmax(z, 1), soft.log()
    )
    _ = criterion(  # bites: by-default-kldivloss-wants-log-probabilities-first-then-probabilities
        F.log_softmax(z, 1), teacher(x).detach()
    )
    _ = F.kl_div(  # bites: by-default-kldivloss-wants-log-probabilities-first-then-probabilities
        F.log_softmax(z, 1), soft, log_target=True, reduction="sum"
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
