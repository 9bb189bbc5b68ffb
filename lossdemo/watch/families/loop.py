"""The loop: what is cleared, added up, clipped and used, and in which order."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from lossdemo.watch.definition import END, MADE, STEP, Bite, record, watch
from lossdemo.watch.graph import VIEWS, operation
from lossdemo.watch.place import Place
from lossdemo.watch.seen import Seen
from lossdemo.watch.windows import CLIPS, EVERY, FIRST, has_slope, ledger, window_of

ADDED = "torch.optim.Optimizer.add_param_group"
CLEARS = "zero_grad-may-stand-anywhere-but-between-backward-and-step"
TOGETHER = "clip_grad_norm_-multiplies-every-gradient-by-the-same-factor"


@watch("under-plain-sgd-a-forgotten-zero_grad-is-momentum-10", STEP, cheap=True)
def steps_on_gradients_of_earlier_steps(seen: Seen) -> Bite | None:
    """A loop without `zero_grad`, or one that clears another module. Batches that add up until a step are right."""
    window = window_of(seen)
    if not window.found_stale or (window.kind == "LBFGS" and CLEARS in seen.history.told):
        return None
    last = seen.memory.get(window.number)
    seen.memory[window.number] = window.steps
    if last != window.steps - 1:
        return None
    return Bite(
        f"step uses gradients to which backward added without clearing those of the step before:"
        f" {len(window.found_stale)} of {window.with_gradient} parameters",
        f"{seen.history.names(window.found_stale)} · call zero_grad() of this {window.kind} once for each step",
    )


@watch(CLEARS, STEP, cheap=True)
def clears_gradients_before_they_are_used(seen: Seen) -> Bite | None:
    """`zero_grad` between `backward` and `step`. Single batches that are left out, as after a NaN, are none."""
    window = window_of(seen)
    times, all_so_far = seen.memory.get(window.number, (0, True))
    if window.found_cleared:
        times += 1
    elif window.with_gradient or window.steps > 1:
        all_so_far = False
    seen.memory[window.number] = times, all_so_far
    if not (window.found_cleared and all_so_far and times > 1 and window.steps > 2):
        return None
    return Bite(
        f"{times} of {window.steps} steps moved nothing: gradients that backward had left were cleared before",
        f"the {window.kind} made at {window.place} · zero_grad() first, then backward, then step",
    )


@watch(CLEARS, STEP, cheap=True)
def does_not_clear_gradients_in_a_closure(seen: Seen) -> Bite | None:
    """A closure for LBFGS without `zero_grad`. A closure that adds up batches, and clears them first, is right."""
    window = window_of(seen)
    if window.kind != "LBFGS":
        return None
    optimizer = window.ref()
    evaluated = _evaluated(optimizer)
    last, seen.memory[window.number] = seen.memory.get(window.number, 0), evaluated
    number = window.backwards - window.backwards_before
    if number < 2 or number != evaluated - last or window.kept != number - 1:
        return None
    return Bite(
        f"the closure was called {number} times in a step, and never cleared the gradients of its last call",
        "call zero_grad() in the closure, before backward",
    )


def _evaluated(optimizer: Any) -> int:
    for state in optimizer.state.values() if optimizer is not None else ():
        return state.get("func_evals", 0)
    return 0


@watch("a-parameter-held-by-two-optimizers-is-moved-by-the-step-of-each", STEP, cheap=True)
def steps_on_a_gradient_that_another_optimizer_used(seen: Seen) -> Bite | None:
    """An encoder in the optimizers of two models. Optimizers that share a module and clear in between are right."""
    window = window_of(seen)
    if not window.found_used or window.other is None:
        return None
    return Bite(
        f"this {window.kind} moves {len(window.found_used)} of {window.with_gradient} parameters by gradients by which"
        f" another {window.other.kind} has just moved them",
        f"{seen.history.names(window.found_used)} · the other was made at {window.other.place}"
        " · give each parameter to one optimizer",
    )


@watch("step-moves-the-parameters-the-loss-and-backward-alone-do-not", END)
def never_steps(seen: Seen) -> Iterator[Bite]:
    """A loop without `optimizer.step()`, or without its parentheses. To log gradients, or to attack, is none."""
    if seen.history.scaled:
        return
    for window in ledger(seen.history).windows:
        waits = window.steps or window.steps_meanwhile
        if window.reached > 2 and window.cleared > 1 and window.is_unmoved and not waits:
            yield Bite(
                f"{window.reached} backwards left gradients, and the {window.kind} that holds the parameters never made"
                " a step: nothing moved",
                f"made at {window.place} · call optimizer.step(), with parentheses, after backward",
                window.at,
            )


@watch(
    "on-a-used-up-generator-clip_grad_norm_-clips-nothing-and-only-warns", *CLIPS, before=True, cheap=True, steady=True
)
def clips_a_used_up_generator(seen: Seen) -> Bite | None:
    """`model.parameters()` kept in a variable, and given to an optimizer first. A new one each time is right."""
    parameters = seen["parameters"]
    if not isinstance(parameters, types.GeneratorType):
        return None
    if inspect.getgeneratorstate(parameters) == inspect.GEN_CLOSED:
        return Bite("the generator of parameters is used up: no gradient is clipped", _anew(seen))
    if inspect.getgeneratorstate(parameters) == inspect.GEN_SUSPENDED:
        return Bite("the generator of parameters has been read from: its first gradients are not clipped", _anew(seen))
    return None


def _anew(seen: Seen) -> str:
    return f"{seen.about('parameters')} · call model.parameters() anew each time"


@watch(TOGETHER, *CLIPS, cheap=True, steady=True)
def clips_after_the_step(seen: Seen) -> Bite | None:
    """Clipping one line too late. To log a norm, with a bound that it never passes, is none."""
    clipped = [used for window in ledger(seen.history).windows for used in window.clipped.values()]
    norm, bound = seen.result, seen.get("max_norm")
    if not clipped or not all(clipped) or norm is None or not float(norm) > bound:
        return None
    seen.memory[seen.place] = seen.memory.get(seen.place, 0) + 1
    if seen.memory[seen.place] < 2:
        return None
    return Bite(
        f"{len(clipped)} gradients of norm {float(norm):.3g} are clipped to {bound:g} after the step that used them",
        "clip between backward and step",
    )


@record(*CLIPS)
def a_clip_finds_nothing(seen: Seen) -> None:
    """No parameter of these optimizers has a gradient."""
    clips = seen.history.shared["clips of nothing"]
    clips.clear()
    windows = [window for window in ledger(seen.history).windows if window.is_looked_at and window.ref() is not None]
    if not any(has_slope(p) for window in windows if window.clipping for _, p in window.parameters()):
        clips |= {window.number: (seen.place, window.backwards) for window in windows}


@watch("on-a-used-up-generator-clip_grad_norm_-clips-nothing-and-only-warns", STEP, cheap=True)
def clips_before_backward(seen: Seen) -> Bite | None:
    """Clipping right after `zero_grad`. A first call of many, or parameters that wait for their turn, are none."""
    window = window_of(seen)
    place, backwards = seen.history.shared["clips of nothing"].get(window.number, (None, 0))
    if place is None or not window.with_gradient or window.backwards == backwards:
        seen.memory.pop(window.number, None)
        return None
    times = seen.memory[window.number] = seen.memory.get(window.number, 0) + 1
    if times < 3:
        return None
    return Bite(
        f"{times} times clipping found no gradient, and backward left some afterwards",
        "clip between backward and step",
        place,
    )


@watch("a-parameter-listed-twice-in-one-group-is-moved-twice-by-each-step", MADE, ADDED, cheap=True)
def lists_a_parameter_twice(seen: Seen) -> Bite | None:
    """Two modules share a layer, and their `parameters()` are joined. Shared layers of one module are listed once."""
    groups = getattr(seen["self"], "param_groups", ())
    twice = []
    for group in groups:
        known: set[int] = set()
        twice += [p for p in group["params"] if id(p) in known or known.add(id(p))]
    if not twice:
        return None
    return Bite(
        f"{len(twice)} of {sum(len(group['params']) for group in groups)} parameters are listed twice: each step moves"
        " them twice",
        f"{seen.history.names(twice)} · list(dict.fromkeys(parameters)) lists each once",
    )


@watch("optimizers-refuse-an-empty-list-and-a-negative-lr-but-not-in-a-group", END)
def steps_at_a_rate_of_0(seen: Seen) -> Iterator[Bite]:
    """A rate that was rounded or divided to 0. A warm-up from 0, and one of several rates, are none.

    Nor is a schedule that is yet to begin.
    """
    windows = ledger(seen.history).windows
    moving = {window.place for window in windows if window.steps and not window.can_rest}
    for window in windows:
        if window.can_rest and window.at_rate_0 > 2 and window.place not in moving:
            yield Bite(
                f"each of {window.steps} steps of the {window.kind} was at a rate of 0: they moved nothing",
                "give a rate above 0",
                window.place,
            )


LAYERS = ("Addmm", "Mm", "Linear", "Convolution", "NativeBatchNorm", "CudnnBatchNorm", "NativeLayerNorm")


class _Unit:
    """A ReLU behind a layer: how often in a row it was all 0, and from which step on."""

    def __init__(self, place: Place) -> None:
        self.place, self.dead, self.since, self.until, self.name = place, 0, 0, 0, ""


@record("torch.nn.functional.relu", when=lambda history: history.steps < FIRST or history.steps % EVERY == 0)
def a_layer_is_rectified(seen: Seen) -> None:
    """Whether anything of it is above 0, at the first calls and now and then."""
    node = seen.result.grad_fn if isinstance(seen.result, Tensor) else None
    layer = _before_views(node.next_functions[0][0]) if node is not None and node.next_functions else None
    if layer is None or operation(layer) not in LAYERS or not seen.result.numel():
        return
    weight = next((variable for variable in map(_variable, layer.next_functions) if variable is not None), None)
    if weight is None:
        return
    units = seen.history.shared["rectified layers"]
    unit = units.setdefault((id(weight), seen.place), _Unit(seen.place))
    if (seen.result > 0).any():
        unit.dead = 0
        return
    unit.since = unit.since if unit.dead else seen.history.steps
    unit.dead, unit.until = unit.dead + 1, seen.history.steps
    if unit.dead == FIRST:
        unit.name = seen.history.name(weight)


def _variable(function: tuple[Any, int]) -> Tensor | None:
    return getattr(_before_views(function[0]), "variable", None)


def _before_views(node: Any) -> Any:
    while node is not None and operation(node) in VIEWS and node.next_functions:
        node = node.next_functions[0][0]
    return node


@watch("in-a-chain-of-layers-a-dead-relu-layer-stays-dead-under-plain-sgd", END)
def rectifies_a_layer_that_is_never_above_0(seen: Seen) -> Iterator[Bite]:
    """A bias far below 0, or a step that was too long. A layer that is 0 for some batches is none."""
    for unit in seen.history.shared["rectified layers"].values():
        if unit.dead >= FIRST and unit.until - unit.since >= FIRST - 1:
            yield Bite(
                f"from step {unit.since} on a ReLU was 0 for every input, in each of {unit.dead} calls that were"
                " looked at: no gradient passes through it",
                f"the layer before it has the parameter {unit.name} · use nn.LeakyReLU, a lower rate, or start its bias"
                " nearer to 0",
                unit.place,
            )
