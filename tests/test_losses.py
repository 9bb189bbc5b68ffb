"""Each loss of torch against its closed form, and the properties that hold for all inputs."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error
from torch.nn import functional as F

from lossdemo import closed_form, data
from lossdemo.verify.evaluator import Setting

RANDOM = np.random.default_rng(0)
SAMPLES, CLASSES = 12, 5
# Real numbers whose errors keep away from the kinks of l1_loss and huber_loss, and from zero.
REAL = RANDOM.normal(size=(SAMPLES, 2))
ERRORS = RANDOM.choice([-1, 1], size=REAL.shape) * RANDOM.choice([0.2, 0.4, 0.7, 1.6, 3.0], size=REAL.shape)
PROBABILITIES = RANDOM.uniform(0.05, 0.95, size=(SAMPLES, 2))
LOGITS = RANDOM.normal(scale=3, size=(SAMPLES, CLASSES))
LABELS = RANDOM.integers(CLASSES, size=SAMPLES)
SOFT = RANDOM.dirichlet(np.ones(CLASSES), size=SAMPLES)
LOG_PROBABILITIES = np.log(RANDOM.dirichlet(np.ones(CLASSES), size=SAMPLES))

# Loss, input, target, arguments.
CASES = {
    "mse": ("mse_loss", REAL, REAL + ERRORS, {}),
    "l1": ("l1_loss", REAL, REAL + ERRORS, {}),
    "huber": ("huber_loss", REAL, REAL + ERRORS, {}),
    "huber, delta 0.5": ("huber_loss", REAL, REAL + ERRORS, {"delta": 0.5}),
    "bce": ("binary_cross_entropy", PROBABILITIES, PROBABILITIES.round(), {}),
    "bce, soft targets": ("binary_cross_entropy", PROBABILITIES, PROBABILITIES[::-1].copy(), {}),
    "bce with logits": ("binary_cross_entropy_with_logits", LOGITS, (LOGITS[::-1] > 0) * 1.0, {}),
    "bce with logits, soft targets": ("binary_cross_entropy_with_logits", LOGITS, SOFT, {}),
    "nll": ("nll_loss", LOG_PROBABILITIES, LABELS, {}),
    "cross-entropy, indices": ("cross_entropy", LOGITS, LABELS, {}),
    "cross-entropy, probabilities": ("cross_entropy", LOGITS, SOFT, {}),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
reductions = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])


def tensors(input: np.ndarray, target: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Input and target in the setting's dtype; labels stay integers. The input asks for a gradient."""
    dtype = torch.get_default_dtype()
    return (
        torch.tensor(input, dtype=dtype, requires_grad=True),
        torch.tensor(target, dtype=dtype if target.dtype.kind == "f" else torch.int64),
    )


def assert_within_budget(actual: torch.Tensor, truth: np.ndarray) -> None:
    """Equal to the float64 truth but for roundings: inputs, a dozen operations, and the sum over the samples.

    Each rounding is at most one eps of the largest number that occurs, taken as that of the truth or 10, the largest
    input, if that is larger.
    """
    roundings = 12 + SAMPLES
    budget = roundings * torch.finfo(actual.dtype).eps * max(10.0, float(np.abs(truth).max()))
    np.testing.assert_allclose(actual.detach().cpu().double().numpy(), truth, rtol=0, atol=budget)


@cases
@reductions
def test_value_is_the_closed_form(setting: Setting, case: tuple, reduction: str) -> None:
    """A loss has the value of its formula, for every reduction, and one and a half times it would be noticed."""
    name, input, target, arguments = case
    truth = closed_form.LOSSES[name].value(input, target, reduction, **arguments)
    actual = getattr(F, name)(*tensors(input, target), reduction=reduction, **arguments)
    assert actual.shape == truth.shape
    assert_within_budget(actual, truth)
    with pytest.raises(AssertionError):
        assert_within_budget(1.5 * actual, truth)


@cases
@reductions
def test_gradient_is_the_closed_form(setting: Setting, case: tuple, reduction: str) -> None:
    """A loss has the gradient of its formula, for every reduction, and one and a half times it would be noticed."""
    name, input, target, arguments = case
    truth = closed_form.LOSSES[name].gradient(input, target, reduction, **arguments)
    x, y = tensors(input, target)
    getattr(F, name)(x, y, reduction=reduction, **arguments).sum().backward()
    assert_within_budget(x.grad, truth)
    with pytest.raises(AssertionError):
        assert_within_budget(1.5 * x.grad, truth)


@cases
def test_gradcheck(setting: Setting, case: tuple) -> None:
    """Autograd's gradient agrees with finite differences, in float64 whatever the setting."""
    name, input, target, arguments = case
    x, y = tensors(input, target)
    x = x.detach().double().requires_grad_()
    y = y.double() if y.is_floating_point() else y
    assert torch.autograd.gradcheck(lambda x: getattr(F, name)(x, y, **arguments), x)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy_with_logits"])
def test_minimiser_is_where_scipy_finds_it(name: str) -> None:
    """No constant has a smaller mean loss than the minimiser."""
    loss = closed_form.LOSSES[name]
    targets = np.array([0, 1, 1, 0, 1.0]) if "cross_entropy" in name else np.array([-1, 0, 2, 3, 40.0])
    found = optimize.minimize_scalar(
        lambda c: loss.value(np.full(5, c), targets), bounds=(-50, 50), options={"xatol": 1e-9}
    )
    assert loss.minimiser(targets) == pytest.approx(found.x, abs=1e-4)


def test_minimisers_of_probabilities_are_frequencies() -> None:
    """BCE's best probability is the mean; cross-entropy's and NLL's best log-probabilities are those of the classes."""
    labels = np.array([0, 1, 1, 2, 2, 2, 2, 2])
    frequencies = np.array([1, 2, 5]) / 8
    assert closed_form.binary_cross_entropy.minimiser(labels > 1) == 5 / 8
    for loss in (closed_form.cross_entropy, closed_form.nll_loss):
        best = loss.minimiser(labels)
        np.testing.assert_allclose(np.exp(best), frequencies)
        assert np.abs(loss.gradient(np.tile(best, (8, 1)), labels).sum(0)).max() < 1e-12 or loss is closed_form.nll_loss


def test_closed_forms_agree_with_scikit_learn() -> None:
    """The oracle has a second opinion where scikit-learn has the quantity."""
    error = REAL.ravel(), (REAL + ERRORS).ravel()
    assert closed_form.mse_loss.value(*error) == pytest.approx(mean_squared_error(*error))
    assert closed_form.l1_loss.value(*error) == pytest.approx(mean_absolute_error(*error))
    p, y = PROBABILITIES.ravel(), PROBABILITIES.ravel()[::-1].round()
    assert closed_form.binary_cross_entropy.value(p, y) == pytest.approx(log_loss(y, p))
    softmax = np.exp(closed_form.log_softmax(LOGITS))
    assert closed_form.cross_entropy.value(LOGITS, LABELS) == pytest.approx(log_loss(LABELS, softmax, labels=range(5)))


def test_bce_cuts_logarithms_off_at_minus_100() -> None:
    """The oracle has BCELoss's documented clamp."""
    assert closed_form.binary_cross_entropy.value([0.0, 1.0], [1.0, 0.0], "none").tolist() == [100, 100]


def test_unknown_reductions_are_refused() -> None:
    """A misspelt reduction is not taken for another."""
    with pytest.raises(ValueError, match="'none', 'sum' or 'mean', not 'average'"):
        closed_form.mse_loss.value([1.0], [2.0], "average")


def test_best_lines_are_those_of_a_linear_programme(setting: Setting) -> None:
    """Scikit-learn's exact quantile regression has the same MAE, and its slope lies between flattest and steepest."""
    for x, y in (data.telephone_calls(), data.line(30)):
        x, y = x.double().cpu().numpy(), y.double().cpu().numpy()
        programme = QuantileRegressor(quantile=0.5, alpha=0, solver="highs").fit(x, y.ravel())
        flattest, steepest = closed_form.least_absolute(x, y)
        for slope, intercept in (flattest, steepest):
            error = np.abs(slope * x + intercept - y).mean()
            assert error == pytest.approx(np.abs(programme.predict(x) - y.ravel()).mean(), rel=1e-5)
        assert flattest[0] - 1e-6 <= programme.coef_[0] <= steepest[0] + 1e-6


def test_no_line_through_a_single_x() -> None:
    """Points above each other have no best line, and the error says so."""
    with pytest.raises(ValueError, match="all x are equal: a line needs two different ones"):
        closed_form.least_absolute([1.0, 1.0], [2.0, 3.0])


def test_least_squares_has_no_gradient_left() -> None:
    """At the least-squares line the gradient of MSE is zero in every parameter."""
    x, y = RANDOM.normal(size=(20, 3)), RANDOM.normal(size=(20, 1))
    design = np.column_stack([x, np.ones(20)])
    residual = design @ closed_form.least_squares(x, y) - y.ravel()
    np.testing.assert_allclose(design.T @ residual, 0, atol=1e-12)


numbers = st.floats(-100, 100).map(lambda number: round(number, 3))
vectors = st.lists(numbers, min_size=3, max_size=3).map(lambda v: torch.tensor(v, dtype=torch.float64))
regression = pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss], ids=lambda loss: loss.__name__)


@regression
@given(x=vectors, y=vectors, shift=numbers)
def test_regression_losses_see_only_differences(loss: Callable, x: torch.Tensor, y: torch.Tensor, shift: float) -> None:
    """MSE, MAE and Huber are symmetric, unchanged by a common shift, and never negative."""
    value = loss(x, y)
    assert value >= 0
    assert loss(y, x) == value
    torch.testing.assert_close(loss(x + shift, y + shift), value, rtol=1e-9, atol=1e-9)


@given(x=vectors, y=vectors, factor=st.floats(0.1, 10))
def test_scaling_errors_scales_mse_by_the_square_and_mae_by_the_factor(
    x: torch.Tensor, y: torch.Tensor, factor: float
) -> None:
    """Both losses are homogeneous, of degree 2 and 1."""
    torch.testing.assert_close(F.mse_loss(factor * x, factor * y), factor**2 * F.mse_loss(x, y), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(F.l1_loss(factor * x, factor * y), factor * F.l1_loss(x, y), rtol=1e-9, atol=1e-12)


def convex_losses() -> dict[str, Callable]:
    """Losses of three numbers that are convex in them."""
    target = torch.tensor([0.0, 1.0, 0.3], dtype=torch.float64)
    return {
        "mse": lambda x: F.mse_loss(x, target),
        "l1": lambda x: F.l1_loss(x, target),
        "huber": lambda x: F.huber_loss(x, target),
        "bce with logits": lambda x: F.binary_cross_entropy_with_logits(x, target),
        "cross-entropy": lambda x: F.cross_entropy(x[None], torch.tensor([1])),
    }


@pytest.mark.parametrize("loss", convex_losses().values(), ids=convex_losses())
@given(x=vectors, y=vectors, share=st.floats(0, 1))
def test_losses_are_convex(loss: Callable, x: torch.Tensor, y: torch.Tensor, share: float) -> None:
    """On the way between two predictions no loss is above the mixture of theirs."""
    mixture = share * loss(x) + (1 - share) * loss(y)
    assert loss(share * x + (1 - share) * y) <= mixture + 1e-9 * (1 + abs(mixture))


@given(z=vectors, shift=numbers, label=st.integers(0, 2))
def test_cross_entropy_ignores_a_shift_of_all_logits(z: torch.Tensor, shift: float, label: int) -> None:
    """Only differences of logits count, and the pulls on them cancel."""
    target = torch.tensor([label])
    value = F.cross_entropy(z[None], target)
    torch.testing.assert_close(F.cross_entropy(z[None] + shift, target), value, rtol=1e-9, atol=1e-9)
    assert value >= 0
    z = z.clone().requires_grad_()
    F.cross_entropy(z[None], target).backward()
    assert abs(z.grad.sum().item()) < 1e-12


@given(z=st.floats(-30, 30))
def test_two_class_cross_entropy_is_bce(z: float) -> None:
    """Cross-entropy over the logits (0, z) is binary cross-entropy of z."""
    logit = torch.tensor([z], dtype=torch.float64)
    both = torch.tensor([[0.0, z]], dtype=torch.float64)
    for label in (0, 1):
        bce = F.binary_cross_entropy_with_logits(logit, torch.tensor([float(label)], dtype=torch.float64))
        assert F.cross_entropy(both, torch.tensor([label])).item() == pytest.approx(bce.item(), rel=1e-9, abs=1e-12)
    assert closed_form.sigmoid(z) == pytest.approx(1 / (1 + math.exp(-z)))
