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


def test_an_unused_parameter_has_no_gradients(setting: Setting) -> None:
    """A parameter that the loss does not reach has NaN for a gradient, not zero."""
    model = scalar(4.0)
    model.unused = nn.Parameter(torch.zeros(1))
    gradients = descend(model, 2, record=(name for name in ["gradients"])).gradients
    assert gradients["weight"].flatten().tolist() == [8, 4]
    assert gradients["unused"].isnan().tolist() == [[True], [True]]


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


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_loss_that_is_not_finite_stops_the_training(setting: Setting, bad: float) -> None:
    """The step at which it happened, the losses so far, and the parameters that gave it are kept."""
    model = scalar(4.0)
    calls = iter([1.0, 1.0, bad])

    def criterion(prediction: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(prediction, y) * next(calls)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    with pytest.raises(train.Diverged, match=f"the loss became {bad} at step 2: lower the learning rate") as diverged:
        train.fit(model, criterion, optimizer, torch.tensor(X), torch.tensor(Y), 5)
    assert diverged.value.step == 2
    assert diverged.value.history.loss[:2] == [16, 4]
    assert not math.isfinite(diverged.value.history.loss[2])
    assert model.weight.item() == 1
