"""Training and evaluation mode: dropout and BatchNorm at work where they should not be, or at rest."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from lossdemo.watch.definition import END, TRAIN, Bite, watch
from lossdemo.watch.history import Optimizer
from lossdemo.watch.place import Place
from lossdemo.watch.seen import Seen

F = "torch.nn.functional."
BATCHNORM = "torch.nn.modules.batchnorm._BatchNorm.forward"
DROPOUT = "torch.nn.modules.dropout._DropoutNd.forward"
AVERAGED = "torch.optim.swa_utils.AveragedModel."
LOSSES = ("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy")

STATISTICS = "by-default-a-training-mode-forward-pass-updates-batchnorms-statistics"

FIRST = 5  # steps at which the values of a frozen layer are compared, before it is every fiftieth alone
Steps = dict[Optimizer, int]


def _self(seen: Seen) -> Any:
    """The first argument: somebody's subclass may name it otherwise."""
    return next(iter(seen.call.values()))


def _steps(seen: Seen) -> Steps:
    return {optimizer: optimizer.steps for optimizer in seen.history.optimizers.values()}


def _is_recorded(result: Any) -> bool:
    return isinstance(result, Tensor) and result.requires_grad


class Layer:
    """A layer that has a mode: the steps taken when it was trained first, validated after that, and trained again."""

    def __init__(self, layer: Any) -> None:
        self.ref, self.kind = weakref.ref(layer), type(layer).__name__
        self.first: Steps | None = None
        self.validated: Steps | None = None
        self.again: Steps = {}
        self.place: Place | None = None  # of the call that put it into evaluation mode
        self.stayed: dict[Place, int] = {}  # steps in evaluation mode after a validation, by that place

    def count(self) -> None:
        """Add the steps since a validation, of an optimizer that had trained the layer in training mode."""
        if self.first is not None and self.validated is not None and self.place is not None:
            trained = [o for o, steps in self.validated.items() if steps > self.first.get(o, 0)]
            number = max((self.again.get(o, 0) - self.validated[o] for o in trained), default=0)
            if number > 0:
                self.stayed[self.place] = self.stayed.get(self.place, 0) + number
        self.validated, self.again = None, {}


def _layer(seen: Seen, make: bool) -> Layer | None:
    layer = _self(seen)
    known = seen.memory.get(id(layer))
    if known is None or known.ref() is not layer:
        if not make:
            return None
        known = seen.memory[id(layer)] = Layer(layer)
    return known


@watch("eval-leaves-gradients-on-and-no_grad-leaves-dropout-on", BATCHNORM, DROPOUT, TRAIN, END, cheap=True)
def trains_on_in_eval_after_a_validation(seen: Seen) -> Iterable[Bite] | None:
    """`model.eval()` for the validation, and no `model.train()` after it.

    A layer that is put into evaluation mode anew before the training goes on, or was never trained, is meant so.
    """
    if seen.moment == END:
        for layer in seen.memory.values():
            layer.count()
        places = dict.fromkeys(place for layer in seen.memory.values() for place in layer.stayed)
        return [_stayed([one for one in seen.memory.values() if place in one.stayed], place) for place in places]
    known = _layer(seen, make=seen.moment != TRAIN)
    if known is None:
        return None
    if seen.moment == TRAIN:
        known.count()
        known.place = None if seen.get("mode") else seen.place
    elif _self(seen).training:
        if _is_recorded(seen.result):
            known.count()
            known.first = known.first if known.first is not None else _steps(seen)
    elif _is_recorded(seen.result):
        known.again = _steps(seen)
    elif known.first is not None and known.place is not None and known.validated is None:
        known.validated = _steps(seen)
    return None


def _stayed(layers: list[Layer], place: Place) -> Bite:
    kinds = Counter(layer.kind for layer in layers)
    names = " and ".join(f"{number} {kind}" for kind, number in kinds.items())
    steps = max(layer.stayed[place] for layer in layers)
    what = f"{names} stayed in evaluation mode: {steps} step{'s' * (steps != 1)} after the validation were taken in it"
    return Bite(what, "call model.train() before each epoch's first batch", place)


@watch(
    "with-dropout-a-batch-can-cost-more-in-training-mode-than-in-eval",
    *(F + name for name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout")),
    cheap=True,
    steady=True,
)
def drops_entries_in_eval(seen: Seen) -> Bite | None:
    """`F.dropout(x)` in a module's `forward`: its default is `training=True`. Written out, it is meant."""
    if "training" not in seen.call.left_out or not seen["training"] or not seen["p"] or seen._frame is None:
        return None
    code = seen._frame.f_code
    module = seen._frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    if getattr(module, "training", True) is not False or not isinstance(getattr(module, "_modules", None), dict):
        return None
    return Bite(
        f"F.dropout drops entries with probability {seen['p']:g}, and the {type(module).__name__} is in eval",
        "pass training=self.training, or use nn.Dropout",
    )


class Frozen:
    """A BatchNorm whose weight and bias required no gradient: their values, and at which steps it was called."""

    def __init__(self, layer: Any, place: Place) -> None:
        self.ref, self.place, self.values, self.steps = weakref.ref(layer), place, _values(layer), set[int]()
        self.before = 0  # such steps at most in an earlier turn, which ended with a gradient required again

    def is_for_good(self) -> bool:
        """Whether it is frozen for more than a turn, as a discriminator is while its generator is trained."""
        return len(self.steps) > max(1, 3 * self.before)


def _values(layer: Any) -> tuple[float, ...]:
    return tuple(float(p.double().sum()) for p in (layer.weight, layer.bias) if p is not None)


def _moves(layer: Any) -> bool:
    return layer.training and layer.running_mean is not None and layer.momentum != 0


@watch("by-default-a-frozen-batchnorm-in-training-mode-updates-its-statistics", BATCHNORM, END, cheap=True)
def moves_the_statistics_of_a_frozen_batchnorm(seen: Seen) -> Iterable[Bite] | None:
    """A frozen backbone in training mode. A discriminator frozen for a turn is right, and an averaged teacher."""
    if seen.moment == END:
        moved = [one for one in seen.memory.values() if isinstance(one, Frozen) and one.is_for_good()]
        first: dict[Place, Frozen] = {one.place: one for one in reversed(moved)}
        number = f"{len(moved)} frozen BatchNorm layer{'s' * (len(moved) != 1)}"
        what = f"the running mean and variance of {number} moved: weight and bias are frozen, the mode is training"
        return [Bite(what, "call eval() on the frozen part after each model.train()", place) for place in first]
    layer, turns = _self(seen), seen.history.shared["turns of a frozen BatchNorm"]
    known = seen.memory.get(id(layer))
    known = known if known is not None and known.ref() is layer else None
    if layer.weight is None or any(p is not None and p.requires_grad for p in (layer.weight, layer.bias)):
        turns[id(layer)] = max(1, turns.get(id(layer), 0), len(known.steps) if known else 0)
        seen.memory.pop(id(layer), None)
        return None
    if not _moves(layer):
        return None
    if known is None:
        known = seen.memory[id(layer)] = Frozen(layer, seen.place)
        known.before = turns.get(id(layer), 0)
    step = seen.history.steps
    if step not in known.steps and (len(known.steps) < FIRST or step % 50 == 0):
        if _values(layer) != known.values:  # moved by hand, as an averaged teacher is: from here on anew
            known.values, known.steps, known.before = _values(layer), set(), FIRST
        known.steps.add(step)
    return None


class Norm:
    """A BatchNorm that was trained: since when, and which losses without gradient followed its training mode."""

    def __init__(self, layer: Any) -> None:
        self.ref, self.since = weakref.ref(layer), -1
        self.pending = False
        self.losses: dict[Place, set[int]] = {}


@watch(
    "by-default-a-training-mode-forward-pass-updates-batchnorms-statistics",
    BATCHNORM,
    *(F + name for name in (*LOSSES, "binary_cross_entropy_with_logits")),
    END,
    cheap=True,
    recalls=tuple(F + name for name in (*LOSSES, "binary_cross_entropy_with_logits")),
)
def validates_in_training_mode(seen: Seen) -> Iterable[Bite] | None:
    """A validation loss under `no_grad` without `model.eval()`. Fakes made so, and averages made anew, have no loss."""
    if seen.moment == END:
        places = Counter(place for one in seen.memory.values() for place in one.losses)
        return [_validated(seen, place) for place in places]
    if seen.moment == BATCHNORM:
        layer = _self(seen)
        known = seen.memory.get(id(layer))
        if known is None or known.ref() is not layer:
            known = seen.memory[id(layer)] = Norm(layer)
        known.pending = False
        if _moves(layer) and layer.weight is not None and layer.weight.requires_grad:
            if _is_recorded(seen.result):
                known.since = seen.history.steps if known.since < 0 else known.since
            else:
                known.pending = 0 <= known.since < seen.history.steps
    elif isinstance(seen.result, Tensor) and seen.result.ndim == 0 and not seen.result.requires_grad:
        for known in seen.memory.values():
            if known.pending:
                known.losses.setdefault(seen.place, set()).add(seen.history.steps)
                seen.history.shared["validated in training mode"][id(known.ref())] = True
                known.pending = False
    return None


def _validated(seen: Seen, place: Place) -> Bite:
    moved = [one for one in seen.memory.values() if place in one.losses]
    layers = f"{len(moved)} BatchNorm layer{'s' * (len(moved) != 1)}"
    return Bite(
        f"this loss without gradients is of a model in training mode, and {layers} moved their statistics by its data",
        "call model.eval() before the validation, and model.train() after it",
        place,
    )


class Average:
    """An AveragedModel: a parameter of what it averages, how often that had been changed, and what happened since."""

    def __init__(self, averaged: Any, model: Any) -> None:
        first = next(model.parameters(), None)
        self.ref = weakref.ref(averaged)
        self.parameter = weakref.ref(first) if first is not None else lambda: None
        self.version = first._version if first is not None else 0
        self.updates = 0
        self.place: Place | None = None

    def is_behind(self) -> bool:
        """Whether the model has moved since."""
        parameter = self.parameter()
        return parameter is not None and parameter._version > self.version


@watch(
    "by-default-averagedmodel-averages-parameters-and-copies-buffers",
    AVERAGED + "__init__",
    AVERAGED + "update_parameters",
    AVERAGED + "forward",
    END,
    cheap=True,
)
def evaluates_an_average_of_nothing(seen: Seen) -> Iterable[Bite] | None:
    """`update_parameters` is never called. An average that begins later in the run is right."""
    if seen.moment == END:
        what = "the AveragedModel is called, and update_parameters never was: its weights are those it began with"
        late = [one for one in seen.memory.values() if one.place is not None and not one.updates]
        return [Bite(what, "call update_parameters(model) after each step", one.place) for one in late]
    averaged = _self(seen)
    if seen.moment.endswith("__init__"):
        seen.memory[id(averaged)] = Average(averaged, seen["model"])
    elif (known := seen.memory.get(id(averaged))) is not None and known.ref() is averaged:
        if seen.moment.endswith("update_parameters"):
            known.updates += 1
        elif known.place is None and known.is_behind():
            known.place = seen.place
    return None


class Measured:
    """A layer that was trained: at how many steps first, and the steps of later passes without gradients, by place."""

    def __init__(self, layer: Any) -> None:
        self.ref, self.kind, self.since = weakref.ref(layer), type(layer).__name__, -1
        self.steps: dict[Place, list[int]] = {}


@watch(STATISTICS, BATCHNORM, DROPOUT, END, cheap=True, note=True)
def measures_in_training_mode(seen: Seen) -> Iterable[Bite] | None:
    """Accuracy under `no_grad` without `model.eval()`. Samples of dropout, or averages made anew, may be meant.

    Fakes for a discriminator are made so before each of its steps, and are none.
    """
    if seen.moment == END:
        return list(_measured(seen))
    layer = _self(seen)
    if not getattr(layer, "training", False):
        return None
    known = seen.memory.get(id(layer))
    if known is None or known.ref() is not layer:
        known = seen.memory[id(layer)] = Measured(layer)
    step = seen.history.steps
    if _is_recorded(seen.result):
        known.since = step if known.since < 0 else known.since
    elif 0 <= known.since < step and not torch.is_grad_enabled():
        steps = known.steps.setdefault(seen.place, [])
        if len(steps) < FIRST and step not in steps:
            steps.append(step)
    return None


def _measured(seen: Seen) -> Iterator[Bite]:
    """For each place that is no part of each step."""
    told = seen.history.shared["validated in training mode"]  # with a loss, which is a finding
    every = [one for key, one in seen.memory.items() if key not in told]
    for place in dict.fromkeys(place for one in every for place in one.steps):
        layers = [one for one in every if place in one.steps]
        steps = layers[0].steps[place]
        if all(later - step > 1 for step, later in pairwise(steps)):
            kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(one.kind for one in layers).items())
            what = f"{kinds} in training mode, in a pass without gradients after {steps[0]} steps"
            yield Bite(what, "for a validation call model.eval() before it, and model.train() after it", place)
