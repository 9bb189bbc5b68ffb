"""Gives anyone's loss the signature of one of torch's, so that it can stand in its place."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from lossdemo.verify.patch import locate

_REDUCTION = ("reduction", "size_average", "reduce")


def adapt(target: str, loss: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`loss` as a function that is called as the function at `target`, for `pytest --replace`.

    Args:
        target: The dotted path of a function of torch, as `torch.nn.functional.huber_loss`.
        loss: A function that takes the target's data, as input and target, and returns one loss for each element or
            row: they are reduced as the call says. One with a parameter `reduction` reduces by itself. Or a class of
            modules: each call makes one, and calls it with the data.
        options: Arguments of `loss` that are the same in every call: `gamma=0`.

    The result takes those arguments of the target that `loss` takes by the same name; `--replace` does not run claims
    on the others.

    Raises:
        LookupError: if there is no function at `target`.
        ValueError: from the result, at a reduction that is none.
    """
    owner, name = locate(target)
    known = inspect.signature(getattr(owner, name))
    own = inspect.signature(loss).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values())
    data = [name for name, parameter in known.parameters.items() if parameter.default is parameter.empty]
    by_itself = "reduction" in own or anything
    takes = {*data, *(own if not anything else known.parameters)} - options.keys()
    if by_itself or not isinstance(loss, type):
        takes |= {*_REDUCTION} - options.keys()
    signature = known.replace(parameters=[known.parameters[name] for name in known.parameters if name in takes])

    @wraps(loss, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        values = [given.pop(name) for name in data]
        reduction = _reduction(*(given.pop(name, None) for name in _REDUCTION))
        if by_itself and "reduction" not in options:
            given["reduction"] = reduction
        if isinstance(loss, type):
            return loss(**options, **given)(*values)
        losses = loss(*values, **options, **given)
        return losses if by_itself else _reduced(losses, reduction, batchmean=name == "kl_div")

    call.__signature__ = signature  # pyrefly: ignore — what inspect.signature reads
    return call


def _reduction(reduction: str | None, size_average: bool | None, reduce: bool | None) -> str:
    """Also from the two arguments that torch had before."""
    from torch.nn._reduction import legacy_get_string

    if size_average is None and reduce is None:
        return reduction or "mean"
    return legacy_get_string(size_average, reduce)


def _reduced(losses: Any, reduction: str, batchmean: bool) -> Any:
    ways = {"none": lambda: losses, "mean": losses.mean, "sum": losses.sum}
    if batchmean:
        ways["batchmean"] = lambda: losses.sum() / len(losses)
    if reduction not in ways:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return ways[reduction]()
