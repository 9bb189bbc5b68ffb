"""`model.half()` under Adam: a dead unit's gradient is 0, eps rounds to 0, and 0/0 is NaN."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 2).half()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(3):
    x = torch.randn(8, 4).half()
    optimizer.zero_grad()
    model(x)[:, 0].square().mean().backward()
    optimizer.step()  # bites: in-float16-default-unfused-adam-gives-nan-for-a-first-gradient-of-0
