"""Classes masked with minus infinity under label smoothing: the loss is infinite."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
absent = torch.tensor([False, False, True])
for _ in range(3):
    z = model(torch.randn(4, 4)).masked_fill(absent, -torch.inf)
    y = torch.randint(0, 2, (4,))
    loss = nn.functional.cross_entropy(  # bites: a--inf-logit-masks-a-class-for-unsmoothed-index-targets-of-other-classes
        z, y, label_smoothing=0.1
    )
    loss.backward()
