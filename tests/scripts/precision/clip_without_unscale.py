"""Clipping between the scaled backward and the step, as without a scaler."""

import torch
from torch import nn

torch.manual_seed(0)
model, scaler = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), torch.amp.GradScaler("cpu")
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for _ in range(8):
    x = torch.randn(16, 4)
    loss = nn.functional.smooth_l1_loss(model(x), x[:, :1])
    scaler.scale(loss).backward()
    nn.utils.clip_grad_norm_(
        model.parameters(), 1.0
    )  # bites: clipping-before-unscale_-divides-the-allowed-norm-by-the-scale
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)
