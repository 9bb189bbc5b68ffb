"""Reductions and thresholds given by place, a word that nobody knows, and an old argument beside the new one."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")
summed = nn.MSELoss("sum")  # bites: mselosssum-is-a-mean-because-size_average-comes-first
each = F.l1_loss(torch.ones(3), torch.zeros(3), "none")  # bites: mselosssum-is-a-mean-because-size_average-comes-first
smooth = nn.SmoothL1Loss(0.1)  # bites: smoothl1loss01-leaves-beta-at-1-and-huberloss01-delta
huber = nn.HuberLoss(0.5)  # bites: smoothl1loss01-leaves-beta-at-1-and-huberloss01-delta
loss = nn.CrossEntropyLoss(reduction="avg")  # bites: an-unknown-reduction-is-refused-when-the-loss-is-called-not-before
old = nn.BCELoss(  # bites: the-deprecated-size_average-and-reduce-overrule-reduction
    size_average=False, reduction="none"
)
kl = F.kl_div(  # bites: mselosssum-is-a-mean-because-size_average-comes-first
    torch.ones(2, 2).log_softmax(1), torch.ones(2, 2) / 2, "batchmean"
)
