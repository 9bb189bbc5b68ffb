"""Functions that are looked at while they are called: what a function runs is its code, and that is exchanged.

The function stays the object that it is wherever somebody has it: under a name of their own, as a default, in a dict,
in a pickle. Within torch.compile, torch.func, tracing and CUDA graphs it runs as it was.
"""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FunctionType
from typing import Any

import torch

from lossdemo.verify.patch import locate
from lossdemo.watch.place import FRAME

# Called with the function as it was, the arguments by place and by name, and the result.
Look = Callable[..., None]

# Compiled with a file of its own, of which neither warnings nor our tracebacks show a line.
_CODE = """
def make({free}):
    def call(*args, **kwargs):
        if __lossdemo_is_compiling():
            return {name}_original(*args, **kwargs)
        if __lossdemo_is_quiet():
            return {name}_original(*args, **kwargs)
        {before}
        result = {name}_original(*args, **kwargs)
        {after}
        return result
        {free}
    return call
"""
_NUMBERS = itertools.count()
_HAS_CUDA = torch.backends.cuda.is_built()


class _Thread(threading.local):
    looks = False


_THREAD = _Thread()


def is_quiet() -> bool:
    """Whether nothing can be looked at now: a look is under way, or tensors are no plain ones."""
    return (
        _THREAD.looks
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._is_tracing()
        or (_HAS_CUDA and torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())
    )


def quietly(looks: list[Look], *moment: Any) -> None:
    """Look, while nothing is watched, and nothing compiled."""
    compiler = _set_compiler(None)
    _THREAD.looks = True
    try:
        for look in looks:
            look(*moment)
    finally:
        _THREAD.looks = False
        _set_compiler(compiler)


class AsItIs:
    """Torch with gradients off and as it is, whatever subclasses and modes are about."""

    def __enter__(self) -> None:
        self.enabled = torch._C.is_grad_enabled()
        if self.enabled:
            torch._C._set_grad_enabled(False)
        self.plain = torch._C.DisableTorchFunction()
        self.plain.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.plain.__exit__(*error)
        if self.enabled:
            torch._C._set_grad_enabled(True)


def unseen(function: FunctionType) -> FunctionType:
    """Let torch.compile, where it begins anew after a break, not begin here, but with what is called from here."""
    with suppress(AttributeError):  # of an earlier torch
        module: Any = torch._C._dynamo.eval_frame
        skip, default = module._FrameAction.SKIP, module._FrameAction.DEFAULT
        module.set_code_exec_strategy(function.__code__, module._FrameExecStrategy(skip, default))
    return function


_set_compiler = torch._C._dynamo.eval_frame.set_eval_frame
unseen(is_quiet)
unseen(quietly)


class Tap:
    """A function whose calls are looked at, before and after."""

    def __init__(self, function: FunctionType) -> None:
        self.function, self.code = function, function.__code__
        self.before: list[Look] = []
        self.after: list[Look] = []
        self.name = f"__lossdemo_{next(_NUMBERS)}"
        self.original = FunctionType(
            self.code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        self.original.__kwdefaults__, self.original.__qualname__ = function.__kwdefaults__, function.__qualname__
        self.original.__module__, self.original.__doc__ = function.__module__, function.__doc__
        self.original.__annotations__ = function.__annotations__
        self.original.__dict__.update(function.__dict__)
        self.attributes: dict[str, Any] = {}
        if not hasattr(function, "__wrapped__"):  # for inspect and torch.jit.script, which read signature and source
            self.attributes["__wrapped__"] = self.original
            with suppress(ValueError, TypeError):
                self.attributes["__signature__"] = inspect.signature(function)
        self._names = {
            "__lossdemo_is_compiling": torch.compiler.is_compiling,
            "__lossdemo_is_quiet": is_quiet,
            f"{self.name}_original": self.original,
            f"{self.name}_before": partial(quietly, self.before, self.original),
            f"{self.name}_after": partial(quietly, self.after, self.original),
        }

    def set(self) -> None:
        """Let the function run what its looks want, or what it ran before there were any."""
        scope = self.function.__globals__
        if not self.before and not self.after:
            self.function.__code__ = self.code
            for name in self.attributes:
                self.function.__dict__.pop(name, None)
            TAPS.pop(id(self.function), None)
            kept = {name for tap in TAPS.values() if tap.function.__globals__ is scope for name in tap._names}
            for name in self._names.keys() - kept:
                scope.pop(name, None)
            return
        source = _CODE.format(
            name=self.name,
            free=", ".join(self.code.co_freevars),
            before=f"{self.name}_before(args, kwargs, None)" if self.before else "",
            after=f"{self.name}_after(args, kwargs, result)" if self.after else "",
        )
        made: Any = {}
        exec(compile(source, FRAME, "exec"), made)
        made = made["make"](*self.code.co_freevars)
        made.__code__ = made.__code__.replace(co_name=self.code.co_name)
        scope.update(self._names)
        self.function.__dict__.update(self.attributes)
        self.function.__code__ = unseen(made).__code__


TAPS: dict[int, Tap] = {}


def tap(function: FunctionType, look: Look, before: bool) -> Callable[[], None]:
    """From here on look at each call of the function; what is returned ends that."""
    known = TAPS.get(id(function)) or TAPS.setdefault(id(function), Tap(function))
    looks = known.before if before else known.after
    looks.append(look)
    known.set()

    def end() -> None:
        if look in looks:
            looks.remove(look)
            known.set()

    return end


def functions(target: str) -> list[FunctionType]:
    """The function at a dotted path; of a method also those of the subclasses that define it anew.

    What is not written in Python is left out.

    Raises:
        NoSuchTarget: if there is none.
    """
    owner, name = locate(target)
    classes, found = [owner], []
    while classes:
        one = classes.pop()
        function = vars(one).get(name)
        function = getattr(function, "__func__", function)  # of a static or class method
        if isinstance(function, FunctionType) and function not in found:
            found.append(function)
        classes += one.__subclasses__() if isinstance(one, type) else []
    return found
