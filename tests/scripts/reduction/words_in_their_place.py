"""Old arguments by themselves, thresholds and reductions by name, a loss class of one's own with a word of its own."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")


class Robust(nn.modules.loss._Loss):
    """A loss with a reduction that torch does not know."""

    def __init__(self, reduction="median"):
        super().__init__(reduction=reduction)

    def forward(self, prediction, target):
        """The median."""
        return (prediction - target).abs().median()


class Scaled(nn.SmoothL1Loss):
    """A class that passes what it is given."""

    def __init__(self, scale, **arguments):
        super().__init__(**arguments)
        self.scale = scale


losses = [nn.MSELoss(size_average=False), nn.SmoothL1Loss(False), nn.BCELoss(None, False), nn.SmoothL1Loss(beta=0.1)]
losses += [nn.HuberLoss("sum"), nn.HuberLoss(delta=0.1), nn.KLDivLoss(reduction="batchmean"), nn.MSELoss(True)]
losses += [nn.CrossEntropyLoss(torch.ones(2)), nn.HingeEmbeddingLoss(0.5), nn.TripletMarginLoss(0.3), nn.L1Loss(1)]
losses += [nn.MultiMarginLoss(1, 0.5), nn.CosineEmbeddingLoss(0.2), nn.BCEWithLogitsLoss(torch.ones(2)), Robust()]
losses += [
    Scaled(2.0, reduction="sum"),
    Scaled(2.0, size_average=False),
    nn.MSELoss(size_average=True, reduction="mean"),
]
for loss in (nn.MSELoss(reduce=False), Scaled(2.0, reduction="sum"), Robust(), nn.HuberLoss("sum"), nn.MSELoss(False)):
    loss(torch.ones(3), torch.zeros(3))
F.mse_loss(torch.ones(3), torch.zeros(3), size_average=False)
F.huber_loss(torch.ones(3), torch.zeros(3), "sum", 0.5)
