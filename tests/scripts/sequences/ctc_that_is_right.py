"""CTC as it should be: padding of 0 or -1 behind the lengths, short frames, no labels, priors, masks, a skipped batch."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(5, 6)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
prior = torch.full((6,), 1 / 6).log()
padded = torch.tensor([[1, 2, 0, 0], [3, 3, 4, 0]])
for targets in padded, padded.where(padded > 0, -1), padded.T.contiguous().T, torch.tensor([1, 2, 3, 3, 4]):
    optimizer.zero_grad()
    log_p = model(torch.randn(8, 2, 5)).log_softmax(-1)
    loss = F.ctc_loss(log_p, targets, (8, 6), (2, 3)) + F.ctc_loss(log_p - 0.3 * prior, targets, (8, 6), (2, 3))
    loss = loss + F.ctc_loss(log_p.masked_fill(torch.eye(6)[5] > 0, -torch.inf), targets, (8, 8), (2, 3))
    loss = loss + F.ctc_loss((log_p.exp() + 1e-6).log(), targets, torch.tensor([8, 8]), torch.tensor([2, 3]))
    (loss + F.ctc_loss(log_p, padded[:, :0], (8, 8), (0, 0))).backward()
    optimizer.step()
    short = F.ctc_loss(model(torch.randn(3, 2, 5)).log_softmax(-1), targets, (3, 3), (2, 3))
    if short.isfinite():
        short.backward()
