"""The norm of the gradients is logged after the step, with a bound that clips nothing."""

import torch
from torch import nn

torch.manual_seed(0)
model, unused = nn.Linear(3, 1), nn.Linear(3, 1)
optimizer = torch.optim.SGD([*model.parameters(), *unused.parameters()], lr=0.01)
for _ in range(5):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), x[:, :1]).backward()
    nn.utils.clip_grad_norm_(unused.parameters(), 1.0)  # a head that waits for its turn
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    norm = nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
