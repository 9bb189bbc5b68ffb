"""Watches at work: functions that look before and after each call stand in place of what is watched.

Nothing of the script changes: what is watched is called as it was, its arguments and results are only looked at, no
random number is drawn and no tensor kept. Within torch.compile, torch.func and CUDA graphs nothing is looked at.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, TextIO

import torch

from lossdemo.verify.mutant import Call, arguments
from lossdemo.verify.patch import NoSuchTarget, locate
from lossdemo.watch.definition import END, RECORDS, STEP, WATCHES, Bite, Watch
from lossdemo.watch.findings import Findings
from lossdemo.watch.history import OBSERVED, History
from lossdemo.watch.place import FRAME, Place, here
from lossdemo.watch.seen import Seen

FIRST = 5  # calls of each place at which every watch looks
EVERY = 20  # after these, one call in so many

# Compiled with a file of its own, of which neither warnings nor our tracebacks show a line.
_CALL = """
def call(*args, **kwargs):
    if is_compiling() or is_quiet():
        return original(*args, **kwargs)
    before(args, kwargs)
    result = original(*args, **kwargs)
    after(args, kwargs, result)
    return result
"""


def load() -> list[Watch]:
    """Every watch of this package."""
    package = importlib.import_module("lossdemo.watch.families")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return WATCHES


@contextmanager
def watching(
    *,
    notes: bool = False,
    ignore: Iterable[str] = (),
    every: int = EVERY,
    stream: TextIO | None = None,
    watches: list[Watch] | None = None,
    everywhere: bool = True,
) -> Generator[Findings]:
    """While this lasts, what happens is looked at; afterwards the findings are complete.

        with lossdemo.watch.watching() as findings:
            train()
        print(findings)

    Args:
        notes: Also what is only suspicious.
        ignore: Ids of claims that are not to be told.
        every: After the first calls of a place, at how many calls of it all watches look once.
        stream: Where a finding is written as soon as it is found.
        watches: Only these.
        everywhere: Also where a module has a watched function under a name of its own.
    """
    findings = Findings(ignore, notes, stream)
    watcher = Watcher(findings, every, load() if watches is None else watches)
    try:
        with watcher.installed(everywhere):
            yield findings
    finally:
        watcher.look(END, False, Call(), None)


class Watcher:
    """Looks at the moments of a run with each watch, and keeps its history."""

    def __init__(self, findings: Findings, every: int, watches: list[Watch]) -> None:
        self.findings, self.every, self.history = findings, every, History(every)
        self.looks: dict[tuple[str, bool], list[Watch]] = defaultdict(list)
        for watch in [*RECORDS, *watches]:
            if not watch.note or findings.notes:
                for moment in watch.moments:
                    self.looks[moment, watch.before].append(watch)
        self.memories: dict[str, dict[Any, Any]] = defaultdict(dict)
        self.thread = threading.local()

    def look(self, moment: str, before: bool, call: Call, result: Any) -> None:
        """Take a moment into the history, and look at it."""
        frame, place = here() if moment != END else (None, Place("", 0))
        if not before and self.history.is_setup(moment, call):
            return
        if not before and moment in OBSERVED:
            self.history.observe(moment, call, place)
        for watch in self.looks[moment, before]:
            count = self.findings.turn(watch, place, FIRST, self.every)
            if count is None:
                continue
            seen = Seen(moment, call, result, self.history, place, frame)
            seen.memory, seen.count = self.memories[watch.name], count
            try:
                bites = watch.look(seen)
                for bite in [bites] if isinstance(bites, Bite) else bites or ():
                    self.findings.add(watch, bite.place or place, bite, self.history.steps)
            except Exception as error:  # of the watch, which is no matter of the script's
                self.findings.crashes.setdefault(watch.name, f"{type(error).__name__}: {error}")

    def _quietly(self, moment: str, before: bool, original: Callable, args: tuple, kwargs: dict, result: Any) -> None:
        if getattr(self.thread, "looks", False):
            return
        if moment not in OBSERVED and not any(
            watch.when is None or watch.when(self.history) for watch in self.looks[moment, before]
        ):
            return
        self.thread.looks = True
        enabled = torch.is_grad_enabled()
        try:
            torch._C._set_grad_enabled(False)
            self.look(moment, before, arguments(original, args, kwargs), result)
        except TypeError:  # a call that does not fit the signature
            pass
        finally:
            torch._C._set_grad_enabled(enabled)
            self.thread.looks = False

    def is_quiet(self) -> bool:
        """Whether nothing can be looked at now: a look is under way, or tensors are no plain ones."""
        return (
            getattr(self.thread, "looks", False)
            or torch._C._are_functorch_transforms_active()
            or torch._C._len_torch_dispatch_stack() > 0
            or (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())
        )

    def wrapped(self, moment: str, original: Callable) -> Callable:
        """The function that is called in place of the original, and calls it."""
        scope: dict[str, Any] = {
            "original": original,
            "is_compiling": torch.compiler.is_compiling,
            "is_quiet": self.is_quiet,
            "before": lambda args, kwargs: None,
            "after": lambda args, kwargs, result: self._quietly(moment, False, original, args, kwargs, result),
        }
        if (moment, True) in self.looks:
            scope["before"] = lambda args, kwargs: self._quietly(moment, True, original, args, kwargs, None)
        exec(compile(_CALL, FRAME, "exec"), scope)
        return wraps(original)(scope["call"])

    @contextmanager
    def installed(self, everywhere: bool) -> Generator[None]:
        """Our functions stand in their places, and afterwards what stood there before."""
        places: list[tuple[Any, str, Any]] = []
        hooks = []
        try:
            for moment in sorted({*OBSERVED, *(moment for moment, _ in self.looks)} - {END, STEP}):
                with suppress(NoSuchTarget):  # of a later torch
                    for owner, name in _owners(moment):
                        places.append((owner, name, vars(owner)[name]))
                        setattr(owner, name, self.wrapped(moment, vars(owner)[name]))
            for owner, name, original in _names_of([o for _, _, o in places]) if everywhere else ():
                places.append((owner, name, original))
                setattr(owner, name, next(vars(o)[n] for o, n, other in places if other is original))
            hooks = self._hooked()
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for owner, name, original in reversed(places):
                setattr(owner, name, original)

    def _hooked(self) -> list[Any]:
        """Steps are seen by torch's own hooks, as each class has a step of its own."""
        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        def hook(before: bool) -> Callable[[torch.optim.Optimizer, tuple, dict], None]:
            def step(self: torch.optim.Optimizer, closure: Callable | None = None) -> None: ...

            def seen(optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
                if not torch.compiler.is_compiling() and not self.is_quiet():
                    self._quietly(STEP, before, step, (optimizer,), {}, None)

            return seen

        return [register_optimizer_step_pre_hook(hook(True)), register_optimizer_step_post_hook(hook(False))]


def _owners(target: str) -> list[tuple[Any, str]]:
    """Where the function at a dotted path is defined: for a method also in the subclasses that define it anew."""
    owner, name = locate(target)
    if not isinstance(owner, type):
        return [(owner, name)]
    classes, found = [owner], []
    while classes:
        one = classes.pop()
        if name in vars(one) and one not in found:
            found.append(one)
        classes += one.__subclasses__()
    return [(one, name) for one in found]


def _names_of(originals: list[Any]) -> list[tuple[Any, str, Any]]:
    """Where modules have one of the functions, under any name: `from torch.nn.functional import mse_loss as mse`."""
    wanted = {id(original): original for original in originals if callable(original)}
    return [
        (module, name, value)
        for module in list(sys.modules.values())
        for name, value in list(getattr(module, "__dict__", {}).items())
        if id(value) in wanted and value is wanted[id(value)]
    ]
