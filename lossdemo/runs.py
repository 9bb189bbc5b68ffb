"""The three trainings of the book, with a choice of data, loss and optimizer: what `lossdemo train` runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

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
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


MOST_STEPS = 1_000_000  # of which each keeps its loss


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


@dataclass
class Outcome:
    """What a training did.

    Attributes:
        loss: the loss's name.
        history: the losses, step by step.
        before: the parameters by name, as they were drawn.
        gradient: the gradients of the first step, by the same names.
        after: the parameters behind the last step.
        model: as it is after the last step.
        x: the inputs as they are in the data set, (n, features).
        y: the targets.
        measures: what was learned, by name: slope and intercept in the data's own units, or accuracies as shares.
    """

    loss: str
    history: train.History
    before: dict[str, Tensor]
    gradient: dict[str, Tensor]
    after: dict[str, Tensor]
    model: nn.Module
    x: Tensor
    y: Tensor
    measures: dict[str, float] = field(default_factory=dict)


class Wrong(ValueError):
    """A combination that makes no sense; the message names what is allowed."""


def _allowed(what: str, name: str, allowed: Sequence[str], of: str = "") -> None:
    if name not in allowed:
        raise Wrong(f"{what} {name!r} is not one of {', '.join(allowed)}{of}")


def check(
    run: str, data_set: str | None, loss: str | None, optimizer: str, lr: float | None, steps: int | None
) -> tuple[str, str, float, int]:
    """What the defaults are filled in with: data set, loss, learning rate and steps.

    Raises:
        Wrong: for what there is not, or does not go together.
    """
    _allowed("run", run, [*RUNS])
    kind = RUNS[run]
    data_set = next(iter(kind.data)) if data_set is None else data_set
    loss = kind.losses[0] if loss is None else loss
    _allowed("data", data_set, [*kind.data], f", the data of {run}")
    _allowed("loss", loss, kind.losses, f", the losses of {run}")
    _allowed("optimizer", optimizer, [*OPTIMIZERS])
    lr = lr if lr is not None else _default_lr(kind, data_set, loss, optimizer)
    steps = steps if steps is not None else kind.steps
    if not 0 < lr < 1e6:
        raise Wrong(f"the learning rate is {lr:g}: give a number above 0 and below a million")
    if not 1 <= steps <= MOST_STEPS:
        raise Wrong(f"steps is {steps}: give 1 to {MOST_STEPS:,}")
    return data_set, loss, lr, steps


def _default_lr(kind: Run, data_set: str, loss: str, optimizer: str) -> float:
    adaptive = optimizer not in ("sgd", "momentum")
    return kind.lr[adaptive] * (kind.far.get(data_set, 1.0) if adaptive or loss != "mse" else 1.0)


def perform(
    run: str,
    *,
    data_set: str,
    loss: str,
    optimizer: str,
    lr: float,
    steps: int,
    seed: int,
    device: str,
    callback: Callable[[int, float], object] | None = None,
) -> Outcome:
    """Train as `check` has let it, on standardized inputs, from parameters drawn by `seed`.

    Of the real sets with classes every fifth sample is held out.

    Raises:
        lossdemo.train.Diverged: if the loss does not stay finite.
    """
    kind = RUNS[run]
    with torch.device(device):
        raw, y = kind.data[data_set](seed)
        held_out = torch.arange(len(raw)) % 5 == 0 if data_set != "synthetic" and run != "linear-regression" else None
        kept = slice(None) if held_out is None else ~held_out
        x = data.standardize(raw, like=raw[kept])
        with torch.random.fork_rng([] if device == "cpu" else [device]):
            torch.manual_seed(seed)
            model = kind.model(x, y)
        made = OPTIMIZERS[optimizer](model.parameters(), lr=lr)
        criterion = LOSSES[loss]()
        before, gradient = _copy(model), {}

        def noted(step: int, value: float) -> None:
            if step == 0:
                gradient.update({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
            if callback:
                callback(step, value)

        history = train.fit(model, criterion, made, x[kept], y[kept], steps, callback=noted)
        after = _copy(model)
        if not all(bool(values.isfinite().all()) for values in after.values()):
            history.loss.append(float("inf"))
            raise train.Diverged(steps, history)
        outcome = Outcome(loss, history, before, gradient, after, model, raw, y)
        with torch.no_grad():
            if run == "linear-regression":
                outcome.measures = _line(model, raw) if raw.shape[1] == 1 else {}
            else:
                outcome.measures["accuracy"] = _accuracy(model(x[kept]), y[kept])
                if held_out is not None:
                    outcome.measures["accuracy on held-out data"] = _accuracy(model(x[held_out]), y[held_out])
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
