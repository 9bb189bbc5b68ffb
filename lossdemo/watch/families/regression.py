"""Losses of regression: shapes that broadcast, targets that are not meant so."""

from __future__ import annotations

import torch

from lossdemo.watch.definition import Bite, watch
from lossdemo.watch.seen import Seen, shape

F = "torch.nn.functional."


@watch(
    "mse-mae-huber-and-smoothl1-pair-n-1-with-n-and-only-warn",
    *(F + name for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss")),
)
def pairs_each_prediction_with_each_target(seen: Seen) -> Bite | None:
    """A model's last dimension of 1 against flat targets. One number for all targets, or one row for all, is meant."""
    input, target = seen["input"], seen["target"]
    if input.shape == target.shape:
        return None
    out = torch.broadcast_shapes(input.shape, target.shape)
    if out in (input.shape, target.shape):
        return None
    return Bite(
        f"the loss pairs {shape(input)} with {shape(target)}: {out.numel()} pairs",
        f"{seen.about('input', 'target')} · give both the same shape, as by target.view_as(input)",
    )
