"""A missing label in one batch of many, long after cheap watches have begun to rest: the number that is NaN wakes them."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.randn(16, 3), torch.randn(16, 1)
for step in range(200):
    target = y.clone()
    if step == 177:
        target[3] = float("nan")
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), target)  # bites: a-nan-target-makes-mses-gradients-nan-behind-a-mask-of-zeros-too
    loss.backward()
    optimizer.step()
