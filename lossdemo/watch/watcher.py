"""Watches at work: they look before and after each call of what they watch, and at the end.

Nothing of the script changes: what is watched is called as it was, its arguments and results are only looked at, no
random number is drawn and no tensor kept.
"""

from __future__ import annotations

import importlib
import math
import os
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import FunctionType
from typing import Any, TextIO

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lossdemo.verify.mutant import Call, arguments
from lossdemo.verify.patch import NoSuchTarget
from lossdemo.watch import taps
from lossdemo.watch.definition import END, MADE, RECORDS, STEP, TRAIN, WATCHES, Bite, Watch
from lossdemo.watch.findings import Finding, Findings
from lossdemo.watch.history import MAKERS, OBSERVED, SCHEDULE, History
from lossdemo.watch.place import Place, here
from lossdemo.watch.seen import Seen

FIRST = 5  # calls of each place at which every watch looks
EVERY = 20  # after these, one call in so many
LONG, IN_A_ROW = 100, 3  # calls at which cheap ones look, and steps whenever they rest no more


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


Turn = tuple[Watch, dict[Any, Any], bool]  # with the watch's memory, and whether it looks only if that holds something


class Spot:
    """What looks at one moment of one place, with its memory: where it is the turn of all, while none rests, always."""

    def __init__(self, watches: list[Turn]) -> None:
        self.every, self.cheap = watches, [turn for turn in watches if turn[0].cheap]
        self.restless = [turn for turn in self.cheap if not turn[0].steady]
        self.calls = self.turns = self.awake = 0


class Moment:
    """The calls of one function, before or after them: what looks at them, and at which places they were."""

    def __init__(self, name: str, before: bool, watches: list[Watch]) -> None:
        self.name, self.before, self.watches = name, before, watches
        self.is_observed = name in OBSERVED and not before
        rests = name not in OBSERVED and all(watch.when and not watch.claim for watch in watches)
        self.whens = [watch.when for watch in watches if watch.when] if rests else []
        self.spots: dict[Place, Spot] = {}


class Watcher:
    """Looks at the moments of a run with each watch, and keeps its history."""

    def __init__(self, findings: Findings, every: int, watches: list[Watch], forked: bool = False) -> None:
        self.every, self.forked = every, forked
        looks: dict[tuple[str, bool], list[Watch]] = defaultdict(list)
        for watch in [*RECORDS, *watches]:
            if not watch.note or findings.notes:
                for moment in watch.moments:
                    looks[moment, watch.before].append(watch)
        keys = looks.keys() | {(name, False) for name in (*OBSERVED, END)}
        self.moments = {key: Moment(*key, looks[key]) for key in sorted(keys)}
        self._stack = ExitStack()
        # What is being imported was not used before.
        self.begin(findings, is_complete=bool(getattr(torch.__spec__, "_initializing", False)))

    def begin(self, findings: Findings, *, is_complete: bool) -> None:
        """Begin anew, with nothing seen; `is_complete` says that no module or optimizer of before is to be known."""
        self.findings, self.history = findings, History(self.every, is_complete=is_complete)
        self.memories: dict[str, dict[Any, Any]] = defaultdict(dict)
        self.at_end: set[tuple[str, str, int]] = set()  # what was said first at the end of the whole run
        self.is_gone, self.awake_until = False, 0
        for moment in self.moments.values():
            moment.spots = {}
        findings.looks = self._looks_of

    def look(self, moment: Moment, function: FunctionType, args: tuple, kwargs: dict[str, Any], result: Any) -> None:
        """Take a call into the history, and look at it."""
        if moment.whens and not any(when(self.history) for when in moment.whens):
            return
        frame, place = here()
        spot = moment.spots.get(place)
        if spot is None:
            spot = moment.spots[place] = Spot(self._turns(moment))
            self.wake(LONG)
        count = spot.calls
        is_turn = count < FIRST or count % self.every == 0
        is_awake = is_turn or count < LONG or self._is_awake(spot, args if moment.before else (result,))
        watches = spot.every if is_turn else spot.cheap if is_awake else spot.restless
        watches = [turn for turn in watches if turn[1] or not turn[2]]
        if watches or moment.is_observed:
            try:
                call = arguments(function, args, kwargs)
            except TypeError:  # it does not fit the signature, and failed, or will
                return
            if moment.is_observed:
                if moment.name == SCHEDULE and self.history.is_setup(moment.name, call):
                    return
                self.history.observe(moment.name, call, place)
                if moment.name in WAKING:
                    self.wake(WAKING[moment.name])
            if watches and not _is_any_odd(call, result):
                with taps.AsItIs():
                    self._show(watches, Seen(moment.name, call, result, self.history, place, frame), count)
        spot.calls, spot.turns, spot.awake = count + 1, spot.turns + is_turn, spot.awake + is_awake

    def wake(self, steps: int) -> None:
        """Let no cheap watch rest for some steps."""
        self.awake_until = max(self.awake_until, self.history.steps + steps)

    def _is_awake(self, spot: Spot, values: tuple) -> bool:
        """Whether cheap watches look now. A number that is not finite wakes them."""
        steps = self.history.steps
        if steps < self.awake_until or steps % self.every < IN_A_ROW:
            return True
        if len(spot.restless) == len(spot.cheap):
            return False
        with taps.AsItIs():
            if all(map(_is_finite, values)):
                return False
        self.wake(IN_A_ROW)
        return True

    def _turns(self, moment: Moment) -> list[Turn]:
        return [(watch, self.memories[watch.name], moment.name in watch.recalls) for watch in moment.watches]

    def _show(self, watches: list[Turn], seen: Seen, count: int) -> None:
        seen.count = count
        asked, is_on = None, True
        for watch, memory, recalls in watches:
            if recalls and not memory:  # another one has taken it
                continue
            if watch.when is not asked:
                asked, is_on = watch.when, watch.when is None or watch.when(self.history)
            if not is_on:
                continue
            seen.memory = memory
            try:
                bites = watch.look(seen)
                if bites is not None:
                    for bite in [bites] if isinstance(bites, Bite) else bites:
                        place = bite.place or seen.place
                        if seen.moment == END and (watch.name, place.file, place.line) not in self.findings.known:
                            self.at_end.add((watch.name, place.file, place.line))
                        self.findings.add(watch, place, bite, self.history.steps)
                        self.history.told.add(watch.claim)
            except Exception as error:  # of the watch, which is no matter of the script's
                self.findings.crashes.setdefault(watch.name, f"{type(error).__name__}: {error}")

    def end(self) -> None:
        """Look at what became of it all."""
        if not self.is_gone:
            turns = sorted(self._turns(self.moments[END, False]), key=lambda turn: turn[0].note)  # they may follow
            seen = Seen(END, Call(), None, self.history, Place("", 0), None)
            with taps.AsItIs():
                taps.quietly([partial(self._show, turns, seen, 0)])

    def _looks_of(self, found: Finding) -> tuple[int, int, int]:
        """How often the watch looked at the place of what it found, how often it was called, and all steps."""
        if (found.watch, found.file, found.line) in self.at_end:
            return 0, 0, self.history.steps
        mine = [
            (spot.turns if not watch.cheap else spot.awake if watch.steady else spot.calls, spot.calls)
            for moment in self.moments.values()
            for watch in moment.watches
            if watch.name == found.watch
            for at, spot in moment.spots.items()
            if (at.file, at.line) == (found.file, found.line)
        ]
        looked, calls = (sum(numbers) for numbers in zip(*mine)) if mine else (found.looked or 1, 1)
        return looked, calls, self.history.steps

    @contextmanager
    def installed(self) -> Generator[None]:
        """What is watched runs our looks, and afterwards what it ran before."""
        try:
            with self._stack:
                for moment in self.moments.values():
                    if moment.name not in (END, STEP):
                        with suppress(NoSuchTarget):  # of a later torch
                            look = partial(self.look, moment)
                            for function in taps.functions(moment.name):
                                self._stack.callback(taps.tap(function, look, moment.before))
                for function in (_made(kind, name) for kind in (nn.Module, Optimizer) for name in MAKERS):
                    self._stack.callback(taps.tap(function, self._make, False))
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

    def _make(self, function: FunctionType, args: tuple, kwargs: dict[str, Any], result: Any) -> None:
        """Know a module or an optimizer that has been made, copied or read."""
        one = args[0] if args else kwargs.get("self")
        if one is not None:
            self.history.made[id(one)] = one

    def _hook(self) -> None:
        """Steps are seen by torch's own hooks, as each class has a step of its own."""
        from torch.optim import optimizer as module

        def step(self: torch.optim.Optimizer, closure: Callable | None = None) -> None: ...

        def hook(before: bool) -> Callable[[torch.optim.Optimizer, tuple, dict], None]:
            look = partial(self.look, self.moments[STEP, before], step)

            def seen(optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
                if not torch.compiler.is_compiling() and not taps.is_quiet():
                    taps.quietly([look], (optimizer,), {}, None)

            return taps.unseen(seen)

        self._stack.callback(module.register_optimizer_step_post_hook(hook(False)).remove)
        if (STEP, True) in self.moments:
            self._stack.callback(module.register_optimizer_step_pre_hook(hook(True)).remove)


# For how many steps cheap watches look after such a call.
WAKING = {MADE: LONG, TRAIN: IN_A_ROW}


def _is_finite(value: Any) -> bool:
    """False for a number that certainly is not, or a list with one."""
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    is_number = type(value) is Tensor and value.is_cpu and value.numel() == 1 and not value.is_complex()
    return not is_number or math.isfinite(value.item())


# Types of arguments that are as they seem.
_PLAIN = {Tensor, nn.Parameter, type(None), bool, int, float, str, tuple, list, dict, torch.dtype}


def _is_any_odd(call: Call, result: Any) -> bool:
    """Whether a value of a call is one that only takes the place of a tensor, or whose entries cannot be read."""
    return any(type(value) not in _PLAIN and _is_odd(value) for value in (*call.values(), result))


def _is_odd(value: Any) -> bool:
    if isinstance(value, Optimizer):
        return False
    if isinstance(value, Tensor):
        kind = type(value)
        return kind is not Tensor and kind.__torch_dispatch__ is not torch._C._disabled_torch_dispatch_impl  # pyrefly: ignore
    return hasattr(value, "__torch_function__") and not isinstance(value, type)


def _made(kind: type, name: str) -> FunctionType:
    return vars(kind)[name]


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
