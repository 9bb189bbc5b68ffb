"""model.parameters() kept in a variable: the optimizer has used it up, and clipping gets nothing."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
params = model.parameters()
optimizer = torch.optim.SGD(params, lr=0.01)
for _ in range(3):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), x[:, :1]).backward()
    nn.utils.clip_grad_norm_(params, 1.0)  # bites: on-a-used-up-generator-clip_grad_norm_-clips-nothing-and-only-warns
    optimizer.step()
