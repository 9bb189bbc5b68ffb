"""A GradScaler that skips, steps hooked into backward, and a step left out after a NaN."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
for factor in 1.0, float("inf"), 1.0, 1.0, 1.0:
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    scaler.scale(factor * nn.functional.mse_loss(model(x), x[:, :1])).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()

hooked = nn.Linear(3, 1)
each = {p: torch.optim.SGD([p], lr=0.01) for p in hooked.parameters()}


def step(p):
    each[p].step()
    each[p].zero_grad()


for p in hooked.parameters():
    p.register_post_accumulate_grad_hook(step)
for _ in range(5):
    hooked(torch.randn(4, 3)).square().mean().backward()
