"""bfloat16 weights under a rate that moves them, after a warm-up from 0; and autocast over float32 weights."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(8, 4).bfloat16()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step / 4, 1))
for _ in range(24):
    optimizer.zero_grad()
    model(torch.randn(8, 8).bfloat16()).square().mean().backward()
    optimizer.step()
    warm_up.step()
master = nn.Linear(8, 4)
optimizer = torch.optim.SGD(master.parameters(), lr=1e-6)
for _ in range(8):
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = master(torch.randn(8, 8)).float().square().mean()
    loss.backward()
    optimizer.step()
