"""Puts functions of torch out of the way, and back: replaced by others, or watched while they are called."""

import importlib
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

Function = Callable[..., Any]


class NoSuchTarget(LookupError):
    """A dotted path that leads to nothing."""


def locate(target: str) -> tuple[Any, str]:
    """The module or class that holds the function at the dotted path `target`, and the function's name there.

    Raises:
        NoSuchTarget: if there is none.
    """
    parts = target.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            owner = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:-1]:
            owner = getattr(owner, part, None)
        if callable(getattr(owner, parts[-1], None)):
            return owner, parts[-1]
    raise NoSuchTarget(f"there is no function {target}")


@contextmanager
def replaced(target: str, make: Callable[[Function], Function]) -> Generator[None]:
    """What `make` makes of the function at `target` stands in its place, and the function again afterwards."""
    owner, name = locate(target)
    inherited = name not in vars(owner)
    original = getattr(owner, name)
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        if inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


@contextmanager
def watched(targets: Iterable[str], watch: Callable[[str, Function, tuple, dict], object]) -> Generator[None]:
    """Before each call of one of the targets `watch` is called with it, its function, and the arguments."""

    def recorder(target: str) -> Callable[[Function], Function]:
        def make(original: Function) -> Function:
            @wraps(original)
            def call(*args: Any, **kwargs: Any) -> Any:
                watch(target, original, args, kwargs)
                return original(*args, **kwargs)

            return call

        return make

    with ExitStack() as stack:
        for target in targets:
            stack.enter_context(replaced(target, recorder(target)))
        yield
