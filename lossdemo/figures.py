"""The figures of the book, drawn from what torch computes.

Each figure is drawn by a function without arguments, which returns it; `FIGURES` has them by the name of their file,
and `python -m lossdemo.figures` draws them all.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import groupby, pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam

from lossdemo import closed_form, data, ensemble, train
from lossdemo.plot import BLANK, DASHDOT, DASHED, DOTTED, FAINT, INK, METADATA, SOLID, STYLE, WIDTH, Array, Look, panels
from lossdemo.train import History

Loss = Callable[[Tensor], Tensor]  # of one variable, (n,): its values, (n,)
Pair = Sequence[Axes]  # for the values, and for the slopes
Place = tuple[float, float]  # where a text begins, in the units of the axes


def _of(function: Callable[..., Tensor], target: float, **arguments: Any) -> Loss:
    """A loss of its input, for this target and these arguments."""
    return lambda x: function(x, torch.full_like(x, target), reduction="none", **arguments)


def regression_losses() -> Figure:
    """MSE, MAE, Huber and SmoothL1 over the error."""
    figure, [pair] = panels(1, 2)
    x = np.linspace(-4, 4, 65)
    _draw(pair, x, "MSE", SOLID, _of(F.mse_loss, 0), (1.3, 6.6), (0.8, 3.5))
    _draw(pair, x, "MAE", DASHED, _of(F.l1_loss, 0), (3.55, 4.2), (-4.0, -0.75), kink=0.0)
    _draw(pair, x, "Huber\nδ = 2", DASHDOT, _of(F.huber_loss, 0, delta=2), (-4.0, 6.2), (2.4, 2.3))
    _draw(pair, x, "SmoothL1\nβ = 2", DOTTED, _of(F.smooth_l1_loss, 0, beta=2), (2.6, 0.25), (1.3, -1.7))
    _name(pair, "error ŷ − y", "loss", "gradient in ŷ", (0, 8), (-4.5, 4.5))
    return figure


def binary_losses() -> Figure:
    """Binary cross-entropy and MSE on a sigmoid over the logit."""
    figure, [pair] = panels(1, 2)
    x, bce = np.linspace(-6, 6, 61), F.binary_cross_entropy_with_logits
    _draw(pair, x, "BCEWithLogits, y = 1\nSoftMargin, y = 1", SOLID, _of(bce, 1), (-4.1, 5.2), (1.0, -0.72))
    _draw(pair, x, "BCEWithLogits, y = 0\nSoftMargin, y = −1", DASHED, _of(bce, 0), (-2.6, 3.7), (-5.8, 0.55))
    _draw(pair, x, "MSE on σ(z)\ny = 1", DASHDOT, _mse_on_a_sigmoid, (-6.0, 1.2), (-6.0, -0.43))
    _name(pair, "logit z", "loss", "gradient in z", (0, 6.5), (-1.1, 1.1))
    _mark(pair[1], DASHDOT, -math.log(2), -8 / 27, "−8/27 at p = 1/3", (-4.9, -0.6))
    return figure


def _mse_on_a_sigmoid(z: Tensor) -> Tensor:
    return (z.sigmoid() - 1) ** 2


def class_losses() -> Figure:
    """Cross-entropy over the gap of the logits, with a softmax too many, and with the logarithm left out."""
    figure, [pair] = panels(1, 2)
    nll, twice = partial(_of_the_gap, F.nll_loss, softmax=True), partial(_of_the_gap, F.cross_entropy, softmax=True)
    x = np.linspace(-6, 6, 61)
    _draw(pair, x, "cross-entropy", SOLID, partial(_of_the_gap, F.cross_entropy), (-3.6, 4.6), (-6.0, -0.9))
    _draw(pair, x, "cross-entropy\nafter a softmax", DASHED, twice, (2.2, 0.9), (-6.0, -0.25))
    _draw(pair, x, "NLLLoss on\nprobabilities", DASHDOT, nll, (-6.0, -1.15), (-6.0, -0.48))
    gap = "true logit less each of the other two"
    _name(pair, gap, "loss", "gradient in the true logit", (-1.4, 6.5), (-1.05, 0.05))
    return figure


def _of_the_gap(loss: Callable[..., Tensor], gap: Tensor, softmax: bool = False, **arguments: Any) -> Tensor:
    """The loss of three logits of which the first, the true one, is so much above the others."""
    logits = F.pad(gap[:, None], (0, 2))
    true = torch.zeros_like(gap, dtype=torch.long)
    return loss(logits.softmax(1) if softmax else logits, true, reduction="none", **arguments)


def distribution_losses() -> Figure:
    """Poisson over the log-rate, Gaussian over the variance, KL over a probability, and where each is least."""
    figure, [poisson, gaussian, divergence] = panels(3, 2)

    def gaussian_nll(v: Tensor, error: Tensor, **each: Any) -> Tensor:
        return F.gaussian_nll_loss(error, 0 * error, v, **each)

    z = np.linspace(-2, 2.25, 35)
    _draw(poisson, z, "count 1", SOLID, _of(F.poisson_nll_loss, 1), (-1.9, 2.6), (-1.9, 0.5))
    _draw(poisson, z, "count 4", DASHED, _of(F.poisson_nll_loss, 4), (-1.2, 6.2), (-1.9, -3.1))
    _mark(poisson[0], SOLID, 0, 1, "log 1 = 0", (-0.8, -1.2))
    _mark(poisson[0], DASHED, math.log(4), 4 - 4 * math.log(4), "log 4 = 1.39", (0.8, -2.8))
    v = np.geomspace(0.1, 7, 45)
    _draw(gaussian, v, "error 1", SOLID, _of(gaussian_nll, 1), (4.2, 0.55), (1.1, 0.25))
    _draw(gaussian, v, "error 2", DASHED, _of(gaussian_nll, 2), (1.2, 2.2), (1.6, -1.0))
    _mark(gaussian[0], SOLID, 1, 0.5, "v = 1", (0.8, 0.12))
    _mark(gaussian[0], DASHED, 4, math.log(2) + 0.5, "v = 4", (3.8, 1.4))
    p = (1 - np.cos(np.linspace(0.1, np.pi - 0.1, 45))) / 2
    _draw(divergence, p, "KLDivLoss: KL(q ‖ p)", SOLID, lambda p: _kl(0 * p + 0.8, p), (0.12, 1.9), (0.16, -6))
    _draw(divergence, p, "KL(p ‖ q)", DASHED, lambda p: _kl(p, 0 * p + 0.8), (0.02, 0.5), (0.1, -1.8))
    _mark(divergence[0], SOLID, 0.8, 0, "p = q", (0.76, 0.4))
    _name(poisson, "logarithm of the rate, z", "PoissonNLLLoss", "its gradient in z", (-3.5, 9), (-4.5, 9))
    _name(gaussian, "variance v", "GaussianNLLLoss", "its gradient in v", (0, 4), (-2, 0.6))
    first = "p of the first of two classes, where q is 0.8"
    _name(divergence, first, "KL divergence", "its gradient in p", (-0.1, 3), (-8, 8))
    return figure


def _kl(q: Tensor, p: Tensor) -> Tensor:
    """KL(q ‖ p) for two classes, of which the first has these probabilities, (n,) each."""
    return F.kl_div(torch.stack([p, 1 - p]).log(), torch.stack([q, 1 - q]), reduction="none").sum(0)


def ranking_losses() -> Figure:
    """MarginRanking over two scores, HingeEmbedding over a distance, the triplet loss over two distances."""
    figure, [ranking, hinge, triplet] = panels(3, 2)

    def margin_ranking(difference: Tensor, y: Tensor, **each: Any) -> Tensor:
        return F.margin_ranking_loss(difference, 0 * y, y, margin=1, **each)

    def on_a_line(difference: Tensor, far: Tensor, **each: Any) -> Tensor:
        return F.triplet_margin_loss(0 * far[:, None], (far + difference)[:, None], -far[:, None], eps=0, **each)

    x, distances = np.linspace(-3, 3, 7), np.linspace(0, 3, 7)
    _draw(ranking, x, "y = 1", SOLID, _of(margin_ranking, 1), (-2.6, 4.0), (-3.0, -0.85), kink=1.0)
    _draw(ranking, x, "y = −1", DASHED, _of(margin_ranking, -1), (1.5, 4.0), (2.1, 0.75), kink=-1.0)
    _draw(hinge, distances, "y = 1", SOLID, _of(F.hinge_embedding_loss, 1), (1.9, 2.5), (2.55, 0.75))
    _draw(hinge, distances, "y = −1", DASHED, _of(F.hinge_embedding_loss, -1), (0.1, 1.1), (0, -0.8), kink=1.0)
    _draw(triplet, x, "margin 1", SOLID, _of(on_a_line, 4), (1.5, 1.9), (-0.9, 0.75), kink=-1.0)
    limits = (-0.3, 4.6), (-1.2, 1.2)
    _name(ranking, "difference of the scores, x1 − x2", "MarginRankingLoss, margin 1", "its gradient in x1", *limits)
    _name(hinge, "distance x", "HingeEmbeddingLoss, margin 1", "its gradient in x", *limits)
    difference = "distance to the positive less that to the negative"
    _name(triplet, difference, "TripletMarginLoss", "its gradient in the distance to the positive", *limits)
    return figure


def saturation() -> Figure:
    """How much of a gradient activations pass on, and losses leave on a logit, where these are far from 0."""
    figure, [[passed, left]] = panels(1, 2)
    one, tanh_one = 24 * math.log(2), 13 * math.log(2)  # from here on both are 1 in float32
    bce = _of(F.binary_cross_entropy_with_logits, 1)
    for axes, name, look, function, start, end, place in [
        (passed, "ReLU", DOTTED, torch.relu, 1e-3, 20, (12, 1.7)),
        (passed, "sigmoid", SOLID, torch.sigmoid, -20, one, (-19.5, 3e-4)),
        (passed, "tanh", DASHED, torch.tanh, -tanh_one, tanh_one, (-2.2, 3e-5)),
        (left, "hinge", DOTTED, lambda z: torch.relu(1 - z), -20, 1 - 1e-3, (-19, 1.7)),
        (left, "BCEWithLogits", SOLID, bce, -20, one, (8.5, 1e-3)),
        (left, "MSE on σ(z)", DASHDOT, _mse_on_a_sigmoid, -20, 20, (-12, 1e-7)),
    ]:
        x = np.linspace(start, end, 61)
        size = np.abs(_value_and_slope(function, x)[1])
        _plot(axes, x, size, look, name, place)
        ends = np.abs(x) < 20
        ends[1:-1] = False
        axes.plot(x[ends], size[ends], "o", color=look.color, label=f"_{name}")
        axes.set(yscale="log", ylim=(2e-9, 8), yticks=[1, 1e-2, 1e-4, 1e-6, 1e-8], xlim=(-20.5, 20.5))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    passed.set(xlabel="input z of the activation", title="share of the gradient that is passed on")
    left.set(xlabel="logit z, the label is 1", title="size of the loss's gradient in z")
    return figure


def loop() -> Figure:
    """The calls of one turn of the training loop, and what each reads and writes."""
    figure, axes = _canvas(16, 5.4)
    calls = "forward pass\nŷ = model(x)", "loss\ncriterion(ŷ, y)", "clear\nzero_grad()", "backward\nloss.backward()"
    for n, call in enumerate((*calls, "step\noptimizer.step()")):
        _box(axes, 0.4 + 3.1 * n, 3.3, 2.8, 1, call)
        if n:
            _arrow(axes, INK, (3.1 * n + 0.1, 3.8), (3.1 * n + 0.4, 3.8))
    _arrow(axes, INK, (14.2, 4.3), (14.2, 4.8), (1.8, 4.8), (1.8, 4.3))
    axes.text(8, 4.95, "the next batch", ha="center")
    _box(axes, 6.6, 1.7, 7.4, 0.6, "gradients: w.grad of each parameter", DASHED.color)
    _box(axes, 0.4, 0.3, 15.2, 0.6, "parameters: weights and biases w", SOLID.color)
    for x, start, end, look, words in [
        (1.8, 0.9, 3.3, SOLID, "reads"),
        (8.0, 3.3, 2.3, DASHED, "sets to None"),
        (11.1, 3.3, 2.3, DASHED, "adds to"),
        (13.4, 2.3, 3.3, DASHED, "reads"),
        (15.0, 3.3, 0.9, SOLID, "writes"),
    ]:
        _arrow(axes, look.color, (x, start), (x, end))
        axes.text(x - 0.1, max(start, end) - 0.6, words, ha="right", color=look.color)
    return figure


def reduction() -> Figure:
    """The single losses of MSE and of cross-entropy, and what each reduction divides by."""
    figure, axes = _canvas(16, 4.6)
    squares = torch.tensor([[1.0, -2.0], [0.0, 3.0], [2.0, 0.0]]) ** 2
    rows = -torch.tensor([[0.5], [0.25], [0.125]]).log()
    total, weighted = rows.sum(), rows.flatten() @ torch.tensor([1.0, 1.0, 3.0])
    elements = [("'sum': 18", "the gradients as they are"), ("'mean': 18 / 6 = 3", "every gradient divided by 6")]
    of_rows = [
        (f"'sum': {total:.2f}", "the gradients as they are"),
        (f"'mean': {total:.2f} / 3 = {total / 3:.2f}", "every gradient divided by 3"),
        (f"'mean', weights 1, 1, 3: {weighted:.2f} / 5 = {weighted / 5:.2f}", "gradients times weight, divided by 5"),
    ]
    for left, title, losses, reductions in [
        (0.4, "MSELoss: 3 rows of 2 elements", squares, elements),
        (8.0, "CrossEntropyLoss: 3 rows, whatever the classes", rows, of_rows),
    ]:
        axes.text(left, 4.1, title)
        axes.text(left, 0.8, "'none'", color=SOLID.color)
        edge = left + 0.9 * losses.shape[1]
        for (row, column), loss in np.ndenumerate(losses.numpy()):
            _box(axes, left + 0.9 * column, 2.9 - 0.8 * row, 0.9, 0.8, f"{loss:.3g}", SOLID.color)
        for n, (result, says) in enumerate(reductions):
            _arrow(axes, INK, (edge + 0.1, 2.5), (edge + 0.9, 3.25 - 1.3 * n))
            axes.text(edge + 1.1, 3.3 - 1.3 * n, result, color=DASHED.color)
            axes.text(edge + 1.1, 2.9 - 1.3 * n, says)
    return figure


def alignments() -> Figure:
    """The paths of four frames that spell 1 2, from state to state, and how many of them go each way."""
    figure, axes = _canvas(16, 5.6)
    spelling = [p for p in product(range(3), repeat=4) if [label for label, _ in groupby(p) if label] == [1, 2]]
    # The states are blank, 1, blank, 2, blank; at each frame a path's labels so far say which blank it is in.
    states = [[(n, 2 * c - 1 if c else 2 * max((0, *path[:n]))) for n, c in enumerate(path)] for path in spelling]

    def place(frame: int, state: int) -> Place:
        return 3.2 + 2.9 * frame, 4.9 - 0.95 * state

    for way, number in Counter(way for path in states for way in pairwise(path)).items():
        line = Outline([place(*end) for end in way])
        axes.add_patch(PathPatch(line, edgecolor=SOLID.color, linewidth=0.8 * number))
    for node, number in Counter(node for path in states for node in path).items():
        axes.add_patch(Circle(place(*node), 0.28, facecolor="white", edgecolor=SOLID.color, zorder=2))
        axes.text(*place(*node), str(number), ha="center", va="center_baseline", zorder=3)
    for state, name in enumerate(["blank", "label 1", "blank", "label 2", "blank"]):
        axes.text(2.5, place(0, state)[1], name, ha="right", va="center_baseline")
    for frame in range(4):
        axes.text(place(frame, 0)[0], 0.25, f"frame {frame + 1}", ha="center")
    axes.text(12.8, 3.9, f"{len(spelling)} of the 81 paths\nspell 1 2", va="center")
    return figure


def telephone_calls() -> Figure:
    """The telephone calls with MSE's best line, the two outermost of MAE's best lines, and Huber's."""
    figure, [[axes]] = panels(1, 1, height=3.6, right=1.75)
    year, calls = (column.double().cpu().numpy().ravel() for column in data.telephone_calls())
    good = (year < 1963) | (year > 1970)
    axes.plot(year[good], calls[good], "o", color=INK)
    axes.plot(year[~good], calls[~good], "o", color=INK, markerfacecolor="white")
    axes.text(1955.8, 155, "minutes instead of calls,\nin part for 1963 and 1970")
    flattest, steepest = closed_form.least_absolute(year[:, None], calls[:, None])
    decades = np.column_stack([(year - 1961.5) / 10, np.ones(len(year))])
    history = _descend(nn.HuberLoss(), decades, calls, [0, 0], torch.optim.LBFGS, 40, line_search_fn="strong_wolfe")
    per_decade, level = _path(history)[-1]
    ends = np.array([1949.5, 1973.5])
    for name, look, (slope, intercept), height in [
        ("MSE", SOLID, closed_form.least_squares(year[:, None], calls[:, None]), 107),
        ("MAE, steepest", DASHED, steepest, 45),
        ("Huber", DASHDOT, (per_decade / 10, level - 196.15 * per_decade), 31),
        ("MAE, flattest", DASHED, flattest, 17),
    ]:
        _plot(axes, ends, slope * ends + intercept, look, f"{name}: {slope:.2f} a year", (1974, height))
    axes.set(xlim=(1949, 1974), ylim=(-12, 222), xlabel="year", title="international calls from Belgium, in millions")
    return figure


RATES = [digit / 10**places for places in (3, 2, 1, 0) for digit in (1, 1.5, 2, 3, 5, 7)]


def optimizer_paths() -> Figure:
    """Thirty steps of SGD, SGD with momentum and Adam over one narrow valley, each with the best of `RATES`."""
    figure, [row] = panels(1, 3, height=3.2)
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    design = np.sqrt([[1.0], [50.0]]) * turn.T  # half the sum of squares has the curvatures 1 and 50
    runs = [("SGD", SGD, {}), ("momentum 0.9", SGD, {"momentum": 0.9}), ("Adam", Adam, {})]
    for axes, (name, optimizer, arguments) in zip(row, runs):
        tried = {}
        for lr in RATES:
            history = _descend(nn.MSELoss(), design, np.zeros(2), [-4, -1], optimizer, 30, lr=lr, **arguments)
            tried[lr] = closed_form.mse_loss(design @ _path(history)[-1], 0).value, _path(history)
        lr = min(tried, key=lambda lr: tried[lr][0])
        loss, path = tried[lr]
        _contours(axes, design, np.zeros(2), [0.125, 0.5, 1.125, 2, 4.5, 8, 12.5])
        axes.plot(*path.T, "o-", color=SOLID.color, linewidth=1, markersize=2.5)
        axes.text(-3.3, -2.6, f"loss after 30 steps: {loss:.3f}")
        axes.set(title=f"{name}, lr {lr:g}", xlabel="first weight", xlim=(-4.7, 1.5), ylim=(-2.9, 1.9))
    row[0].set_ylabel("second weight")
    row[0].text(-4.5, -0.85, "start")
    return figure


def standardized() -> Figure:
    """A line on the body-mass index of the diabetes data, raw and standardized: a hundred steps of descent."""
    figure, [row] = panels(1, 2, height=3.6)
    for axes, scaled in zip(row, (False, True)):
        x, y = data.diabetes(standardized=scaled)
        design = np.column_stack([x[:, 2].double().cpu(), np.ones(len(x))])
        targets = y.double().cpu().numpy().ravel()
        largest = 2 * np.linalg.eigvalsh(design.T @ design / len(x))[-1]
        path = _path(_descend(nn.MSELoss(), design, targets, [0, 0], SGD, 100, lr=1 / largest))
        best = closed_form.least_squares(design[:, :1], targets)
        least, reached = (closed_form.mse_loss(design @ weights, targets).value for weights in (best, path[-1]))
        _contours(axes, design, best, np.array([4000, 5000, 7500, 12500, 20000, 29000]) - least)
        axes.plot(*path.T, "o-", color=SOLID.color, linewidth=1.2, markevery=[0, 1, 100])
        beside = {"xytext": (7, -3), "textcoords": "offset points"}
        axes.annotate("after 1 step,\nand after 100", path[-1], **beside, bbox=BLANK)
        axes.set_title(f"{'standardized' if scaled else 'raw'}: loss {reached:.0f}, at best {least:.0f}")
    row[0].set(xlabel="weight, score per kg/m²", ylabel="bias, score", xlim=(-3, 18), ylim=(-320, 80))
    row[1].set(xlabel="weight, score per standard deviation", xlim=(-170, 260), ylim=(-30, 330))
    return figure


def sigmoid_start() -> Figure:
    """From the logit -6 for a positive sample: the logit and the loss under BCE and under MSE on the sigmoid."""
    figure, [pair] = panels(1, 2)
    runs = [
        ("BCE", SOLID, F.binary_cross_entropy_with_logits, ((40, 4.3), (12, 2.5)), (14, -0.85)),
        ("MSE on a sigmoid", DASHDOT, lambda z, y: F.mse_loss(z.sigmoid(), y), ((8, -4.75), (40, 1.2)), (221, -0.85)),
    ]
    for name, look, criterion, places, beside in runs:
        history = _descend(criterion, np.ones((1, 1)), np.ones(1), [-6], SGD, 300, lr=1.0)
        logits = _path(history)[:, 0]
        _plot(pair[0], range(301), logits, look, name, places[0])
        _plot(pair[1], range(300), history.loss, look, name, places[1])
        right = np.argmax(logits > 0)
        _mark(pair[0], look, right, logits[right], f"step {right}", beside)
    _name(pair, "step", "logit", "loss", (-6.6, 6.3), (-0.3, 6.3))
    return figure


def label_smoothing() -> Figure:
    """Cross-entropy over the gap of three logits for several smoothings, and the gap at which each is least."""
    figure, [[axes]] = panels(1, 1, height=3.2, right=0.8)
    gap = np.linspace(-1, 8, 55)
    for smoothing, look in [(0.6, DASHDOT), (0.3, DASHED), (0.1, SOLID), (0, DOTTED)]:
        loss = partial(_of_the_gap, F.cross_entropy, label_smoothing=smoothing)
        value, _ = _value_and_slope(loss, gap)
        _plot(axes, gap, value, look, f"ε = {smoothing}", (8.1, value[-1] - 0.05))
        if smoothing:
            ratio = 3 / smoothing - 2  # of the true class's target to each other one's
            best = np.log([ratio])
            least, _ = _value_and_slope(loss, best)
            _mark(axes, look, best, least, f"log {ratio:.0f} = {best[0]:.2f}", (best[0] - 0.1, least[0] + 0.18))
    axes.set(xlabel="true logit less each of the other two", title="loss")
    return figure


def slopes() -> Figure:
    """How often each slope is learned by MSE and by MAE in a thousand draws, without outliers and with two of 21."""
    figure, [row] = panels(1, 2)
    random = np.random.default_rng(0)
    exact: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    x = np.linspace(-1.5, 1.5, 21)[:, None]
    noisy = 2 * x + 1 + random.standard_normal((1000, 21, 1))
    model = nn.utils.skip_init(nn.Linear, 1, 1, **exact)
    bins = np.arange(0.85, 4.8, 0.1)
    runs = [
        ("MSE", SOLID, nn.MSELoss(), ((2.5, 125), (3.95, 130))),
        ("MAE", DASHED, nn.L1Loss(), ((0.85, 80), (1.2, 80))),
    ]
    for i, (axes, above) in enumerate(zip(row, (0, 10))):
        targets = noisy + above * (x > 1.3)
        inputs, outputs = (torch.tensor(np.broadcast_to(each, noisy.shape), **exact) for each in (x, targets))
        for name, look, criterion, places in runs:
            lines = {"weight": torch.zeros(1000, 1, 1, **exact), "bias": torch.zeros(1000, 1, **exact)}
            for lr in (0.3, 0.03):
                lines = ensemble.fit(model, criterion, lines, inputs, outputs, 40, lr=lr).parameters
            counts, _ = np.histogram(lines["weight"], bins)
            _plot(axes, np.repeat(bins, 2)[1:-1], np.repeat(counts, 2), look, name, places[i])
        axes.axvline(2, color=FAINT, linewidth=0.7, zorder=0)
        title = "2 of 21 targets 10 too high" if above else "noise alone"
        axes.set(title=f"lines of 1000, {title}", xlabel="slope, true 2", ylim=(0, 190))
    return figure


def _descend(
    criterion: Any, design: Array, targets: Array, start: list[float], optimizer: Any, steps: int, **arguments: Any
) -> History:
    """Train a linear model without bias from the weights `start`, in float64 on the CPU; inputs are (n, weights)."""
    exact: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    model = nn.utils.skip_init(nn.Linear, len(start), 1, bias=False, **exact)  # a drawn start would move the generator
    model.load_state_dict({"weight": torch.tensor([start], **exact)})
    x, y = torch.tensor(design, **exact), torch.tensor(targets[:, None], **exact)
    return train.fit(model, criterion, optimizer(model.parameters(), **arguments), x, y, steps, record=["parameters"])


def _path(history: History) -> Array:
    """The weights before the first step and after each, (steps + 1, weights)."""
    return history.parameters["weight"][:, 0].numpy()


def _value_and_slope(loss: Loss, x: Array) -> tuple[Array, Array]:
    at = torch.tensor(x, dtype=torch.float64, device="cpu", requires_grad=True)
    value = loss(at)
    [slope] = torch.autograd.grad(value.sum(), at)
    return value.detach().numpy(), slope.numpy()


def _draw(
    pair: Pair, x: Array, name: str, look: Look, loss: Loss, left: Place, right: Place, kink: float | None = None
) -> None:
    """Values of a loss in the first axes, its slopes in the second, over x, (n,), and its name in both.

    At a kink the slope jumps, and open circles are where it ends: any slope between them is one.
    """
    ends = [] if kink is None else [kink - 1e-6, kink + 1e-6]
    around = np.unique([*x, *ends, *([] if kink is None else [kink])])
    value, slope = _value_and_slope(loss, around)
    slope[around == kink] = np.nan
    _plot(pair[0], around, value, look, name, left)
    _plot(pair[1], around, slope, look, name, right)
    pair[1].plot(ends, slope[np.isin(around, ends)], "o", color=look.color, markerfacecolor="white", label=f"_{name}")


def _plot(axes: Axes, x: ArrayLike, y: ArrayLike, look: Look, name: str, place: Place) -> None:
    axes.plot(x, y, label=name, **look._asdict())
    axes.text(*place, name, color=look.color)


def _mark(axes: Axes, look: Look, x: ArrayLike, y: ArrayLike, name: str, place: Place) -> None:
    """A dot at one point, and its name."""
    axes.plot(x, y, "o", color=look.color, label=name)
    axes.text(*place, name, color=look.color)


def _name(pair: Pair, variable: str, value: str, slope: str, *limits: Place) -> None:
    """What the axes show: the same variable on the horizontal, and vertically what the titles say, in these limits."""
    for axes, title, limit in zip(pair, (value, slope), limits):
        axes.set(xlabel=variable, title=title, ylim=limit)
        axes.axhline(0, color=FAINT, linewidth=0.7, zorder=0)


def _contours(axes: Axes, design: Array, best: Array, heights: Collection[float]) -> None:
    """Where the mean squared error of a linear model is so much above its least: ellipses around the best weights."""
    root = np.linalg.cholesky(design.T @ design / len(design))  # the error is above by |rootᵀ (w - best)|²
    to_weights = np.eye(3)
    to_weights[:2, :2], to_weights[:2, 2] = np.linalg.inv(root.T), best
    for height in heights:
        ellipse = Outline.circle(radius=np.sqrt(height)).transformed(Affine2D(to_weights))
        axes.add_patch(PathPatch(ellipse, fill=False, edgecolor=FAINT, linewidth=0.8))
    axes.plot(*best, "+", color=INK, markersize=8, label="best")


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure without axes to draw on, so many units wide and high."""
    figure, [[axes]] = panels(1, 1, height=WIDTH * height / width)
    axes.set(position=(0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def _box(axes: Axes, x: float, y: float, width: float, height: float, words: str, color: str = INK) -> None:
    """Words in the middle of a box, whose lower left corner is at x, y."""
    axes.add_patch(Rectangle((x, y), width, height, facecolor="white", edgecolor=color))
    axes.text(x + width / 2, y + height / 2, words, ha="center", va="center", color=color)


def _arrow(axes: Axes, color: str, *points: Place) -> None:
    """An arrow from the first point to the last by way of the others."""
    line = Outline(points)
    axes.add_patch(FancyArrowPatch(path=line, arrowstyle="-|>", mutation_scale=8, color=color, fill=False))


_LOSSES = (regression_losses, binary_losses, class_losses, distribution_losses, ranking_losses, label_smoothing)
_OTHERS = (
    loop,
    reduction,
    saturation,
    alignments,
    telephone_calls,
    optimizer_paths,
    standardized,
    sigmoid_start,
    slopes,
)
FIGURES: dict[str, Callable[[], Figure]] = {draw.__name__.replace("_", "-"): draw for draw in (*_LOSSES, *_OTHERS)}


def draw_all(directory: Path) -> None:
    """Draw every figure of the book into `directory`, as SVG."""
    directory.mkdir(parents=True, exist_ok=True)
    with style.context(["default", STYLE]):
        for name, draw in FIGURES.items():
            draw().savefig(directory / f"{name}.svg", metadata=METADATA[".svg"])


if __name__ == "__main__":
    draw_all(Path(sys.argv[1] if len(sys.argv) > 1 else "spec/figures"))
