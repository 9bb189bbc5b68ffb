"""Concatenated targets taken from a column of a table."""

import torch
from torch import nn

table = torch.tensor([[1, 9], [2, 9], [3, 9], [3, 9], [4, 9]])
log_p = torch.zeros(6, 2, 10, requires_grad=True)
loss = nn.CTCLoss()(
    log_p.log_softmax(-1), table[:, 0], (6, 6), (2, 3)
)  # bites: on-the-cpu-ctcloss-can-misread-non-contiguous-concatenated-targets
loss.backward()
