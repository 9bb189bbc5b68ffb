"""What each optimizer's gradients went through between its steps: cleared, added to, used. Looked at, never kept."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lossdemo.watch.definition import BACKWARD, MADE, STEP, TRAIN, record
from lossdemo.watch.history import History
from lossdemo.watch.place import Place
from lossdemo.watch.seen import Seen

CLIPS = ("torch.nn.utils.clip_grad_norm_", "torch.nn.utils.clip_grad_value_")
UNSCALE = "torch.amp.GradScaler.unscale_"
FIRST, EVERY, IN_A_ROW = 6, 20, 3  # steps whose gradients are looked at: the first, and some in a row now and then
LONG = 50  # backwards before a step that are looked at


class Mark(NamedTuple):
    """A gradient as it was: the tensor, by a reference that keeps nothing, and how often it had been changed."""

    ref: Any
    id: int
    version: int

    def fits(self, gradient: Tensor | None) -> bool:
        """Whether this is the same tensor, and unchanged since."""
        if gradient is None or id(gradient) != self.id or self.ref.expired():
            return False
        return gradient._version == self.version


def mark(gradient: Tensor) -> Mark:
    """Remember a gradient as it is."""
    return Mark(torch._C._WeakTensorRef(gradient), id(gradient), gradient._version)  # pyrefly: ignore


def gradient(parameter: Tensor) -> Tensor | None:
    """A parameter's gradient, None for one that has no versions."""
    found = parameter.grad if parameter.is_leaf or parameter.retains_grad else None
    return None if found is None or found.is_inference() else found


class Window:
    """What happened to an optimizer's gradients since its last step.

    `used` are the gradients that the last step used, as it left them; `stale` those of them to which a backward has
    added since; `found` what the step under way found: stale ones of how many parameters that have a gradient, all of
    them cleared, or gradients that another optimizer's step has used. The counts are of the whole run.
    """

    def __init__(self, number: int, optimizer: torch.optim.Optimizer, place: Place) -> None:
        self.number = number
        self.ref, self.kind, self.place = weakref.ref(optimizer), type(optimizer).__name__, place
        self.used: dict[int, Mark] = {}
        self.stale: dict[int, Mark] = {}
        self.before: dict[int, tuple[int, int, bool]] = {}  # before the backward under way: id, version, used
        self.steps = self.backwards = self.reached = 0
        self.at_rate_0, self.can_rest = (
            0,
            type(optimizer).__module__.startswith("torch.optim.") and self.kind != "Rprop",
        )
        self.taken = self.backwards_at_first = 0  # steps, those within another optimizer's too; backwards before them
        self.given = False
        self.found_stale: list[Tensor] = []
        self.found_cleared = False
        self.found_used: list[Tensor] = []
        self.other: Window | None = None
        self.with_gradient = 0
        self.backwards_before = 0
        self.at: Place | None = None  # of the first backward that reached its parameters
        self.since = self.cleared = self.kept = 0
        self.steps_of_all = self.steps_meanwhile = 0  # of any optimizer, at its last backward and since its first
        self.probe: tuple[int, float] | None = None  # the first parameter and its sum, while there is no step
        self.is_unmoved = True
        self.counts: list[tuple[int, int]] = []  # backwards of each step, and those before an epoch began amid them
        self.edge: dict[int, Mark] = {}  # the gradients where an epoch began, until the next backward
        self.left = self.edge_at = 0
        self.last: dict[int, Mark] = {}  # the gradients after the last backward of a closure
        self.clipping: dict[int, tuple[Mark, bool, bool]] = {}  # before the clip under way: used, stale
        self.clipped: dict[int, bool] = {}  # by the last clip: whether it had been used

    def parameters(self) -> Iterator[tuple[int, Tensor]]:
        """What the optimizer holds, by id; nothing where it is gone."""
        optimizer = self.ref()
        groups = optimizer.param_groups if optimizer is not None else ()
        yield from {id(p): p for group in groups for p in group["params"]}.items()

    @property
    def is_looked_at(self) -> bool:
        """Whether gradients are looked at until the next step is over."""
        return (self.steps < FIRST or self.steps % EVERY < IN_A_ROW) and self.since < LONG

    def begin(self) -> None:
        """A backward begins: what there is, and what of it a step has used."""
        self.before = {}
        for key, parameter in self.parameters():
            grad = gradient(parameter)
            if grad is not None:
                old = self.stale.get(key) or self.used.get(key)
                is_used = (
                    old is not None and old.fits(grad) and bool(_entries(grad).any())
                )  # zeroed by .data it has no new version
                self.before[key] = id(grad), grad._version, is_used
        if self.reached and self.steps == 0:
            self.cleared += not any(has_slope(parameter) for _, parameter in self.parameters())

    def take_in(self, place: Place, steps: int) -> None:
        """A backward is over: what it changed."""
        touched, changed, finite = False, False, True
        for key, parameter in self.parameters():
            grad = gradient(parameter)
            before = self.before.get(key, (0, 0, False))
            if grad is None or before[:2] == (id(grad), grad._version):
                continue
            touched = True
            if self.steps < FIRST and not changed:
                changed, finite = bool(_entries(grad).any()), bool(_entries(grad).isfinite().all())
                self._look_for_a_move(parameter)
            if before[2]:
                self.stale[key] = mark(grad)
        self.before = {}
        if touched:  # what two backwards give can cancel out
            self.given = changed and finite
        if self.given and touched:
            self.reached, self.at = self.reached + 1, self.at or place
            self.steps_meanwhile += steps - self.steps_of_all if self.reached > 1 else 0
            self.steps_of_all = steps

    def _look_for_a_move(self, parameter: Tensor) -> None:
        now = id(parameter), parameter.sum().item()
        if self.probe is not None and self.probe != now:
            self.is_unmoved = False
        self.probe = now

    def find(self) -> list[Tensor]:
        """The parameters that have a gradient now, those that hold a used one among them kept as found."""
        found = [p for _, p in self.parameters() if gradient(p) is not None]
        marks = [(p, self.stale.get(id(p))) for p in found] if self.stale else []
        self.found_stale = [p for p, old in marks if old is not None and old.fits(p.grad) and has_slope(p)]
        self.with_gradient = len(found)
        return found


def has_slope(parameter: Tensor) -> bool:
    """Whether a parameter has a gradient that is not zero everywhere."""
    grad = gradient(parameter)
    return grad is not None and bool(_entries(grad).any())


def _entries(grad: Tensor) -> Tensor:
    return grad._values() if grad.layout == torch.sparse_coo else grad


class Ledger:
    """The windows of all optimizers."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self.of: weakref.WeakKeyDictionary[torch.optim.Optimizer, Window] = weakref.WeakKeyDictionary()
        self.stepping: list[int] = []  # the optimizers whose step is under way: one's can call another's
        self.depth = 0  # of backwards within backwards, as under checkpointing

    def window(self, optimizer: torch.optim.Optimizer, place: Place) -> Window:
        """The optimizer's, which begins now if there is none."""
        found = self.of.get(optimizer)
        if found is None:
            found = self.of[optimizer] = Window(len(self.windows), optimizer, place)
            self.windows.append(found)
        return found


def ledger(history: History) -> Ledger:
    """The one of this run."""
    shared = history.shared["gradients"]
    if "ledger" not in shared:
        shared["ledger"] = Ledger()
    return shared["ledger"]


def window_of(seen: Seen) -> Window:
    """That of the optimizer whose step, or whose making, is looked at."""
    found = seen.found.get("window")
    if found is None:
        found = seen.found["window"] = ledger(seen.history).window(seen["self"], seen.place)
    return found


@record(MADE)
def an_optimizer_is_made(seen: Seen) -> None:
    """Its window begins."""
    ledger(seen.history).window(seen["self"], seen.place)


@record(BACKWARD, before=True)
def a_backward_begins(seen: Seen) -> None:
    """The gradients that each optimizer's parameters have, and those that a step has used."""
    book = ledger(seen.history)
    book.depth += 1
    if book.depth > 1:
        return
    for window in book.windows:
        if window.edge:
            kept = any(key in window.edge and window.edge[key].fits(gradient(p)) for key, p in window.parameters())
            window.left, window.edge = window.since if kept else 0, {}
        if window.is_looked_at:
            window.begin()
            window.kept += bool(window.last) and all(
                window.last[key].fits(gradient(p)) for key, p in window.parameters() if key in window.last
            )


@record(BACKWARD)
def a_backward_is_over(seen: Seen) -> None:
    """Which of them it changed, and which of these had been used before."""
    book = ledger(seen.history)
    book.depth = max(0, book.depth - 1)
    if book.depth:
        return
    for window in book.windows:
        window.backwards, window.since = window.backwards + 1, window.since + 1
        if window.is_looked_at:
            window.take_in(seen.place, seen.history.steps)
            if window.kind == "LBFGS" and book.stepping:
                grads = {key: gradient(p) for key, p in window.parameters()}
                window.last = {key: mark(grad) for key, grad in grads.items() if grad is not None}


@record(*CLIPS, UNSCALE, before=True)
def a_clip_begins(seen: Seen) -> None:
    """The gradients as they are, and whether a step has used them."""
    for window in ledger(seen.history).windows:
        window.clipping = {}
        for key, parameter in window.parameters() if window.is_looked_at else ():
            grad = gradient(parameter)
            if grad is not None:
                used, stale = window.used.get(key), window.stale.get(key)
                is_used, is_stale = used is not None and used.fits(grad), stale is not None and stale.fits(grad)
                window.clipping[key] = mark(grad), is_used, is_stale
        window.stale = {key: old for key, old in window.stale.items() if window.clipping.get(key, (0, 0, 0))[2]}


@record(*CLIPS, UNSCALE)
def a_clip_is_over(seen: Seen) -> None:
    """Which of them it changed; stale ones still are."""
    for window in ledger(seen.history).windows:
        window.clipped = {}
        for key, parameter in window.parameters() if window.clipping else ():
            before, grad = window.clipping.get(key), gradient(parameter)
            if before is None or grad is None or before[0].fits(grad):
                continue
            window.clipped[key] = before[1]
            if key in window.stale:
                window.stale[key] = mark(grad)


@record(STEP, before=True)
def a_step_begins(seen: Seen) -> None:
    """The gradients that it finds."""
    book, optimizer = ledger(seen.history), seen["self"]
    book.depth = 0
    if id(optimizer) in book.stepping:  # its last step failed
        book.stepping.clear()
    book.stepping.append(id(optimizer))
    window = book.window(optimizer, seen.place)
    window.backwards_before, window.last, window.kept, window.with_gradient = window.backwards, {}, 0, 0
    window.found_stale, window.found_cleared, window.found_used, window.other = [], False, [], None
    if len(book.stepping) > 1 or not window.is_looked_at:
        return
    found = window.find()
    window.found_cleared = window.given and (not found or (window.steps < FIRST and not any(map(has_slope, found))))
    for other in book.windows:
        if other is not window and other.used and other.ref() is not None:
            used = [
                p for p in found if (old := other.used.get(id(p))) is not None and old.fits(p.grad) and has_slope(p)
            ]
            if used:
                window.found_used, window.other = used, other


@record(STEP)
def a_step_is_over(seen: Seen) -> None:
    """The gradients that it used, as it left them."""
    book, optimizer = ledger(seen.history), seen["self"]
    window = window_of(seen)
    window.taken += 1
    if window.taken == 1:
        window.backwards_at_first = window.backwards
    is_outer = book.stepping[:1] == [id(optimizer)]
    del book.stepping[book.stepping.index(id(optimizer)) if id(optimizer) in book.stepping else 0 :]
    if not is_outer:
        return
    if window.backwards != window.backwards_before:  # by its closure
        window.find()
        window.found_cleared, window.found_used = False, []
    window.counts.append((window.since, window.left))
    del window.counts[:-21]
    window.edge, window.left, window.edge_at = {}, 0, 0
    window.steps, window.since, window.given = window.steps + 1, 0, False
    window.stale, window.used, window.last = {}, {}, {}
    if window.can_rest:
        rates = [1.0 if "initial_lr" in group else group.get("lr") for group in optimizer.param_groups]
        window.can_rest = all(isinstance(rate, float | int) and rate == 0 for rate in rates)  # no schedule raises it
        window.at_rate_0 += window.can_rest and window.with_gradient > 0
    if window.is_looked_at:
        for key, parameter in window.parameters():
            grad = gradient(parameter)
            if grad is not None:
                window.used[key] = mark(grad)


@record("torch.utils.data.DataLoader.__iter__", TRAIN)
def an_epoch_begins(seen: Seen) -> None:
    """Gradients that no step has used yet."""
    for window in ledger(seen.history).windows:
        if window.since and window.edge_at != window.since:
            window.edge_at = window.since
            grads = {key: gradient(p) for key, p in window.parameters() if has_slope(p)}
            window.edge = {key: mark(grad) for key, grad in grads.items() if grad is not None}
