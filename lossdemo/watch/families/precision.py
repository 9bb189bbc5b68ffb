"""Loss scaling in another order than it needs, and weights in half precision."""

from __future__ import annotations

import math
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lossdemo.watch.definition import BACKWARD, END, STEP, Bite, watch
from lossdemo.watch.graph import leaves
from lossdemo.watch.place import Place
from lossdemo.watch.saved import marked, marks
from lossdemo.watch.seen import Seen

SCALER = "torch.amp.GradScaler."
SCALE, UNSCALE, SCALER_STEP = SCALER + "scale", SCALER + "unscale_", SCALER + "step"
ASKED = SCALER + "get_scale"  # who asks for the scale divides by it himself
CLIPS = ("torch.nn.utils.clip_grad_norm_", "torch.nn.utils.clip_grad_value_")
LOOKED = 5  # scaled backwards at one place whose leaves are remembered


class Entry(NamedTuple):
    """What happened since loss scaling began, of the moments of `steps_along_scaled_gradients`.

    `subject` is an optimizer's id; of a backward it is whether its loss was scaled, of a clip whether it cut anything.
    """

    moment: str
    subject: Any
    place: Place


@watch(
    "without-unscale_-or-scalerstep-sgd-moves-by-the-scaled-gradient",
    *(SCALE, BACKWARD, UNSCALE, ASKED, *CLIPS, STEP, SCALER_STEP),
    cheap=True,
)
def steps_along_scaled_gradients(seen: Seen) -> Bite | None:
    """`optimizer.step()` where `scaler.step(optimizer)` is needed.

    With `unscale_` before it, or a scale of 1, it is right, and so is a second optimizer whose own loss is not scaled.
    """
    shared = seen.history.shared["scaler"]
    if "scale" not in shared and seen.moment != SCALE:
        return None
    log = _log(seen)
    entry = _entry(seen)
    if entry is None:
        return None
    log.append(entry)
    if seen.moment != STEP or _is_in_scaler():
        return None
    since = _since(log, STEP, id(seen["self"]))
    backwards = [one.subject for one in since if one.moment == BACKWARD]
    unscaled = any(one.moment == ASKED or (one.moment == UNSCALE and one.subject == id(seen["self"])) for one in since)
    if not backwards or not all(backwards) or unscaled or shared.get("scale", 1.0) == 1.0:
        return None
    reached = shared.get("reached", set())
    moved = [
        one
        for group in seen["self"].param_groups
        for one in group["params"]
        if id(one) in reached and one.grad is not None
    ]
    if not moved:
        return None
    return Bite(
        f"the step is along gradients of {seen.history.names(moved)} still {shared['scale']:g} times too large",
        "call scaler.step(optimizer) instead of optimizer.step()",
    )


def _log(seen: Seen) -> deque[Entry]:
    return seen.history.shared["scaler"].setdefault("log", deque(maxlen=400))


def _entry(seen: Seen) -> Entry | None:
    """What a moment adds to the log; nothing before a loss is scaled."""
    shared = seen.history.shared["scaler"]
    if seen.moment == SCALE and seen["self"].is_enabled():
        scale = seen["self"]._scale
        shared["scale"] = float(scale) if isinstance(scale, Tensor) and scale.device.type == "cpu" else 2.0**16
        outputs = seen.result if isinstance(seen.result, list | tuple) else [seen.result]
        for one in outputs:
            if isinstance(one, Tensor) and one.grad_fn is not None:
                marks(one.grad_fn)["scaled"] = True
    if "scale" not in shared:
        return None
    subject: Any = None
    if seen.moment == BACKWARD:
        subject = _is_scaled(seen)
    elif seen.moment in CLIPS:
        subject = _cuts(seen)
    elif seen.moment in (UNSCALE, SCALER_STEP):
        subject = id(seen["optimizer"])
    elif seen.moment == STEP:
        subject = id(seen["self"])
    return Entry(seen.moment, subject, seen.place)


def _is_scaled(seen: Seen) -> bool:
    """Whether a backward starts at what `scale` returned, or at a sum of it; its leaves are remembered."""
    tensors, shared = seen["tensors"], seen.history.shared["scaler"]
    losses = [one for one in ([tensors] if isinstance(tensors, Tensor) else tensors) if isinstance(one, Tensor)]
    level, scaled = [one.grad_fn for one in losses], False
    for _ in range(4):
        level = [node for node in level if node is not None]
        if any("scaled" in marked(node) for node in level):
            scaled = True
            break
        level = [parent for node in level for parent, _ in node.next_functions]
    if scaled and seen.count < LOOKED:
        shared.setdefault("reached", set()).update(id(leaf) for loss in losses for leaf in leaves(loss))
    return scaled


def _cuts(seen: Seen) -> bool:
    """Whether a clip cut finite gradients, and does not only measure."""
    if seen.moment.endswith("value_"):
        return True
    norm = float(seen.result)
    return math.isfinite(norm) and norm > float(seen["max_norm"])


def _is_in_scaler() -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.endswith("grad_scaler.py"):
            return True
        frame = frame.f_back
    return False


def _since(log: deque[Entry], moment: str, subject: int) -> list[Entry]:
    """What came between the same moment before and the last entry, which it is itself."""
    since: list[Entry] = []
    for entry in islice(reversed(log), 1, None):
        if entry.moment == moment and entry.subject == subject:
            break
        since.append(entry)
    return since[::-1]


@watch("clipping-before-unscale_-divides-the-allowed-norm-by-the-scale", SCALER_STEP, cheap=True)
def clips_scaled_gradients(seen: Seen) -> Bite | None:
    """Clipping as without a scaler. A bound multiplied by the scale, or a norm that is only logged, is right."""
    shared, since = seen.history.shared["scaler"], []
    if "scale" in shared and shared["scale"] != 1.0:
        since = _since(_log(seen), SCALER_STEP, id(seen["optimizer"]))
    scaled, unscaled, found = [], False, None
    for entry in since:
        if entry.moment == BACKWARD:
            scaled.append(entry.subject)
            unscaled = False
        elif entry.moment == UNSCALE:
            unscaled = True
        elif entry.moment == ASKED:
            return None
        elif entry.moment in CLIPS and entry.subject and not unscaled and scaled:
            found = found or entry
    if found is None or not all(scaled):
        return None
    return Bite(
        f"gradients are clipped that are still {shared['scale']:g} times too large, and divided by that afterward",
        "call scaler.unscale_(optimizer) before the clipping",
        found.place,
    )


@watch("gradscaler-skips-a-step-with-infinite-gradients-and-lowers-its-scale", SCALER_STEP, cheap=True)
def skips_steps_at_any_scale(seen: Seen) -> Bite | None:
    """A loss or a gradient that is NaN. Skipped steps while the scale is still large are normal."""
    since = _since(_log(seen), SCALER_STEP, id(seen["optimizer"]))
    stepped = any(entry.moment == STEP and entry.subject == id(seen["optimizer"]) for entry in since)
    scale = seen.history.shared["scaler"].get("scale", 1.0)
    skipped = 0 if stepped or scale > 1.0 else seen.memory.get(id(seen["optimizer"]), 0) + 1
    seen.memory[id(seen["optimizer"])] = skipped
    if skipped < 3 or not seen["self"].is_enabled():
        return None
    return Bite(
        f"GradScaler has skipped {skipped} steps in a row, the last at a scale of {scale:g}: the gradients are not"
        " finite at any scale",
        "look for the first NaN or infinite tensor of a step",
    )


HALVES = (torch.float16, torch.bfloat16)


def _halves(optimizer: torch.optim.Optimizer) -> list[tuple[Tensor, Tensor, dict[str, Any]]]:
    """The parameters in half precision that have a gradient, with it, and their groups."""
    return [
        (one, one.grad, group)
        for group in optimizer.param_groups
        for one in group["params"]
        if one.dtype in HALVES and one.grad is not None and not one.grad.is_sparse
    ]


@watch("in-float16-default-unfused-adam-gives-nan-for-a-first-gradient-of-0", STEP)
def divides_by_an_eps_that_rounds_to_0(seen: Seen) -> Bite | None:
    """`model.half()` under Adam, AdamW or RMSprop. A fused step computes in float32."""
    bad, names, eps = 0, [], 0.0
    for one, grad, group in _halves(seen["self"]):
        eps = group.get("eps")
        if not isinstance(eps, float) or group.get("fused") or float(torch.tensor(eps, dtype=one.dtype)):
            continue
        broken = ~one.isfinite() & grad.isfinite()
        if bool(broken.any()) and bool(grad.isfinite().all()):
            bad += int(broken.sum())
            names.append(one)
    if not names:
        return None
    return Bite(
        f"{bad} entries of {seen.history.names(names)} are not finite after the step, with finite gradients: eps"
        f" {eps:g} rounds to 0 in {_dtype(names[0])}",
        "keep the parameters in float32, and compute under torch.autocast",
    )


ENTRIES, TENSORS, STALLED = 16, 8, 4  # entries compared of so many parameters each; looks in a row that must agree


class _Weights:
    """Some entries of an optimizer's parameters: their values, how often each stayed, and whether any ever moved."""

    def __init__(self, optimizer: torch.optim.Optimizer, place: Place) -> None:
        self.ref, self.place = weakref.ref(optimizer), place
        self.values: dict[int, list[float]] = {}
        self.stayed: dict[tuple[int, int], int] = {}
        self.moved: set[tuple[int, int]] = set()
        self.words = ""


@watch("a-bfloat16-weight-of-1-ignores-steps-of-a-thousandth", STEP, END)
def steps_too_short_for_the_weights(seen: Seen) -> Iterator[Bite]:
    """Weights in bfloat16 or float16 under a small learning rate, of which not one moves. A rate of 0 is meant."""
    if seen.moment == END:
        for weights in seen.memory.get("all", ()):
            stuck = [key for key, count in weights.stayed.items() if count >= STALLED and key not in weights.moved]
            if stuck and not weights.moved:
                yield Bite(
                    f"{len(stuck)} of {len(stuck)} entries looked at of {weights.words} stayed the same to the bit in"
                    " every step, though their gradients are not 0",
                    "keep the weights in float32, and compute under torch.autocast",
                    weights.place,
                )
        return
    halves = _halves(seen["self"])[:TENSORS]
    if not halves:
        return
    every = seen.memory.setdefault("all", [])
    weights = next((one for one in every if one.ref() is seen["self"]), None)
    if weights is None:
        weights = _Weights(seen["self"], seen.place)
        every.append(weights)
    weights.words = weights.words or f"{seen.history.names([one for one, _, _ in halves])} ({_dtype(halves[0][0])})"
    for n, (one, grad, group) in enumerate(halves):
        values = one.detach().reshape(-1)[:ENTRIES].tolist()
        slopes = grad.reshape(-1)[:ENTRIES].tolist()
        before = weights.values.get(n)
        weights.values[n] = values
        if before is None or float(group.get("lr", 0.0)) == 0.0:
            continue
        for i, (old, new, slope) in enumerate(zip(before, values, slopes)):
            if old != new:
                weights.moved.add((n, i))
            elif slope != 0:
                weights.stayed[n, i] = weights.stayed.get((n, i), 0) + 1


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
