"""The last layer's gradients are cancelled in the first epoch, as in DINO, and a NaN clears a whole batch."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer = torch.optim.AdamW(model.parameters())
for i in range(6):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), x[:, :1]) * (float("nan") if i < 3 else 1.0)
    loss.backward()
    if not loss.isfinite():
        optimizer.zero_grad()
    for p in model[2].parameters():
        p.grad = None
    optimizer.step()
