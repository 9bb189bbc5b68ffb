"""The graph: kept by a running total, missing below a loss made anew, flat where something is rounded."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from lossdemo.watch.definition import BACKWARD, END, STEP, Bite, watch
from lossdemo.watch.graph import leaves, nodes, operation
from lossdemo.watch.place import Place
from lossdemo.watch.saved import marks
from lossdemo.watch.seen import Seen, shape

TOTAL = "a-recorded-sum-of-losses-keeps-the-graph-of-each-sum-item-instead"
ROUND = 7  # graphs that a total holds at the end of each epoch, and lets go again
DOZENS = 24  # steps whose graphs are alive at once, of losses that a backward has done with


def _losses(seen: Seen) -> list[Tensor]:
    """The tensors from which a backward starts."""
    tensors = seen["tensors"]
    return [one for one in ([tensors] if isinstance(tensors, Tensor) else tensors) if isinstance(one, Tensor)]


class _Alive:
    """Lives as long as the nodes of a loss; it knows the step, and whether the tensor that backward got is alive."""

    def __init__(self, loss: Tensor, step: int) -> None:
        self.loss, self.step = weakref.ref(loss), step


class _Kept:
    """The graphs of one place's backwards: the last of them, the first steps, and of how many the graph was held."""

    def __init__(self) -> None:
        self.graphs: deque[weakref.ref[_Alive]] = deque(maxlen=DOZENS)
        self.steps: set[int] = set()
        self.held = self.last = -1
        self.rounds: list[int] = []  # how many were held whenever some were let go


@watch(TOTAL, BACKWARD, END, cheap=True)
def a_total_keeps_every_graph(seen: Seen) -> Iterator[Bite]:
    """`total += loss` in the loop, or losses in a list. A graph that is kept for another backward is meant."""
    if seen.moment == END:
        for place, kept in seen.memory.items():
            if 8 <= kept.held == len(kept.steps) - 1 < DOZENS:
                yield _held(kept.held, place)
            elif any(one == other >= ROUND for one, other in zip(kept.rounds, kept.rounds[1:])):
                yield _held(max(kept.rounds), place, f", again in each of {len(kept.rounds)} epochs")
        return
    losses = _losses(seen)
    if len(losses) != 1 or losses[0].grad_fn is None or seen["retain_graph"] or seen["create_graph"]:
        return
    if seen.count > 2 * DOZENS and seen.count % 8:
        return
    kept = seen.memory.setdefault(seen.place, _Kept())
    step = seen.history.steps if seen.history.optimizers else seen.history.backwards
    if step == kept.last:
        return
    alive = [one for one in (ref() for ref in kept.graphs) if one is not None]
    held, kept.last = sum(one.loss() is None for one in alive), step
    if held < kept.held and seen.count <= 2 * DOZENS:  # a total that begins anew in each epoch
        kept.rounds.append(kept.held)
    kept.held = held
    mark = _Alive(losses[0], step)
    for node in _top(losses[0].grad_fn):
        marks(node)["alive"] = mark
    kept.graphs.append(weakref.ref(mark))
    if len(kept.steps) < DOZENS:
        kept.steps.add(step)
    if len(alive) == DOZENS:
        yield _held(DOZENS, None)


def _top(node: Any) -> list[Any]:
    """The last nodes of a loss: what a script divides, scales and adds up before it calls backward."""
    found = [node]
    for one in found:
        if len(found) < 8 and operation(one) in ("Mul", "Div", "Add"):
            found += [parent for parent, _ in one.next_functions if parent is not None]
    return found


def _held(number: int, place: Place | None, again: str = "") -> Bite:
    return Bite(
        f"the graphs of the last {number} losses are still alive after their backward{again}: something adds the losses"
        " up or keeps them",
        "add up numbers: total += loss.item(), or loss.detach()",
        place,
    )


@watch("torchtensor-of-losses-drops-their-graph-and-torchstack-keeps-it", BACKWARD, cheap=True, steady=True)
def backward_of_a_tensor_made_anew(seen: Seen) -> Bite | None:
    """`torch.tensor(losses, requires_grad=True)`, or `requires_grad_()` on a loss without graph, to silence an error.

    A tensor that an optimizer holds, or a parameter, is no loss made anew; a 0 for a batch without a loss is meant.
    """
    losses = _losses(seen)
    if len(losses) != 1:
        return None
    loss = losses[0]
    node, number = loss.grad_fn, 0
    while node is not None and number < 6 and operation(node) in ("Mean", "Sum", "Squeeze"):
        node, number = next((parent for parent, _ in node.next_functions if parent is not None), None), number + 1
    leaf = loss if loss.grad_fn is None else getattr(node, "variable", None)
    if not isinstance(leaf, Tensor) or isinstance(leaf, nn.Parameter) or not leaf.requires_grad:
        return None
    if not leaf.is_cpu or not bool(leaf.any()):  # a 0 in place of the loss of a batch that has none
        return None
    held = [one for optimizer in seen.history.optimizers.values() for one in optimizer.parameters()]
    if any(one is leaf for one in held) or (leaf is not loss and (leaf.ndim > 1 or not held)):
        return None
    return Bite(
        f"backward starts at a tensor {shape(leaf)} that has no graph below it: no parameter gets a gradient from it",
        "use the loss as it was computed; join several with torch.stack(losses).sum()",
    )


FLAT = frozenset(["Round", "Floor", "Ceil", "Trunc", "Sign", "Sgn"])


@watch("round-keeps-the-graph-and-passes-on-a-gradient-of-zero", BACKWARD)
def every_way_to_the_parameters_is_rounded(seen: Seen) -> Bite | None:
    """A prediction rounded before the loss. A straight-through estimator has a way around it, and is right."""
    losses = _losses(seen)
    graph = [node for loss in losses for node in nodes(loss)]
    flat = [node for node in graph if operation(node) in FLAT]
    if not flat:
        return None
    around, level = set(), [loss.grad_fn for loss in losses if loss.grad_fn is not None]
    while level:
        below = []
        for node in level:
            if node not in around and operation(node) not in FLAT:
                around.add(node)
                below += [parent for parent, _ in node.next_functions if parent is not None]
        level = below
    reached = [leaf for loss in losses for leaf in leaves(loss)]
    if not reached or any(hasattr(node, "variable") for node in around):
        return None
    if any(leaf.grad is not None and bool(leaf.grad.any()) for leaf in reached):
        return None
    name = operation(flat[0]).lower()
    return Bite(
        f"every gradient is 0: all ways from the loss to {seen.history.names(reached)} go through {name}",
        f"round straight through: x + (x.{name}() - x).detach()",
    )


CHECKPOINT = "torch.utils.checkpoint.checkpoint"


@watch("reentrant-checkpointing-drops-gradients-if-no-input-requires-one", CHECKPOINT, STEP, recalls=(STEP,))
def checkpointed_parameters_get_no_gradient(seen: Seen) -> Bite | None:
    """The first block of a model, or one behind frozen layers, in a reentrant checkpoint: its input is data.

    What is frozen, or evaluated, needs no gradient.
    """
    if seen.moment == CHECKPOINT:
        call = seen.call
        results = seen.result if isinstance(seen.result, tuple | list) else [seen.result]
        reached = any(isinstance(one, Tensor) and one.requires_grad for one in [*results, *call["args"]])
        if call["use_reentrant"] is not False and not reached:
            for module in _modules_of(call["function"]):
                seen.memory |= {id(one): seen.place for one in module.parameters() if one.requires_grad}
        return None
    held = seen.history.optimizers[id(seen["self"])].parameters() if seen.memory else ()
    checkpointed = [one for one in held if id(one) in seen.memory]
    if not checkpointed or any(one.grad is not None or not one.requires_grad for one in checkpointed):
        return None
    return Bite(
        f"{seen.history.names(checkpointed)} got no gradient: no input of their reentrant checkpoint requires one",
        "pass use_reentrant=False to checkpoint",
        seen.memory[id(checkpointed[0])],
    )


def _modules_of(function: Any) -> list[nn.Module]:
    """The modules in training that a function is, belongs to, or refers to."""
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or () if cell != type(cell)()]
    parts = [function, getattr(function, "__self__", None), getattr(function, "func", None), *cells]
    return [one for one in parts if isinstance(one, nn.Module) and one.training]
