"""A model in float16 whose targets are in their own unit: the square of an error of 300 is beyond float16."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(3, 1).half()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
x, y = torch.randn(8, 3).half(), torch.full((8, 1), 300.0).half()
for _ in range(3):
    loss = F.mse_loss(model(x), y)  # bites: in-float16-mse-is-infinite-from-an-error-of-256-on-mae-is-not
    total = F.l1_loss(  # bites: in-float16-a-sum-of-losses-can-overflow-where-their-mean-is-finite
        model(x).expand(8, 64), y.expand(8, 64), reduction="sum"
    )
    optimizer.zero_grad()
    (loss + 0 * F.l1_loss(model(x), y)).backward()
    optimizer.step()
