"""Focal losses as popular code has them: the factor is of the mean, or of a weighted loss."""

import torch
from torch import nn
from torch.nn import functional as F


class FocalLoss(nn.Module):
    """A factor of the mean."""

    def forward(self, p, y, alpha=0.8, gamma=2):
        """As in a kernel."""
        bce = F.binary_cross_entropy(  # bites: a-focal-factor-of-the-mean-loss-weighs-all-samples-of-a-batch-alike
            p, y, reduction="mean"
        )
        return alpha * (1 - torch.exp(-bce)) ** gamma * bce


torch.manual_seed(0)
model, weight = nn.Linear(4, 3), torch.tensor([1.0, 2.0, 3.0])
for _ in range(3):
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    FocalLoss()(model(x).sigmoid(), F.one_hot(y, 3).float()).backward()
    ce = F.cross_entropy(model(x), y)  # bites: a-focal-factor-of-the-mean-loss-weighs-all-samples-of-a-batch-alike
    ((1 - (-ce).exp()) ** 2 * ce).backward()
    ce = F.cross_entropy(  # bites: a-class-weight-inside-a-focal-loss-raises-p-to-the-power-of-the-weight
        model(x), y, weight=weight, reduction="none"
    )
    pt = torch.exp(-ce)
    ((1 - pt) ** 2 * ce).mean().backward()
