"""The same mistakes for every loss function and every loss module, made from their signatures: none is forgotten.

A mistake that somebody believes in is written by hand, in the module of its family. Here is what can go wrong anywhere:
an argument that is not used, another default, a reduction taken for another, a factor in the value or in the gradient,
a gradient from above that is not passed on.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import permutations, product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossdemo.verify.mutant import MUTANTS, Call, Function, Make, Mutant, arguments, swap, using

FUNCTIONS = [name for name in vars(F) if name[0] != "_" and name.endswith(("_loss", "cross_entropy", "logits", "_div"))]
MODULES = nn.modules.loss.__all__
REDUCTIONS = ("mean", "sum", "none")
DEPRECATED = ("size_average", "reduce")

When = Callable[[Call], bool]
Change = Callable[[Tensor], Tensor]


def _add(name: str, target: str, doc: str, make: Make, when: When) -> None:
    """Put a mutant into the catalogue."""
    MUTANTS.append(Mutant(name, target, doc, make, when))


def _defaults(function: Function) -> dict[str, Any]:
    """The optional arguments."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


# --- what is asked of a call ---


def _differ(value: Any, other: Any) -> bool:
    return value is not other if isinstance(value, Tensor) or isinstance(other, Tensor) else value != other


def _is_deprecated(call: Call) -> bool:
    """Whether the reduction is asked for in the old way, which overrules the new one."""
    return any(call.get(name) is not None for name in DEPRECATED)


def _reduction(call: Call) -> str:
    """The reduction that a call of a function, or of a module, comes to."""
    if "self" in call:
        return call["self"].reduction
    if _is_deprecated(call):
        return nn._reduction.legacy_get_string(*(call[name] for name in DEPRECATED), emit_warning=False)
    return call["reduction"]


def _learns(call: Call) -> bool:
    """Whether a gradient can come through the call."""
    given = [*call["self"].parameters(), *call.values()] if "self" in call else call.values()
    return torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in given)


# --- what is changed ---


def _changed(when: When, change: Change) -> Make:
    """The result is changed in the calls that it is wrong in."""

    def make(original: Function) -> Function:
        @wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            return change(result) if when(arguments(original, args, kwargs)) else result

        return call

    return make


def _halved(loss: Tensor) -> Tensor:
    return loss / 2


def _gradient(change: Change) -> Change:
    """The loss as it is, with what comes down to it from above changed before it goes on to the inputs."""

    def changed(loss: Tensor) -> Tensor:
        if loss.requires_grad:
            loss.register_hook(change)
        return loss

    return changed


def _last_row(gradient: Tensor) -> Tensor:
    return gradient[-1:].expand_as(gradient) if gradient.ndim else gradient


def _another(default: Any) -> Any:
    """A value of the same kind."""
    if isinstance(default, bool):
        return not default
    if isinstance(default, str):
        return "sum"
    return 2 * default or (1 if isinstance(default, int) else 0.25)


def _with_default(name: str, value: Any) -> Make:
    """Another default of one argument."""

    def make(original: Function) -> Function:
        @wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if name in arguments(original, args, kwargs).left_out:
                kwargs[name] = value
            return original(*args, **kwargs)

        return call

    return make


def _losing(name: str, default: Any) -> Make:
    """A module's `forward` that finds the default in place of what the module was built with."""

    def make(original: Function) -> Function:
        @wraps(original)
        def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            owner = _owner(self, name)
            kept = getattr(owner, name)
            setattr(owner, name, default)
            try:
                return original(self, *args, **kwargs)
            finally:
                setattr(owner, name, kept)

        return call

    return make


def _owner(module: nn.Module, name: str) -> Any:
    return module.linear if name == "bias" else module


# --- the mistakes ---


def arguments_go_wrong(of: str, target: str, function: Function) -> None:
    """Each argument ignored, and each default another."""
    for name, default in _defaults(function).items():
        doc = f"`{of}` does as if `{name}` were {default!r}, whatever it is given."

        def ignoring(original: Function, name: str = name, default: Any = default) -> Function:
            return using(original, **{name: lambda _: default})

        def is_given(call: Call, name: str = name, default: Any = default) -> bool:
            return _differ(call[name], default)

        def is_left_out(call: Call, name: str = name) -> bool:
            return name in call.left_out and not (name == "reduction" and _is_deprecated(call))

        _add(f"{of}_ignores_{name}", target, doc, ignoring, is_given)
        if default is not None and not isinstance(default, tuple):
            value = _another(default)
            doc = f"`{of}` takes {value!r} for `{name}` where it is left out, in place of {default!r}."
            make = _with_default(name, value)
            _add(f"{of}_has_another_default_{name}", target, doc, make, is_left_out)


def reductions_go_wrong(of: str, target: str, reductions: Iterable[str]) -> None:
    """Each reduction taken for each other one."""
    for one, other in permutations(reductions, 2):
        doc = f"`{of}` with reduction='{one}' does what it should do with '{other}'."

        def make(original: Function, one: str = one, other: str = other) -> Function:
            return using(original, reduction=swap({one: other}))

        def asks(call: Call, one: str = one) -> bool:
            return call["reduction"] == one and not _is_deprecated(call)

        _add(f"{of}_{one}_is_{other}", target, doc, make, asks)


def factors_go_wrong(of: str, target: str, reductions: Iterable[str]) -> None:
    """Value and gradient halved, the gradient alone halved and flipped, under each reduction."""
    for reduction in reductions:

        def under(call: Call, reduction: str = reduction) -> bool:
            return _reduction(call) == reduction

        def learns(call: Call, under: When = under) -> bool:
            return under(call) and _learns(call)

        doc = f"With reduction='{reduction}' the value and the gradient of `{of}` are half of what they should be."
        _add(f"{of}_is_halved_under_{reduction}", target, doc, _changed(under, _halved), under)
        for what, change in (("halved", _halved), ("flipped", torch.neg)):
            doc = f"With reduction='{reduction}' the gradient of `{of}` is {what}, under the right value."
            make = _changed(under, _gradient(change))
            _add(f"{of}_gradient_is_{what}_under_{reduction}", target, doc, make, learns)


def gradients_from_above_get_lost(of: str, target: str) -> None:
    """A factor that the loss is multiplied by, and factors of its rows, do not come through."""

    def reduced(call: Call) -> bool:
        return _reduction(call) != "none" and _learns(call)

    def unreduced(call: Call) -> bool:
        return _reduction(call) == "none" and _learns(call)

    doc = f"Ten times `{of}` has the gradient of `{of}`: its backward does not look at what comes from above."
    _add(f"{of}_gradient_knows_no_factor", target, doc, _changed(reduced, _gradient(torch.ones_like)), reduced)
    doc = f"Whatever the losses of `{of}` with reduction='none' are multiplied by, their gradients are not."
    make = _changed(unreduced, _gradient(torch.ones_like))
    _add(f"{of}_gradient_knows_no_weights_of_rows", target, doc, make, unreduced)
    doc = f"`{of}` with reduction='none' multiplies the gradient of each row by what belongs to the last."
    make = _changed(unreduced, _gradient(_last_row))
    _add(f"{of}_gradient_weighs_all_rows_as_the_last", target, doc, make, unreduced)


def classes_go_wrong(of: str, target: str, function: Function) -> None:
    """Each kind of target and weight, with a class for each row, and for each of its positions."""
    logits = "linear_weight" if "linear" in of else "input"
    kinds: dict[str, tuple[str, When]] = {
        "rows": ("(N, C)", lambda call: call[logits].ndim <= 2),
        "positions": ("(N, C, d)", lambda call: call[logits].ndim > 2),
    }
    ways: dict[str, tuple[str, When]] = {
        "indices": ("for class indices", lambda call: not call["target"].is_floating_point()),
        "weight": ("with class weights", lambda call: call["weight"] is not None),
        "label_smoothing": ("with label smoothing", lambda call: bool(call["label_smoothing"])),
        "probabilities": ("for target probabilities", lambda call: call["target"].is_floating_point()),
    }
    if "label_smoothing" not in _defaults(function):
        del ways["label_smoothing"], ways["probabilities"]
    for (kind, (shape, has_shape)), (way, (words, has_way)) in product(kinds.items(), ways.items()):
        if (kind, way) == ("rows", "indices"):
            continue  # halved as every loss is

        def so(call: Call, has_shape: When = has_shape, has_way: When = has_way) -> bool:
            return has_shape(call) and has_way(call)

        for reduction in REDUCTIONS:

            def under(call: Call, reduction: str = reduction, so: When = so) -> bool:
                return so(call) and _reduction(call) == reduction

            doc = f"`{of}` is halved for logits {shape} {words}, with reduction='{reduction}'."
            name = f"{of}_of_{kind}_is_halved_with_{way}_under_{reduction}"
            _add(name, target, doc, _changed(under, _halved), under)
        if kind == "positions" and logits == "input":
            doc = f"`{of}` takes a log-softmax along the last dimension of logits {shape} {words}."
            _add(f"{of}_of_positions_normalizes_them_with_{way}", target, doc, _normalizing(so), so)


def _normalizing(when: When) -> Make:
    def make(original: Function) -> Function:
        normalized = using(original, input=lambda input: input - torch.logsumexp(input, -1, keepdim=True))

        @wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            return (normalized if when(arguments(original, args, kwargs)) else original)(*args, **kwargs)

        return call

    return make


def modules_lose_arguments(of: str, target: str, cls: type[nn.Module]) -> None:
    """A `forward` that does not pass on what the module was built with."""
    for name, default in _defaults(cls.__init__).items():
        if name not in cls.forward.__code__.co_names or isinstance(default, tuple):
            continue
        lost = None if name == "bias" else default

        def differs(call: Call, name: str = name, lost: Any = lost) -> bool:
            return _differ(getattr(_owner(call["self"], name), name), lost)

        doc = f"`{of}` was built with `{name}`, and computes as if it were {default!r}."
        _add(f"{of}_forward_loses_{name}", target, doc, _losing(name, lost), differs)


def modules_compute_something_else(of: str, target: str) -> None:
    """A `forward` that does not return what its function returned."""

    def always(call: Call) -> bool:
        return True

    _add(f"{of}_forward_is_halved", target, f"`{of}` is half of its function.", _changed(always, _halved), always)
    doc = f"The gradient of `{of}` has the opposite sign of its function's."
    make = _changed(always, _gradient(torch.neg))
    _add(f"{of}_forward_gradient_is_flipped", target, doc, make, _learns)


for _name in FUNCTIONS:
    _target, _function = f"torch.nn.functional.{_name}", getattr(F, _name)
    _reductions = (*REDUCTIONS, "batchmean") if _name == "kl_div" else REDUCTIONS
    arguments_go_wrong(_name, _target, _function)
    reductions_go_wrong(_name, _target, _reductions)
    factors_go_wrong(_name, _target, _reductions)
    gradients_from_above_get_lost(_name, _target)
    if _name in ("nll_loss", "cross_entropy", "linear_cross_entropy"):
        classes_go_wrong(_name, _target, _function)

for _name in MODULES:
    _target, _class = f"torch.nn.{_name}", getattr(nn, _name)
    arguments_go_wrong(_name, f"{_target}.__init__", _class.__init__)
    modules_lose_arguments(_name, f"{_target}.forward", _class)
    modules_compute_something_else(_name, f"{_target}.forward")
