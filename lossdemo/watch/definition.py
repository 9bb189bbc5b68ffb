'''What a watch is, and how one is written.

A watch is to a script what a mutant is to the book: one mistake that a claim warns of, seen from outside while
somebody's own code runs. It is written as a decorated function: its name says what the script does, its docstring who
does it and when it is no mistake, and it looks at one moment and says what it certainly saw, or nothing.

    @watch("cross-entropy-over-a-single-logit-is-0-and-trains-nothing", "torch.nn.functional.cross_entropy")
    def cross_entropy_of_one_logit(seen):
        """A binary classifier with one output under the loss for several. One class that is meant does not occur."""
        if seen["input"].ndim == 2 and seen["input"].shape[1] == 1:
            return Bite("cross-entropy over 1 class is 0 for every target", "use BCEWithLogitsLoss")

Importing this module imports no torch.
'''

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lossdemo.watch.history import History
    from lossdemo.watch.place import Place
    from lossdemo.watch.seen import Seen

END = "the end"  # the moment when the script, the block or the test is over
STEP = "torch.optim.Optimizer.step"  # of every optimizer, whatever class defines its step
BACKWARD, GRAD = "torch.autograd.backward", "torch.autograd.grad"
MADE = "torch.optim.Optimizer.__init__"
TRAIN = "torch.nn.Module.train"  # and `eval`, which calls it


class Bite(NamedTuple):
    """What a watch certainly saw: `what` happened, measured, and `advice`: what with, and what to do about it.

    `place` is where to look for it, if that is not where the watch looked.
    """

    what: str
    advice: str = ""
    place: Place | None = None


Look = Callable[["Seen"], "Bite | Iterable[Bite] | None"]


@dataclass(frozen=True)
class Watch:
    """One mistake that can be seen from outside, and the claim that warns of it.

    `moments` are dotted paths of functions and methods, or END. A watch looks when the call has returned, or `before`
    it. One that is not `cheap` looks at the first calls of each place alone, and then at every N-th; what is `steady`
    lets a cheap one rest as well. A `note` is what may be meant. At the moments that it `recalls` it looks only if it
    remembers something.
    """

    name: str
    claim: str
    moments: tuple[str, ...]
    doc: str
    look: Look
    before: bool = False
    cheap: bool = False
    note: bool = False
    when: Callable[[History], bool] | None = None
    recalls: tuple[str, ...] = ()
    steady: bool = False


WATCHES: list[Watch] = []
RECORDS: list[Watch] = []


def watch(
    claim: str,
    *moments: str,
    before: bool = False,
    cheap: bool = False,
    steady: bool = False,
    note: bool = False,
    recalls: tuple[str, ...] = (),
    when: Callable[[History], bool] | None = None,
) -> Callable[[Look], Look]:
    """Add the decorated function to WATCHES.

    Args:
        claim: The id of the claim that the script comes up against.
        moments: When to look: dotted paths of functions as users call them, methods of a class with those of its
            subclasses, STEP for the step of any optimizer, END.
        before: Look before the call instead of after it.
        cheap: Look at each call: for what compares no values, or one number.
        steady: With `cheap`: look at the first hundred calls of a place, later in some steps in a row now and then, and
            whenever a number is not finite: for what stays as it is, or shows in a loss or a norm of NaN.
        note: What is seen is only suspicious, and shown where notes are asked for.
        recalls: Those of the moments at which there is nothing to see unless `seen.memory` has something.
        when: Whether there is anything to see now; asked once for watches that follow one another.
    """

    def register(look: Look) -> Look:
        doc = inspect.getdoc(look) or ""
        WATCHES.append(Watch(look.__name__, claim, moments, doc, look, before, cheap, note, when, recalls, steady))
        return look

    return register


def record(
    *moments: str, before: bool = False, steady: bool = False, when: Callable[[History], bool] | None = None
) -> Callable[[Look], Look]:
    """Add the decorated function to RECORDS: it says nothing, and keeps in `history.shared` what several watches need.

    It is called at each call, ahead of every watch, or only `when` the history says so: for functions that are called
    many times in a step. A `steady` one rests as watches do.
    """

    def register(look: Look) -> Look:
        doc = inspect.getdoc(look) or ""
        RECORDS.append(Watch(look.__name__, "", moments, doc, look, before, True, when=when, steady=steady))
        return look

    return register
