"""Many trainings at once: one model and one loss, and for each member its own start, data and learning rate.

A member goes through what `lossdemo.train.fit` does with `torch.optim.SGD`, up to rounding. `torch.func` computes the
gradients of all members together; the operations of the first step are recorded, and done again at each later one.

Source: https://docs.pytorch.org/tutorials/intermediate/ensembling.html
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map


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
    return {name: values.detach().clone() for name, values in stack_module_state([*models])[0].items()}


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

    `model` and `criterion` are called once for each size of batch, and what they did with tensors is done again at each
    step: random numbers, as dropout's, are drawn anew, for each member its own; what is counted or chosen in Python
    stays as it was. The model itself is left alone. Its buffers are the same for all members, and what requires no
    gradient does not move.

    Args:
        model: how the members are built; its own parameters are not used.
        criterion: maps predictions and targets of one member to a loss of one element.
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
        ValueError: if names, shapes or lengths do not go together, if a loss has several elements, if `rows` ends too
            early, or if a layer keeps running statistics, as BatchNorm does in training mode.
        RuntimeError: from torch, if the model or the loss asks in Python for the value of a tensor.
    """
    members = _check(model, start, x, y, steps, lr)
    moving = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    own = {name: values.detach().clone(memory_format=torch.contiguous_format) for name, values in start.items()}
    still = {name: values for name, values in own.items() if name not in moving}
    places = torch.arange(members, device=x.device)[:, None]

    def loss(w: list[Tensor], still: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        value = criterion(functional_call(model, {**still, **dict(zip(moving, w))}, (x,)), y)
        if value.numel() != 1:
            raise ValueError(f"a member's loss has shape {(*value.shape,)}: reduce it to one element")
        return value.reshape(())

    def rate(w: Tensor) -> float | Tensor:
        return lr.to(w).view(-1, *[1] * (w.ndim - 1)) if isinstance(lr, Tensor) and lr.ndim else float(lr)

    def step(*state: Tensor) -> list[Tensor]:
        w, velocity, chosen = state[: len(moving)], state[len(moving) : 2 * len(moving)], state[2 * len(moving) :]
        batch = [values[places, *chosen] if chosen else values for values in (x, y)]
        gradients, value = vmap(grad_and_value(loss), randomness="different")([*w], still, *batch)
        velocity = [momentum * v + g for v, g in zip(velocity, gradients)] if momentum else gradients
        return [value, *(w - rate(w) * v for w, v in zip(w, velocity)), *velocity]

    w = [own[name] for name in moving]
    state, losses, path = [*w, *map(torch.zeros_like, w)], [], [w]
    runs: dict[tuple[torch.Size, ...], Callable[..., list[Tensor]]] = {}  # by the shape of the step's rows
    with torch.no_grad():
        for chosen in islice([[]] * steps if rows is None else ([each] for each in rows), steps):
            shape = tuple(each.shape for each in chosen)
            if shape not in runs:
                (value, *state), runs[shape] = _recorded(step, *state, *chosen)
            else:
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


def _recorded(step: Callable[..., list[Tensor]], *inputs: Tensor) -> tuple[list[Tensor], Callable[..., list[Tensor]]]:
    """What a step returns, and a function that does its operations again on other inputs of the same shapes."""
    with _Recorder(inputs) as recorder:
        outputs = step(*inputs)
    recorder.graph.output([recorder.node(output) for output in outputs])
    return outputs, fx.GraphModule(recorder.constants, recorder.graph).forward


class _Recorder(TorchDispatchMode):
    """Writes down the operations on tensors, beneath autograd and vmap: each with the tensors that it got."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.graph, self.constants = fx.Graph(), nn.Module()
        self.nodes: dict[int, tuple[fx.Node, Tensor]] = {}  # by the tensor's id; with it, so that no other gets the id
        for i, tensor in enumerate(inputs):
            self.nodes[id(tensor)] = self.graph.placeholder(f"input_{i}"), tensor

    def node(self, value: Any) -> Any:
        """What stands for a tensor in the graph; one that no operation returned is a constant."""
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self.nodes:
            name = f"constant_{len(self.nodes)}"
            self.constants.register_buffer(name, value)
            self.nodes[id(value)] = self.graph.get_attr(name), value
        return self.nodes[id(value)][0]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do it, and write it down; a matrix product over one column as what it is, for bmm takes ten times as long."""
        if func is torch.ops.aten.bmm.default and args[0].shape[-1] == 1:
            func = torch.ops.aten.mul.Tensor
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and _same(result, args[0] if args else None):
            self.nodes[id(result)] = self.node(args[0]), result
            return result
        node = self.graph.call_function(func, *tree_map(self.node, (args, kwargs or {})))
        if isinstance(result, Tensor):
            self.nodes[id(result)] = node, result
        elif isinstance(result, (tuple, list)):
            for i, each in enumerate(result):
                if isinstance(each, Tensor):
                    self.nodes[id(each)] = self.graph.call_function(operator.getitem, (node, i)), each
        return result


def _same(result: Tensor, given: Any) -> bool:
    """Whether a view shows all of a tensor as it is."""
    if not isinstance(given, Tensor) or result is given or result.dtype != given.dtype:
        return False
    return (result.data_ptr(), result.shape, result.stride()) == (given.data_ptr(), given.shape, given.stride())
