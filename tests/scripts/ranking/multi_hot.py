"""Multi-hot rows under MultiLabelMarginLoss, which reads class numbers."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 5)
for _ in range(3):
    y = torch.randint(0, 2, (6, 5))
    loss = nn.MultiLabelMarginLoss()(  # bites: multilabelmarginloss-reads-a-multi-hot-row-as-class-numbers
        model(torch.randn(6, 4)), y
    )
    loss.backward()
