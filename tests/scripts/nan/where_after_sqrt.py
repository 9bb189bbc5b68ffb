"""A root guarded by where behind it: the value is right, the gradient NaN."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(4):
    x = torch.randn(16, 3)
    out = model(x)
    penalty = torch.where(out > 0, torch.sqrt(out), torch.zeros_like(out)).mean()
    loss = nn.functional.mse_loss(out, x[:, :1]) + 0.1 * penalty
    optimizer.zero_grad()
    loss.backward()  # bites: torchwhere-does-not-stop-a-nan-gradient-from-the-branch-not-taken
    optimizer.step()
