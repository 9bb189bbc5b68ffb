"""Watches at work: they look before and after each call of what they watch, and at the end.

Nothing of the script changes: what is watched is called as it was, its arguments and results are only looked at, no
random number is drawn and no tensor kept.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import FunctionType
from typing import Any, TextIO

import torch
from torch import Tensor

from lossdemo.verify.mutant import Call, arguments
from lossdemo.verify.patch import NoSuchTarget
from lossdemo.watch import taps
from lossdemo.watch.definition import END, RECORDS, STEP, WATCHES, Bite, Watch
from lossdemo.watch.findings import Finding, Findings
from lossdemo.watch.history import OBSERVED, SCHEDULE, History
from lossdemo.watch.place import Place, here
from lossdemo.watch.seen import Seen

FIRST = 5  # calls of each place at which every watch looks
EVERY = 20  # after these, one call in so many


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
    forked: bool = False,
) -> Generator[Findings]:
    """While this lasts, what happens is looked at; afterwards the findings are complete.

        with lossdemo.watch.watching() as findings:
            train()
        print(findings)

    After an exception they are what was found before it.

    Args:
        notes: Also what is only suspicious.
        ignore: Ids of claims that are not to be told.
        every: After the first calls of a place, at how many calls of it all watches look once.
        stream: Where a finding is written as soon as it is found.
        watches: Only these.
        forked: Go on in processes that are forked.
    """
    watcher = Watcher(Findings(ignore, notes, stream), every, load() if watches is None else watches, forked)
    with watcher.installed():
        yield watcher.findings
    watcher.end()


class Spot:
    """What looks at one moment of one place: at each call, and at those whose turn it is."""

    def __init__(self, watches: list[Watch]) -> None:
        self.every, self.cheap = watches, [watch for watch in watches if watch.cheap]
        self.calls = self.turns = 0


class Watcher:
    """Looks at the moments of a run with each watch, and keeps its history."""

    def __init__(self, findings: Findings, every: int, watches: list[Watch], forked: bool = False) -> None:
        self.findings, self.every, self.history, self.forked = findings, every, History(every), forked
        self.looks: dict[tuple[str, bool], list[Watch]] = defaultdict(list)
        for watch in [*RECORDS, *watches]:
            if not watch.note or findings.notes:
                for moment in watch.moments:
                    self.looks[moment, watch.before].append(watch)
        self.resting = {
            key: [watch.when for watch in several if watch.when]
            for key, several in self.looks.items()
            if key[0] not in OBSERVED and all(watch.when for watch in several)
        }
        self.spots: dict[tuple[str, bool, Place], Spot] = {}
        self.memories: dict[str, dict[Any, Any]] = defaultdict(dict)
        self.at_end: set[tuple[str, str, int]] = set()  # what was said first at the end of the whole run
        self.is_gone = False
        self._stack = ExitStack()
        findings.looks = self._looks_of

    def look(
        self, moment: str, before: bool, function: FunctionType, args: tuple, kwargs: dict[str, Any], result: Any
    ) -> None:
        """Take a call into the history, and look at it."""
        if (moment, before) in self.resting and not any(when(self.history) for when in self.resting[moment, before]):
            return
        frame, place = here()
        spot = self.spots.get((moment, before, place))
        if spot is None:
            spot = self.spots[moment, before, place] = Spot(self.looks.get((moment, before), []))
        count = spot.calls
        is_turn = count < FIRST or count % self.every == 0
        watches = spot.every if is_turn else spot.cheap
        observed = not before and moment in OBSERVED
        if watches or observed:
            try:
                call = arguments(function, args, kwargs)
            except TypeError:  # it does not fit the signature, and failed, or will
                return
            if moment == SCHEDULE and self.history.is_setup(moment, call):
                return
            if observed:
                self.history.observe(moment, call, place)
            if watches and not any(_is_odd(value) for value in (*call.values(), result)):
                with taps.as_it_is():
                    self._show(watches, Seen(moment, call, result, self.history, place, frame), count)
        spot.calls, spot.turns = count + 1, spot.turns + is_turn

    def _show(self, watches: list[Watch], seen: Seen, count: int) -> None:
        for watch in watches:
            seen.memory, seen.count = self.memories[watch.name], count
            try:
                bites = watch.look(seen)
                if bites is not None:
                    for bite in [bites] if isinstance(bites, Bite) else bites:
                        place = bite.place or seen.place
                        if seen.moment == END and (watch.name, place.file, place.line) not in self.findings.known:
                            self.at_end.add((watch.name, place.file, place.line))
                        self.findings.add(watch, bite.place or seen.place, bite, self.history.steps)
                        self.history.told.add(watch.claim)
            except Exception as error:  # of the watch, which is no matter of the script's
                self.findings.crashes.setdefault(watch.name, f"{type(error).__name__}: {error}")

    def end(self) -> None:
        """Look at what became of it all."""
        if not self.is_gone:
            last = sorted(self.looks[END, False], key=lambda watch: watch.note)  # a note can follow from a finding
            seen = Seen(END, Call(), None, self.history, Place("", 0), None)
            with taps.as_it_is():
                taps.quietly([partial(self._show, last, seen, 0)])

    def _looks_of(self, found: Finding) -> tuple[int, int, int]:
        """How often the watch looked at the place of what it found, how often it was called, and all steps."""
        if (found.watch, found.file, found.line) in self.at_end:
            return 0, 0, self.history.steps
        mine = [
            (spot.calls if watch.cheap else spot.turns, spot.calls)
            for (_, _, at), spot in self.spots.items()
            if (at.file, at.line) == (found.file, found.line)
            for watch in spot.every
            if watch.name == found.watch
        ]
        looked, calls = (sum(numbers) for numbers in zip(*mine)) if mine else (found.looked or 1, 1)
        return looked, calls, self.history.steps

    @contextmanager
    def installed(self) -> Generator[None]:
        """What is watched runs our looks, and afterwards what it ran before."""
        try:
            with self._stack:
                moments = {(moment, False) for moment in OBSERVED} | self.looks.keys()
                for moment, before in sorted(moments):
                    if moment not in (END, STEP):
                        with suppress(NoSuchTarget):  # of a later torch
                            for function in taps.functions(moment):
                                look = partial(self.look, moment, before)
                                self._stack.callback(taps.tap(function, look, before))
                self._hook()
                _ACTIVE.append(self)
                yield
        finally:
            self.uninstall()

    def uninstall(self) -> None:
        """End, wherever it is called."""
        self._stack.close()
        if self in _ACTIVE:
            _ACTIVE.remove(self)

    def _hook(self) -> None:
        """Steps are seen by torch's own hooks, as each class has a step of its own."""
        from torch.optim import optimizer as module

        def step(self: torch.optim.Optimizer, closure: Callable | None = None) -> None: ...

        def hook(before: bool) -> Callable[[torch.optim.Optimizer, tuple, dict], None]:
            look = partial(self.look, STEP, before, step)

            def seen(optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
                if not torch.compiler.is_compiling() and not taps.is_quiet():
                    taps.quietly([look], (optimizer,), {}, None)

            return taps.unseen(seen)

        self._stack.callback(module.register_optimizer_step_post_hook(hook(False)).remove)
        if self.looks.get((STEP, True)):
            self._stack.callback(module.register_optimizer_step_pre_hook(hook(True)).remove)


def _is_odd(value: Any) -> bool:
    """Whether this is no tensor but takes the place of one, or one whose values cannot be read."""
    if isinstance(value, Tensor):
        kind = type(value)
        return kind is not Tensor and kind.__torch_dispatch__ is not torch._C._disabled_torch_dispatch_impl  # pyrefly: ignore
    return hasattr(value, "__torch_function__") and not isinstance(value, type)


_ACTIVE: list[Watcher] = []


def _forked() -> None:
    """A forked process is quiet, and has nothing to tell: what it was watched for goes on elsewhere."""
    taps._THREAD.looks = False
    for watcher in [*_ACTIVE]:
        if not watcher.forked:
            watcher.is_gone = True
            watcher.findings.clear()
            watcher.uninstall()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
