"""Complex weights, as for signals: their sums are complex numbers, and a loss can be real or a complex sum."""

import torch
from torch import nn

torch.manual_seed(0)
filters = nn.Linear(4, 4, dtype=torch.complex64)
optimizer = torch.optim.Adam(filters.parameters(), lr=0.01)
for _ in range(25):
    x = torch.randn(8, 4, dtype=torch.complex64)
    optimizer.zero_grad()
    loss = nn.functional.l1_loss(filters(x), torch.fft.fft(x)) + (filters(x) + 3).sqrt().abs().mean()
    loss.backward()
    (filters.weight**2).sum().backward(torch.tensor(1e-3, dtype=torch.complex64))
    nn.utils.clip_grad_norm_(filters.parameters(), 1.0)
    optimizer.step()
