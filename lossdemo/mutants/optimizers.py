"""The same mistakes for every optimizer of the book, made from its signature."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from lossdemo.verify.mutant import MUTANTS, Call, Function, Make, Mutant, arguments, using

OPTIMIZERS: tuple[type[Optimizer], ...] = (SGD, Adam, AdamW, RMSprop, Adagrad)

# These say how a step is computed, not which step it is.
SWITCHES = {"self", "params", "foreach", "fused", "capturable", "differentiable"}

# Torch takes these below zero as well.
UNCHECKED = {"dampening"}

# Calls in which a hyper-parameter has an effect, and torch lets it have any value; where nothing is said, all calls.
EFFECTIVE: dict[str, Callable[[Call], bool]] = {
    "momentum": lambda call: not call.get("nesterov"),
    "dampening": lambda call: call["momentum"] != 0 and not call["nesterov"],
    "nesterov": lambda call: call["momentum"] != 0 and call["dampening"] == 0,
    "decoupled_weight_decay": lambda call: call["weight_decay"] != 0,
}


def hyperparameters(optimizer: type[Optimizer]) -> dict[str, Any]:
    """The arguments that determine its steps, with their defaults."""
    known = inspect.signature(optimizer).parameters.values()
    return {argument.name: argument.default for argument in known if argument.name not in SWITCHES}


def _add(optimizer: type[Optimizer], what: str, doc: str, method: str, make: Make, when: Any = None) -> None:
    name = optimizer.__name__
    MUTANTS.append(Mutant(f"{name.lower()}_{what}", f"torch.optim.{name}.{method}", f"{name} {doc}", make, when))


def _ignored(optimizer: type[Optimizer], name: str, default: Any, index: int | None = None) -> None:
    """The hyper-parameter, or one entry of a pair, is its default whatever is said."""

    def effective(call: Call) -> bool:
        given, own = (call[name], default) if index is None else (call[name][index], default[index])
        return given != own and EFFECTIVE.get(name, bool)(call)

    def change(given: Any) -> Any:
        return default if index is None else _with(given, index, default[index])

    def make(original: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> None:
            changed = using(original, **{name: change}) if effective(arguments(original, args, kwargs)) else original
            changed(*args, **kwargs)

        return call

    entry = "" if index is None else f"[{index}]"
    doc = f"takes no notice of `{name}{entry}`."
    _add(optimizer, f"ignores_{name}{_ordinal(index)}", doc, "__init__", make, effective)


def _defaulted(optimizer: type[Optimizer], name: str, default: Any, index: int | None = None) -> None:
    """The hyper-parameter, or one entry of a pair, is another where none is said."""
    other = _other(default) if index is None else _with(default, index, _other(default[index]))

    def effective(call: Call) -> bool:
        return type(call["self"]) is optimizer and name in call.left_out and EFFECTIVE.get(name, bool)(call)

    def make(original: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> None:
            changes = {name: other} if effective(arguments(original, args, kwargs)) else {}
            original(*args, **kwargs, **changes)

        return call

    what = "climbs" if name == "maximize" else f"defaults_to_another_{name}{_ordinal(index)}"
    _add(optimizer, what, f"with a default `{name}` of {other}.", "__init__", make, effective)


def _accepts(optimizer: type[Optimizer], name: str) -> None:
    """A negative number is taken for its absolute value."""

    def negative(call: Call) -> bool:
        return call[name] < 0

    def make(original: Function) -> Function:
        return using(original, **{name: abs})

    _add(
        optimizer,
        f"accepts_a_negative_{name}",
        f"takes a negative `{name}` for a positive.",
        "__init__",
        make,
        negative,
    )


def _ordinal(index: int | None) -> str:
    return "" if index is None else str(index + 1)


def _with(pair: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*pair[:index], value, *pair[index + 1 :])


def _other(default: Any) -> Any:
    if isinstance(default, bool):
        return not default
    return round(2 * default - 1, 6) if 0.5 < default < 1 else 2 * default or 0.1  # the share of an average that is new


def _in_its_step(change: Callable[[Optimizer, dict[str, Any]], dict[str, Any]]) -> Make:
    """A step with other hyper-parameters in its groups, which are put back behind it."""

    def make(original: Function) -> Function:
        def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
            before = [dict(group) for group in self.param_groups]
            for group in self.param_groups:
                group.update(change(self, group))
            try:
                return original(self, *args, **kwargs)
            finally:
                for group, values in zip(self.param_groups, before):
                    group.update(values)

        return step

    return make


def _by_its_defaults(optimizer: Optimizer, group: dict[str, Any]) -> dict[str, Any]:
    return {name: optimizer.defaults[name] for name in hyperparameters(type(optimizer)) if name in group}


def _steps_once(original: Function) -> Function:
    stepped: list[Optimizer] = []

    def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if any(self is other for other in stepped):
            return None
        stepped.append(self)
        return original(self, *args, **kwargs)

    return step


def _memory(optimizer: Optimizer) -> list[Tensor]:
    """What it remembers of earlier steps."""
    return [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]


def _has_memory(call: Call) -> bool:
    return any(bool(value.any()) for value in _memory(call["self"]))


def _remembers_its_first_step(original: Function) -> Function:
    def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        kept = [(value, value.clone()) for value in _memory(self)] if _has_memory(Call(self=self)) else []
        result = original(self, *args, **kwargs)
        for value, before in kept:
            value.copy_(before)
        return result

    return step


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _without_gradient(optimizer: Optimizer) -> list[Tensor]:
    return [p for p in _parameters(optimizer) if p.grad is None]


def _skips(call: Call) -> bool:
    optimizer = call["self"]
    decays = any(group["weight_decay"] for group in optimizer.param_groups)
    return any(decays or optimizer.state.get(p) for p in _without_gradient(optimizer))


def _takes_none_for_zero(original: Function) -> Function:
    def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        absent = _without_gradient(self)
        for p in absent:
            p.grad = torch.zeros_like(p)
        result = original(self, *args, **kwargs)
        for p in absent:
            p.grad = None
        return result

    return step


def _uses_up_gradients(original: Function) -> Function:
    def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        for p in _parameters(self):
            if p.grad is not None:
                p.grad.zero_()
        return result

    return step


def _moves_one(original: Function) -> Function:
    def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        others = [(p, p.grad) for group in self.param_groups for p in group["params"][1:]]
        for p, _ in others:
            p.grad = None
        result = original(self, *args, **kwargs)
        for p, grad in others:
            p.grad = grad
        return result

    return step


def _in_groups_of_their_own(call: Call) -> bool:
    optimizer = call["self"]
    groups = [(group, _by_its_defaults(optimizer, group)) for group in optimizer.param_groups]
    return any(group[name] != value for group, defaults in groups for name, value in defaults.items())


# What a wrong step does: its name, what is said of it, its maker, and when it differs.
STEPS: tuple[tuple[str, str, Make, Callable[[Call], bool] | None], ...] = (
    (
        "steps_twice_as_far",
        "with twice the learning rate.",
        _in_its_step(lambda _, group: {"lr": 2 * group["lr"]}),
        None,
    ),
    (
        "ignores_its_groups",
        "with one set of hyper-parameters, for all parameters and for ever.",
        _in_its_step(_by_its_defaults),
        _in_groups_of_their_own,
    ),
    ("steps_once", "that is done after one step.", _steps_once, None),
    (
        "remembers_its_first_step",
        "whose averages stay as the first step left them.",
        _remembers_its_first_step,
        _has_memory,
    ),
    ("uses_up_gradients", "that leaves gradients of zero.", _uses_up_gradients, None),
    (
        "moves_one_parameter",
        "that moves the first parameter of each group.",
        _moves_one,
        lambda call: any(len(group["params"]) > 1 for group in call["self"].param_groups),
    ),
    ("takes_none_for_zero", "that steps on with gradient 0 where there is none.", _takes_none_for_zero, _skips),
)

# Torch wraps the step of a class when the first of it is made, unless what the class inherits is wrapped. AdamW's is
# Adam's: the first AdamW made under a mutant of Adam's step would keep the mutant. So AdamW gets its own step before.
AdamW([torch.zeros(1)])

for _optimizer in OPTIMIZERS:
    for _name, _default in hyperparameters(_optimizer).items():
        for _index in range(len(_default)) if isinstance(_default, tuple) else (None,):
            _ignored(_optimizer, _name, _default, _index)
            _defaulted(_optimizer, _name, _default, _index)
        if isinstance(_default, int | float) and not isinstance(_default, bool) and _name not in UNCHECKED:
            _accepts(_optimizer, _name)
    for _what, _doc, _make, _when in STEPS:
        _add(_optimizer, _what, _doc, "step", _make, _when)
