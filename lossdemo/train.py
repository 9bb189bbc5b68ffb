"""The training loop, for every loss, model and optimizer, and the history it leaves."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

RECORDS = ("parameters", "gradients")


@dataclass
class History:
    """What a training went through.

    Attributes:
        loss: the loss before each step, so that `loss[0]` is that of the untrained model.
        parameters: by name, if asked for: (steps + 1, *shape), `[0]` before the first step and `[-1]` after the last.
        gradients: by name, if asked for: (steps, *shape), `[t]` as step t applied it; NaN where there was none.
    """

    loss: list[float] = field(default_factory=list)
    parameters: dict[str, Tensor] = field(default_factory=dict)
    gradients: dict[str, Tensor] = field(default_factory=dict)


class Diverged(ArithmeticError):
    """The loss became NaN or infinite. The parameters are those that gave this loss.

    Attributes:
        step: the step at which it happened, counted from 0.
        history: the losses up to and with that step's.
    """

    def __init__(self, step: int, history: History) -> None:
        super().__init__(
            f"the loss became {history.loss[-1]} at step {step}: lower the learning rate, or scale inputs and targets"
        )
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
    record: Collection[str] = (),
    callback: Callable[[int, float], object] | None = None,
) -> History:
    """Train `model` in place on the whole of (x, y): zero_grad, forward, backward, step, again and again.

    Args:
        model: maps x to predictions.
        criterion: maps predictions and y to a loss of one element.
        optimizer: any of torch's, LBFGS included; it holds the parameters to move.
        x: inputs, (n, …).
        y: targets, (n, …).
        steps: how many updates.
        record: any of 'parameters' and 'gradients', to be kept for each step. The loss is always kept.
        callback: called after each step with its number, counted from 0, and the loss before it.

    Returns:
        The history.

    Raises:
        TypeError: if x, y or the loss is not a tensor.
        ValueError: if the data are empty, of different lengths or not finite, if `steps` or `record` make no sense,
            if the loss is not a scalar or depends on no parameter, or if the optimizer holds none that it depends on.
        Diverged: if the loss becomes NaN or infinite.
    """
    _check_data(x, y)
    record = {record} if isinstance(record, str) else set(record)
    _check_request(steps, record)
    history = History()
    parameters = [_copy(model)] if "parameters" in record else []
    gradients = []

    # A closure, because LBFGS asks for the loss several times a step. The others call it once, before they move.
    def closure() -> float:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        _check_loss(loss)
        value = loss.item()
        if not math.isfinite(value):
            history.loss.append(value)
            raise Diverged(len(history.loss) - 1, history)
        loss.backward()
        if not history.loss:
            _check_optimizer(optimizer)
        return value

    for step in range(steps):
        history.loss.append(float(optimizer.step(closure)))
        if "parameters" in record:
            parameters.append(_copy(model))
        if "gradients" in record:
            gradients.append({name: _gradient(p) for name, p in model.named_parameters()})
        if callback:
            callback(step, history.loss[step])
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


def _check_request(steps: int, record: set[str]) -> None:
    if steps < 0:
        raise ValueError(f"steps is {steps}: ask for 0 or more")
    unknown = sorted(record - set(RECORDS))
    if unknown:
        raise ValueError(f"record has {unknown}: it takes any of {list(RECORDS)}")


def _check_optimizer(optimizer: Optimizer) -> None:
    if all(p.grad is None for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("the optimizer holds no parameter that the loss depends on: build it from model.parameters()")


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
