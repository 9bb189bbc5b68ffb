"""What `lossdemo train` runs: defaults, refusals, and what is learned."""

from collections.abc import Generator

import pytest
import torch

from lossdemo import closed_form, data, runs
from lossdemo.verify.run import Setting, torch_as


@pytest.fixture(autouse=True)
def one_thread() -> Generator[None]:
    """Torch as claims find it: small trainings are slower on two threads."""
    with torch_as(Setting()):
        yield


def perform(run: str, seed: int = 0, **wanted: object) -> runs.Outcome:
    """A run with the defaults for whatever is not given."""
    given = {"data_set": None, "loss": None, "optimizer": "sgd", "lr": None, "steps": None, **wanted}
    data_set, loss, lr, steps = runs.check(run, **given)
    return runs.perform(
        run, data_set=data_set, loss=loss, optimizer=given["optimizer"], lr=lr, steps=steps, seed=seed, device="cpu"
    )


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
        ({"run": "binary", "lr": -1.0}, "the learning rate is -1: give a number above 0 and below a million"),
        ({"run": "binary", "lr": float("nan")}, "the learning rate is nan: give a number above 0 and below a million"),
        ({"run": "binary", "steps": 0}, "steps is 0: give 1 to 1,000,000"),
        ({"run": "binary", "steps": 10**20}, "steps is 100000000000000000000: give 1 to 1,000,000"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_does(wanted: dict, message: str) -> None:
    """The error names the allowed ones."""
    with pytest.raises(runs.Wrong, match=message):
        runs.check(**{"data_set": None, "loss": None, "optimizer": "sgd", "lr": None, "steps": None, **wanted})
