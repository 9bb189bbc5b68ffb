"""Puts functions out of the way, and back: replaced by others, or watched while they are called."""

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import cache, reduce, wraps
from importlib import import_module
from typing import Any

Function = Callable[..., Any]


class NoSuchTarget(LookupError):
    """A dotted path that leads to nothing that can be called."""


def locate(target: str) -> tuple[Any, str]:
    """The module or class that holds the function at the dotted path `target`, and the function's name there.

    Raises:
        NoSuchTarget: if there is none.
    """
    path, _, name = target.rpartition(".")
    try:
        module, names = _parts(path)
        owner = reduce(getattr, names, sys.modules[module])
    except (ImportError, AttributeError, ValueError, KeyError):
        owner = None
    if not callable(getattr(owner, name, None)):
        raise NoSuchTarget(f"there is no function {target}")
    return owner, name


@cache
def _parts(path: str) -> tuple[str, tuple[str, ...]]:
    """The module at the beginning of a dotted path, imported, and the names below: asked for hundreds around a claim."""
    module, *names = path.split(".")
    import_module(module)
    while names:
        try:
            import_module(f"{module}.{names[0]}")
        except ImportError:
            break
        module = f"{module}.{names.pop(0)}"
    return module, (*names,)


def located(target: str) -> Any:
    """The function or class at the dotted path `target`.

    Raises:
        NoSuchTarget: if there is none.
    """
    return getattr(*locate(target))


def homes(target: str) -> list[str]:
    """The dotted paths at which modules have what is at `target`, by the same name: `torch.optim.sgd.SGD`."""
    name, function = target.rpartition(".")[2], located(target)
    modules = [home for home, module in sys.modules.items() if getattr(module, "__dict__", {}).get(name) is function]
    return sorted({f"{home}.{name}" for home in modules} | {target})


@contextmanager
def replaced(target: str, make: Callable[[Function], Function]) -> Generator[None]:
    """What `make` makes of the function at `target` stands in its place, and the function again afterwards."""
    from unittest import mock  # it imports asyncio, which would double what `lossdemo list` costs

    owner, name = locate(target)
    with mock.patch.object(owner, name, make(getattr(owner, name))):
        yield


@contextmanager
def watched(targets: Iterable[str], watch: Callable[[str, Function, tuple, dict], object]) -> Generator[None]:
    """Before each call of one of the targets `watch` is called with it, its function, and the arguments."""
    originals = []
    try:
        for target in targets:  # a hundred around each claim: by hand, as a patch of mock's costs ten times this
            owner, name = locate(target)
            originals.append((owner, name, vars(owner).get(name)))
            setattr(owner, name, _watching(target, getattr(owner, name), watch))
        yield
    finally:
        for owner, name, original in reversed(originals):
            if original is None:  # inherited
                delattr(owner, name)
            else:
                setattr(owner, name, original)


def _watching(target: str, original: Function, watch: Callable[[str, Function, tuple, dict], object]) -> Function:
    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        watch(target, original, args, kwargs)
        return original(*args, **kwargs)

    return call
