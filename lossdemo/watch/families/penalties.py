"""Penalties: on slopes that have no graph."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lossdemo.watch.definition import BACKWARD, Bite, watch
from lossdemo.watch.graph import leaves, operation
from lossdemo.watch.seen import Seen, shape

TERMS = frozenset(["Add", "Sub", "Mul", "Div", "Neg"])
GRAD = "torch.autograd.grad"


def _all(tensors: Any) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else [one for one in tensors or () if isinstance(one, Tensor)]


def _has_a_constant_term(loss: Tensor) -> bool:
    """Whether something without a graph was added to a loss, at its top: a number or a tensor."""
    waiting: list[Any] = [loss.grad_fn]
    for _ in range(100):
        if not waiting:
            return False
        node = waiting.pop()
        if operation(node) in TERMS:
            below = [parent for parent, _ in node.next_functions]
            if operation(node) in ("Add", "Sub") and None in below and len(below) == 2:
                return True
            waiting += [parent for parent in below if parent is not None]
    return False


@watch("a-penalty-on-autogradgrad-has-no-gradient-without-create_graph", GRAD, BACKWARD, note=True)
def adds_a_constant_beside_a_slope_without_a_graph(seen: Seen) -> Bite | None:
    """WGAN-GP's or R1's penalty without `create_graph=True`. A slope for an attack or a saliency map needs no graph.

    Nor does first-order MAML's, by weights that steps made of parameters. Seen are a slope of parameters' outputs by a
    leaf, and then a loss to which something without a graph was added.
    """
    roots = _all(seen["outputs" if seen.moment == GRAD else "tensors"])
    inputs = _all(seen.get("inputs"))
    if seen.moment == GRAD and not any(isinstance(one, nn.Parameter) for one in inputs):
        is_recorded = seen["create_graph"] or not any(
            isinstance(leaf, nn.Parameter) for root in roots for leaf in leaves(root)
        )
        if not is_recorded and inputs and all(one.is_leaf for one in inputs):
            seen.memory["slope"] = (seen.place, shape(inputs[0]))
        return None
    place, size = seen.memory.pop("slope", (None, ""))
    if place is None or not any(_has_a_constant_term(root) for root in roots):
        return None
    return Bite(
        f"the slope by an input {size} has no graph, and a term without a graph was added to this loss",
        f"{place}: a penalty on the slope is a constant · pass create_graph=True",
        place,
    )
