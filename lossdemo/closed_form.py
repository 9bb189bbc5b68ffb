"""The losses by their formulas, in NumPy float64: value, gradient and minimiser without autograd.

This is the oracle that the book and the tests hold torch against, so nothing here is taken from torch's code. The
losses have the names of `torch.nn.functional`, and so have their arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Loss:
    """One loss by its formula.

    Attributes:
        losses: (input, target, **arguments) to the loss of each sample.
        slopes: (input, target, **arguments) to the derivative of each sample's loss with respect to its input, in the
            input's shape. At a kink it is the middle of the derivatives on both sides, as torch has it.
        minimiser: (targets, **arguments) to the constant input whose mean loss over the targets is smallest.
    """

    losses: Callable[..., Array]
    slopes: Callable[..., Array]
    minimiser: Callable[..., Array]

    def value(self, input: ArrayLike, target: ArrayLike, reduction: str = "mean", **arguments: float) -> Array:
        """The loss: of the samples' shape for reduction 'none', a scalar for 'sum' and 'mean'."""
        losses = self.losses(_float(input), np.asarray(target), **arguments)
        return losses if reduction == "none" else losses.sum() / _divisor(losses, reduction)

    def gradient(self, input: ArrayLike, target: ArrayLike, reduction: str = "mean", **arguments: float) -> Array:
        """The gradient with respect to the input, in its shape; for 'none' that of the sum of the losses."""
        input, target = _float(input), np.asarray(target)
        losses = self.losses(input, target, **arguments)
        return self.slopes(input, target, **arguments) / _divisor(losses, reduction)


def _float(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)


def _divisor(losses: Array, reduction: str) -> int:
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f"reduction is 'none', 'sum' or 'mean', not {reduction!r}")
    return losses.size if reduction == "mean" else 1


def sigmoid(z: ArrayLike) -> Array:
    """1 / (1 + e^-z), elementwise, without overflow."""
    return np.exp(-np.logaddexp(0, -_float(z)))


def log_softmax(z: ArrayLike) -> Array:
    """z - log Σ e^z over the last dimension."""
    z = _float(z)
    return z - np.logaddexp.reduce(z, axis=-1, keepdims=True)


def _huber_minimiser(targets: ArrayLike, delta: float = 1.0) -> Array:
    """Where the pulls of the targets cancel, by bisection: their sum rises with the constant."""
    targets = _float(targets)
    low, high = targets.min(), targets.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(middle - targets, -delta, delta).sum() < 0 else (low, middle)
    return np.asarray((low + high) / 2)


def _log(p: Array) -> Array:
    """The logarithm as BCELoss documents it: never below -100."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(p), -100)


def _probabilities(target: NDArray, classes: int) -> Array:
    """Class probabilities (N, C): those given, or one-hot rows for class indices (N,)."""
    return np.eye(classes)[target] if target.ndim == 1 else _float(target)


def _frequencies(targets: ArrayLike) -> Array:
    """How often each class occurs: (C,) from class indices (N,), every class of which occurs."""
    return np.bincount(np.asarray(targets)) / len(np.asarray(targets))


mse_loss = Loss(
    losses=lambda input, target: (input - target) ** 2,
    slopes=lambda input, target: 2 * (input - target),
    minimiser=lambda targets: np.mean(targets),
)

l1_loss = Loss(
    losses=lambda input, target: np.abs(input - target),
    slopes=lambda input, target: np.sign(input - target),
    minimiser=lambda targets: np.median(targets),
)

huber_loss = Loss(
    losses=lambda input, target, delta=1.0: np.where(
        np.abs(input - target) <= delta,
        (input - target) ** 2 / 2,
        delta * (np.abs(input - target) - delta / 2),
    ),
    slopes=lambda input, target, delta=1.0: np.clip(input - target, -delta, delta),
    minimiser=_huber_minimiser,
)

binary_cross_entropy = Loss(
    losses=lambda input, target: -(target * _log(input) + (1 - target) * _log(1 - input)),
    slopes=lambda input, target: (input - target) / (input * (1 - input)),
    minimiser=lambda targets: np.mean(targets),
)

binary_cross_entropy_with_logits = Loss(
    losses=lambda input, target: np.logaddexp(0, input) - target * input,
    slopes=lambda input, target: sigmoid(input) - target,
    minimiser=lambda targets: np.log(np.mean(targets) / (1 - np.mean(targets))),
)

nll_loss = Loss(
    losses=lambda input, target: -(_probabilities(target, input.shape[1]) * input).sum(1),
    slopes=lambda input, target: -_probabilities(target, input.shape[1]),
    minimiser=lambda targets: np.log(_frequencies(targets)),  # among log-probabilities: without that it has none
)

cross_entropy = Loss(
    losses=lambda input, target: nll_loss.losses(log_softmax(input), target),
    slopes=lambda input, target: np.exp(log_softmax(input)) - _probabilities(target, input.shape[1]),
    minimiser=lambda targets: np.log(_frequencies(targets)),  # one of many: logits may be shifted together
)

# By their name in torch.nn.functional.
LOSSES = {
    "mse_loss": mse_loss,
    "l1_loss": l1_loss,
    "huber_loss": huber_loss,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "nll_loss": nll_loss,
    "cross_entropy": cross_entropy,
}


def least_squares(x: ArrayLike, y: ArrayLike) -> Array:
    """The minimiser of MSE over the lines: slopes, then the intercept, for x (N, features) and y (N, 1)."""
    x = _float(x)
    design = np.column_stack([x, np.ones(len(x))])
    return _float(np.linalg.lstsq(design, _float(y).ravel(), rcond=None)[0])


def least_absolute(x: ArrayLike, y: ArrayLike) -> Array:
    """The minimisers of MAE over the lines, for x (N, 1) and y (N, 1): of the best the flattest and the steepest.

    MAE often has many best lines, all of the same error; their slopes lie between these two, which are equal where the
    best line is unique. Each passes through two of the points (a vertex of a linear programme), so all pairs are tried.

    Returns:
        (2, 2), a row of slope and intercept for each. Lines count as equally good to 1e-6 of the error.
    """
    x, y = _float(x).ravel(), _float(y).ravel()
    if np.ptp(x) == 0:
        raise ValueError("all x are equal: a line needs two different ones")
    i, j = np.array([(i, j) for i, j in combinations(range(len(x)), 2) if x[i] != x[j]]).T
    slopes = (y[i] - y[j]) / (x[i] - x[j])
    lines = np.column_stack([slopes, y[i] - slopes * x[i]])
    errors = np.abs(lines @ np.array([x, np.ones_like(x)]) - y).mean(1)
    best = lines[errors <= errors.min() * (1 + 1e-6)]
    return best[[best[:, 0].argmin(), best[:, 0].argmax()]]
