"""The figures of the book, drawn from the package's own results.

Each figure is drawn by a function without arguments, which returns it; `FIGURES` has them by the name of their file,
and `python -m lossdemo.figures` draws them all.
"""

import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from lossdemo import closed_form, data, train
from lossdemo.plot import BLANK, DASHDOT, DASHED, DOTTED, FAINT, INK, METADATA, SOLID, STYLE, Array, Look, panels
from lossdemo.train import History

Loss = Callable[[Array], tuple[Array, Array]]  # of one variable, (n,): values and slopes, (n,) each
Pair = Sequence[Axes]  # for the values, and for the slopes
Place = tuple[float, float]  # where a text begins, in the units of the axes


class Curve(NamedTuple):
    """A loss of one variable, and where its name stands beside its values and beside its slopes.

    At a kink the slope jumps, and a dot shows the one that torch takes there since 2.14.
    """

    name: str
    look: Look
    loss: Loss
    places: tuple[Place, Place]
    kink: float | None = None


def regression_losses() -> Figure:
    """MSE, MAE, Huber and SmoothL1 over the error."""
    figure, [pair] = panels(1, 2)
    curves = [
        Curve("MSE", SOLID, _loss("mse_loss", 0), ((1.3, 6.6), (0.8, 3.5))),
        Curve("MAE", DASHED, _loss("l1_loss", 0), ((3.55, 4.2), (-4.0, -0.75)), kink=0.0),
        Curve("Huber\nδ = 2", DASHDOT, _loss("huber_loss", 0, delta=2), ((-4.0, 6.2), (2.4, 2.3))),
        Curve("SmoothL1\nβ = 2", DOTTED, _loss("smooth_l1_loss", 0, beta=2), ((2.6, 0.25), (1.3, -1.7))),
    ]
    _draw(pair, curves, np.linspace(-4, 4, 65))
    _name(pair, "error x − y", "loss", "gradient in x")
    pair[0].set_ylim(0, 8)
    pair[1].set_ylim(-4.5, 4.5)
    return figure


def binary_losses() -> Figure:
    """Binary cross-entropy and MSE on a sigmoid over the logit."""
    figure, [pair] = panels(1, 2)
    bce = "binary_cross_entropy_with_logits"
    curves = [
        Curve("BCEWithLogits, y = 1\nSoftMargin, y = 1", SOLID, _loss(bce, 1), ((-4.1, 5.2), (1.0, -0.72))),
        Curve("BCEWithLogits, y = 0\nSoftMargin, y = −1", DASHED, _loss(bce, 0), ((-2.6, 3.7), (-5.8, 0.55))),
        Curve("MSE on σ(z)\ny = 1", DASHDOT, _mse_on_a_sigmoid, ((-6.0, 1.15), (-6.0, -0.43))),
    ]
    _draw(pair, curves, np.linspace(-6, 6, 61))
    _name(pair, "logit z", "loss", "gradient in z")
    hardest = closed_form.MINIMIZERS[bce]([1 / 3])
    _mark(pair[1], DASHDOT, hardest, _mse_on_a_sigmoid(hardest)[1], "−8/27 at p = 1/3", (-4.9, -0.6))
    pair[0].set_ylim(0, 6.5)
    return figure


def _mse_on_a_sigmoid(z: Array) -> tuple[Array, Array]:
    p = closed_form.sigmoid(z)
    value, slope = _loss("mse_loss", 1)(p)
    return value, slope * p * (1 - p)


def class_losses() -> Figure:
    """Cross-entropy over the gap of the logits, with a softmax too many, and with the logarithm left out."""
    figure, [pair] = panels(1, 2)
    curves = [
        Curve("cross-entropy", SOLID, _of_the_gap(_cross_entropy), ((-3.6, 4.6), (-6.0, -0.9))),
        Curve("cross-entropy\nafter a softmax", DASHED, _of_the_gap(_softmax_twice), ((2.2, 0.9), (-6.0, -0.25))),
        Curve("NLLLoss on\nprobabilities", DASHDOT, _of_the_gap(_nll_on_probabilities), ((-6.0, -1.15), (-6.0, -0.48))),
    ]
    _draw(pair, curves, np.linspace(-6, 6, 61))
    _name(pair, "true logit less each of the other two", "loss", "gradient in the true logit")
    pair[0].set_ylim(-1.4, 6.5)
    return figure


def _of_the_gap(loss: Loss) -> Loss:
    """A loss of three logits, (n, 3), as one of the number by which the first, the true one, is above the others."""

    def of_the_gap(gap: Array) -> tuple[Array, Array]:
        value, slope = loss(np.column_stack([gap, np.zeros((len(gap), 2))]))
        return value, slope[:, 0]

    return of_the_gap


def _cross_entropy(z: Array) -> tuple[Array, Array]:
    return _loss("cross_entropy", np.zeros(len(z), int))(z)


def _softmax_twice(z: Array) -> tuple[Array, Array]:
    p = np.exp(closed_form.log_softmax(z))
    value, slope = _cross_entropy(p)
    return value, _through_softmax(p, slope)


def _nll_on_probabilities(z: Array) -> tuple[Array, Array]:
    p = np.exp(closed_form.log_softmax(z))
    value, slope = _loss("nll_loss", np.zeros(len(z), int))(p)
    return value, _through_softmax(p, slope)


def _through_softmax(p: Array, slope: Array) -> Array:
    """The slope in the logits for one in the probabilities p, both (n, C)."""
    return p * (slope - (slope * p).sum(1, keepdims=True))


def distribution_losses() -> Figure:
    """Poisson over the log-rate, Gaussian over the variance, KL over a probability, and where each is least."""
    figure, [poisson, gaussian, divergence] = panels(3, 2)
    _draw_poisson(poisson)
    _draw_gaussian(gaussian)
    _draw_divergence(divergence)
    return figure


def _draw_poisson(pair: Pair) -> None:
    for count, look, places, least in [
        (1, SOLID, ((-1.9, 2.6), (-1.9, 0.5)), (-0.6, -1.2)),
        (4, DASHED, ((-1.2, 6.2), (-1.9, -3.1)), (1.2, -2.8)),
    ]:
        loss = _loss("poisson_nll_loss", count)
        _draw(pair, [Curve(f"count {count}", look, loss, places)], np.linspace(-2, 2.25, 35))
        best = closed_form.MINIMIZERS["poisson_nll_loss"]([count])
        _mark(pair[0], look, best, loss(best)[0], f"log {count}", least)
    _name(pair, "logarithm of the rate, x", "PoissonNLLLoss", "its gradient in x")
    pair[0].set_ylim(-3.5, 9)


def _draw_gaussian(pair: Pair) -> None:
    for error, look, places, least in [
        (1, SOLID, ((4.2, 0.55), (1.1, 0.25)), (0.8, 0.12)),
        (2, DASHED, ((1.2, 2.2), (1.6, -1.0)), (3.8, 1.4)),
    ]:
        loss = _of_the_variance(error)
        _draw(pair, [Curve(f"error {error}", look, loss, places)], np.geomspace(0.1, 7, 45))
        best = closed_form.MINIMIZERS["gaussian_nll_loss"]([-error, error])[1]
        _mark(pair[0], look, best, loss(best)[0], f"v = {error**2}", least)
    _name(pair, "variance v", "GaussianNLLLoss", "its gradient in v")
    pair[0].set_ylim(0, 4)
    pair[1].set_ylim(-2, 0.6)


def _draw_divergence(pair: Pair) -> None:
    curves = [
        Curve("KLDivLoss: KL(p ‖ q)", SOLID, _forward_kl, ((0.12, 1.9), (0.16, -6))),
        Curve("KL(q ‖ p)", DASHED, _reverse_kl, ((0.02, 0.5), (0.1, -1.8))),
    ]
    _draw(pair, curves, (1 - np.cos(np.linspace(0.1, np.pi - 0.1, 45))) / 2)
    _mark(pair[0], SOLID, P[0], _forward_kl(P[:1])[0], "q = p", (0.76, 0.4))
    _name(pair, "q of the first of two classes, where p is 0.8", "KL divergence", "its gradient in q")
    pair[0].set_ylim(-0.1, 3)
    pair[1].set_ylim(-8, 8)


P = np.array([0.8, 0.2])  # the distribution that is compared with


def _of_the_variance(error: float) -> Loss:
    def loss(variance: Array) -> tuple[Array, Array]:
        value, gradient = closed_form.gaussian_nll_loss(error, 0, variance, reduction="none")
        return value, gradient["var"]

    return loss


def _forward_kl(q: Array) -> tuple[Array, Array]:
    """KL(P ‖ (q, 1 - q)), and its slope in q by way of the logarithms that the loss takes."""
    both = np.column_stack([q, 1 - q])
    value, gradient = closed_form.kl_div(np.log(both), P, reduction="none")
    return value.sum(1), (gradient["input"] / both) @ [1, -1]


def _reverse_kl(q: Array) -> tuple[Array, Array]:
    both = np.column_stack([q, 1 - q])
    value, gradient = closed_form.kl_div(np.log(P), both, reduction="none")
    return value.sum(1), gradient["target"] @ [1, -1]


def ranking_losses() -> Figure:
    """MarginRanking over two scores, HingeEmbedding over a distance, the triplet loss over two distances."""
    figure, [ranking, hinge, triplet] = panels(3, 2)
    curves = [
        Curve("y = 1", SOLID, _margin_ranking(1), ((-2.6, 4.0), (-3.0, -0.85)), kink=1.0),
        Curve("y = −1", DASHED, _margin_ranking(-1), ((1.5, 4.0), (2.1, 0.75)), kink=-1.0),
    ]
    _draw(ranking, curves, np.linspace(-3, 3, 7))
    _name(ranking, "difference of the scores, x1 − x2", "MarginRankingLoss, margin 1", "its gradient in x1")
    curves = [
        Curve("y = 1", SOLID, _loss("hinge_embedding_loss", 1), ((1.9, 2.5), (2.55, 0.75))),
        Curve("y = −1", DASHED, _loss("hinge_embedding_loss", -1), ((0.1, 1.1), (0, -0.85)), kink=1.0),
    ]
    _draw(hinge, curves, np.linspace(0, 3, 7))
    _name(hinge, "distance x", "HingeEmbeddingLoss, margin 1", "its gradient in x")
    _draw(triplet, [Curve("margin 1", SOLID, _triplet, ((1.5, 1.9), (-0.9, 0.75)), kink=-1.0)], np.linspace(-3, 3, 7))
    difference = "distance to the positive less that to the negative"
    _name(triplet, difference, "TripletMarginLoss", "its gradient in the distance to the positive")
    for value, slope in (ranking, hinge, triplet):
        value.set(ylim=(-0.3, 4.6), yticks=range(5))
        slope.set(ylim=(-1.2, 1.2), yticks=[-1, 0, 1])
    return figure


def _margin_ranking(label: int) -> Loss:
    def loss(difference: Array) -> tuple[Array, Array]:
        value, gradient = closed_form.margin_ranking_loss(difference, 0, label, margin=1, reduction="none")
        return value, gradient["input1"]

    return loss


def _triplet(difference: Array) -> tuple[Array, Array]:
    """On a line: the anchor at 0, the negative at -4, and the positive at 4 and the difference, where the slope is."""
    anchor = np.zeros((len(difference), 1))
    positive = 4 + difference[:, None]
    value, gradient = closed_form.triplet_margin_loss(anchor, positive, anchor - 4, eps=0, reduction="none")
    return value, gradient["positive"][:, 0]


def _loss(name: str, target: ArrayLike, **arguments: Any) -> Loss:
    """A closed form as a loss of its input, for this target and these arguments."""

    def loss(x: Array) -> tuple[Array, Array]:
        value, gradient = closed_form.LOSSES[name](x, target, reduction="none", **arguments)
        return value, gradient["input"]

    return loss


def telephone_calls() -> Figure:
    """The telephone calls with MSE's best line, the two outermost of MAE's best lines, and Huber's."""
    figure, [[axes]] = panels(1, 1, height=3.6, right=1.75)
    year, calls = (column.double().cpu().numpy().ravel() for column in data.telephone_calls())
    good = (year < 1963) | (year > 1970)
    axes.plot(year[good], calls[good], "o", color=INK)
    axes.plot(year[~good], calls[~good], "o", color=INK, markerfacecolor="white")
    axes.text(1955.8, 155, "minutes instead of calls,\nin part for 1963 and 1970")
    ends = np.array([1949.5, 1973.5])
    for name, look, line, height in _telephone_lines(year, calls):
        _plot(axes, ends, line[0] * ends + line[1], look, f"{name}: {line[0]:.2f} a year", (1974, height))
    axes.set(xlim=(1949, 1974), ylim=(-12, 222), xlabel="year", title="international calls from Belgium, in millions")
    return figure


def _telephone_lines(year: Array, calls: Array) -> list[tuple[str, Look, Array, float]]:
    """Name, look, slope with intercept, and height of the name, of each line."""
    x, y = year[:, None], calls[:, None]
    flattest, steepest = closed_form.least_absolute(x, y)
    decades = np.column_stack([(year - 1961.5) / 10, np.ones(len(year))])
    history = _descend(nn.HuberLoss(), decades, calls, [0, 0], torch.optim.LBFGS, 40, line_search_fn="strong_wolfe")
    per_decade, level = _path(history)[-1]
    return [
        ("MSE", SOLID, closed_form.least_squares(x, y), 107),
        ("MAE, steepest", DASHED, steepest, 45),
        ("Huber", DASHDOT, np.array([per_decade / 10, level - 196.15 * per_decade]), 31),
        ("MAE, flattest", DASHED, flattest, 17),
    ]


def optimizer_paths() -> Figure:
    """Thirty steps of SGD, SGD with momentum and Adam over the same ill-conditioned quadratic loss."""
    figure, [row] = panels(1, 3, height=3.2)
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    design = np.sqrt([[1.0], [20.0]]) * turn.T  # half the sum of squares has the curvatures 1 and 20
    runs = [
        ("SGD, lr 0.09", torch.optim.SGD, {"lr": 0.09}),
        ("momentum 0.9, lr 0.02", torch.optim.SGD, {"lr": 0.02, "momentum": 0.9}),
        ("Adam, lr 0.3", torch.optim.Adam, {"lr": 0.3}),
    ]
    for axes, (name, optimizer, arguments) in zip(row, runs):
        history = _descend(nn.MSELoss(), design, np.zeros(2), [-4.0, -1.0], optimizer, 30, **arguments)
        _contours(axes, design, np.zeros(2), [0.125, 0.5, 1.125, 2, 4.5, 8, 12.5])
        path = _path(history)
        axes.plot(*path.T, "o-", color=SOLID.color, linewidth=1, markersize=2.5)
        loss = closed_form.mse_loss(design @ path[-1], 0).value
        axes.text(-3.3, -2.6, f"loss after 30 steps: {loss:.3f}")
        axes.set(title=name, xlabel="first weight", xlim=(-4.7, 1.5), ylim=(-2.9, 1.9))
    row[0].set_ylabel("second weight")
    row[0].text(-4.5, -0.85, "start")
    return figure


def standardized() -> Figure:
    """A line on the body-mass index of the diabetes data, raw and standardized: a hundred steps at the rate 1/L."""
    figure, [row] = panels(1, 2, height=3.6)
    for axes, scaled in zip(row, (False, True)):
        x, y = data.diabetes(standardized=scaled)
        design = np.column_stack([x[:, 2].double().cpu(), np.ones(len(x))])
        targets = y.double().cpu().numpy().ravel()
        largest = 2 * np.linalg.eigvalsh(design.T @ design / len(x))[-1]
        path = _path(_descend(nn.MSELoss(), design, targets, [0, 0], torch.optim.SGD, 100, lr=1 / largest))
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
        history = _descend(criterion, np.ones((1, 1)), np.ones(1), [-6.0], torch.optim.SGD, 300, lr=1.0)
        logits = _path(history)[:, 0]
        _plot(pair[0], range(301), logits, look, name, places[0])
        _plot(pair[1], range(300), history.loss, look, name, places[1])
        right = np.argmax(logits > 0)
        _mark(pair[0], look, right, logits[right], f"step {right}", beside)
    _name(pair, "step", "logit", "loss")
    return figure


def label_smoothing() -> Figure:
    """Cross-entropy over the gap of three logits for several smoothings, and the gap at which each is least."""
    figure, [[axes]] = panels(1, 1, height=3.2, right=0.8)
    gap = np.linspace(-1, 8, 55)
    for smoothing, look in [(0.6, DASHDOT), (0.3, DASHED), (0.1, SOLID), (0, DOTTED)]:
        loss = _of_the_gap(_smoothed(smoothing))
        value, _ = loss(gap)
        _plot(axes, gap, value, look, f"ε = {smoothing}", (8.1, value[-1] - 0.05))
        if smoothing:
            shares = closed_form.MINIMIZERS["cross_entropy"](np.eye(3)[:1], label_smoothing=smoothing)
            best = shares[:1] - shares[1:2]
            least, _ = loss(best)
            above = best[0] - 0.1, least[0] + 0.18
            _mark(axes, look, best, least, f"log {np.exp(best[0]):.0f} = {best[0]:.2f}", above)
    axes.set(xlabel="true logit less each of the other two", title="loss")
    return figure


def _smoothed(smoothing: float) -> Loss:
    def loss(z: Array) -> tuple[Array, Array]:
        return _loss("cross_entropy", np.zeros(len(z), int), label_smoothing=smoothing)(z)

    return loss


def _descend(
    criterion: Callable[[Tensor, Tensor], Tensor],
    design: Array,
    targets: Array,
    start: Sequence[float],
    optimizer: type[Optimizer],
    steps: int,
    **arguments: Any,
) -> History:
    """Train the weights of a linear model without bias, in float64 on the CPU.

    Args:
        criterion: as in `train.fit`.
        design: the inputs, (n, weights).
        targets: (n,).
        start: the weights before the first step.
        optimizer: of torch's.
        steps: how many.
        **arguments: the optimizer's.
    """
    exact: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    model = nn.utils.skip_init(nn.Linear, len(start), 1, bias=False, **exact)  # a drawn start would move the generator
    model.load_state_dict({"weight": torch.tensor([start], **exact)})
    x, y = torch.tensor(design, **exact), torch.tensor(targets[:, None], **exact)
    return train.fit(model, criterion, optimizer(model.parameters(), **arguments), x, y, steps, record=["parameters"])


def _path(history: History) -> Array:
    """The weights before the first step and after each, (steps + 1, weights)."""
    return history.parameters["weight"][:, 0].numpy()


def _draw(pair: Pair, curves: Sequence[Curve], x: Array) -> None:
    """Values in the first axes, slopes in the second, over x, (n,)."""
    for name, look, loss, places, kink in curves:
        around = x if kink is None else np.unique([*x, kink - 1e-9, kink, kink + 1e-9])
        value, slope = loss(around)
        if kink is not None:
            at = around == kink
            pair[1].plot(around[at], slope[at], "o", color=look.color)
            slope[at] = np.nan
        _plot(pair[0], around, value, look, name, places[0])
        _plot(pair[1], around, slope, look, name, places[1])


def _plot(axes: Axes, x: ArrayLike, y: ArrayLike, look: Look, name: str, place: Place) -> None:
    axes.plot(x, y, label=name, **look._asdict())
    axes.text(*place, name, color=look.color)


def _mark(axes: Axes, look: Look, x: ArrayLike, y: ArrayLike, name: str, place: Place) -> None:
    """A dot at one point, and its name."""
    axes.plot(x, y, "o", color=look.color, label=name)
    axes.text(*place, name, color=look.color)


def _name(pair: Pair, variable: str, *titles: str) -> None:
    """What the axes show: the same variable on the horizontal, and vertically what the titles say."""
    for axes, title in zip(pair, titles):
        axes.set(xlabel=variable, title=title)
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


_LOSSES = (regression_losses, binary_losses, class_losses, distribution_losses, ranking_losses)
_TRAININGS = (telephone_calls, optimizer_paths, standardized, sigmoid_start, label_smoothing)
FIGURES: dict[str, Callable[[], Figure]] = {draw.__name__.replace("_", "-"): draw for draw in (*_LOSSES, *_TRAININGS)}


def draw_all(directory: Path) -> None:
    """Draw every figure of the book into `directory`, as SVG."""
    directory.mkdir(parents=True, exist_ok=True)
    with style.context(["default", STYLE]):
        for name, draw in FIGURES.items():
            draw().savefig(directory / f"{name}.svg", metadata=METADATA[".svg"])


if __name__ == "__main__":
    draw_all(Path(sys.argv[1] if len(sys.argv) > 1 else "spec/figures"))
