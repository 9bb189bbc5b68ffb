"""Batches that add up: what is clipped between them, and what an epoch leaves to the next."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

from torch import Tensor

from lossdemo.watch.definition import BACKWARD, STEP, Bite, record, watch
from lossdemo.watch.seen import Seen
from lossdemo.watch.windows import Mark, gradient, has_slope, ledger, mark, window_of

CLIP = "torch.nn.utils.clip_grad_norm_"
FEW, CALLS = 4, 8  # parameters, and calls of clipping, that are looked at


class Clipped(NamedTuple):
    """A parameter whose gradient was shortened: the gradient since, and the parameter's sum."""

    parameter: weakref.ref[Tensor]
    gradient: Mark
    total: float

    @property
    def is_kept(self) -> bool:
        """Whether the gradient is as it was."""
        parameter = self.parameter()
        return parameter is not None and self.gradient.fits(gradient(parameter)) and has_slope(parameter)

    @property
    def was_added_to(self) -> bool:
        """Whether the gradient was changed once since, and the parameter not at all."""
        parameter = self.parameter()
        grad = gradient(parameter) if parameter is not None else None
        if parameter is None or grad is None or id(grad) != self.gradient.id or self.gradient.ref.expired():
            return False
        return grad._version == self.gradient.version + 1 and parameter.sum().item() == self.total


def _clips(seen: Seen) -> dict[str, Any]:
    return seen.history.shared["clips between batches"]


@record(CLIP, before=True)
def a_window_is_clipped(seen: Seen) -> None:
    """Which gradients there are, and whether one backward was added to clipped ones."""
    clips, given = _clips(seen), seen["parameters"]
    clips["calls"] = clips.get("calls", 0) + 1
    if clips["calls"] > CALLS:
        clips.clear()
        clips["calls"] = CALLS
        return
    known: list[Clipped] = clips.get("clipped", [])
    clips["added"] = sum(one.was_added_to for one in known) if clips.get("kept") == 1 else 0
    held = [p for window in ledger(seen.history).windows for _, p in window.parameters()]
    tensors = [p for p in given if isinstance(p, Tensor)] if isinstance(given, list | tuple) else held
    clips["before"] = [(p, mark(grad)) for p in tensors[:FEW] if (grad := gradient(p)) is not None]


@record(BACKWARD, before=True)
def a_batch_is_added(seen: Seen) -> None:
    """Whether the clipped gradients are still as they were; `kept` is 1 for one backward alone."""
    clips = _clips(seen)
    if clips.get("clipped"):
        clips["kept"] = 1 if "kept" not in clips and all(one.is_kept for one in clips["clipped"]) else 0


@record(STEP)
def a_window_ends(seen: Seen) -> None:
    """Its gradients have been used."""
    _clips(seen).pop("clipped", None)


@watch("clipping-after-each-accumulated-batch-can-weigh-later-batches-more", CLIP, cheap=True, steady=True)
def clips_between_batches_that_add_up(seen: Seen) -> Bite | None:
    """Clipping after each backward, and a step after several. Losses of other parameters, clipped apart, are none."""
    clips = _clips(seen)
    added, before = clips.pop("added", 0), clips.pop("before", [])
    clips.pop("kept", None)
    clips["clipped"] = []
    if not before or not float(seen.result) > seen["max_norm"]:
        return None
    for parameter, old in before:
        grad = gradient(parameter)
        if grad is not None and not old.fits(grad):
            clips["clipped"].append(Clipped(weakref.ref(parameter), mark(grad), parameter.sum().item()))
    if not added:
        return None
    return Bite(
        f"gradients that were clipped to {seen['max_norm']:g} get another batch's added, and are clipped again, from"
        f" {float(seen.result):.3g}",
        "clip once for each step, after the last backward of the window",
    )


@watch("unless-cleared-gradients-left-over-at-an-epochs-end-join-the-next-step", STEP, cheap=True)
def leaves_gradients_to_the_next_epoch(seen: Seen) -> Bite | None:
    """A step after every k-th batch, and batches left over at an epoch's end. Windows that go on across it are none."""
    window = window_of(seen)
    if len(window.counts) < 3 or not window.counts[-1][1]:
        return None
    *earlier, (number, left) = window.counts
    each = {count for count, rest in earlier if not rest}
    if len(each) != 1:
        return None
    k = each.pop()
    if not (k > 1 and 0 < left < k and number == k + left) or any(n != k + rest for n, rest in earlier):
        return None
    return Bite(
        f"this step has the gradients of {number} backwards, {left} of them of the epoch before, and others have {k}",
        "also take a step at an epoch's end, and divide its losses by the number of its batches",
    )
