"""Schedules: whether they are called, when, how often, and whose rates they set."""

from __future__ import annotations

import ast
import sys
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from lossdemo.watch.definition import END, STEP, Bite, record, watch
from lossdemo.watch.history import SCHEDULE, History
from lossdemo.watch.place import Place, _tree
from lossdemo.watch.seen import Seen
from lossdemo.watch.windows import Window, ledger

SCHEDULER = "torch.optim.lr_scheduler.LRScheduler."
ORDER = "schedulerstep-before-optimizerstep-skips-a-schedules-first-rate"
COUNTS = "a-scheduler-counts-its-own-step-calls-not-epochs-or-batches"
T_MAX = "past-t_max-cosineannealinglr-rises-again-up-to-the-full-rate"
WARM_UPS = ("LinearLR", "ConstantLR")


class Course:
    """What is known of a scheduler: where it was made and called, and what its optimizer had done then.

    `calls` are its steps. `first` is where the first of them was, `early` whether no step of the optimizer came before
    it, and `passed` the optimizer's steps when a cosine first rose again. `forgotten` says that nothing
    in the script can call it.
    """

    def __init__(self, scheduler: Any, place: Place, frame: FrameType | None) -> None:
        self.ref, self.kind, self.place = weakref.ref(scheduler), type(scheduler).__name__, place
        self.optimizer = weakref.ref(scheduler.optimizer)
        self.calls, self.forgotten = 0, _is_forgotten(frame, place)
        self.first: Place | None = None
        self.early, self.backwards = False, 0
        self.at: Place | None = None
        self.length, self.last, self.stepped = 0, 0, 0
        self.passed: int | None = None
        self.total = getattr(scheduler, "total_steps", 0)
        self.loaded: tuple[list[float], list[float], Place] | None = None
        self.elsewhere = 0  # calls in a row between which another optimizer alone has stepped
        self.seen: tuple[int, dict[int, int]] = (0, {})
        self.is_part = False


def _courses(history: History) -> dict[str, Any]:
    shared = history.shared["schedules"]
    if not shared:
        shared |= {"of": weakref.WeakKeyDictionary(), "all": []}
    return shared


def _course(seen: Seen) -> Course | None:
    """That of the scheduler; None until it has its optimizer."""
    scheduler, shared = seen["self"], _courses(seen.history)
    if scheduler not in shared["of"]:
        if not isinstance(getattr(scheduler, "optimizer", None), torch.optim.Optimizer):
            return None
        shared["of"][scheduler] = Course(scheduler, seen.place, seen._frame)
        shared["all"].append(shared["of"][scheduler])
    for part in getattr(scheduler, "_schedulers", ()):
        if part in shared["of"]:
            shared["of"][part].is_part = True
    return shared["of"][scheduler]


def _window(seen: Seen, course: Course) -> Window | None:
    optimizer = course.optimizer()
    return ledger(seen.history).of.get(optimizer) if optimizer is not None else None


def _rates(optimizer: Any) -> list[float]:
    groups = optimizer.param_groups if optimizer is not None else ()
    return [group["lr"] for group in groups if isinstance(group.get("lr"), float | int)]


@record(SCHEDULER + "__init__")
def a_scheduler_is_made(seen: Seen) -> None:
    """Its course begins."""
    _course(seen)


@record(SCHEDULER + "load_state_dict")
def a_scheduler_is_loaded(seen: Seen) -> None:
    """The rates that its state names, and those that the optimizer has."""
    course = _course(seen)
    last = getattr(seen["self"], "_last_lr", None)
    if course is not None and last is not None and all(isinstance(rate, float | int) for rate in last):
        course.loaded = _rates(course.optimizer()), list(last), seen.place


@record(SCHEDULE)
def a_schedule_moves_on(seen: Seen) -> None:
    """Where, after how many steps of its optimizer, and whether only another one has stepped since."""
    course = _course(seen)
    window = _window(seen, course) if course is not None else None
    if course is None or window is None:
        return
    scheduler = seen["self"]
    course.calls, course.loaded, course.at = course.calls + 1, None, seen.place
    if course.calls == 1:
        skipped = id(scheduler.optimizer) in seen.history.scaled
        course.first = seen.place
        course.early = window.taken == 0 and not skipped and seen.get("epoch") is None
        course.backwards = window.backwards
    if type(scheduler) is torch.optim.lr_scheduler.CosineAnnealingLR and scheduler.T_max > 1:
        course.length, course.last = scheduler.T_max, scheduler.last_epoch
        falls = all(rate > scheduler.eta_min for rate in scheduler.base_lrs)
        if course.last > course.length and falls and course.passed is None:
            course.passed = course.stepped
    _look_elsewhere(seen, course, window)


def _look_elsewhere(seen: Seen, course: Course, window: Window) -> None:
    taken, others = course.seen
    now = {w.number: w.taken for w in ledger(seen.history).windows if w is not window and w.ref() is not None}
    course.seen = window.taken, now
    held = {key for key, _ in window.parameters()} if course.calls > 1 and taken == window.taken else set()
    rates = _rates(course.optimizer())
    for other in ledger(seen.history).windows:
        stepped = other.number in others and others[other.number] < other.taken
        if stepped and any(key in held for key, _ in other.parameters()) and _rates(other.ref()) != rates:
            course.elsewhere += 1
            return
    course.elsewhere = 0


@watch(ORDER, SCHEDULE, cheap=True)
def schedules_before_the_optimizer_steps(seen: Seen) -> Bite | None:
    """`scheduler.step()` first in the loop. To run a schedule forward on resuming, or a skipped step, is none."""
    course = _course(seen)
    window = _window(seen, course) if course is not None else None
    if course is None or window is None or not course.early or course.first != seen.place or not window.taken:
        return None
    if seen["self"].__class__.__name__ == "ReduceLROnPlateau" or course.calls < 2:
        return None
    if course.backwards and window.backwards_at_first > course.backwards:  # the first step was left out
        return None
    return Bite(
        f"{course.kind}.step comes before the {window.kind}'s step: the schedule's first rate is"
        " never used, and each step has the next one",
        "call optimizer.step(), then scheduler.step()",
    )


@watch(T_MAX, END)
def ends_while_a_cosine_rises(seen: Seen) -> Iterator[Bite]:
    """More calls than `T_max`, as with a `T_max` in epochs of a shorter run. Whole waves are another matter."""
    for course, steps in _risen(seen):
        if course.last < 2 * course.length:
            yield Bite(
                f"the last of {steps} steps after T_max = {course.length} had rates that rose again:"
                f" the schedule was called {course.last} times",
                "set T_max to the number of calls in the whole run",
                course.at,
            )


@watch(T_MAX, END, note=True)
def runs_through_waves_of_a_cosine(seen: Seen) -> Iterator[Bite]:
    """A `T_max` in epochs, called after each batch. Waves may be meant."""
    for course, _ in _risen(seen):
        if course.last >= 2 * course.length:
            yield Bite(
                f"the cosine fell and rose again {course.last // (2 * course.length)} times:"
                f" T_max = {course.length}, and {course.last} calls",
                "set T_max to the number of calls in the whole run, or use CosineAnnealingWarmRestarts",
                course.at,
            )


def _risen(seen: Seen) -> Iterator[tuple[Course, int]]:
    for course in _courses(seen.history)["all"]:
        if course.passed is not None and course.stepped > course.passed:
            yield course, course.stepped - course.passed


@record(STEP)
def an_optimizer_of_a_schedule_steps(seen: Seen) -> None:
    """How many steps the optimizer of each schedule has taken."""
    for course in _courses(seen.history)["all"]:
        if course.optimizer() is seen["self"]:
            course.stepped += 1


@watch("if-a-warm-up-starts-at-rate-0-sgds-or-adams-first-step-moves-nothing", STEP, cheap=True, note=True)
def warms_up_from_a_rate_of_0(seen: Seen) -> Bite | None:
    """`t / n` for `(t + 1) / n` in a `LambdaLR`. One step that is lost of many hardly matters."""
    optimizer, rates = seen["self"], _rates(seen["self"])
    if not rates or any(rates):
        return None
    courses = [course for course in _courses(seen.history)["all"] if course.optimizer() is optimizer]
    if len(courses) == 0 or any(course.stepped != 1 for course in courses):
        return None
    if not any(group.get("initial_lr") for group in optimizer.param_groups):  # a rate that stays 0
        return None
    return Bite(
        f"the first step of {type(optimizer).__name__} is at a rate of 0: it moves nothing",
        f"{courses[0].kind} made at {courses[0].place} · let the warm-up start at (t + 1) / n",
    )


@watch("optimizers-refuse-an-empty-list-and-a-negative-lr-but-not-in-a-group", STEP, cheap=True)
def steps_at_a_rate_that_a_schedule_made_negative(seen: Seen) -> Bite | None:
    """A `LambdaLR` that falls below 0 at its end. A negative rate that was given to a group may be meant."""
    rates = [(g["lr"], g["initial_lr"]) for g in seen["self"].param_groups if "initial_lr" in g]
    below = [
        rate for rate, first in rates if isinstance(rate, float) and isinstance(first, float | int) and rate < 0 < first
    ]
    if not below:
        return None
    return Bite(
        f"the schedule has made the rate negative: this step moves up the gradient at {min(below):g}",
        "stop the schedule at 0, as by max(0, …)",
    )


@watch(ORDER, SCHEDULE, cheap=True)
def schedules_an_optimizer_that_no_longer_steps(seen: Seen) -> Bite | None:
    """An optimizer that was made anew, and a scheduler of the old one. Optimizers that take turns are none."""
    course = _course(seen)
    if course is None or course.elsewhere < 2:
        return None
    return Bite(
        f"{course.kind} sets the rate of an optimizer that does not step: another one moves the same parameters",
        f"{course.kind} made at {course.place} · make the scheduler anew, for the optimizer that steps",
    )


@watch("a-schedulers-load_state_dict-leaves-the-optimizers-rate-as-it-is", STEP, cheap=True)
def steps_at_another_rate_than_the_loaded_schedule(seen: Seen) -> Iterator[Bite]:
    """A scheduler is restored without its optimizer. A rate that is set after loading is meant."""
    optimizer = seen["self"]
    for course in seen.history.shared["schedules"].get("all", ()):
        if course.loaded is None or course.is_part or course.optimizer() is not optimizer:
            continue
        (rates, named, place), course.loaded = course.loaded, None
        now = _rates(optimizer)
        if now == rates and len(now) == len(named) and any(abs(a - b) > 1e-6 * abs(b) for a, b in zip(now, named)):
            yield Bite(
                f"the restored {course.kind} was at rate {named[0]:g}, and the step after it is at {now[0]:g}",
                "load the optimizer's state as well, after the scheduler is built",
                place,
            )


@watch(COUNTS, END)
def makes_a_scheduler_that_nothing_calls(seen: Seen) -> Iterator[Bite]:
    """A scheduler is made, and its `step` stands nowhere in the script. One that waits for its epoch is none."""
    for course in _courses(seen.history)["all"]:
        if course.forgotten and not course.calls and not course.is_part and course.stepped:
            yield Bite(
                f"{course.kind} is made and never called: {course.stepped} steps at the rate that it set first",
                "call scheduler.step() after each epoch, or after each step if its length is in steps",
                course.place,
            )


def _is_forgotten(frame: FrameType | None, place: Place) -> bool:
    """Whether all uses of the name that a scheduler gets are in this file, and none of them can call its `step`."""
    tree = _tree(place.file)
    is_local = frame is not None and frame.f_code.co_name != "<module>"
    is_main = getattr(sys.modules.get("__main__"), "__file__", None) == place.file
    if tree is None or place.via:
        return False
    assigned = [
        target
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and node.lineno <= place.line <= (node.end_lineno or node.lineno)
        for target in node.targets
        if isinstance(node.value, ast.Call)
    ]
    if len(assigned) != 1:
        return False
    name = assigned[0]
    if isinstance(name, ast.Name) and (is_local or is_main):
        uses = [
            n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name.id and isinstance(n.ctx, ast.Load)
        ]
    elif isinstance(name, ast.Attribute) and is_main:
        uses = [
            n
            for n in ast.walk(tree)
            if isinstance(n, ast.Attribute) and n.attr == name.attr and isinstance(n.ctx, ast.Load)
        ]
    else:
        return False
    read = {id(n.value): n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    text = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    label = name.id if isinstance(name, ast.Name) else name.attr
    return label not in text and all(read.get(id(use)) in ("get_last_lr", "state_dict", "last_epoch") for use in uses)


@watch("onecyclelr-stops-a-run-that-calls-it-more-than-total_steps-times", END)
def calls_a_cycle_of_batches_once_an_epoch(seen: Seen) -> Iterator[Bite]:
    """`OneCycleLR` with a length in batches, called after each epoch. A run that was cut short is none."""
    for course in _courses(seen.history)["all"]:
        if course.kind == "OneCycleLR" and 0 < course.calls <= course.total / 2 and course.stepped == course.total:
            yield Bite(
                f"OneCycleLR has {course.total} steps, as the optimizer made, and was called {course.calls} times",
                "call scheduler.step() after each step of the optimizer",
                course.at,
            )


@watch("by-default-reducelronplateau-wants-a-loss-below-09999-times-the-best", SCHEDULE, cheap=True)
def counts_a_worse_negative_loss_as_progress(seen: Seen) -> Bite | None:
    """`ReduceLROnPlateau` with its relative threshold and a negative loss. With `threshold_mode="abs"` it is none."""
    scheduler = seen["self"]
    if type(scheduler).__name__ != "ReduceLROnPlateau":
        return None
    old, seen.memory[id(scheduler)] = seen.memory.get(id(scheduler)), (weakref.ref(scheduler), scheduler.best)
    if old is None or old[0]() is not scheduler or not isinstance(scheduler.best, float):
        return None
    worse = scheduler.best > old[1] if scheduler.mode == "min" else scheduler.best < old[1]
    if not worse or scheduler.threshold_mode != "rel":
        return None
    return Bite(
        f"{scheduler.best:g} after {old[1]:g} counts as progress: the threshold is a share of a negative number",
        'threshold_mode="abs", with a threshold in units of the loss',
    )


@watch("sequentiallr-runs-schedules-in-turn-chainedscheduler-all-at-once", SCHEDULE, cheap=True, note=True)
def decays_during_a_warm_up(seen: Seen) -> Bite | None:
    """A warm-up and a decay, called one after the other. Schedules that are multiplied may be meant."""
    course = _course(seen)
    if course is None or course.is_part or course.kind in (*WARM_UPS, "ReduceLROnPlateau"):
        return None
    for other in _courses(seen.history)["all"]:
        scheduler = other.ref()
        if scheduler is None or other is course or other.is_part or other.kind not in WARM_UPS or not other.calls:
            continue
        if other.optimizer() is course.optimizer() and scheduler.last_epoch < scheduler.total_iters:
            return Bite(
                f"{course.kind} moves on while the optimizer's {other.kind} is at call {scheduler.last_epoch} of"
                f" {scheduler.total_iters}: their factors are multiplied",
                "for one after the other use SequentialLR, and call only its step",
            )
    return None
