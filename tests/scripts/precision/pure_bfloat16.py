"""A model cast to bfloat16 with a fine-tuning rate: no weight moves, the steps are rounded away."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.LayerNorm(16).to(torch.bfloat16)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0)
with torch.no_grad():
    model.bias.fill_(1)
for _ in range(12):
    optimizer.zero_grad()
    loss = (model(torch.randn(8, 16).bfloat16()) - 3).square().mean()
    loss.backward()
    optimizer.step()  # bites: a-bfloat16-weight-of-1-ignores-steps-of-a-thousandth
