"""The same mistakes for every loss function and every loss module, made from their signatures: none is forgotten.

A mistake that somebody believes in is written by hand, in the module of its family. Here is what can go wrong anywhere:
an argument that is not used, another default, a reduction taken for another, a factor in the value or in the gradient,
a gradient from above that is not passed on.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import partial, wraps
from itertools import permutations, product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import loss as modules

from lossdemo.verify.mutant import MUTANTS, Call, Function, Make, Mutant, arguments, swap, using

FUNCTIONS = [name for name in vars(F) if name[0] != "_" and name.endswith(("_loss", "cross_entropy", "logits", "_div"))]
MODULES = modules.__all__
REDUCTIONS = ("mean", "sum", "none")
DEPRECATED = ("size_average", "reduce")

When = Callable[[Call], bool]


def _add(name: str, target: str, doc: str, make: Make, when: When | None = None) -> None:
    """Put a mutant into the catalogue."""
    MUTANTS.append(Mutant(name, target, doc, make, when))


# --- what is asked of a call ---


def _differ(value: Any, other: Any) -> bool:
    return value is not other if isinstance(value, Tensor) or isinstance(other, Tensor) else value != other


def _is_given(call: Call, *, name: str, default: Any) -> bool:
    return _differ(call[name], default)


def _is_left_out(call: Call, *, name: str, default: Any) -> bool:
    """Whether the argument may have been left out: a default that was written down looks the same."""
    return not _differ(call[name], default) and not (name == "reduction" and _is_deprecated(call))


def _is_deprecated(call: Call) -> bool:
    return any(call.get(name) is not None for name in DEPRECATED)


def _reduction(call: Call) -> str:
    """The reduction that a call of a function, or of a module, asks for."""
    if "self" in call:
        return call["self"].reduction
    if _is_deprecated(call):
        return nn._reduction.legacy_get_string(*(call[name] for name in DEPRECATED), emit_warning=False)
    return call["reduction"]


def _reduces_by(call: Call, *, reduction: str) -> bool:
    return _reduction(call) == reduction


def _asks_for(call: Call, *, reduction: str) -> bool:
    return call["reduction"] == reduction and not _is_deprecated(call)


def _learns(call: Call) -> bool:
    """Whether a gradient can come through the call."""
    given = [*call["self"].parameters(), *call.values()] if "self" in call else call.values()
    return torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in given)


def _all(*conditions: When) -> When:
    return lambda call: all(condition(call) for condition in conditions)


# --- what is changed ---


def _where(condition: When, change: Callable[[Tensor], Tensor]) -> Make:
    """The result is changed in the calls of which the condition is true."""

    def make(original: Function) -> Function:
        @wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            return change(result) if condition(arguments(original, args, kwargs)) else result

        return call

    return make


def _halved(loss: Tensor) -> Tensor:
    return loss / 2


def _gradient(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The loss as it is, with what comes down to it from above changed, before it goes on to the inputs."""

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


def _with_default(original: Function, *, name: str, value: Any) -> Function:
    """`original` with another default of one argument."""
    known = inspect.signature(original)

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if name not in known.bind_partial(*args, **kwargs).arguments:
            kwargs[name] = value
        return original(*args, **kwargs)

    return call


def _losing(original: Function, *, name: str, default: Any) -> Function:
    """A module's `forward` that finds the default in place of what the module was built with."""

    @wraps(original)
    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        owner: Any = self.linear if name == "bias" else self
        kept = getattr(owner, name)
        setattr(owner, name, default)
        try:
            return original(self, *args, **kwargs)
        finally:
            setattr(owner, name, kept)

    return call


# --- the mistakes ---


def _defaults(function: Function) -> dict[str, Any]:
    """The optional arguments."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


def _arguments_go_wrong(of: str, target: str, function: Function) -> None:
    for name, default in _defaults(function).items():
        doc = f"`{of}` does as if `{name}` were {default!r}, whatever it is given."
        ignoring = partial(using, **{name: lambda _, default=default: default})
        _add(f"{of}_ignores_{name}", target, doc, _named(ignoring), partial(_is_given, name=name, default=default))
        if default is None or isinstance(default, tuple):
            continue
        value = _another(default)
        doc = f"`{of}` takes {value!r} for `{name}` where it is left out, in place of {default!r}."
        changed = _named(partial(_with_default, name=name, value=value))
        left_out = partial(_is_left_out, name=name, default=default)
        _add(f"{of}_has_another_default_{name}", target, doc, changed, left_out)


def _named(make: Any) -> Make:
    """The maker as a function of this module: the module of a mutant is that of its maker."""
    return lambda original: make(original)


def _reductions_go_wrong(of: str, target: str, reductions: Iterable[str]) -> None:
    for one, other in permutations(reductions, 2):
        doc = f"`{of}` with reduction='{one}' does what it should do with '{other}'."
        make = _named(partial(using, reduction=swap({one: other})))
        _add(f"{of}_{one}_is_{other}", target, doc, make, partial(_asks_for, reduction=one))


def _factors_go_wrong(of: str, target: str, reductions: Iterable[str]) -> None:
    for reduction in reductions:
        under = partial(_reduces_by, reduction=reduction)
        doc = (
            f"The value of `{of}` with reduction='{reduction}', and its gradient with it, is half of what it should be."
        )
        _add(f"{of}_is_halved_under_{reduction}", target, doc, _where(under, _halved), under)
        for what, factor in (("halved", 0.5), ("flipped", -1.0)):
            doc = f"The gradient of `{of}` with reduction='{reduction}' is {what}, under the right value."
            make = _where(under, _gradient(lambda gradient, factor=factor: factor * gradient))
            _add(f"{of}_gradient_is_{what}_under_{reduction}", target, doc, make, _all(under, _learns))


def _gradients_from_above_get_lost(of: str, target: str) -> None:
    unreduced = partial(_reduces_by, reduction="none")

    def reduced(call: Call) -> bool:
        return not unreduced(call)

    doc = f"Ten times `{of}` has the gradient of `{of}`: its backward does not look at what comes from above."
    make = _where(reduced, _gradient(torch.ones_like))
    _add(f"{of}_gradient_knows_no_factor", target, doc, make, _all(reduced, _learns))
    doc = f"Whatever the losses of `{of}` with reduction='none' are multiplied by, their gradients are not."
    make = _where(unreduced, _gradient(torch.ones_like))
    _add(f"{of}_gradient_knows_no_weights_of_rows", target, doc, make, _all(unreduced, _learns))
    doc = f"`{of}` with reduction='none' multiplies the gradient of each row by what belongs to the last."
    make = _where(unreduced, _gradient(_last_row))
    _add(f"{of}_gradient_weighs_all_rows_as_the_last", target, doc, make, _all(unreduced, _learns))


def _classes_go_wrong(of: str, target: str, function: Function) -> None:
    """Losses over classes: each kind of target and weight, with a class for each row, and for each of its positions."""
    logits = "linear_weight" if "linear" in of else "input"
    kinds: dict[str, tuple[str, When]] = {
        "rows": ("of shape (N, C)", lambda call: call[logits].ndim <= 2),
        "positions": ("of shape (N, C, d)", lambda call: call[logits].ndim > 2),
    }
    ways: dict[str, tuple[str, When]] = {
        "indices": ("for class indices", lambda call: not call["target"].is_floating_point()),
        "weight": ("with class weights", lambda call: call["weight"] is not None),
        "label_smoothing": ("with label smoothing", lambda call: bool(call.get("label_smoothing"))),
        "probabilities": ("for target probabilities", lambda call: call["target"].is_floating_point()),
    }
    if "label_smoothing" not in _defaults(function):
        del ways["label_smoothing"], ways["probabilities"]
    for (kind, (shape, has_shape)), (way, (words, has_way)), reduction in product(
        kinds.items(), ways.items(), REDUCTIONS
    ):
        if (kind, way) == ("rows", "indices"):
            continue  # halved under each reduction as every loss is
        condition = _all(has_shape, has_way, partial(_reduces_by, reduction=reduction))
        doc = f"`{of}` is halved for logits {shape} {words}, with reduction='{reduction}'."
        make = _where(condition, _halved)
        _add(f"{of}_of_{kind}_is_halved_with_{way}_under_{reduction}", target, doc, make, condition)
    if logits == "linear_weight":
        return

    def normalize(input: Tensor) -> Tensor:
        return input - torch.logsumexp(input, -1, keepdim=True) if input.ndim > 2 else input

    for way, (words, has_way) in ways.items():
        condition = _all(kinds["positions"][1], has_way)

        def make(original: Function, condition: When = condition) -> Function:
            normalized = using(original, input=normalize)

            @wraps(original)
            def call(*args: Any, **kwargs: Any) -> Any:
                wrong = condition(arguments(original, args, kwargs))
                return normalized(*args, **kwargs) if wrong else original(*args, **kwargs)

            return call

        doc = f"`{of}` takes a log-softmax along the last dimension of logits (N, C, d) {words}."
        _add(f"{of}_of_positions_normalizes_them_with_{way}", target, doc, make, condition)


def _modules_lose_arguments(of: str, target: str, cls: type[nn.Module]) -> None:
    """A `forward` that does not pass on what the module was built with."""
    for name, default in _defaults(cls.__init__).items():
        if name not in cls.forward.__code__.co_names or isinstance(default, tuple):
            continue
        lost = None if name == "bias" else default

        def differs(call: Call, name: str = name, lost: Any = lost) -> bool:
            return _differ(getattr(call["self"].linear if name == "bias" else call["self"], name), lost)

        doc = f"`{of}` keeps `{name}`, and computes as if it were {default!r}."
        make = _named(partial(_losing, name=name, default=lost))
        _add(f"{of}_forward_loses_{name}", target, doc, make, differs)


for _name in FUNCTIONS:
    _function, _target = getattr(F, _name), f"torch.nn.functional.{_name}"
    _known = (*REDUCTIONS, "batchmean") if _name == "kl_div" else REDUCTIONS
    _arguments_go_wrong(_name, _target, _function)
    _reductions_go_wrong(_name, _target, _known)
    _factors_go_wrong(_name, _target, _known)
    _gradients_from_above_get_lost(_name, _target)
    if _name in ("nll_loss", "cross_entropy", "linear_cross_entropy"):
        _classes_go_wrong(_name, _target, _function)

for _name in MODULES:
    _class = getattr(nn, _name)
    _arguments_go_wrong(_name, f"torch.nn.{_name}.__init__", _class.__init__)
    _modules_lose_arguments(_name, f"torch.nn.{_name}.forward", _class)
    _doc = f"`{_name}` is half of what its function is."
    _add(f"{_name}_forward_is_halved", f"torch.nn.{_name}.forward", _doc, _where(lambda call: True, _halved))
    _doc = f"The gradient of `{_name}` has the opposite sign of its function's."
    _make = _where(_learns, _gradient(torch.neg))
    _add(f"{_name}_forward_gradient_is_flipped", f"torch.nn.{_name}.forward", _doc, _make, _learns)
