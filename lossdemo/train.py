"""The training loop, for every loss, model and optimizer, and the history it leaves."""

import cmath
import math
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

RECORDS = ("parameters", "gradients")
LESS = "lower the learning rate, clip the gradients, or scale inputs and targets"
LOOK = "look for a logarithm or a norm of 0, a division by 0, targets outside of the loss's domain, and an overflow"
HALF = "; or take float32: float16 ends at 65504, and an optimizer's eps of 1e-8 is 0 in it"


@dataclass
class History:
    """What a training went through.

    Attributes:
        loss: the loss before each step, so that `loss[0]` is that of the untrained model.
        every: how many steps lie between two of these losses: 1, unless `keep` has thinned them.
        parameters: by name, if asked for: (steps + 1, *shape), `[0]` before the first step and `[-1]` after the last.
        gradients: by name, if asked for: (steps, *shape), `[t]` as step t applied it; NaN where there was none.
    """

    loss: list[float] = field(default_factory=list)
    parameters: dict[str, Tensor] = field(default_factory=dict)
    gradients: dict[str, Tensor] = field(default_factory=dict)
    every: int = 1


class Diverged(ArithmeticError):
    """The loss, a gradient, or a parameter after the last step, is NaN or infinite; the message says what to look at.

    The parameters are those that gave this loss.

    Attributes:
        step: the step at which it happened, counted from 0; the number of steps if it was after the last.
        history: the losses up to and with that step's.
    """

    def __init__(self, message: str, step: int, history: History) -> None:
        super().__init__(message)
        self.step = step
        self.history = history


def fit(
    model: nn.Module,
    criterion: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    x: Tensor,
    y: Tensor,
    steps: int,
    *,
    batch_size: int | None = None,
    accumulate: int = 1,
    clip: float | None = None,
    keep: int | None = None,
    record: Collection[str] = (),
    callback: Callable[[int, float], object] | None = None,
) -> History:
    """Train `model` in place on (x, y): zero_grad, forward, backward, step, again and again.

    A parameter that requires a gradient and that the first step leaves as it is, since the loss does not depend on it
    or the optimizer does not hold it, is named in a warning.

    Args:
        model: maps x to predictions.
        criterion: maps predictions and y to a loss of one element.
        optimizer: any of torch's, LBFGS included; it holds the parameters to move.
        x: inputs, (n, …).
        y: targets, (n, …).
        steps: how many updates.
        batch_size: how many samples a forward takes: in a random order of torch's generator, a new one for each epoch;
            a batch goes on into the next epoch, so that all are of this size. None takes all samples, in their order.
        accumulate: how many batches a step takes; its loss and gradient are the means of theirs.
        clip: the norm that the gradients of all parameters together are scaled down to where it is exceeded.
        keep: the most losses that the history has, 1 or more: where it has more, every second one is dropped.
        record: any of 'parameters' and 'gradients', to be kept for each step.
        callback: called after each step with its number, counted from 0, and the loss before it.

    Returns:
        The history.

    Raises:
        TypeError: if x, y or the loss is not a tensor.
        ValueError: if the data are empty, of different lengths or not finite, if a number or `record` makes no sense,
            if the loss is not a scalar or depends on no parameter, or if the optimizer holds none that it depends on.
        Diverged: if the loss, a gradient or at the end a parameter is NaN or infinite.
    """
    _check_data(x, y)
    record = {record} if isinstance(record, str) else set(record)
    _check_request(steps, record, accumulate, keep)
    if batch_size is not None and not 1 <= batch_size <= len(x):
        raise ValueError(f"batch_size is {batch_size}: give 1 to {len(x)}, the samples there are")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip is {clip:g}: give a number above 0")
    history, value = History(), math.nan
    parameters = [_copy(model)] if "parameters" in record else []
    gradients = []
    held = dict.fromkeys(p for group in optimizer.param_groups for p in group["params"])
    named = [*model.named_parameters()]
    if isinstance(criterion, nn.Module):
        named += criterion.named_parameters("criterion")
    batches = repeat((x, y)) if batch_size is None else _batches(x, y, batch_size)

    # A closure, because LBFGS asks for the loss several times a step. The others call it once, before they move.
    def closure() -> float:
        optimizer.zero_grad()
        total = 0.0
        for inputs, targets in window:
            loss = criterion(model(inputs), targets)
            _check_loss(loss)
            loss = loss / accumulate if accumulate > 1 else loss
            total += loss.item()
            if not math.isfinite(total):
                raise stopped(step, _why(step, total, value, history, _not_finite(named)), total)
            loss.backward()
        if name := _not_finite([(n, p.grad) for n, p in named if p.grad is not None and p in held]):
            message = f"the gradient of {name} is not finite at step {step}, though the loss, {total:.4g}, is"
            raise stopped(step, f"{message}: {LOOK}" + f"; or {LESS}" * (step > 0), total)
        if clip is not None:
            nn.utils.clip_grad_norm_(list(held), clip)
        return total

    def stopped(step: int, message: str, *loss: float) -> Diverged:
        history.loss += loss
        half = any(p.dtype == torch.float16 for _, p in named)
        return Diverged(message + HALF * half, step, history)

    for step in range(steps):
        window = [next(batches) for _ in range(accumulate)]
        value = float(optimizer.step(closure))
        if step % history.every == 0:
            history.loss.append(value)
        if keep and len(history.loss) > keep:
            del history.loss[1::2]
            history.every *= 2
        if step == 0:
            _check_moved(named, held)
        if "parameters" in record:
            parameters.append(_copy(model))
        if "gradients" in record:
            gradients.append({name: _gradient(p) for name, p in model.named_parameters()})
        if callback:
            callback(step, value)
    if steps and (name := _not_finite(named)):
        raise stopped(steps, f"the last step, {steps - 1}, has left {name} not finite: {LESS}")
    if "parameters" in record:
        history.parameters = _stack(parameters)
    if "gradients" in record:
        history.gradients = _stack(gradients)
    return history


def _check_data(x: Tensor, y: Tensor) -> None:
    for name, values in (("x", x), ("y", y)):
        if not isinstance(values, Tensor):
            raise TypeError(f"{name} is a {type(values).__name__}: make it a tensor, with torch.tensor")
        if values.ndim == 0:
            raise ValueError(f"{name} is a single number: give it a row for each sample, shape (n, …)")
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} rows and y has {len(y)}: give each input its target")
    if len(x) == 0:
        raise ValueError("x and y are empty: a loss needs at least one sample")
    for name, values in (("x", x), ("y", y)):
        bad = ~torch.isfinite(values)
        if bad.any():
            place = tuple(bad.nonzero()[0].tolist())
            raise ValueError(f"{name} has {values[place].item()} in row {place[0]}: drop or replace what is not finite")


def _check_request(steps: int, record: set[str], accumulate: int, keep: int | None) -> None:
    for name, value, least in (("steps", steps, 0), ("accumulate", accumulate, 1), ("keep", keep, 1)):
        if value is not None and value < least:
            raise ValueError(f"{name} is {value}: ask for {least} or more")
    unknown = sorted(record - set(RECORDS))
    if unknown:
        raise ValueError(f"record has {unknown}: it takes any of {list(RECORDS)}")


def _batches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    rows = torch.empty(0, dtype=torch.int64, device=x.device)
    while True:
        while len(rows) < size:
            rows = torch.cat([rows, torch.randperm(len(x), device=x.device)])
        yield x[rows[:size]], y[rows[:size]]
        rows = rows[size:]


def _not_finite(named: Sequence[tuple[str, Tensor]]) -> str:
    """The last name with NaN or inf, in a chain the one next to the loss; nothing where all is finite."""
    for name, values in reversed(named):
        if cmath.isfinite(values.sum().item()):  # of NaN or inf it never is, and it is quick
            continue
        if not torch.isfinite(values.to_dense()).all():
            return name
    return ""


def _why(step: int, loss: float, before: float, history: History, parameter: str) -> str:
    """What a loss that is not finite comes of, after a step with the loss `before`, and what to do about it."""
    if step == 0 and parameter:
        return f"the loss is {loss} at step 0, before any update, as {parameter} is not finite: initialize it anew"
    if step == 0:
        return f"the loss is {loss} at step 0, before any update, on finite data and parameters: {LOOK}"
    if parameter:
        return f"the loss became {loss} at step {step}, as the step before has left {parameter} not finite: {LESS}"
    if before < history.loss[0]:
        return f"the loss became {loss} at step {step}, after it had fallen to {before:.4g}: {LOOK}; or {LESS}"
    return f"the loss became {loss} at step {step}: {LESS}"


def _check_moved(named: Sequence[tuple[str, Tensor]], held: Collection[Tensor]) -> None:
    if all(p.grad is None for p in held):
        raise ValueError("the optimizer holds no parameter that the loss depends on: build it from model.parameters()")
    trained = [(name, p) for name, p in named if p.requires_grad]
    for names, why, cure in (
        ([name for name, p in trained if p.grad is None], "the loss does not depend on", "use it in the model"),
        (
            [name for name, p in trained if p.grad is not None and p not in held],
            "the optimizer does not hold",
            "add it",
        ),
    ):
        if names:
            left = f"{why} {', '.join(names)}, and the first step has left it as it was"
            warnings.warn(f"{left}: {cure}, or set its requires_grad to False if that is meant", stacklevel=3)


def _check_loss(loss: Tensor) -> None:
    if not isinstance(loss, Tensor):
        raise TypeError(f"the criterion returned a {type(loss).__name__}: return a tensor, without item() or float()")
    if loss.numel() != 1:
        raise ValueError(f"the loss has shape {tuple(loss.shape)}: reduce it to one number, with 'mean' or 'sum'")
    if not loss.requires_grad:
        raise ValueError("the loss depends on no parameter: is every one frozen, or the graph cut by detach or argmax?")


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.full_like(parameter, math.nan) if parameter.grad is None else parameter.grad.clone()


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def _stack(steps: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([step[name] for step in steps]) for name in (steps[0] if steps else ())}
