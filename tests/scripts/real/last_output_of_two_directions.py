"""A bidirectional LSTM of which the last output is used: the upper layer's way back makes one step, from a state of 0."""

import torch
from torch import nn

torch.manual_seed(0)
lstm, fc = nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True), nn.Linear(12, 3)
optimizer = torch.optim.Adam([*lstm.parameters(), *fc.parameters()], lr=3e-3)
for _ in range(12):
    images, labels = torch.rand(8, 7, 5), torch.randint(3, (8,))
    h0 = torch.zeros(4, 8, 6)
    out, _ = lstm(images, (h0, h0))
    loss = nn.functional.cross_entropy(fc(out[:, -1, :]), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
