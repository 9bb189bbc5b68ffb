'''What a mutant is, and the makers with which a repository writes its own.

A mutant is one function of PyTorch, or of the package under test, with one thing wrong. It is written as a decorated
function: its name says what is wrong, its docstring who believes or writes it, and it receives the original and returns
what stands in for it.

    @mutant("mylib.focal_loss", when=other_than(gamma=2.0))
    def focal_ignores_gamma(original):
        """A kernel compiled for the default."""
        return using(original, gamma=2.0)

The settings of pytest name the modules in which mutants are: `mutants = ["mylib.mutants"]`.
'''

import inspect
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

from torch import Tensor

Function = Callable[..., Any]
Make = Callable[[Function], Function]


class Call(dict[str, Any]):
    """The arguments of a call by name, defaults included; `left_out` are the names of those that are the default's."""

    left_out: Set[str] = frozenset()


@dataclass(frozen=True)
class Mutant:
    """One thing wrong with the function at the dotted path `target`.

    `when` says of a call whether the mutant differs from the original in it at all; None stands for every call. `since`
    is the first release that has the target, as (2, 13), None where all supported ones have it. `module` is where the
    mutant is written.
    """

    name: str
    target: str
    doc: str
    make: Make
    when: Callable[[Call], bool] | None = None
    since: tuple[int, int] | None = None

    @property
    def module(self) -> str:
        """The module in which the mutant is written."""
        return self.make.__module__


class RefusedOnPurpose(Exception):
    """The mutant does not accept what the original accepts, and means it."""


MUTANTS: list[Mutant] = []


def mutant(
    target: str, *, when: Callable[[Call], bool] | None = None, since: tuple[int, int] | None = None
) -> Callable[[Make], Make]:
    """Add the decorated function to MUTANTS.

    Args:
        target: The dotted path of the function, as users call it: `torch.optim.SGD.step`.
        when: Whether the mutant differs from the original in a call, from the call's arguments by name. A claim that
            makes no such call cannot notice the mutant, and is not run under it.
        since: The first release that has the target, as (2, 13).
    """

    def register(make: Make) -> Make:
        MUTANTS.append(Mutant(make.__name__, target, inspect.getdoc(make) or "", make, when, since))
        return make

    return register


def other_than(**defaults: Any) -> Callable[[Call], bool]:
    """For `when`: calls in which one of these arguments has another value."""
    return lambda call: any(call[name] is not value and call[name] != value for name, value in defaults.items())


@cache
def signature(function: Function) -> inspect.Signature | None:
    """The function's signature, None where it has none, as many functions written in C."""
    try:
        return inspect.signature(function)
    except ValueError:
        return None


def arguments(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """The arguments of a call by name, defaults included; of a function without signature its `args`.

    Raises:
        TypeError: if the call does not fit the signature.
    """
    known = signature(function)
    if known is None:
        return Call(args=args, **kwargs)
    places, defaults = _layout(function, len(args), tuple(kwargs))
    if places is None:
        bound = known.bind(*args, **kwargs)
        bound.apply_defaults()
        call = Call(bound.arguments)
    else:
        call = Call(zip(places, args), **kwargs, **defaults)
    call.left_out = defaults.keys()
    return call


@cache
def _layout(function: Function, places: int, names: tuple[str, ...]) -> tuple[list[str] | None, dict[str, Any]]:
    """What such a call gives by place, None where the function takes anything, and the defaults of what it leaves out.

    To bind each call takes ten times as long, and a proof has millions of them.
    """
    known = inspect.signature(function)
    given = known.bind(*range(places), **dict.fromkeys(names)).arguments
    defaults = {name: one.default for name, one in known.parameters.items() if name not in given}
    anything = any(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in known.parameters.values())
    return None if anything else [*given][:places], defaults


def using(original: Function, **changes: Any) -> Function:
    """`original` with some arguments fixed, or changed by a function of their value."""
    known = inspect.signature(original)

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = inspect.BoundArguments(known, arguments(original, args, kwargs))
        for name, change in changes.items():
            bound.arguments[name] = change(bound.arguments[name]) if callable(change) else change
        return original(*bound.args, **bound.kwargs)

    return call


def then(original: Function, change: Callable[[Any], Any]) -> Function:
    """`original` with its result changed."""
    return wraps(original)(lambda *args, **kwargs: change(original(*args, **kwargs)))


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The losses themselves, their sum, or their mean."""
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


def swap(reductions: dict[str, str]) -> Callable[[str], str]:
    """For `using`: some reductions taken for others."""
    return lambda reduction: reductions.get(reduction, reduction)


def steeper(loss: Tensor, factor: float) -> Tensor:
    """The same value with `factor` times the gradient."""
    return loss.detach() + factor * (loss - loss.detach()) if loss.requires_grad else loss
