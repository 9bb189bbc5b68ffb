"""A model whose outputs are NaN under MultiMarginLoss: the loss is 0."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
x = torch.randn(4, 4) * torch.nan
for _ in range(3):
    loss = nn.MultiMarginLoss()(  # bites: in-multimarginloss-and-multilabelmarginloss-a-nan-true-score-costs-0
        model(x), torch.tensor([0, 1, 2, 0])
    )
    loss.backward()
