"""A masked mean of a batch that is all padding: 0 over 0, and every weight is NaN after the step."""

import torch
from torch import nn


def masked(prediction, target, mask):
    """The mean over what the mask keeps."""
    losses = (prediction - target).abs() * mask
    return losses.sum() / mask.sum()


torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for n in range(8):
    x = torch.randn(4, 5, 3)
    mask = torch.zeros(4, 5) if n == 7 else (torch.rand(4, 5) > 0.5).float()
    loss = 0.5 * masked(model(x)[..., 0], x.sum(2), mask) + 0.01 * model.weight.square().sum()
    optimizer.zero_grad()
    loss.backward()  # bites: loss--masksum--masksum-has-nan-gradients-if-mask-is-all-zero
    optimizer.step()
