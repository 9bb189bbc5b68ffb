"""The figures: that the book shows what the package computes, and that what is drawn is true and legible."""

import math
import re
import runpy
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from lossdemo import closed_form, data, figures, plot

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "spec" / "figures"
FAMILIES = [name for name in figures.FIGURES if name.endswith("-losses")]


@pytest.fixture(scope="module")
def redrawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which `python -m lossdemo.figures` has drawn the figures."""
    directory = tmp_path_factory.mktemp("redrawn") / "figures"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["figures.py", str(directory)])
        runpy.run_path(figures.__file__, run_name="__main__")
    return directory


@cache
def drawn(name: str) -> Figure:
    """A figure of the book, laid out as it is saved."""
    with style.context(["default", plot.STYLE]):
        figure = figures.FIGURES[name]()
        FigureCanvasAgg(figure).draw()
    return figure


def texts(svg: Path) -> list[str]:
    """What can be read in a figure, in order."""
    return [element.text for element in ElementTree.parse(svg).iter() if element.tag.endswith("}text")]


def but_texts(element: Element) -> Iterator[Element]:
    """An element of a figure and all in it, without texts: where these stand depends on matplotlib's version."""
    if not element.get("id", "").startswith("text_"):
        yield element
        for part in element:
            yield from but_texts(part)


def numbers(svg: Path) -> list[float]:
    """Every outline of a figure and the place of every mark, in points."""
    elements = but_texts(ElementTree.parse(svg).getroot())
    places = [element.get(name, "") for element in elements for name in ("d", "x", "y")]
    return [float(number) for place in places for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", place)]


@pytest.mark.parametrize("name", figures.FIGURES)
def test_the_books_figures_are_what_the_package_draws(name: str, redrawn: Path) -> None:
    """The kept files have the words of newly drawn ones, and every point within a twentieth of a point of them."""
    kept, new = KEPT / f"{name}.svg", redrawn / f"{name}.svg"
    assert texts(kept) == texts(new), "run `make figures`, and look at what changed"
    np.testing.assert_allclose(numbers(kept), numbers(new), atol=0.05)


def test_every_file_is_a_figure_and_every_figure_a_small_file() -> None:
    """Nothing is left over beside the figures, and none is as large as 60 kB."""
    assert {path.name for path in KEPT.iterdir()} == {f"{name}.svg" for name in figures.FIGURES}
    assert max(path.stat().st_size for path in KEPT.iterdir()) < 60_000


@pytest.mark.parametrize("name", figures.FIGURES)
def test_the_same_bytes_are_drawn_again(name: str, redrawn: Path, tmp_path: Path) -> None:
    """Nothing of the time, the order or the state of torch's generator gets into a file."""
    torch.manual_seed(1)
    state = torch.get_rng_state()
    figure = drawn(name)
    assert torch.equal(torch.get_rng_state(), state)
    with style.context(["default", plot.STYLE]):
        figure.savefig(tmp_path / "again.svg", metadata=plot.METADATA[".svg"])
        FigureCanvasAgg(figure).draw()  # laid out again as it was, for the tests that ask where words are
    assert (tmp_path / "again.svg").read_bytes() == (redrawn / f"{name}.svg").read_bytes()


def pictures() -> Iterator[tuple[str, str]]:
    """The alternative text and the file of each picture in the book."""
    for page in sorted((ROOT / "spec").glob("*.md")):
        for token in MarkdownIt("commonmark").parse(page.read_text()):
            for child in token.children or []:
                if child.type == "image":
                    yield child.content, str(child.attrs["src"])


def test_the_book_shows_each_figure_once_and_says_what_is_seen() -> None:
    """A reader who does not see a figure is told what is in it, in a sentence."""
    assert sorted(source for _, source in pictures()) == sorted(f"figures/{name}.svg" for name in figures.FIGURES)
    for words, _ in pictures():
        assert re.fullmatch(r"[A-Z][^.]+(\.\d[^.]*)*\.?", words, re.DOTALL)
        assert len(words.split()) > 15


def test_only_the_figures_need_matplotlib() -> None:
    """The book, its verification and trainings run where matplotlib is not installed."""
    users = [
        path.name
        for path in (ROOT / "lossdemo").rglob("*.py")
        if re.search(r"(import|from) matplotlib", path.read_text())
    ]
    assert sorted(users) == ["figures.py", "plot.py"]


def words(name: str) -> list[Text]:
    """Every text of a figure but the numbers along the axes."""
    return [
        text
        for axes in drawn(name).axes
        for text in (*axes.texts, axes._left_title, axes.xaxis.label, axes.yaxis.label)
        if text.get_text()
    ]


@pytest.mark.parametrize("name", figures.FIGURES)
def test_no_word_lies_on_a_line_or_another_word_or_off_the_page(name: str) -> None:
    """Names stand free, so that they can be read and belong to what they are next to."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in words(name)]
    page = drawn(name).bbox
    for word, box in boxes:
        assert page.x0 < box.x0 < box.x1 < page.x1, word
        assert page.y0 < box.y0 < box.y1 < page.y1, word
    for text, line in ((text, line) for axes in drawn(name).axes for text in axes.texts for line in axes.lines):
        outline = line.get_transform().transform_path(line.get_path())
        background = line.get_color() == plot.FAINT
        assert background or not outline.intersects_bbox(text.get_window_extent(), filled=False), text.get_text()
    for (word, box), (other, another) in combinations(boxes, 2):
        assert not box.overlaps(another), (word, other)


@pytest.mark.parametrize("name", figures.FIGURES)
def test_lines_differ_in_print_and_to_the_color_blind(name: str) -> None:
    """No two losses in a panel share a color or a kind of dashes, and a name has the color of its line."""
    looks = {look.color.lower(): look for look in plot.LOOKS}
    for axes in drawn(name).axes:
        lines = [line for line in axes.lines if to_hex(line.get_color()) in looks and line.get_linestyle() != "None"]
        names = {re.sub("^MAE.*", "MAE", line.get_label()) for line in lines}  # two best lines of one loss
        assert len({to_hex(line.get_color()) for line in lines}) == len(names)
        assert len({str(line._unscaled_dash_pattern) for line in lines}) == len(names)
        for line in lines:
            named = [text for text in axes.texts if text.get_text() == line.get_label()]
            assert all(text.get_color() == line.get_color() for text in named)


def line(axes: Axes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The points of the line or mark of this name."""
    [found] = [line for line in axes.lines if line.get_label() == name]
    return np.asarray(found.get_xdata(), float).ravel(), np.asarray(found.get_ydata(), float).ravel()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_right_panel_is_the_slope_of_the_left(name: str) -> None:
    """Between two neighbors the loss changes by a slope between theirs, for every curve of the families."""
    axes = drawn(name).axes
    for left, right in zip(axes[::2], axes[1::2]):
        curves = {found.get_label() for found in right.lines if not found.get_label().startswith("_")}
        marks = {text.get_text() for text in right.texts} - {text.get_text() for text in left.texts}
        assert curves - marks
        for curve in curves - marks:
            (x, loss), (_, slope) = line(left, curve), line(right, curve)
            apart = np.diff(x) > 1e-6
            between = np.diff(loss)[apart] / np.diff(x)[apart]
            ends = np.array([slope[:-1], slope[1:]])[:, apart]
            assert len(x) > 6
            assert (between > ends.min(0) - 0.01).all()
            assert (between < ends.max(0) + 0.01).all()


def test_the_losses_are_torchs() -> None:
    """Values at a few places, as torch gives them."""
    z, y = torch.linspace(-4, 4, 65, dtype=torch.float64), torch.zeros(65, dtype=torch.float64)
    left, _ = drawn("regression-losses").axes
    for name, loss in [
        ("MSE", torch.nn.MSELoss(reduction="none")),
        ("MAE", torch.nn.L1Loss(reduction="none")),
        ("Huber\nδ = 2", torch.nn.HuberLoss(reduction="none", delta=2)),
        ("SmoothL1\nβ = 2", torch.nn.SmoothL1Loss(reduction="none", beta=2)),
    ]:
        x, value = line(left, name)
        np.testing.assert_allclose(np.interp(z, x, value), loss(z, y), atol=1e-6)
    left, _ = drawn("class-losses").axes
    gap, value = line(left, "cross-entropy\nafter a softmax")
    logits = torch.nn.functional.pad(torch.tensor(gap)[:, None], (0, 2))
    target = torch.zeros(len(gap), dtype=torch.long)
    expected = torch.nn.functional.cross_entropy(logits.softmax(1), target, reduction="none")
    np.testing.assert_allclose(value, expected)


def test_marks_of_the_distributions_are_where_the_losses_are_least() -> None:
    """Poisson at the logarithm of the count, Gaussian at the squared error, the divergence at q = p."""
    poisson, _, gaussian, _, divergence, _ = drawn("distribution-losses").axes
    for count in (1, 4):
        assert line(poisson, f"log {count}") == (pytest.approx([math.log(count)]), [count - count * math.log(count)])
    for error in (1, 2):
        assert line(gaussian, f"v = {error**2}") == ([error**2], pytest.approx([math.log(error) + 0.5]))
    assert line(divergence, "q = p") == ([0.8], pytest.approx([0], abs=1e-12))


def test_mse_on_a_sigmoid_is_marked_where_it_pulls_hardest() -> None:
    """At p = 1/3, the logit -log 2, with 8/27: no point of its curve lies lower."""
    _, slopes = drawn("binary-losses").axes
    assert line(slopes, "−8/27 at p = 1/3") == (pytest.approx([-math.log(2)]), pytest.approx([-8 / 27]))
    _, curve = line(slopes, "MSE on σ(z)\ny = 1")
    assert curve.min() > -8 / 27


def test_label_smoothing_is_marked_at_its_closed_form() -> None:
    """The best gap is log((1 - ε + ε/C) / (ε/C)), the loss there the entropy of the smoothed target."""
    [axes] = drawn("label-smoothing").axes
    for smoothing in (0.1, 0.3, 0.6):
        others = smoothing / 3
        true = 1 - smoothing + others
        best = math.log(true / others)
        entropy = -true * math.log(true) - 2 * others * math.log(others)
        found = line(axes, f"log {true / others:.0f} = {best:.2f}")
        assert found == (pytest.approx([best]), pytest.approx([entropy]))
        assert line(axes, f"ε = {smoothing}")[1].min() > entropy


def test_the_telephone_lines_are_the_best_lines() -> None:
    """MSE's and MAE's slopes are the closed forms', and Huber's gradient is zero; the names give the slopes."""
    [axes] = drawn("telephone-calls").axes
    year, calls = (column.double().numpy().ravel() for column in data.telephone_calls())
    lines = {}
    for name in ("MSE", "MAE, steepest", "Huber", "MAE, flattest"):
        [label] = [found.get_label() for found in axes.lines if found.get_label().startswith(f"{name}:")]
        x, y = line(axes, label)
        slope = (y[1] - y[0]) / (x[1] - x[0])
        lines[name] = slope, y[0] - slope * x[0]
        assert label == f"{name}: {slope:.2f} a year"
    flattest, steepest = closed_form.least_absolute(year, calls)
    assert lines["MSE"] == pytest.approx(closed_form.least_squares(year[:, None], calls))
    assert lines["MAE, flattest"] == pytest.approx(flattest)
    assert lines["MAE, steepest"] == pytest.approx(steepest)
    slope, intercept = lines["Huber"]
    pull = closed_form.huber_loss(slope * year + intercept, calls).gradient["input"]
    assert (pull.sum(), pull @ (year - 1961.5)) == pytest.approx((0, 0), abs=1e-4)


def test_contours_are_where_the_loss_is_their_level() -> None:
    """The squared error of the line is the same all along a contour, the same levels raw and standardized."""
    for axes, scaled in zip(drawn("standardized").axes, (False, True)):
        x, y = (values.double().numpy() for values in data.diabetes(standardized=scaled))
        levels = []
        for contour in axes.patches:
            vertices = contour.get_path().vertices[[0, 6, 12, 18]]  # those of the curves that lie on the circle
            levels.append([closed_form.mse_loss(x[:, 2] * w + b, y[:, 0]).value for w, b in vertices])
        np.testing.assert_allclose(np.array(levels).T, [[4000, 5000, 7500, 12500, 20000, 29000]] * 4, rtol=1e-3)


def test_the_standardized_line_arrives_and_the_raw_one_does_not() -> None:
    """The marked best point is the least-squares line, and the titles give the losses at the ends of the paths."""
    for axes, scaled in zip(drawn("standardized").axes, (False, True)):
        x, y = (values.double().numpy() for values in data.diabetes(standardized=scaled))
        best = closed_form.least_squares(x[:, 2:3], y)
        assert np.ravel(line(axes, "best")) == pytest.approx(best)
        [path] = [found.get_xydata() for found in axes.lines if len(found.get_xdata()) == 101]
        losses = [closed_form.mse_loss(x[:, 2] * w + b, y[:, 0]).value for w, b in (path[-1], best)]
        assert axes.get_title(loc="left").endswith("loss {:.0f}, at best {:.0f}".format(*losses))
        assert (path[1] == pytest.approx(best)) == scaled
        assert (path[1] == pytest.approx(path[-1], rel=0.05, abs=0.5)) is True


def test_the_optimizers_take_their_own_first_steps() -> None:
    """From the same start, SGD and momentum step along the gradient, Adam by its rate in each weight."""
    axes = drawn("optimizer-paths").axes
    paths = [next(found.get_xydata() for found in panel.lines if len(found.get_xdata()) == 31) for panel in axes]
    sgd, momentum, adam = (path[1] - path[0] for path in paths)
    assert all((path[0] == paths[0][0]).all() for path in paths)
    assert momentum / 0.02 == pytest.approx(sgd / 0.09)
    assert np.abs(adam) == pytest.approx([0.3, 0.3])


def test_the_wrong_start_is_left_at_the_marked_steps() -> None:
    """BCE is on the right side at step 7, MSE on a sigmoid at step 214; the losses are those of the logits."""
    logits, losses = drawn("sigmoid-start").axes
    for name, step, loss in [
        ("BCE", 7, lambda z: np.logaddexp(0, -z)),
        ("MSE on a sigmoid", 214, lambda z: closed_form.sigmoid(-z) ** 2),
    ]:
        _, z = line(logits, name)
        assert z[step - 1] < 0 < z[step]
        assert line(logits, f"step {step}") == ([step], [z[step]])
        np.testing.assert_allclose(line(losses, name)[1], loss(z[:-1]))
