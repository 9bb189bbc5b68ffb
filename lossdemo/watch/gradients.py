"""What becomes of a loss: whether it is finite, whether a gradient is taken of it, and through which operations.

For watches that see in a loss what is a mistake only if a gradient is taken of it: a script that leaves out a batch
whose loss is NaN is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from lossdemo.watch.definition import BACKWARD, GRAD, Bite
from lossdemo.watch.graph import nodes
from lossdemo.watch.seen import Seen

GRADIENTS = (BACKWARD, GRAD)
HOOKS = "torch.autograd.graph.saved_tensors_hooks.__enter__"
FIRST, EVERY, KEPT = 5, 20, 100


def is_turn(seen: Seen) -> bool:
    """Whether a cheap watch may read many values now: at the first calls of a place, and at some later ones."""
    return seen.count < FIRST or seen.count % EVERY == 0


def number(loss: Any) -> float | None:
    """The one entry of a tensor, where that costs next to nothing: on the CPU."""
    if isinstance(loss, Tensor) and loss.numel() == 1 and loss.is_cpu and not loss.is_complex():
        return loss.item()
    return None


def may_be_infinite(seen: Seen) -> bool:
    """Whether to look for what makes a loss NaN or infinite: it is, or a look would cost too much at each call."""
    if "infinite" not in seen.found:
        value = number(seen.result)
        seen.found["infinite"] = is_turn(seen) if value is None else not math.isfinite(value)
    return seen.found["infinite"]


def follow(seen: Seen, bite: Bite | None) -> None:
    """Keep what was seen in a loss until a gradient is taken of it."""
    node = seen.result.grad_fn if isinstance(seen.result, Tensor) else None
    if bite and node is not None:
        seen.memory[node._sequence_nr(), node.name()] = bite._replace(place=seen.place)
        if len(seen.memory) > KEPT:
            del seen.memory[next(iter(seen.memory))]


def roots(seen: Seen) -> list[Tensor]:
    """The tensors of which a gradient is taken."""
    given = seen["tensors"] if "tensors" in seen.call else seen["outputs"]
    return [one for one in ([given] if isinstance(given, Tensor) else given) if isinstance(one, Tensor)]


def reached(seen: Seen, *, nan: bool = False) -> list[Bite]:
    """What was kept of the losses of which a gradient is taken; with `nan` only where what it is taken of is NaN."""
    if not seen.memory:
        return []
    starts = [root for root in roots(seen) if not nan or bool(root.isnan().any())]
    met = {(node._sequence_nr(), node.name()) for root in starts for node in nodes(root)}
    return [seen.memory.pop(key) for key in list(seen.memory) if key in met]


def top(seen: Seen, most: int = 100) -> Iterator[Any]:
    """The nodes next to that of which a gradient is taken.

    None where autograd's hooks on what it saves have been in use: to read what is saved might compute it anew, as a
    checkpoint does. Watches that go through this name HOOKS among their moments.
    """
    known = seen.history.shared["saved tensors"]
    if seen.moment == HOOKS:
        known["hooked"] = True
    if not known.get("hooked") and seen.moment != HOOKS:
        for root in roots(seen):
            yield from islice(nodes(root, most), most)


def saved(node: Any, name: str) -> Any:
    """What an operation kept for its gradient; None where it kept nothing, or it is freed or overwritten."""
    try:
        return getattr(node, f"_saved_{name}", None)
    except RuntimeError:
        return None


def size(node: Any) -> torch.Size:
    """The shape of what an operation made; (-1,) where it is not known."""
    try:
        return torch.Size(node._input_metadata[0].shape)
    except (AttributeError, IndexError, RuntimeError):
        return torch.Size([-1])


def many(number: int, all: int, what: str) -> str:
    """As 3 of 32 targets are, 1 of 32 targets is, the only target is."""
    if number == all:
        return f"all {all} {what} are" if all > 1 else f"the only one of the {what} is"
    return f"{number} of {all} {what} {'is' if number == 1 else 'are'}"
