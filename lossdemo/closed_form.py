"""The losses by their formulas, in NumPy float64: value, gradients and minimizers without autograd.

This is the oracle that the book and the tests hold torch against, so nothing here is taken from torch's code. The
losses have the names and the arguments of `torch.nn.functional`, and take whatever NumPy makes an array of. Each is
written as its formula, takes `reduction` besides, and returns a `Result`: the value, and the gradient with respect to
each argument that a model can have computed. At a kink the gradient is the smallest of those that are right, which is
0, as torch has it since 2.14.
"""

from collections.abc import Callable
from functools import partial, wraps
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
# (a, b), both (N, D), to their distances (N,), and these differentiated with respect to a and b, (N, D) each.
Distance = Callable[[Array, Array], tuple[Array, Array, Array]]
# Losses, the slopes of their sum by argument, and by reduction what it divides by, if not by the number of losses.
Terms = tuple[Any, ...]


class Result(NamedTuple):
    """A loss and its gradients.

    Attributes:
        value: for reduction 'none' a loss for each element or each sample, otherwise a scalar.
        gradient: by the argument's name, in its shape; for 'none' that of the sum of the losses.
    """

    value: Array
    gradient: dict[str, Array]


def _float(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)


LOSSES: dict[str, Callable[..., Result]] = {}  # by their name in torch.nn.functional


def _loss(formula: Callable[..., Terms]) -> Callable[..., Result]:
    """The loss of a formula, reduced: by default to the mean."""

    @wraps(formula)
    def loss(*args: Any, reduction: str = "mean", **arguments: Any) -> Result:
        losses, slopes, *others = formula(*args, **arguments)
        divisors = {"none": 1, "sum": 1, "mean": losses.size, **(others[0] if others else {})}
        if reduction not in divisors:
            raise ValueError(f"reduction is 'none', 'sum' or 'mean', not {reduction!r}")
        with np.errstate(divide="ignore", invalid="ignore"):
            share = 1 / _float(divisors[reduction])  # one for all, or (N,)
            gradient = {name: slope * (share[:, None] if share.ndim else share) for name, slope in slopes.items()}
            losses = losses * share
        return Result(losses if reduction == "none" else losses.sum(), gradient)

    LOSSES[formula.__name__] = loss
    return loss


def sigmoid(z: ArrayLike) -> Array:
    """1 / (1 + e^-z), elementwise, without overflow."""
    return np.exp(-np.logaddexp(0, -_float(z)))


def log_softmax(z: ArrayLike) -> Array:
    """z - log Σ e^z over the last dimension."""
    z = _float(z)
    return z - np.logaddexp.reduce(z, axis=-1, keepdims=True)


# --- real targets ---


def _errors(input: ArrayLike, target: ArrayLike, weight: ArrayLike) -> tuple[Array, Array]:
    error = _float(input) - _float(target)
    return error, np.broadcast_to(_float(weight), error.shape)


@_loss
def mse_loss(input: ArrayLike, target: ArrayLike, weight: ArrayLike = 1.0) -> Terms:
    """(x - y)², elementwise. `weight`, of the same shape, multiplies it, and the mean divides by the weights' sum."""
    error, w = _errors(input, target, weight)
    return w * error**2, {"input": 2 * w * error, "target": -2 * w * error}, {"mean": w.sum()}


@_loss
def l1_loss(input: ArrayLike, target: ArrayLike, weight: ArrayLike = 1.0) -> Terms:
    """|x - y|, elementwise, with `weight` as in MSE."""
    error, w = _errors(input, target, weight)
    return w * np.abs(error), {"input": w * np.sign(error), "target": -w * np.sign(error)}, {"mean": w.sum()}


@_loss
def huber_loss(input: ArrayLike, target: ArrayLike, delta: float = 1.0, weight: ArrayLike = 1.0) -> Terms:
    """(x - y)² / 2 up to an error of `delta`, beyond it the tangent there. `weight` leaves the mean's divisor alone.

    Source: Huber, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35, 1964.
    """
    error, w = _errors(input, target, weight)
    far = np.abs(error) > delta
    slope = w * np.clip(error, -delta, delta)
    losses = w * np.where(far, delta * (np.abs(error) - delta / 2), error**2 / 2)
    return losses, {"input": slope, "target": -slope}


@_loss
def smooth_l1_loss(input: ArrayLike, target: ArrayLike, beta: float = 1.0) -> Terms:
    """Huber's loss for delta = beta, divided by beta; for beta = 0 its limit |x - y|.

    Source: Girshick, Fast R-CNN, ICCV 2015, equation 3.
    """
    if beta == 0:
        return l1_loss(input, target, reduction="none")
    return huber_loss(input, target, beta, weight=1 / beta, reduction="none")


# --- targets from 0 to 1, and -1 or 1 ---


@_loss
def binary_cross_entropy(input: ArrayLike, target: ArrayLike, weight: ArrayLike = 1.0) -> Terms:
    """-y log p - (1 - y) log(1 - p), elementwise, for a probability p; no logarithm counts for less than -100."""
    p, y, w = _float(input), _float(target), _float(weight)
    with np.errstate(divide="ignore"):
        yes, no = np.log(p), np.log(1 - p)
        losses = -w * (y * np.maximum(yes, -100) + (1 - y) * np.maximum(no, -100))
        slope = w * (p - y) / np.maximum(p * (1 - p), 1e-12)
        return losses, {"input": slope, "target": w * (no - yes)}  # the second is not cut off


@_loss
def binary_cross_entropy_with_logits(
    input: ArrayLike, target: ArrayLike, weight: ArrayLike = 1.0, pos_weight: ArrayLike = 1.0
) -> Terms:
    """log(1 + e^z) - y z, elementwise; `pos_weight` multiplies the part of y, `weight` all, and neither the divisor."""
    z, y, w, positive = _float(input), _float(target), _float(weight), _float(pos_weight)
    yes, no = np.logaddexp(0, -z), np.logaddexp(0, z)  # -log p, -log(1 - p)
    slope = w * ((1 - y) * sigmoid(z) - positive * y * sigmoid(-z))
    return w * (positive * y * yes + (1 - y) * no), {"input": slope, "target": w * (positive * yes - no)}


@_loss
def soft_margin_loss(input: ArrayLike, target: ArrayLike) -> Terms:
    """log(1 + e^(-y x)), elementwise, for y of -1 or 1."""
    x, y = _float(input), _float(target)
    pull = -sigmoid(-y * x)
    return np.logaddexp(0, -y * x), {"input": y * pull, "target": x * pull}


@_loss
def multilabel_soft_margin_loss(input: ArrayLike, target: ArrayLike, weight: ArrayLike = 1.0) -> Terms:
    """The mean over a row of binary cross-entropy, for logits and targets (N, C); `weight` is one for each class."""
    losses, gradient = binary_cross_entropy_with_logits(input, target, weight, reduction="none")
    return losses.mean(-1), {name: slope / losses.shape[-1] for name, slope in gradient.items()}


# --- classes ---


def _classes_last(values: ArrayLike) -> Array:
    """(C,), (N, C) or (N, C, d…) with the classes as last dimension."""
    return np.moveaxis(_float(values), min(1, np.ndim(values) - 1), -1)


def _classes_second(values: Array) -> Array:
    return np.moveaxis(values, -1, min(1, values.ndim - 1))


def _one_hot(target: NDArray, classes: int, ignore_index: int) -> Array:
    """Class indices as probabilities, classes last, and 0 for all classes where the target is ignored."""
    kept = target != ignore_index
    return np.eye(classes)[np.where(kept, target, 0)] * kept[..., None]


@_loss
def nll_loss(input: ArrayLike, target: ArrayLike, weight: ArrayLike = 1.0, ignore_index: int = -100) -> Terms:
    """-w_y x_y for input (C,), (N, C) or (N, C, d…) and class indices y: no logarithm is taken.

    The mean divides by the sum of the weights of the targets that are not ignored.
    """
    x = _classes_last(input)
    q = _float(weight) * _one_hot(np.asarray(target), x.shape[-1], ignore_index)
    return -np.where(q == 0, 0, q * x).sum(-1), {"input": -_classes_second(q)}, {"mean": q.sum()}


@_loss
def cross_entropy(
    input: ArrayLike, target: ArrayLike, weight: ArrayLike = 1.0, ignore_index: int = -100, label_smoothing: float = 0.0
) -> Terms:
    """-Σ_c w_c q_c log softmax(z)_c for logits (C,), (N, C) or (N, C, d…), and class indices or probabilities.

    q is one-hot or given, mixed with `label_smoothing` parts of the uniform distribution. For indices the mean divides
    by the sum of the weights of the targets that are not ignored, for probabilities by the number of rows.
    """
    log_p, w = log_softmax(_classes_last(input)), _float(weight)
    classes, given = log_p.shape[-1], np.ndim(target) == log_p.ndim
    q = _classes_last(target) if given else _one_hot(np.asarray(target), classes, ignore_index)
    kept = 1.0 if given else q.sum(-1, keepdims=True)
    mixed = w * ((1 - label_smoothing) * q + label_smoothing / classes * kept)
    slopes = {"input": np.exp(log_p) * mixed.sum(-1, keepdims=True) - mixed}
    if given:
        slopes["target"] = -(1 - label_smoothing) * w * log_p
    losses = -np.where(mixed == 0, 0, mixed * log_p).sum(-1)
    divisor = losses.size if given else (w * q).sum()
    return losses, {name: _classes_second(slope) for name, slope in slopes.items()}, {"mean": divisor}


def linear_cross_entropy(
    input: ArrayLike, linear_weight: ArrayLike, target: ArrayLike, linear_bias: ArrayLike = 0.0, **arguments: Any
) -> Result:
    """Cross-entropy of the logits x Wᵀ + b, for x (N, D), W (C, D) and b (C,)."""
    x, w = _float(input), _float(linear_weight)
    value, gradient = cross_entropy(x @ w.T + _float(linear_bias), target, **arguments)
    slope = gradient.pop("input")
    return Result(value, {"input": slope @ w, "linear_weight": slope.T @ x, "linear_bias": slope.sum(0), **gradient})


LOSSES["linear_cross_entropy"] = linear_cross_entropy


# --- distributions ---


@_loss
def kl_div(input: ArrayLike, target: ArrayLike, log_target: bool = False) -> Terms:
    """q (log q - x), elementwise, for log-probabilities x and a target distribution q, or its logarithms.

    The sum is KL(q || e^x). 'mean' divides it by all elements, 'batchmean' by the size of the first dimension.

    Source: Kullback and Leibler, On Information and Sufficiency, Annals of Mathematical Statistics 22, 1951.
    """
    x = _float(input)
    q = np.exp(_float(target)) if log_target else _float(target)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_q = _float(target) if log_target else np.log(q)
        losses = np.where(q == 0, 0.0, q * log_q) - q * x
    toward = log_q + 1 - x
    return losses, {"input": -q, "target": q * toward if log_target else toward}, {"batchmean": len(x)}


@_loss
def poisson_nll_loss(
    input: ArrayLike, target: ArrayLike, log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> Terms:
    """e^x - y x for x the logarithm of the rate, or x - y log(x + eps) for x the rate itself.

    `full` adds Stirling's approximation of log y!, y log y - y + log(2πy) / 2, where y is above 1.
    """
    x, y = _float(input), _float(target)
    if log_input:
        losses, slope, toward = np.exp(x) - y * x, np.exp(x) - y, -x
    else:
        losses, slope, toward = x - y * np.log(x + eps), 1 - y / (x + eps), -np.log(x + eps)
    if full:
        above = np.where(y > 1, y, 1.0)
        losses = losses + np.where(y > 1, above * np.log(above) - above + np.log(2 * np.pi * above) / 2, 0)
        toward = toward + np.where(y > 1, np.log(above) + 1 / (2 * above), 0)
    return losses, {"input": slope, "target": toward}


@_loss
def gaussian_nll_loss(
    input: ArrayLike, target: ArrayLike, var: ArrayLike, full: bool = False, eps: float = 1e-6
) -> Terms:
    """(log v + (x - y)² / v) / 2, elementwise, for a variance v of at least `eps`; `full` adds log(2π) / 2.

    The gradient with respect to a variance below `eps` is that at `eps`, as if it had not been cut off.

    Source: Nix and Weigend, Estimating the Mean and Variance of the Target Probability Distribution, ICNN 1994.
    """
    error = _float(input) - _float(target)
    v = np.maximum(_float(var), eps)
    losses = (np.log(v) + error**2 / v) / 2 + (np.log(2 * np.pi) / 2 if full else 0)
    spread = np.broadcast_to((1 / v - error**2 / v**2) / 2, losses.shape)
    return losses, {"input": error / v, "target": -error / v, "var": spread}


# --- margins ---


@_loss
def margin_ranking_loss(input1: ArrayLike, input2: ArrayLike, target: ArrayLike, margin: float = 0.0) -> Terms:
    """max(0, margin - y (x1 - x2)), elementwise, for y of -1 or 1."""
    difference, y = _float(input1) - _float(input2), _float(target)
    short = margin - y * difference
    pulls = short > 0
    return np.maximum(short, 0), {"input1": -y * pulls, "input2": y * pulls, "target": -difference * pulls}


@_loss
def hinge_embedding_loss(input: ArrayLike, target: ArrayLike, margin: float = 1.0) -> Terms:
    """x for y = 1, max(0, margin - x) for y = -1, for other labels both.

    Source: Hadsell, Chopra and LeCun, Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006.
    """
    x, y = np.broadcast_arrays(_float(input), _float(target))
    alike, apart = y != -1, y != 1
    losses = alike * x + apart * np.maximum(margin - x, 0)
    return losses, {"input": 1.0 * alike - apart * (margin - x > 0)}


@_loss
def cosine_embedding_loss(input1: ArrayLike, input2: ArrayLike, target: ArrayLike, margin: float = 0.0) -> Terms:
    """1 - cos for y = 1 and max(0, cos - margin) for y = -1, for the rows of two (N, D) and y (N,).

    Another label than these costs nothing.
    """
    a, b, y = _float(input1), _float(input2), _float(target)[..., None]
    length_a, length_b = (np.linalg.norm(rows, axis=-1, keepdims=True) for rows in (a, b))
    cosine = (a * b).sum(-1, keepdims=True) / (length_a * length_b)
    losses = np.where(y == 1, 1 - cosine, np.where(y == -1, np.maximum(cosine - margin, 0), 0))[..., 0]
    slope = np.where(y == 1, -1.0, (y == -1) * (cosine > margin))
    toward_b, toward_a = b / length_b - cosine * a / length_a, a / length_a - cosine * b / length_b
    return losses, {"input1": slope * toward_b / length_a, "input2": slope * toward_a / length_b}


@_loss
def multi_margin_loss(
    input: ArrayLike, target: ArrayLike, p: int = 1, margin: float = 1.0, weight: ArrayLike = 1.0
) -> Terms:
    """w_y Σ_{c≠y} max(0, margin - x_y + x_c)^p / C, for scores (N, C) and class indices (N,). The mean divides by N.

    Source: Weston and Watkins, Support Vector Machines for Multi-Class Pattern Recognition, ESANN 1999.
    """
    x, y = _float(input), np.asarray(target)
    rows, classes = np.arange(len(x)), x.shape[1]
    share = np.broadcast_to(_float(weight), classes)[y][:, None] / classes
    short = np.maximum(margin - x[rows, y][:, None] + x, 0)
    short[rows, y] = 0
    slope = share * p * short ** (p - 1) * (short > 0)
    slope[rows, y] = -slope.sum(1)
    return (share * short**p).sum(1), {"input": slope}


@_loss
def multilabel_margin_loss(input: ArrayLike, target: ArrayLike) -> Terms:
    """Σ max(0, 1 - x_j + x_c) / C over the true classes j and the others c, for scores (N, C).

    A row of the target, (N, C), has the true classes' indices first, and then -1 if there is room.
    """
    x, y = _float(input), np.asarray(target)
    classes = x.shape[1]
    losses, slope = np.zeros(len(x)), np.zeros_like(x)
    for row, labels in enumerate(y):
        true = labels[: np.argmax(np.append(labels, -1) < 0)]
        for j, c in product(true, set(range(classes)) - set(true)):
            short = 1 - x[row, j] + x[row, c]
            losses[row] += max(short, 0) / classes
            slope[row, [j, c]] += np.array([-1, 1]) * (short > 0) / classes
    return losses, {"input": slope}


def _norm_distance(a: Array, b: Array, p: float = 2.0, eps: float = 1e-6) -> tuple[Array, Array, Array]:
    """The p-norm of a - b + eps, and its gradients."""
    difference = a - b + eps
    distance = (np.abs(difference) ** p).sum(-1) ** (1 / p)
    slope = np.sign(difference) * (np.abs(difference) / distance[..., None]) ** (p - 1)
    return distance, slope, -slope


@_loss
def triplet_margin_with_distance_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    distance_function: Distance = _norm_distance,
    margin: float = 1.0,
    swap: bool = False,
) -> Terms:
    """max(0, d(a, p) - d(a, n) + margin) for rows of three (N, D); `swap` takes d(p, n) for d(a, n) if it is smaller.

    Source: Balntas and others, Learning Local Feature Descriptors with Triplets and Shallow CNNs, BMVC 2016.
    """
    a, p, n = _float(anchor), _float(positive), _float(negative)
    near, near_a, near_p = distance_function(a, p)
    far, far_a, far_n = distance_function(a, n)
    other, other_p, other_n = distance_function(p, n)
    swapped = (other < far)[..., None] & swap
    short = near - np.where(swapped[..., 0], other, far) + margin
    slopes = {
        "anchor": near_a - np.where(swapped, 0, far_a),
        "positive": near_p - np.where(swapped, other_p, 0),
        "negative": -np.where(swapped, other_n, far_n),
    }
    return np.maximum(short, 0), {name: (short > 0)[..., None] * slope for name, slope in slopes.items()}


@_loss
def triplet_margin_loss(*triplet: ArrayLike, p: float = 2.0, eps: float = 1e-6, **arguments: Any) -> Terms:
    """The triplet loss for the distance ‖a - b + eps‖_p."""
    distance = partial(_norm_distance, p=p, eps=eps)
    return triplet_margin_with_distance_loss(*triplet, distance_function=distance, reduction="none", **arguments)


# --- sequences ---


def _forward(log_probs: Array, labels: NDArray) -> Array:
    """The logarithm of the probability of all ways to be at each label after each frame, (T, labels).

    Labels alternate with blanks, which are at the even places. A path may stay, go on by one, or leave out a blank
    between two different labels.
    """
    alpha = np.full((len(log_probs), len(labels)), -np.inf)
    alpha[0, :2] = log_probs[0, labels[:2]]
    skips = np.zeros(len(labels), bool)
    skips[3::2] = labels[3::2] != labels[1:-2:2]
    for t in range(1, len(log_probs)):
        before = alpha[t - 1]
        reached = np.logaddexp(before, np.append(-np.inf, before[:-1]))
        reached[2:] = np.logaddexp(reached[2:], np.where(skips[2:], before[:-2], -np.inf))
        alpha[t] = reached + log_probs[t, labels]
    return alpha


def _alignments(log_probs: Array, target: NDArray, blank: int) -> tuple[float, Array]:
    """-log of the probability of all alignments of one sample, and how probable each class is in each frame, (T, C)."""
    labels = np.full(2 * len(target) + 1, blank)
    labels[1::2] = target
    forward = _forward(log_probs, labels)
    backward = _forward(log_probs[::-1], labels[::-1])[::-1, ::-1]
    total = np.logaddexp.reduce(forward[-1, -2:])
    occupied = np.zeros_like(log_probs)
    if np.isfinite(total):
        through = np.exp(forward + backward - log_probs[:, labels] - total)
        np.add.at(occupied.T, labels, through.T)
    return -total, occupied


@_loss
def ctc_loss(
    log_probs: ArrayLike,
    targets: ArrayLike,
    input_lengths: ArrayLike,
    target_lengths: ArrayLike,
    blank: int = 0,
    zero_infinity: bool = False,
) -> Terms:
    """-log of the summed probability of every alignment, by the forward recursion.

    For log_probs (T, N, C), targets (N, S) padded or all behind each other, and lengths (N,). The mean divides each
    loss by the length of its target, at least 1, and then by the number of samples. `zero_infinity` makes an infinite
    loss, and its gradient, zero.

    Source: Graves and others, Connectionist Temporal Classification, ICML 2006.

    Returns:
        Gradients with respect to `log_probs`, and to the `logits` behind a log_softmax that made them; the second is
        what torch's backward calls the first.
    """
    log_probs, targets = _float(log_probs), np.asarray(targets)
    frames, lengths = np.asarray(input_lengths), np.asarray(target_lengths)
    ends = np.cumsum(lengths)
    losses = np.zeros(len(lengths))
    occupied, probabilities = np.zeros_like(log_probs), np.zeros_like(log_probs)
    for n, (t, s) in enumerate(zip(frames, lengths)):
        target = targets[n, :s] if targets.ndim == 2 else targets[ends[n] - s : ends[n]]
        losses[n], occupied[:t, n] = _alignments(log_probs[:t, n], target, blank)
        probabilities[:t, n] = np.exp(log_probs[:t, n])
    impossible = np.isinf(losses)
    if zero_infinity:
        losses[impossible], probabilities[:, impossible] = 0, 0
    else:
        occupied[:, impossible] = np.nan
    divisor = np.maximum(lengths, 1) * len(lengths)
    return losses, {"log_probs": -occupied, "logits": probabilities - occupied}, {"mean": divisor}


# --- minimizers ---


def _clipped_mean(targets: Array, delta: float) -> Array:
    """Where the pulls of the targets, each at most `delta`, cancel: by bisection, as their sum rises."""
    low, high = targets.min(), targets.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(middle - targets, -delta, delta).sum() < 0 else (low, middle)
    return _float((low + high) / 2)


def _log_odds(targets: Array, factor: float = 1.0) -> Array:
    return np.log(factor * targets.mean(0) / (1 - targets.mean(0)))


def _log_shares(targets: ArrayLike, weight: ArrayLike = 1.0, label_smoothing: float = 0.0) -> Array:
    """Logarithms of the weighted frequencies of the classes, which sum to 1; every class occurs, or is smoothed in."""
    targets = np.asarray(targets)
    shares = np.bincount(targets) / len(targets) if targets.ndim == 1 else _float(targets).mean(0)
    shares = _float(weight) * ((1 - label_smoothing) * shares + label_smoothing / len(shares))
    return np.log(shares / shares.sum())


# By the loss's name: (targets, **arguments) to the constant input that makes the mean loss over the targets smallest.
# Where it is not unique it is one of them: the median, and logits that are log-probabilities. The Gaussian's is mean
# and variance. Losses that are not here have no such constant, or one that depends on more than their targets.
MINIMIZERS: dict[str, Callable[..., Array]] = {
    "mse_loss": lambda targets: np.mean(targets),
    "l1_loss": lambda targets: np.median(targets),
    "huber_loss": lambda targets, delta=1.0: _clipped_mean(_float(targets), delta),
    "smooth_l1_loss": lambda targets, beta=1.0: _clipped_mean(_float(targets), beta),
    "binary_cross_entropy": lambda targets: np.mean(targets),
    "binary_cross_entropy_with_logits": lambda targets, pos_weight=1.0: _log_odds(_float(targets), pos_weight),
    "soft_margin_loss": lambda targets: _log_odds((1 + _float(targets)) / 2),
    "multilabel_soft_margin_loss": lambda targets: _log_odds(_float(targets)),
    "nll_loss": _log_shares,  # among log-probabilities: without that it has none
    "cross_entropy": _log_shares,
    "kl_div": lambda targets: np.log(_float(targets).mean(0)),
    "poisson_nll_loss": lambda targets, log_input=True: np.log(np.mean(targets)) if log_input else np.mean(targets),
    "gaussian_nll_loss": lambda targets: np.array([np.mean(targets), np.var(targets)]),
}


def least_squares(x: ArrayLike, y: ArrayLike) -> Array:
    """The minimizer of MSE over the lines: slopes, then the intercept, for x (N, features) and y (N, 1)."""
    x = _float(x)
    design = np.column_stack([x, np.ones(len(x))])
    return _float(np.linalg.lstsq(design, _float(y).ravel(), rcond=None)[0])


def least_absolute(x: ArrayLike, y: ArrayLike) -> Array:
    """The minimizers of MAE over the lines, for x (N, 1) and y (N, 1): of the best the flattest and the steepest.

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
