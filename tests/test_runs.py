"""What `lossdemo train` runs: defaults, refusals, and what is learned."""

import gc
from collections.abc import Callable, Generator

import pytest
import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from lossdemo import closed_form, data, runs
from lossdemo.verify.run import Setting, torch_as


@pytest.fixture(autouse=True)
def one_thread() -> Generator[None]:
    """Torch as claims find it: small trainings are slower on two threads."""
    with torch_as(Setting()):
        yield


def perform(run: str, **wanted: object) -> runs.Outcome:
    """A run with the defaults for whatever is not given."""
    return runs.perform(runs.plan(run, **wanted))


EVERY = [(run, data_set, loss) for run, kind in runs.RUNS.items() for data_set in kind.data for loss in kind.losses]


@pytest.mark.parametrize(("run", "data_set", "loss"), EVERY)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_every_combination_lowers_its_loss(run: str, data_set: str, loss: str, optimizer: str) -> None:
    """The defaults suit each run: the loss falls, and nothing diverges."""
    history = perform(run, data_set=data_set, loss=loss, optimizer=optimizer, steps=50).history
    assert history.loss[-1] < 0.95 * history.loss[0]


@pytest.mark.parametrize("optimizer", runs.OPTIMIZERS)
def test_every_optimizer_learns_the_line(optimizer: str) -> None:
    """Slope and intercept, in the units of the data, come near those of least squares."""
    measures = perform("linear-regression", optimizer=optimizer, steps=1000).measures
    x, y = data.line()
    assert list(measures.values()) == pytest.approx(closed_form.least_squares(x.tolist(), y.tolist()), abs=0.2)


def test_the_telephone_calls_have_the_slope_of_least_squares() -> None:
    """The slope is in millions of calls a year, although the years are standardized for training."""
    year, calls = data.telephone_calls()
    slope, intercept = closed_form.least_squares(year.tolist(), calls.tolist())
    measures = perform("linear-regression", data_set="calls").measures
    assert measures["slope"] == pytest.approx(slope, rel=1e-3)
    assert measures["intercept"] == pytest.approx(intercept, rel=1e-3)


@pytest.mark.parametrize(("run", "data_set"), [("binary", "breast-cancer"), ("multiclass", "digits")])
def test_real_classes_are_learned_and_held_out(run: str, data_set: str) -> None:
    """Every fifth sample is held out, and mostly right."""
    measures = perform(run, data_set=data_set, optimizer="adam").measures
    assert measures["accuracy on held-out data"] > 0.9


def test_a_run_keeps_no_more_than_its_losses_and_two_copies() -> None:
    """However many steps it takes: the parameters before and after, and the gradients of the first step."""
    outcome = perform("linear-regression", steps=3)
    assert (len(outcome.history.loss), outcome.history.parameters, outcome.history.gradients) == (3, {}, {})
    one = perform("linear-regression", steps=1)
    for name, before in outcome.before.items():
        assert torch.allclose(one.after[name], before - 0.1 * outcome.gradient[name])
        assert not torch.equal(outcome.after[name], one.after[name])


def by_hand(step: Callable[[nn.Module, Callable[[], torch.Tensor]], object], steps: int) -> list[float]:
    """Weight and bias of linear regression after steps that are told model and loss."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1).double()
    x, y = (values.double() for values in data.line())
    x = data.standardize(x)
    for _ in range(steps):
        step(model, lambda: nn.functional.mse_loss(model(x), y))
    return [model.weight.item(), model.bias.item()]


def learned(**wanted: object) -> list[float]:
    """The same of a run."""
    outcome = perform("linear-regression", dtype="float64", **wanted)
    assert outcome.after["weight"].dtype == torch.float64
    return [outcome.after["weight"].item(), outcome.after["bias"].item()]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("none", lambda optimizer: None),
        ("step", lambda optimizer: lr_scheduler.StepLR(optimizer, 10, gamma=0.1)),
        ("cosine", lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 30)),
        ("onecycle", lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.9, total_steps=30, cycle_momentum=False)),
        ("plateau", lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer)),
        ("warmup", lambda optimizer: lr_scheduler.LinearLR(optimizer, total_iters=3)),
    ],
)
def test_each_schedule_is_torchs(name: str, make: Callable[[Optimizer], object]) -> None:
    """Moved on after each step, and shown by the rate of the last one; 0.9 is high enough to leave a plateau."""
    made: dict[str, object] = {}

    def step(model: nn.Module, loss: Callable[[], torch.Tensor]) -> None:
        if not made:
            made["optimizer"] = torch.optim.SGD(model.parameters(), lr=0.9, momentum=0.9)
            made["schedule"] = make(made["optimizer"])
        made["optimizer"].zero_grad()
        value = loss()
        value.backward()
        made["optimizer"].step()
        made["last lr"] = made["optimizer"].param_groups[0]["lr"]
        if made["schedule"]:
            made["schedule"].step(*[value.item()] * (name == "plateau"))

    expected = by_hand(step, 30)
    wanted = {"lr": 0.9, "momentum": 0.9, "steps": 30, "schedule": name}
    assert learned(**wanted) == pytest.approx(expected, rel=1e-6)
    measures = perform("linear-regression", **wanted).measures
    assert measures.get("last lr") == (None if name == "none" else pytest.approx(made["last lr"]))
    if name != "none":
        assert made["last lr"] != 0.9 or name == "warmup"


def test_weight_decay_and_momentum_are_torchs() -> None:
    """Of the optimizer's own arguments; momentum 0.9 of sgd is the optimizer of that name."""
    made: list[Optimizer] = []

    def step(model: nn.Module, loss: Callable[[], torch.Tensor]) -> None:
        made.extend([] if made else [torch.optim.RMSprop(model.parameters(), lr=0.01, weight_decay=0.1, momentum=0.5)])
        made[0].zero_grad()
        loss().backward()
        made[0].step()

    wanted = {"optimizer": "rmsprop", "lr": 0.01, "weight_decay": 0.1, "momentum": 0.5, "steps": 20}
    assert learned(**wanted) == pytest.approx(by_hand(step, 20), rel=1e-6)
    assert learned(optimizer="momentum", steps=20) == learned(momentum=0.9, steps=20) != learned(steps=20)


def test_batches_clipping_and_dtype_reach_the_training() -> None:
    """Accumulated batches are one that is as large; a clipped step is as long as rate times norm; float16 rounds."""
    one, other = learned(batch_size=30, steps=20), learned(batch_size=10, accumulate=3, steps=20)
    assert other == pytest.approx(one, rel=1e-9)
    assert one != pytest.approx(learned(steps=20), rel=1e-6)
    clipped = perform("linear-regression", lr=0.5, clip=0.1, steps=1)
    moved = [clipped.after[name] - before for name, before in clipped.before.items()]
    assert torch.cat([of.flatten() for of in moved]).norm().item() == pytest.approx(0.05, rel=1e-3)
    half, single = (perform("binary", dtype=dtype, steps=1) for dtype in ("float16", "float32"))
    assert half.after["0.weight"].dtype == torch.float16
    assert all(torch.equal(half.before[name], of.half()) for name, of in single.before.items())


def test_memory_does_not_grow_with_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor stays behind from one step to another, and no more losses than are to be kept; the last is not lost."""
    monkeypatch.setattr(runs, "MOST_LOSSES", 8)
    tensors, losses = set(), []

    def look(step: int, loss: float) -> None:
        losses.append(loss)
        if step in (10, 40):
            gc.collect()
            tensors.add(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))

    outcome = runs.perform(runs.plan("linear-regression", steps=45, batch_size=10, schedule="cosine"), look)
    assert len(tensors) == 1
    assert (outcome.history.loss, outcome.history.every, outcome.last) == (losses[::8], 8, losses[-1])


def test_a_seed_fixes_the_run_and_leaves_torchs_generator_alone() -> None:
    """The same seed gives the same losses, another seed others."""
    before = torch.get_rng_state()
    first, again, other = (perform("binary", seed=seed, steps=5).history.loss for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert first == again != other


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"run": "regression"}, "run 'regression' is not one of linear-regression, binary, multiclass"),
        ({"run": "multiclass", "data_set": "calls"}, "data 'calls' is not one of synthetic, digits, the data of mul"),
        ({"run": "multiclass", "loss": "mse"}, "loss 'mse' is not one of cross-entropy, multi-margin, the losses of m"),
        ({"run": "binary", "optimizer": "lion"}, "optimizer 'lion' is not one of sgd, momentum, adam, adamw"),
        ({"run": "binary", "lr": -1.0}, "lr is -1.0: give a number above 0 and below 1000"),
        ({"run": "binary", "lr": float("nan")}, "lr is nan: give a number above 0 and below 1000"),
        ({"run": "binary", "weight_decay": -1.0}, "weight-decay is -1.0: give 0 or more, and below 1000"),
        ({"run": "binary", "momentum": 1.0}, "momentum is 1.0: give 0 or more, and below 1"),
        (
            {"run": "binary", "optimizer": "adam", "momentum": 0.5},
            "adam has no momentum of its own: leave --momentum out",
        ),
        ({"run": "binary", "clip": float("nan")}, "clip is nan: give a number above 0"),
        ({"run": "binary", "batch_size": 0}, "batch-size is 0: give 1 or more"),
        ({"run": "binary", "batch_size": 9, "accumulate": 0}, "accumulate is 0: give 1 or more"),
        (
            {"run": "binary", "accumulate": 2},
            "without a batch size every batch is all of the data, .* give --batch-size",
        ),
        ({"run": "binary", "schedule": "linear"}, "schedule 'linear' is not one of none, step, cosine, onecycle"),
        ({"run": "binary", "dtype": "int64"}, "dtype 'int64' is not one of float16, bfloat16, float32, float64"),
        ({"run": "binary", "steps": 0}, "steps is 0: give 1 to 1,000,000"),
        ({"run": "binary", "steps": 10**20}, "steps is 100000000000000000000: give 1 to 1,000,000"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_does(wanted: dict, message: str) -> None:
    """The error names the allowed ones."""
    with pytest.raises(runs.Wrong, match=message):
        runs.plan(**wanted)


def test_what_only_the_data_or_torch_can_refuse_is_refused_before_the_first_step() -> None:
    """A batch larger than the data, of which a fifth is held out; a loss that torch lacks in a dtype."""
    with pytest.raises(runs.Wrong, match="batch-size is 1797: give 1 to 1437, the samples to train on"):
        perform("multiclass", data_set="digits", batch_size=1797)
    with pytest.raises(runs.Wrong, match="torch has no multi-margin of float16 on cpu: take --dtype float32"):
        perform("multiclass", loss="multi-margin", dtype="float16")
