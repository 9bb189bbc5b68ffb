"""A padded row that became NaN and is ignored: the loss looks healthy, and the gradient is NaN."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
x = torch.randn(3, 4)
x[2] = torch.nan
for _ in range(3):
    loss = nn.functional.cross_entropy(  # bites: an-ignored-row-with-nan-logits-still-gets-a-nan-gradient
        model(x), torch.tensor([0, 2, -100])
    )
    loss.backward()
