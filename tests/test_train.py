"""The training loop: what it records, what it refuses, and when it stops."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lossdemo import closed_form, data, train
from lossdemo.verify.run import Setting


def scalar(start: float) -> nn.Module:
    """A model of one weight: x times w."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, start)
    return model


X, Y = [[1.0]], [[0.0]]


def descend(model: nn.Module, steps: int, lr: float = 0.25, **arguments: object) -> train.History:
    """Plain SGD on w²."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return train.fit(model, F.mse_loss, optimizer, torch.tensor(X), torch.tensor(Y), steps, **arguments)


def test_history_has_the_loss_before_each_step(setting: Setting) -> None:
    """The first loss is the untrained model's, and the model itself is trained."""
    model = scalar(4.0)
    history = descend(model, 3)
    assert history.loss == [16, 4, 1]
    assert model.weight.item() == 0.5
    assert (history.parameters, history.gradients) == ({}, {})


def test_history_records_parameters_and_gradients(setting: Setting) -> None:
    """Parameters before the first step and after each, gradients as each step applied them, by name."""
    history = descend(scalar(4.0), 3, record=("parameters", "gradients"))
    assert history.parameters["weight"].flatten().tolist() == [4, 2, 1, 0.5]
    assert history.gradients["weight"].flatten().tolist() == [8, 4, 2]
    assert history.parameters["weight"].shape == (4, 1, 1)
    assert not history.parameters["weight"].requires_grad


def test_no_steps_change_nothing(setting: Setting) -> None:
    """Zero steps are allowed."""
    model = scalar(4.0)
    history = descend(model, 0, record=("parameters", "gradients"))
    assert (history.loss, model.weight.item(), history.gradients) == ([], 4, {})
    assert history.parameters["weight"].flatten().tolist() == [4]


def test_callback_follows_every_step(setting: Setting) -> None:
    """The callback sees the step's number and the loss before it."""
    seen = []
    descend(scalar(4.0), 3, callback=lambda step, loss: seen.append((step, loss)))
    assert seen == [(0, 16), (1, 4), (2, 1)]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, lr=0.1),
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
        lambda p: torch.optim.Adam(p, lr=0.05),
        lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0),
        lambda p: torch.optim.RMSprop(p, lr=0.01),
        lambda p: torch.optim.Adagrad(p, lr=0.5),
        lambda p: torch.optim.LBFGS(p, lr=0.5),
    ],
    ids=["SGD", "Nesterov", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS"],
)
def test_every_optimizer_finds_the_least_squares_line(setting: Setting, optimizer: object) -> None:
    """The same loop serves all of torch's optimizers, also the one that needs a closure."""
    x, y = data.line(50, noise=0.5)
    model = nn.Linear(1, 1)
    history = train.fit(model, nn.MSELoss(), optimizer(model.parameters()), x, y, 400)
    slope, intercept = closed_form.least_squares(x.tolist(), y.tolist())
    assert (model.weight.item(), model.bias.item()) == pytest.approx((slope, intercept), abs=0.02)
    assert len(history.loss) == 400


def test_an_unused_parameter_is_named_and_has_no_gradients(setting: Setting) -> None:
    """A parameter that the loss does not reach has NaN for a gradient, not zero, and a warning says so, once."""
    model = scalar(4.0)
    model.unused = nn.Parameter(torch.zeros(1))
    left = "the loss does not depend on unused, and the first step has left it as it was: use it in the model"
    with pytest.warns(UserWarning, match=left) as told:
        gradients = descend(model, 2, record=(name for name in ["gradients"])).gradients
    assert [warning.filename for warning in told] == [__file__]  # of who calls
    assert gradients["weight"].flatten().tolist() == [8, 4]
    assert gradients["unused"].isnan().tolist() == [[True], [True]]


def test_a_parameter_that_the_optimizer_does_not_hold_is_named(setting: Setting) -> None:
    """The model's and the criterion's own; the training goes on."""

    class Weighed(nn.MSELoss):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, prediction: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.weight * super().forward(prediction, y)

    model = nn.Sequential(scalar(1.0), scalar(1.0))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.25)
    with pytest.warns(
        UserWarning, match=r"the optimizer does not hold 0\.weight, criterion\.weight, and the first step"
    ):
        train.fit(model, Weighed(), optimizer, torch.tensor(X), torch.tensor(Y), 2)
    assert (model[0].weight.item(), model[1].weight.item()) == (1, 0.25)


def test_nothing_is_said_of_frozen_parameters(setting: Setting) -> None:
    """Whether the loss would reach them, and the optimizer holds them, or not: warnings are errors here."""
    model = nn.Sequential(scalar(1.0), scalar(1.0))
    model.unused = nn.Parameter(torch.zeros(1), requires_grad=False)
    model[0].requires_grad_(False)
    descend(model, 1)
    assert (model[0].weight.item(), model[1].weight.item()) == (1, 0.5)


def test_an_optimizer_of_another_model_is_refused(setting: Setting) -> None:
    """Nothing would move, and nothing would say so."""
    model, other = scalar(4.0), scalar(4.0)
    optimizer = torch.optim.SGD(other.parameters())
    with pytest.raises(ValueError, match="the optimizer holds no parameter that the loss depends on"):
        train.fit(model, F.mse_loss, optimizer, torch.tensor(X), torch.tensor(Y), 1)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1.0], [2.0]], [[1.0]], "x has 2 rows and y has 1: give each input its target"),
        ([], [], "x and y are empty"),
        ([[1.0], [math.nan]], [[1.0], [2.0]], "x has nan in row 1: drop or replace"),
        ([[1.0], [2.0]], [[math.inf], [2.0]], "y has inf in row 0: drop or replace"),
        (1.0, [[1.0]], "x is a single number: give it a row for each sample"),
    ],
)
def test_bad_data_are_refused(setting: Setting, x: list, y: list, message: str) -> None:
    """Data that cannot be learned from are named, with the row, before anything moves."""
    model = scalar(4.0)
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(ValueError, match=message):
        train.fit(model, F.mse_loss, optimizer, torch.tensor(x), torch.tensor(y), 1)
    assert model.weight.item() == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, "steps is -1: ask for 0 or more"),
        ({"steps": 1, "record": ["losses"]}, r"record has \['losses'\]: it takes any of \['parameters', 'gradients'\]"),
        ({"steps": 1, "record": "gradient"}, r"record has \['gradient'\]"),
        ({"steps": 1, "batch_size": 0}, "batch_size is 0: give 1 to 1, the samples there are"),
        ({"steps": 1, "batch_size": 2}, "batch_size is 2: give 1 to 1, the samples there are"),
        ({"steps": 1, "accumulate": 0}, "accumulate is 0: ask for 1 or more"),
        ({"steps": 1, "keep": 0}, "keep is 0: ask for 1 or more"),
        ({"steps": 1, "clip": math.nan}, "clip is nan: give a number above 0"),
    ],
)
def test_requests_that_make_no_sense_are_refused(setting: Setting, arguments: dict, message: str) -> None:
    """The error says what is allowed."""
    with pytest.raises(ValueError, match=message):
        descend(scalar(4.0), **arguments)


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (lambda prediction, y: (prediction - y).abs().expand(1, 3), r"the loss has shape \(1, 3\): reduce it"),
        (lambda prediction, y: prediction.detach().sum(), "the loss depends on no parameter"),
    ],
)
def test_losses_that_cannot_be_followed_are_refused(setting: Setting, criterion: object, message: str) -> None:
    """A loss must be one number that depends on a parameter."""
    model = scalar(4.0)
    with pytest.raises(ValueError, match=message):
        train.fit(model, criterion, torch.optim.SGD(model.parameters()), torch.tensor(X), torch.tensor(Y), 1)


def test_what_is_no_tensor_is_refused(setting: Setting) -> None:
    """Lists, and criteria that return a number, get an error that says what to make of them."""
    model = scalar(4.0)
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(TypeError, match="y is a list: make it a tensor"):
        train.fit(model, F.mse_loss, optimizer, torch.tensor(X), Y, 1)
    with pytest.raises(TypeError, match="the criterion returned a float: return a tensor"):
        train.fit(model, lambda p, y: F.mse_loss(p, y).item(), optimizer, torch.tensor(X), torch.tensor(Y), 1)


def scaled_by(*factors: float) -> object:
    """MSE times a factor that is another at each step."""
    calls = iter(factors)
    return lambda prediction, y: F.mse_loss(prediction, y) * next(calls)


LESS, LOOK = "lower the learning rate, clip the gradients", "look for a logarithm or a norm of 0"


@pytest.mark.parametrize("bad", [math.inf, math.nan])
@pytest.mark.parametrize(
    ("lr", "losses", "advice"),
    [(0.25, [16, 4], f", after it had fallen to 4: {LOOK}.*; or {LESS}"), (1.25, [16, 36], f": {LESS}")],
)
def test_a_loss_that_is_not_finite_stops_the_training(
    setting: Setting, bad: float, lr: float, losses: list[float], advice: str
) -> None:
    """The step, the losses so far, and the parameters that gave it are kept; the advice depends on the way there."""
    model = scalar(4.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    with pytest.raises(train.Diverged, match=f"^the loss became {bad} at step 2{advice}") as diverged:
        train.fit(model, scaled_by(1, 1, bad), optimizer, torch.tensor(X), torch.tensor(Y), 5)
    assert diverged.value.step == 2
    assert diverged.value.history.loss[:2] == losses
    assert not math.isfinite(diverged.value.history.loss[2])
    assert abs(model.weight.item()) == losses[1] ** 0.5 * abs(1 - 2 * lr)


def test_a_loss_that_is_not_finite_at_step_0_is_no_matter_of_the_learning_rate(setting: Setting) -> None:
    """Data are finite then: it is the loss, or a parameter, which is named."""
    model = scalar(4.0)
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(train.Diverged, match=f"^the loss is nan at step 0, before any update, .*: {LOOK}") as diverged:
        train.fit(model, scaled_by(math.nan), optimizer, torch.tensor(X), torch.tensor(Y), 1)
    assert "learning rate" not in str(diverged.value)
    with pytest.raises(train.Diverged, match="at step 0, before any update, as weight is not finite: initialize it"):
        descend(scalar(math.inf), 1)


def test_a_step_that_leaves_a_parameter_not_finite_is_named(setting: Setting) -> None:
    """By the loss of the next step, or, behind the last one, by itself."""
    far = torch.finfo(setting.dtype or torch.float32).max / 4
    with pytest.raises(train.Diverged, match=f"at step 1, as the step before has left weight not finite: {LESS}"):
        descend(scalar(4.0), 2, lr=far)
    with pytest.raises(train.Diverged, match=f"^the last step, 0, has left weight not finite: {LESS}") as diverged:
        descend(scalar(4.0), 1, lr=far)
    assert (diverged.value.step, diverged.value.history.loss) == (1, [16])


@pytest.mark.parametrize("steps_before", [0, 1])
def test_a_gradient_that_is_not_finite_is_named(setting: Setting, steps_before: int) -> None:
    """Its parameter and its step, though the loss is finite: a root at 0; nothing has moved by it."""
    model = nn.Sequential(scalar(1.0), scalar(1.0 if steps_before else 0.0))
    criteria = iter([F.mse_loss] * steps_before + [lambda prediction, y: (prediction - y).abs().sqrt().sum()])
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.5)
    model[0].requires_grad_(False)
    message = f"^the gradient of 1.weight is not finite at step {steps_before}, though the loss, 0, is: {LOOK}"
    with pytest.raises(train.Diverged, match=message) as diverged:
        train.fit(model, lambda p, y: next(criteria)(p, y), optimizer, torch.tensor(X), torch.tensor(Y), 5)
    assert (LESS in str(diverged.value)) == bool(steps_before)
    assert model[1].weight.item() == 0


def test_half_precision_is_named_where_it_may_be_the_cause() -> None:
    """Float16 ends at 65504."""
    model = scalar(300.0).half()
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(train.Diverged, match=r"the loss is inf at step 0.*; or take float32: float16 ends at 65504"):
        train.fit(model, F.mse_loss, optimizer, torch.tensor(X).half(), torch.tensor(Y).half(), 1)


def test_sparse_gradients_are_checked_as_they_are(setting: Setting) -> None:
    """An embedding's, finite and not: the sum of finite ones may overflow."""
    model = nn.Embedding(3, 1, sparse=True)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    large = torch.finfo(setting.dtype or torch.float32).max / 1.5
    x, y = torch.tensor([0, 1]), torch.zeros(2)
    train.fit(model, lambda p, y: (p * large).sum(), optimizer, x, y, 1)
    assert model.weight.flatten().tolist() == [-large, -large, 0]
    nn.init.zeros_(model.weight)
    with pytest.raises(train.Diverged, match="the gradient of weight is not finite at step 0"):
        train.fit(model, lambda p, y: p.abs().sqrt().sum(), optimizer, x, y, 1)


# --- batches, clipping, and what is kept ---


def on_the_line(**arguments: object) -> tuple[list[float], list[float]]:
    """Losses, and slope and intercept after twelve steps on forty points, in the order of batches of one seed."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    history = train.fit(model, nn.MSELoss(), optimizer, *data.line(40), 12, **arguments)
    return history.loss, [model.weight.item(), model.bias.item()]


@pytest.mark.parametrize(("accumulate", "size"), [(1, 24), (2, 12), (3, 8), (8, 3), (24, 1)])
def test_accumulated_batches_equal_one_that_is_as_large(setting: Setting, accumulate: int, size: int) -> None:
    """Losses and parameters, also where a batch goes on into the next epoch; and they are not those of all samples."""
    losses, learned = on_the_line(batch_size=size, accumulate=accumulate)
    expected = on_the_line(batch_size=24)
    assert (losses, learned) == (pytest.approx(expected[0], rel=1e-4), pytest.approx(expected[1], rel=1e-4))
    assert learned != pytest.approx(on_the_line()[1], rel=1e-3)


def test_each_epoch_takes_every_sample_once(setting: Setting) -> None:
    """In another order than the one before."""
    seen = []

    def criterion(prediction: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen.extend(y.flatten().tolist())
        return F.mse_loss(prediction, y)

    model = scalar(1.0)
    samples = torch.arange(10.0)[:, None]
    train.fit(model, criterion, torch.optim.SGD(model.parameters(), lr=0), samples, samples, 5, batch_size=4)
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert list(range(10)) != seen[:10] != seen[10:]


def test_lbfgs_sees_one_batch_a_step(setting: Setting) -> None:
    """However often it asks for the loss."""
    seen = []

    def criterion(prediction: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(y.flatten().tolist()))
        return F.mse_loss(prediction, y)

    model = nn.Linear(1, 1)
    train.fit(model, criterion, torch.optim.LBFGS(model.parameters()), *data.line(40), 3, batch_size=10)
    assert len(set(seen)) == 3 < len(seen)


@pytest.mark.parametrize("norm", [0.5, 100.0])
def test_clipping_is_torchs(setting: Setting, norm: float) -> None:
    """All gradients together have at most that norm, as clip_grad_norm_ between backward and step has it."""
    x, y = data.line(40)
    ours, theirs = nn.Linear(1, 1), nn.Linear(1, 1)
    theirs.load_state_dict(ours.state_dict())
    history = train.fit(
        ours, F.mse_loss, torch.optim.SGD(ours.parameters(), lr=0.1), x, y, 5, clip=norm, record=["gradients"]
    )
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        F.mse_loss(theirs(x), y).backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), norm)
        optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), theirs.parameters()))
    first = math.hypot(*(of[0].item() for of in history.gradients.values()))
    assert first == pytest.approx(norm, rel=1e-4) if norm < 1 else first < norm


@pytest.mark.parametrize(("steps", "kept", "every"), [(4, [0, 1, 2, 3], 1), (5, [0, 2, 4], 2), (18, [0, 8, 16], 8)])
def test_a_long_history_is_thinned(setting: Setting, steps: int, kept: list[int], every: int) -> None:
    """It never has more than `keep` losses, evenly spaced from the first."""
    whole = descend(scalar(4.0), steps, lr=0.01).loss
    history = descend(scalar(4.0), steps, lr=0.01, keep=4)
    assert (history.loss, history.every) == ([whole[step] for step in kept], every)
