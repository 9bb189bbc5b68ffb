"""The look of figures, and the course of any training drawn in it.

The same versions write the same bytes: places are fixed and not fitted to the text, and no date is kept.
"""

from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lossdemo.train import History

Array = NDArray[np.float64]


class Look(NamedTuple):
    """How a line is told from the others: by its color, and in print by its dashes."""

    color: str
    linestyle: Any  # a name, or (offset, (on, off, …)) in multiples of the line's width


# Colors that the color-blind can tell apart, without those that are faint on white; the green is darker, as names are
# written in it. Source: Okabe and Ito, Color Universal Design, 2008.
SOLID = Look("#0072B2", "-")
DASHED = Look("#D55E00", (0, (5, 1.8)))
DASHDOT = Look("#007A5A", (0, (7, 1.5, 1.2, 1.5)))
DOTTED = Look("#000000", (0, (1.2, 1.4)))
LOOKS = (SOLID, DASHED, DASHDOT, DOTTED)
INK, FAINT = "#333333", "#BBBBBB"
BLANK = {"facecolor": "white", "edgecolor": "none", "pad": 1}

_INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
_LEFT_OUT = ("axes.spines.top", "axes.spines.right", "legend.frameon", "text.parse_math")
STYLE: dict[str, Any] = {
    **dict.fromkeys(_INKED, INK),
    **dict.fromkeys(_LEFT_OUT, False),
    "figure.facecolor": "white",  # a card of its own, so that a dark page changes nothing
    "savefig.facecolor": "white",
    "svg.fonttype": "none",  # text stays text; of the two fonts, which are alike, most systems have one
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 9.0,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "path.simplify": False,  # how many points it leaves depends on rounding
    "svg.hashsalt": "lossdemo",
}
WIDTH = 8.0  # of every figure, in inches
NAMES_IN_A_ROW = 4  # of a legend
METADATA = {".svg": {"Date": None, "Creator": None}, ".png": {"Software": None}}


def panels(
    rows: int, columns: int, height: float = 0.0, right: float = 0.15, above: float = 0.35
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with axes of equal size, row by row; its height, and the room beside the axes, are in inches."""
    height = height or 0.6 + 2.3 * rows
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(0.7 / WIDTH, 0.5 / height, 1 - right / WIDTH, 1 - above / height)
    grid = {"wspace": 0.2, "hspace": 0.5}
    return figure, figure.subplots(rows, columns, squeeze=False, gridspec_kw=grid).tolist()


def draw_runs(
    runs: dict[str, History],
    path: Path,
    x: ArrayLike | Tensor | None = None,
    y: ArrayLike | Tensor | None = None,
    lines: dict[str, tuple[float, float]] | None = None,
) -> None:
    """Draw the losses of trainings over their steps, and beside them, if given, the data with the learned lines.

    The scale of the losses is logarithmic where all are positive and one is a hundred times another.

    Args:
        runs: the histories by the names that the legend gives them.
        path: the file to write. Its suffix says how: .svg or .png.
        x: an input for each sample, n numbers in any shape.
        y: their targets, n numbers in any shape.
        lines: slope and intercept by name; a name of `runs` looks alike in both panels.

    Raises:
        ValueError: for another suffix, for x and y of different size, and for lines without them.
    """
    kind = path.suffix.lower()
    if kind not in METADATA:
        raise ValueError(f"cannot draw {path.name}: end its name in {' or '.join(METADATA)}")
    points = None if x is None or y is None else (_numbers(x), _numbers(y))
    if lines and points is None:
        raise ValueError("lines are drawn over their data: give x and y, too")
    if points and len(points[0]) != len(points[1]):
        raise ValueError(f"x has {len(points[0])} numbers and y has {len(points[1])}: give one each for every sample")
    names = dict.fromkeys([*runs, *(lines or {})])
    mixed = [Look(LOOKS[n % 4].color, LOOKS[(n + n // 4) % 4].linestyle) for n in range(16)]
    looks = dict(zip(names, cycle(mixed)))
    with style.context(["default", STYLE, {"path.simplify": True}]):
        legend = 0.2 * -(-len(names) // NAMES_IN_A_ROW)
        figure, [row] = panels(1, 2 if points else 1, height=3.6 + legend, above=0.45 + legend)
        _draw_losses(row[0], runs, looks)
        if points:
            _draw_lines(row[1], *points, lines or {}, looks)
        handles = [Line2D([], [], label=name, **look._asdict()) for name, look in looks.items()]
        figure.legend(handles=handles, loc="upper left", ncols=NAMES_IN_A_ROW)
        figure.savefig(path, format=kind[1:], dpi=150, metadata=METADATA[kind])


def _draw_losses(axes: Axes, runs: dict[str, History], looks: dict[str, Look]) -> None:
    for name, history in runs.items():
        marker = "o" if len(history.loss) == 1 else None  # one point makes no line
        steps = range(0, len(history.loss) * history.every, history.every)
        axes.plot(steps, history.loss, marker=marker, **looks[name]._asdict())
    losses = np.array([loss for history in runs.values() for loss in history.loss if np.isfinite(loss)])
    if losses.size and losses.min() > 0 and losses.max() > 100 * losses.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set(title="loss", xlabel="step")


def _draw_lines(axes: Axes, x: Array, y: Array, lines: dict[str, tuple[float, float]], looks: dict[str, Look]) -> None:
    axes.plot(x, y, "o", color=FAINT, markersize=3)
    ends = np.array([x.min(), x.max()])
    for name, (slope, intercept) in lines.items():
        axes.plot(ends, slope * ends + intercept, **looks[name]._asdict())
    axes.set(title="y", xlabel="x")


def _numbers(values: ArrayLike | Tensor) -> Array:
    return np.asarray(values.detach().double().cpu() if isinstance(values, Tensor) else values, float).ravel()
