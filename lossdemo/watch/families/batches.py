"""Batches that add up: what is clipped between them, and what an epoch leaves to the next."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lossdemo.watch.definition import STEP, Bite, record, watch
from lossdemo.watch.gradients import BACKWARD, Mark, gradient, has_slope, ledger, mark
from lossdemo.watch.history import History
from lossdemo.watch.seen import Seen

CLIP = "torch.nn.utils.clip_grad_norm_"
CLIPPED = "clipping-after-each-accumulated-batch-can-weigh-later-batches-more"
FEW, CALLS = 4, 8  # parameters, and calls of clipping, that are looked at


def _clips(history: History) -> dict[str, Any]:
    return history.shared["clips between batches"]


@record(CLIP, before=True)
def a_window_is_clipped(seen: Seen) -> None:
    """Which of the gradients that were clipped before have been added to since, by one backward."""
    clips, given = _clips(seen.history), seen["parameters"]
    clips["calls"] = clips.get("calls", 0) + 1
    held = [p for window in ledger(seen.history).windows for _, p in window.parameters()]
    tensors = [p for p in given if isinstance(p, Tensor)] if isinstance(given, list | tuple) else held
    clips["given"] = {id(p): mark(grad) for p in tensors[:FEW] if (grad := gradient(p)) is not None}
    clips["added"] = [
        p
        for p in tensors[:FEW]
        if (old := clips.get("after", {}).get(id(p))) is not None
        and clips.get("backwards") == 1
        and clips.get("kept")
        and old[0].fits_but_for(gradient(p), 1)
        and old[1] == float(p.sum())
    ]


@record(BACKWARD, before=True)
def a_batch_is_added(seen: Seen) -> None:
    """Whether the clipped gradients are still as they were."""
    clips = _clips(seen.history)
    if clips.get("after") and clips.get("calls", 0) < CALLS:
        clips["backwards"] = clips.get("backwards", 0) + 1


@record(STEP)
def a_window_ends(seen: Seen) -> None:
    """Its gradients have been used."""
    _clips(seen.history).pop("after", None)
