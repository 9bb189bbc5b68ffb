"""The three trainings of the book, with a choice of data, loss and optimizer: what `lossdemo train` runs."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler

from lossdemo import data, train

LOSSES: dict[str, Callable[[], nn.Module]] = {
    "mse": nn.MSELoss,
    "mae": nn.L1Loss,
    "huber": nn.HuberLoss,
    "smooth-l1": nn.SmoothL1Loss,
    "bce-with-logits": nn.BCEWithLogitsLoss,
    "bce": lambda: _AfterSigmoid(nn.BCELoss()),
    "mse-on-sigmoid": lambda: _AfterSigmoid(nn.MSELoss()),
    "cross-entropy": nn.CrossEntropyLoss,
    "multi-margin": nn.MultiMarginLoss,
}
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
SCHEDULES: dict[str, Callable[[Optimizer, int], Any]] = {  # of the optimizer and the steps
    "none": lambda optimizer, steps: None,
    "step": lambda optimizer, steps: lr_scheduler.StepLR(optimizer, step_size=max(1, steps // 3)),
    "cosine": lambda optimizer, steps: lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps),
    "onecycle": lambda optimizer, steps: lr_scheduler.OneCycleLR(
        optimizer, max_lr=optimizer.defaults["lr"], total_steps=steps, cycle_momentum=False
    ),
    "plateau": lambda optimizer, steps: lr_scheduler.ReduceLROnPlateau(optimizer),
    "warmup": lambda optimizer, steps: lr_scheduler.LinearLR(optimizer, total_iters=max(1, steps // 10)),
}
DTYPES = ("float16", "bfloat16", "float32", "float64")
MOST_STEPS = 1_000_000
MOST_LOSSES = 10_000  # that a history keeps
LIMITS: dict[str, tuple[Callable[[float], bool], str]] = {  # by field of Plan: what is good, and how it is said
    "lr": (lambda lr: 0 < lr < 1000, "a number above 0 and below 1000"),
    "steps": (lambda steps: 1 <= steps <= MOST_STEPS, f"1 to {MOST_STEPS:,}"),
    "weight_decay": (lambda decay: 0 <= decay < 1000, "0 or more, and below 1000"),
    "momentum": (lambda momentum: 0 <= momentum < 1, "0 or more, and below 1"),
    "clip": (lambda norm: norm > 0, "a number above 0"),
    "batch_size": (lambda size: size >= 1, "1 or more"),
    "accumulate": (lambda batches: batches >= 1, "1 or more"),
}


class _AfterSigmoid(nn.Module):
    """A loss of probabilities, given logits."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.loss(logits.sigmoid(), target)


@dataclass(frozen=True)
class Run:
    """A kind of training: its losses, its data sets by name, its model, and a learning rate and steps that suit it.

    Attributes:
        losses: names in LOSSES, the first being the default.
        data: by name, what draws inputs and targets from a seed; the first is the default.
        model: makes the model for inputs (n, features) and targets.
        lr: the learning rate of SGD, and that of the others.
        steps: how many suffice.
        far: how many times as long steps must be for a data set whose targets are far from zero, where their length
            does not grow with the error.
    """

    losses: Sequence[str]
    data: dict[str, Callable[[int], tuple[Tensor, Tensor]]]
    model: Callable[[Tensor, Tensor], nn.Module]
    lr: tuple[float, float]
    steps: int
    far: dict[str, float] = field(default_factory=dict)


def _linear(x: Tensor, y: Tensor) -> nn.Module:
    return nn.Linear(x.shape[1], 1)


def _classifier(x: Tensor, y: Tensor) -> nn.Module:
    outputs = 1 if y.is_floating_point() else int(y.max()) + 1
    return nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, outputs))


def _two_blobs(seed: int) -> tuple[Tensor, Tensor]:
    x, labels = data.blobs(100, classes=2, spread=1.0, seed=seed)
    return x, labels[:, None].to(x.dtype)


RUNS = {
    "linear-regression": Run(
        losses=("mse", "mae", "huber", "smooth-l1"),
        data={
            "synthetic": lambda seed: data.line(seed=seed),
            "calls": lambda seed: data.telephone_calls(),
            "diabetes": lambda seed: data.diabetes(),
        },
        model=_linear,
        lr=(0.1, 0.1),
        steps=300,
        far={"calls": 3.0, "diabetes": 10.0},
    ),
    "binary": Run(
        losses=("bce-with-logits", "bce", "mse-on-sigmoid"),
        data={"synthetic": _two_blobs, "breast-cancer": lambda seed: data.breast_cancer()},
        model=_classifier,
        lr=(0.5, 0.01),
        steps=200,
    ),
    "multiclass": Run(
        losses=("cross-entropy", "multi-margin"),
        data={"synthetic": lambda seed: data.blobs(seed=seed), "digits": lambda seed: data.digits()},
        model=_classifier,
        lr=(0.5, 0.01),
        steps=200,
    ),
}


@dataclass(frozen=True)
class Plan:
    """A training as `lossdemo train` takes it; None is torch's default for the optimizer, or does without.

    Attributes:
        run: a name in RUNS; `data_set` and `loss` are two of its own, `optimizer` and `schedule` names in the tables.
        lr: where the schedule starts, or, of one that rises, its highest.
        steps: how many updates.
        weight_decay: of the optimizer.
        momentum: of the optimizer.
        clip: the largest norm of all gradients together.
        batch_size: how many samples a batch has; without it, all.
        accumulate: how many batches a step takes the mean of.
        schedule: of the learning rate, after each step.
        dtype: of model, inputs and targets; they are drawn and standardized before they are rounded to it.
        seed: of the data, the first parameters and the batches.
        device: where it is trained.
    """

    run: str
    data_set: str
    loss: str
    lr: float
    steps: int
    optimizer: str = "sgd"
    weight_decay: float | None = None
    momentum: float | None = None
    clip: float | None = None
    batch_size: int | None = None
    accumulate: int = 1
    schedule: str = "none"
    dtype: str = "float32"
    seed: int = 0
    device: str = "cpu"


@dataclass
class Outcome:
    """What a training did.

    Attributes:
        plan: what was trained.
        history: the losses, those of at most MOST_LOSSES steps.
        last: the loss before the last step.
        before: the parameters by name, as they were drawn.
        gradient: the gradients of the first step, by the same names.
        after: the parameters behind the last step.
        x: the inputs as they are in the data set, (n, features).
        y: the targets.
        measures: what was learned, by name: slope and intercept in the data's own units, or accuracies as shares; and
            where a schedule moves it, the learning rate of the last step.
    """

    plan: Plan
    history: train.History
    last: float
    before: dict[str, Tensor]
    gradient: dict[str, Tensor]
    after: dict[str, Tensor]
    x: Tensor
    y: Tensor
    measures: dict[str, float] = field(default_factory=dict)


class Wrong(ValueError):
    """A combination that makes no sense; the message names what is allowed."""


def _allowed(what: str, name: str, allowed: Sequence[str], of: str = "") -> None:
    if name not in allowed:
        raise Wrong(f"{what} {name!r} is not one of {', '.join(allowed)}{of}")


def plan(run: str, **wanted: Any) -> Plan:
    """A Plan of what is wanted; what is missing or None has the default that suits the run.

    Raises:
        Wrong: for what there is not, does not go together or is out of range.
    """
    _allowed("run", run, [*RUNS])
    kind = RUNS[run]
    default: dict[str, Any] = {
        "data_set": next(iter(kind.data)),
        "loss": kind.losses[0],
        "lr": math.nan,
        "steps": kind.steps,
    }
    plan = Plan(run, **default | {name: value for name, value in wanted.items() if value is not None})
    _allowed("data", plan.data_set, [*kind.data], f", the data of {run}")
    _allowed("loss", plan.loss, kind.losses, f", the losses of {run}")
    _allowed("optimizer", plan.optimizer, [*OPTIMIZERS])
    _allowed("schedule", plan.schedule, [*SCHEDULES])
    _allowed("dtype", plan.dtype, DTYPES)
    if wanted.get("lr") is None:
        plan = replace(plan, lr=_default_lr(kind, plan))
    for name, (good, allowed) in LIMITS.items():
        value = getattr(plan, name)
        if value is not None and not good(value):
            raise Wrong(f"{name.replace('_', '-')} is {value}: give {allowed}")
    if plan.momentum is not None and "momentum" not in _arguments(plan.optimizer):
        takers = [name for name in OPTIMIZERS if "momentum" in _arguments(name)]
        raise Wrong(f"{plan.optimizer} has no momentum of its own: leave --momentum out, or take {', '.join(takers)}")
    if plan.accumulate > 1 and plan.batch_size is None:
        raise Wrong("without a batch size every batch is all of the data, and their mean the same: give --batch-size")
    return plan


def _arguments(optimizer: str) -> Sequence[str]:
    return [*inspect.signature(OPTIMIZERS[optimizer]).parameters]


def _default_lr(kind: Run, plan: Plan) -> float:
    adaptive = plan.optimizer not in ("sgd", "momentum")
    return kind.lr[adaptive] * (kind.far.get(plan.data_set, 1.0) if adaptive or plan.loss != "mse" else 1.0)


def perform(plan: Plan, callback: Callable[[int, float], object] | None = None) -> Outcome:
    """Train as planned, on standardized inputs, from parameters drawn by the seed.

    Of the real sets with classes every fifth sample is held out.

    Raises:
        Wrong: for a batch that is larger than the data, and a loss that torch lacks in this dtype on this device.
        lossdemo.train.Diverged: if something does not stay finite.
    """
    kind, dtype, last = RUNS[plan.run], getattr(torch, plan.dtype), math.nan
    with torch.device(plan.device), torch.random.fork_rng([] if plan.device == "cpu" else [plan.device]):
        raw, y = kind.data[plan.data_set](plan.seed)
        real_classes = plan.data_set != "synthetic" and plan.run != "linear-regression"
        held_out = torch.arange(len(raw)) % 5 == 0 if real_classes else None
        kept = slice(None) if held_out is None else ~held_out
        x = data.standardize(raw, like=raw[kept]).to(dtype)
        y = y.to(dtype) if y.is_floating_point() else y
        if plan.batch_size and plan.batch_size > len(x[kept]):
            raise Wrong(f"batch-size is {plan.batch_size}: give 1 to {len(x[kept])}, the samples to train on")
        torch.manual_seed(plan.seed)
        model = kind.model(x, y).to(dtype)
        given = {"lr": plan.lr, "weight_decay": plan.weight_decay, "momentum": plan.momentum}
        optimizer = OPTIMIZERS[plan.optimizer](
            model.parameters(), **{name: value for name, value in given.items() if value is not None}
        )
        schedule = SCHEDULES[plan.schedule](optimizer, plan.steps)
        before, gradient, measures = _copy(model), {}, {}

        def noted(step: int, value: float) -> None:
            nonlocal last
            last = value
            if step == 0:
                gradient.update({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
            if schedule:
                measures["last lr"] = float(optimizer.param_groups[0]["lr"])
                schedule.step(value) if plan.schedule == "plateau" else schedule.step()
            if callback:
                callback(step, value)

        try:
            history = train.fit(
                model,
                LOSSES[plan.loss](),
                optimizer,
                x[kept],
                y[kept],
                plan.steps,
                batch_size=plan.batch_size,
                accumulate=plan.accumulate,
                clip=plan.clip,
                keep=MOST_LOSSES,
                callback=noted,
            )
        except NotImplementedError:
            raise Wrong(f"torch has no {plan.loss} of {plan.dtype} on {plan.device}: take --dtype float32") from None
        outcome = Outcome(plan, history, last, before, gradient, _copy(model), raw, y, measures)
        with torch.no_grad():
            if plan.run == "linear-regression":
                measures |= _line(model, raw) if raw.shape[1] == 1 else {}
            else:
                measures["accuracy"] = _accuracy(model(x[kept]), y[kept])
                if held_out is not None:
                    measures["accuracy on held-out data"] = _accuracy(model(x[held_out]), y[held_out])
    return outcome


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def _line(model: Any, raw: Tensor) -> dict[str, float]:
    """Slope and intercept for the inputs as they were before they were standardized."""
    slope = (model.weight[0, 0] / raw.std(correction=0)).item()
    return {"slope": slope, "intercept": model.bias.item() - slope * raw.mean().item()}


def _accuracy(logits: Tensor, y: Tensor) -> float:
    right = (logits > 0) == (y > 0.5) if y.is_floating_point() else logits.argmax(1) == y
    return right.float().mean().item()
