"""Clipping one line too late, with gradients that are longer than the bound."""

import torch
from torch import nn

torch.manual_seed(0)
rnn, head = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 1)
parameters = [*rnn.parameters(), *head.parameters()]
optimizer = torch.optim.SGD(parameters, lr=0.01)
for _ in range(4):
    x = torch.randn(5, 6, 2)
    optimizer.zero_grad()
    (100 * nn.functional.mse_loss(head(rnn(x)[0][:, -1]), x.sum((1, 2))[:, None] + 3)).backward()
    optimizer.step()
    nn.utils.clip_grad_norm_(parameters, 0.5)  # bites: clip_grad_norm_-multiplies-every-gradient-by-the-same-factor
