"""The same in bfloat16, where a logit of 7 is enough."""

import torch
from torch import nn

model = nn.Linear(1, 1).bfloat16()
nn.init.constant_(model.weight, 7.0)
nn.init.zeros_(model.bias)
x, y = torch.ones(4, 1, dtype=torch.bfloat16), torch.zeros(4, 1, dtype=torch.bfloat16)
for _ in range(3):
    loss = nn.functional.binary_cross_entropy(  # bites: in-bfloat16-sigmoid-and-bceloss-give-up-at-a-logit-of-625
        model(x).sigmoid(), y
    )
    loss.backward()
