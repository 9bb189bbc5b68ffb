"""The log of a softmax that has rounded to 0: the loss is infinite, and the step is taken."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 4)
optimizer = torch.optim.Adam(model.parameters())
for _ in range(3):
    p = torch.softmax(model(1000 * torch.randn(16, 3)), dim=1)
    loss = nn.functional.nll_loss(torch.log(p), torch.randint(4, (16,)))
    optimizer.zero_grad()
    loss.backward()  # bites: the-first-nan-or-infinite-tensor-of-a-step-tells-where-to-look
    optimizer.step()
