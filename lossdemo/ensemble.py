"""Many trainings at once: one model and one loss, and for each member its own start, data and learning rate.

A member goes through what `lossdemo.train.fit` does with `torch.optim.SGD`, up to rounding. `torch.func` computes the
gradients of all members together; a step's operations are recorded once, and done again at each step.

Source: https://docs.pytorch.org/tutorials/intermediate/ensembling.html
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, func, nn
from torch.fx.experimental.proxy_tensor import make_fx


@dataclass
class Ensemble:
    """What all members went through.

    Attributes:
        loss: the loss before each step, (steps, members). From where a member diverged on it is inf or NaN.
        parameters: by name, after the last step, (members, *shape).
        path: by name, before the first step and after each, (steps + 1, members, *shape); empty if not asked for.
    """

    loss: Tensor
    parameters: dict[str, Tensor]
    path: dict[str, Tensor]


def stack(models: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Copies of the parameters of models that are built alike, by name, (len(models), *shape) each."""
    parameters = [dict(model.named_parameters()) for model in models]
    if len({tuple((name, each.shape) for name, each in named.items()) for named in parameters}) != 1:
        raise ValueError(
            "these models have different parameters, or there are none: give one or more models built alike"
        )
    return {name: torch.stack([named[name].detach() for named in parameters]) for name in parameters[0]}


def fit(
    model: nn.Module,
    criterion: Callable[[Tensor, Tensor], Tensor],
    start: dict[str, Tensor],
    x: Tensor,
    y: Tensor,
    steps: int,
    *,
    lr: float | Tensor,
    momentum: float = 0.0,
    rows: Iterable[Tensor] | None = None,
    record: bool = False,
) -> Ensemble:
    """Train all members together by SGD, each from its start on its data.

    `model` and `criterion` are called once for each size of batch, and what they do with tensors is done again at each
    step: random numbers, as dropout's, are drawn anew, for each member its own; what is counted or chosen in Python
    stays as it was. The model itself is left alone. Its buffers are the same for all members, and what requires no
    gradient does not move.

    Args:
        model: how the members are built; its own parameters are not used.
        criterion: maps predictions and targets of one member to a loss of one element; parameters of its own stay.
        start: the parameters by name, (members, *shape) each, as `stack` returns them.
        x: inputs, (members, n, …); `x.expand(members, *x.shape)` gives the same to all without a copy.
        y: targets, (members, n, …).
        steps: how many updates.
        lr: the learning rate, or one for each member, (members,).
        momentum: that of `torch.optim.SGD`, without dampening.
        rows: for each step which rows of x and y it uses, (members, batch), or (batch,) for all members: a tensor with
            a step's rows behind each other, or anything that yields as many as there are steps. By default all rows.
        record: whether to keep the parameters of each step.

    Returns:
        The losses and the parameters.

    Raises:
        TypeError: if x, y or the loss is not a tensor, or lr no number.
        ValueError: if names, shapes or lengths do not go together, if a loss has several elements, if `rows` ends too
            early or holds no numbers of rows, or if a layer keeps running statistics, as BatchNorm does in training
            mode.
        RuntimeError: from torch, if the model or the loss asks in Python for the value of a tensor.
    """
    members = _check(model, start, x, y, steps, lr)
    moving = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    own = {name: values.detach().clone(memory_format=torch.contiguous_format) for name, values in start.items()}
    still = {name: values for name, values in own.items() if name not in moving}
    places = torch.arange(members, device=x.device)[:, None]

    def loss(w: list[Tensor], still: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        value = criterion(func.functional_call(model, {**still, **dict(zip(moving, w))}, (x,)), y)
        if not isinstance(value, Tensor):
            raise TypeError(f"the criterion returned a {type(value).__name__}: return a tensor of one element")
        if value.numel() != 1:
            raise ValueError(f"a member's loss has shape {(*value.shape,)}: reduce it to one element")
        return value.reshape(())

    def rate(w: Tensor) -> float | Tensor:
        return lr.to(w).view(-1, *[1] * (w.ndim - 1)) if isinstance(lr, Tensor) and lr.ndim else float(lr)

    def step(*state: Tensor) -> list[Tensor]:
        w, velocity, chosen = state[: len(moving)], state[len(moving) : 2 * len(moving)], state[2 * len(moving) :]
        batch = [values[places, *chosen] if chosen else values for values in (x, y)]
        gradients, value = func.vmap(func.grad_and_value(loss), randomness="different")([*w], still, *batch)
        velocity = [momentum * v + g for v, g in zip(velocity, gradients)] if momentum else gradients
        return [value, *(w - rate(w) * v for w, v in zip(w, velocity)), *velocity]

    w = [own[name] for name in moving]
    state, losses, path = [*w, *map(torch.zeros_like, w)], [], [w]
    runs: dict[tuple[torch.Size, ...], Callable[..., list[Tensor]]] = {}  # by the shape of the step's rows
    with torch.no_grad():
        for chosen in islice([[]] * steps if rows is None else ([each] for each in rows), steps):
            shape = tuple(each.shape for each in chosen)
            if shape not in runs:
                _check_rows(chosen, members)
                products = {torch.ops.aten.bmm.default: _bmm}
                runs[shape] = make_fx(step, decomposition_table=products)(*state, *chosen).forward
            value, *state = runs[shape](*state, *chosen)
            losses.append(value)
            if record:
                path.append(state[: len(moving)])
    if len(losses) < steps:
        raise ValueError(f"rows has {len(losses)} of the {steps} steps: give rows for each step")
    return Ensemble(
        torch.stack(losses) if losses else x.new_zeros(0, members),
        {**own, **dict(zip(moving, state))},
        {name: torch.stack(each) for name, each in zip(moving, zip(*path))} if record else {},
    )


def _check(model: nn.Module, start: dict[str, Tensor], x: Tensor, y: Tensor, steps: int, lr: float | Tensor) -> int:
    """How many members there are, if all goes together."""
    for name, given, types, wanted in (
        ("x", x, Tensor, "a tensor, (members, n, …)"),
        ("y", y, Tensor, "a tensor, (members, n, …)"),
        ("lr", lr, (int, float, Tensor), "a number, or a tensor with one for each member"),
    ):
        if not isinstance(given, types):
            raise TypeError(f"{name} is a {type(given).__name__}: give {wanted}")
    members = len(x)
    shapes = {name: (members, *parameter.shape) for name, parameter in model.named_parameters()}
    given = {name: (*values.shape,) for name, values in start.items()}
    if given != shapes:
        raise ValueError(f"start has {given}, and {members} members of this model have {shapes}: stack as many models")
    if x.shape[:2] != y.shape[:2] or x.ndim < 2 or not x.shape[:2].numel():
        raise ValueError(f"x is {(*x.shape,)} and y {(*y.shape,)}: both begin with (members, n), neither of them 0")
    if steps < 0:
        raise ValueError(f"steps is {steps}: give how many updates there are")
    if isinstance(lr, Tensor) and lr.ndim and lr.shape != (members,):
        raise ValueError(f"lr is {(*lr.shape,)} for {members} members: give one number, or one for each")
    for name, part in model.named_modules():
        if part.training and getattr(part, "track_running_stats", False):
            raise ValueError(f"{name or 'the model'} keeps running statistics: call eval() on it, or switch them off")
    return members


def _check_rows(chosen: Sequence[Tensor], members: int) -> None:
    for each in chosen:
        if (
            each.ndim not in (1, 2)
            or each.dtype.is_floating_point
            or each.dtype == torch.bool
            or (each.ndim == 2 and each.shape[0] not in (1, members))
        ):
            kind = f"{(*each.shape,)} of {str(each.dtype).removeprefix('torch.')}"
            raise ValueError(f"a step's rows are {kind}: give numbers of rows, (batch,) or ({members}, batch)")


def _bmm(a: Tensor, b: Tensor) -> Tensor:
    """A product over a single column is one of numbers: `bmm` takes ten times as long for it."""
    return (a * b).contiguous() if a.shape[-1] == 1 else NotImplemented
