"""Gives anyone's loss the signature of one of torch's, so that it can stand in its place."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from lossdemo.verify.patch import located

_REDUCTION = ("reduction", "size_average", "reduce")


def adapt(target: str, loss: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`loss` as a function that is called as the function at `target`, for `pytest --replace`.

    Args:
        target: The dotted path of a function, as `torch.nn.functional.huber_loss`.
        loss: A function that takes the target's data, as input and target, and returns a loss for each element or row:
            they are reduced as the call says. One with a parameter `reduction` reduces by itself. Or a class of
            modules: each call makes one, and calls it with the data.
        options: Arguments of `loss` that are the same in every call: `gamma=0`.

    The result takes those arguments of the target that `loss` takes by the same name. `--replace` runs no claim on the
    others.

    Raises:
        LookupError: if there is no function at `target`.
    """
    known, own = inspect.signature(located(target)).parameters, inspect.signature(loss).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values())
    data = [name for name, parameter in known.items() if parameter.default is parameter.empty]
    by_itself = "reduction" in own or anything
    takes = {*data, *(known if anything else own)}
    takes |= {*_REDUCTION} if by_itself or not isinstance(loss, type) else set()
    signature = inspect.Signature([known[name] for name in known if name in takes - options.keys()])

    @wraps(loss, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        from torch.nn._reduction import get_enum, legacy_get_string

        given = signature.bind(*args, **kwargs).arguments
        values = [given.pop(name) for name in data]
        reduction, *legacy = (given.pop(name, None) for name in _REDUCTION)
        reduction = (reduction or "mean") if legacy == [None, None] else legacy_get_string(*legacy)
        if by_itself:
            given["reduction"] = reduction
        if isinstance(loss, type):
            return loss(**given | options)(*values)
        losses = loss(*values, **given | options)
        if by_itself:
            return losses
        if reduction == "batchmean" and target.endswith("kl_div"):
            return losses.sum() / len(losses)
        way = get_enum(reduction)  # which refuses what is none
        return losses if way == 0 else losses.mean() if way == 1 else losses.sum()

    call.__signature__ = signature  # pyrefly: ignore — inspect.signature reads it
    return call
