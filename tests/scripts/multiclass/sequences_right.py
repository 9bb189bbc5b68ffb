"""Transposed and flattened sequences, heads reshaped to (N, C, T), attention over time, and one image: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
rnn, head, tags = nn.GRU(3, 6, batch_first=True), nn.Linear(6, 4), nn.Linear(6, 4 * 4)
for _ in range(3):
    states = rnn(torch.randn(2, 4, 3))[0]
    y = torch.randint(0, 4, (2, 4))
    loss = F.cross_entropy(head(states).transpose(1, 2), y)
    loss = loss + F.cross_entropy(head(states).reshape(-1, 4), y.reshape(-1))
    loss = loss + F.nll_loss(F.log_softmax(head(states), dim=-1).permute(0, 2, 1), y)
    loss = loss + F.cross_entropy(tags(states[:, -1]).view(2, 4, 4), y)
    one_hot = F.one_hot(y, 4).float()
    loss = loss + F.cross_entropy(head(states).mT, one_hot.mT)
    energies = head(states)[..., :1]
    context = (F.softmax(energies, dim=1) * states).sum(1)
    loss = loss + F.cross_entropy(head(context), y[:, 0])
    loss.backward()
