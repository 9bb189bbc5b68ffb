"""Strides leave three frames for a word of four letters: the loss is infinite, and the weights are NaN."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Conv1d(4, 6, 3, stride=3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for i in range(4):
    log_p = model(torch.randn(2, 4, 9)).permute(2, 0, 1).log_softmax(2)
    y = torch.tensor([[1, 2, 3, 4], [1, 2, 0, 0]])
    losses = nn.functional.ctc_loss(
        log_p, y, (3, 3), (4 if i else 3, 2), reduction="none"
    )  # bites: without-zero_infinity-a-sample-too-short-for-ctc-can-make-weights-nan
    optimizer.zero_grad()
    losses[losses.isfinite()].mean().backward()
    optimizer.step()
