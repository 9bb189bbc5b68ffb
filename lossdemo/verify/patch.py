"""Puts functions out of the way, and back: replaced by others, or watched while they are called."""

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from functools import reduce, wraps
from pkgutil import resolve_name
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
        owner = _owner(path)
    except (ImportError, AttributeError, ValueError):
        owner = None
    if not callable(getattr(owner, name, None)):
        raise NoSuchTarget(f"there is no function {target}")
    return owner, name


_MODULES: dict[str, str] = {}  # the module of a dotted path, once found: hundreds are asked for around each claim


def _owner(path: str) -> Any:
    """What is at a dotted path, as `resolve_name` has it, which looks on disk each time for a module of that name."""
    module = _MODULES.get(path)
    if module in sys.modules:
        with suppress(AttributeError):  # another module by that name
            return reduce(getattr, filter(None, path[len(module) :].split(".")), sys.modules[module])
    owner = resolve_name(path)
    names = path.split(".")
    prefixes = (".".join(names[:length]) for length in range(len(names), 0, -1))
    _MODULES[path] = next(prefix for prefix in prefixes if prefix in sys.modules)
    return owner


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
