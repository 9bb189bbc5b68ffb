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
from matplotlib.patches import Circle, PathPatch, Rectangle
from matplotlib.text import Text
from torch.nn import functional as F

from lossdemo import closed_form, data, figures, plot

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "spec" / "figures"
BCE, HINGE = "binary_cross_entropy_with_logits", "hinge_embedding_loss"
FAMILIES = [name for name in figures.FIGURES if name.endswith("-losses")]
pytestmark = pytest.mark.usefixtures("one_thread")


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


CAPTIONED = re.compile(r"^!\[[^]]+\]\(figures/([\w-]+)\.svg\)\n\n\*([A-Z`][^*]+\.)\*\n\n", re.MULTILINE)


def test_every_figure_has_a_caption_that_all_can_see() -> None:
    """Below each, in italics: one to three sentences."""
    pages = "".join(page.read_text() for page in sorted((ROOT / "spec").glob("*.md")))
    captions = dict(CAPTIONED.findall(pages))
    assert set(captions) == set(figures.FIGURES)
    for caption in captions.values():
        assert 1 <= len(re.findall(r"\.(?=\s|$)", caption)) <= 3
        assert len(caption) < 320


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
            apart = np.diff(x) > 1e-4
            between = np.diff(loss)[apart] / np.diff(x)[apart]
            ends = np.array([slope[:-1], slope[1:]])[:, apart]
            assert len(x) > 6
            assert (between > ends.min(0) - 0.01).all()
            assert (between < ends.max(0) + 0.01).all()


def test_the_losses_are_the_closed_forms() -> None:
    """Values and slopes of every curve of the families, by the formulas instead of by torch."""
    compared = 0
    for name, first, curves in [
        ("regression-losses", 0, {"MSE": ("mse_loss", 0, {}), "MAE": ("l1_loss", 0, {})}),
        ("regression-losses", 0, {"Huber\nδ = 2": ("huber_loss", 0, {"delta": 2})}),
        ("regression-losses", 0, {"SmoothL1\nβ = 2": ("smooth_l1_loss", 0, {"beta": 2})}),
        ("binary-losses", 0, {"BCEWithLogits, y = 1\nSoftMargin, y = 1": (BCE, 1, {})}),
        ("binary-losses", 0, {"BCEWithLogits, y = 0\nSoftMargin, y = −1": (BCE, 0, {})}),
        ("binary-losses", 0, {"BCEWithLogits, y = 0\nSoftMargin, y = −1": ("soft_margin_loss", -1, {})}),
        ("distribution-losses", 0, {f"count {count}": ("poisson_nll_loss", count, {}) for count in (1, 4)}),
        (
            "ranking-losses",
            2,
            {f"y = {sign}1": (HINGE, int(f"{sign or ''}1".replace("−", "-")), {}) for sign in ("", "−")},
        ),
    ]:
        values, slopes = drawn(name).axes[first : first + 2]
        for curve, (loss, target, arguments) in curves.items():
            x, value = line(values, curve)
            formula = closed_form.LOSSES[loss](x, target, reduction="none", **arguments)
            np.testing.assert_allclose(value, formula.value, atol=1e-9)
            slope = line(slopes, curve)[1]
            there = ~np.isnan(slope)
            np.testing.assert_allclose(slope[there], formula.gradient["input"][there], atol=1e-9)
            compared += 1
    assert compared == 11


def test_cross_entropy_is_drawn_over_three_logits() -> None:
    """By the formula: log(1 + 2 exp(-gap)), the same of the probabilities, and the probability itself."""
    left, _ = drawn("class-losses").axes
    gap, plain = line(left, "cross-entropy")
    p = 1 / (1 + 2 * np.exp(-gap))
    np.testing.assert_allclose(plain, -np.log(p))
    np.testing.assert_allclose(line(left, "NLLLoss on\nprobabilities")[1], -p)
    others = (1 - p) / 2
    np.testing.assert_allclose(line(left, "cross-entropy\nafter a softmax")[1], np.log(1 + 2 * np.exp(others - p)))


def test_kl_divergences_and_triplets_are_the_formulas() -> None:
    """KL in both directions, where q is 0.8, and the triplet loss over the difference of the distances."""
    forward, reverse = (line(drawn("distribution-losses").axes[4], n) for n in ("KLDivLoss: KL(q ‖ p)", "KL(p ‖ q)"))
    p = forward[0]
    np.testing.assert_allclose(forward[1], 0.8 * np.log(0.8 / p) + 0.2 * np.log(0.2 / (1 - p)), atol=1e-12)
    np.testing.assert_allclose(reverse[1], p * np.log(p / 0.8) + (1 - p) * np.log((1 - p) / 0.2), atol=1e-12)
    difference, triplet = line(drawn("ranking-losses").axes[4], "margin 1")
    np.testing.assert_allclose(triplet, np.maximum(0, difference + 1), atol=1e-9)
    for y, sign in (("y = 1", -1), ("y = −1", 1)):
        scores, loss = line(drawn("ranking-losses").axes[0], y)
        np.testing.assert_allclose(loss, np.maximum(0, sign * scores + 1), atol=1e-9)


def test_open_circles_are_the_ends_of_each_jump() -> None:
    """Two beside each kink, where the slope changes: of MAE, of the two labels' scores, of a pair and of a triplet."""
    jumps = {"regression-losses": {1: {0: {-1, 1}}}, "ranking-losses": {1: {1: {-1, 0}, -1: {0, 1}}}}
    jumps["ranking-losses"] |= {3: {1: {-1, 0}}, 5: {-1: {0, 1}}}
    for name, panels in jumps.items():
        for panel, expected in panels.items():
            ends = [found for found in drawn(name).axes[panel].lines if found.get_markerfacecolor() == "white"]
            found = {
                round(mark.get_xdata()[0], 3): set(np.round(mark.get_ydata(), 9))
                for mark in ends
                if len(mark.get_xdata())
            }
            assert found == expected


def test_marks_of_the_distributions_are_where_the_losses_are_least() -> None:
    """Poisson at the logarithm of the count, Gaussian at the squared error, the divergence at p = q."""
    poisson, _, gaussian, _, divergence, _ = drawn("distribution-losses").axes
    for count, name in [(1, "log 1 = 0"), (4, "log 4 = 1.39")]:
        assert line(poisson, name) == ([math.log(count)], [count - count * math.log(count)])
        assert line(poisson, f"count {count}")[1].min() >= count - count * math.log(count)
    for error in (1, 2):
        assert line(gaussian, f"v = {error**2}") == ([error**2], pytest.approx([math.log(error) + 0.5]))
        assert line(gaussian, f"error {error}")[1].min() >= math.log(error) + 0.5
    assert line(divergence, "p = q") == ([0.8], pytest.approx([0], abs=1e-12))


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


@cache
def descent(kind: str, lr: float, curvature: float, turned: float) -> tuple[np.ndarray, float]:
    """Thirty steps on (w·a)² / 2 + curvature (w·b)² / 2, with a and b turned from the axes: path and last loss."""
    c, s = math.cos(turned), math.sin(turned)
    axis = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    w = torch.tensor([-4.0, -1.0], dtype=torch.float64, requires_grad=True)
    makers = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}
    optimizer = makers[kind]([w], lr) if kind in makers else torch.optim.SGD([w], lr, momentum=0.9)

    def loss() -> torch.Tensor:
        return ((axis @ w) ** 2 * torch.tensor([1, curvature])).sum() / 2

    path = [w.tolist()]
    for _ in range(30):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        path.append(w.tolist())
    return np.array(path), loss().item()


def test_each_optimizer_has_the_rate_that_brings_it_furthest() -> None:
    """Of those that the caption names none leaves a smaller loss; paths and losses are those of a loop by hand."""
    rates = [digit * 10.0**power for power in (-3, -2, -1, 0) for digit in (1, 1.5, 2, 3, 5, 7)]
    assert pytest.approx(rates) == figures.RATES
    for panel in drawn("optimizer-paths").axes:
        kind, _, rate = panel.get_title(loc="left").partition(", lr ")
        tried = {lr: descent(kind, lr, 50, 0.4) for lr in rates}
        best = min(tried, key=lambda lr: tried[lr][1])
        assert best == pytest.approx(float(rate))
        [path] = [found.get_xydata() for found in panel.lines if len(found.get_xdata()) == 31]
        np.testing.assert_allclose(path, tried[best][0], atol=1e-9)
        assert f"loss after 30 steps: {tried[best][1]:.3f}" in [text.get_text() for text in panel.texts]


def test_another_surface_ranks_the_optimizers_otherwise() -> None:
    """Here Adam is best and SGD worst; with a curvature of 20, and turned by 0.7, SGD is best."""
    order = []
    for curvature, turned in [(50, 0.4), (20, 0.7)]:
        kinds = "SGD", "momentum 0.9", "Adam"
        least = {kind: min(descent(kind, lr, curvature, turned)[1] for lr in figures.RATES) for kind in kinds}
        order.append(sorted(least, key=lambda kind: least[kind]))
    assert order[0] == ["Adam", "momentum 0.9", "SGD"]
    assert order[1][0] == "SGD"


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


def test_gradients_vanish_where_the_dots_are() -> None:
    """In float32 the gradient is 0 just beyond a filled dot and not just before it; the curves are the formulas'."""
    passed, left = drawn("saturation").axes
    logistic = closed_form.sigmoid
    for axes, name, function, formula in [
        (passed, "ReLU", torch.relu, lambda z: z > 0),
        (passed, "sigmoid", torch.sigmoid, lambda z: logistic(z) * logistic(-z)),
        (passed, "tanh", torch.tanh, lambda z: 1 / np.cosh(z) ** 2),
        (left, "hinge", lambda z: (1 - z).clamp(min=0), lambda z: z < 1),
        (
            left,
            "BCEWithLogits",
            lambda z: F.binary_cross_entropy_with_logits(z, torch.ones(())),
            lambda z: logistic(-z),
        ),
        (left, "MSE on σ(z)", lambda z: (1 - z.sigmoid()) ** 2, lambda z: 2 * logistic(-z) ** 2 * logistic(z)),
    ]:
        x, size = line(axes, name)
        np.testing.assert_allclose(size, formula(x), rtol=1e-5)
        for dot in line(axes, f"_{name}")[0]:
            inside = -math.copysign(0.1, dot if name != "ReLU" else -1)
            slopes = []
            for place in (dot + inside, dot - inside):
                z = torch.tensor(place, dtype=torch.float32, requires_grad=True)
                function(z).backward()
                slopes.append(z.grad.item())
            assert slopes[0] != 0
            assert slopes[1] == 0


def test_the_loop_is_drawn_with_what_its_calls_do() -> None:
    """Each box holds its own words and no other; the arrows go where a real step reads and writes."""
    [axes] = drawn("loop").axes
    boxes = [patch.get_window_extent() for patch in axes.patches if isinstance(patch, Rectangle)]
    inside = [[text.get_text() for text in axes.texts if box.overlaps(text.get_window_extent())] for box in boxes]
    assert [words[0].partition("\n")[2] for words in inside[:5]] == [
        "ŷ = model(x)",
        "criterion(ŷ, y)",
        "zero_grad()",
        "loss.backward()",
        "optimizer.step()",
    ]
    assert all(len(words) == 1 for words in inside)
    loop = (ROOT / "spec" / "start.md").read_text()
    calls = ["cross_entropy(model(x", "optimizer.zero_grad()", "loss.backward()", "optimizer.step()"]
    assert sorted(calls, key=loop.index) == calls


def test_the_reductions_are_torchs() -> None:
    """The numbers of each panel, by torch's losses with each reduction."""
    [axes] = drawn("reduction").axes
    shown = " ".join(text.get_text() for text in axes.texts)
    squares = torch.tensor([[1.0, 2.0], [0.0, 3.0], [2.0, 0.0]])
    logits, y = torch.tensor([[1.0, 1.0], [3.0, 1.0], [1.0, 7.0]]).log(), torch.tensor([1, 1, 0])
    weight, mse, entropy = torch.tensor([3.0, 1.0]), F.mse_loss, F.cross_entropy
    for reduction, equals in (("sum", ": "), ("mean", " / 6 = ")):
        assert f"{equals}{mse(squares, 0 * squares, reduction=reduction):.0f}" in shown
    for each in (*mse(squares, 0 * squares, reduction="none").ravel(), *entropy(logits, y, reduction="none")):
        assert f"{each:.3g}" in [text.get_text() for text in axes.texts]
    assert f"'sum': {entropy(logits, y, reduction='sum'):.2f}" in shown
    assert f"/ 3 = {entropy(logits, y):.2f}" in shown
    weighted, divisor = entropy(logits, y, weight, reduction="sum"), weight[y].sum()
    assert f"weights 1, 1, 3: {weighted:.2f} / {divisor:.0f} = {entropy(logits, y, weight):.2f}" in shown


def test_the_alignments_are_those_that_ctc_sums() -> None:
    """The lines are CTC's moves; the paths at every frame are as many as the loss of uniform frames says."""
    [axes] = drawn("alignments").axes
    uniform = torch.full((4, 1, 3), -math.log(3)).double()
    loss = F.ctc_loss(uniform, torch.tensor([[1, 2]]), (4,), (2,), reduction="sum")
    paths = round(math.exp(-loss.item()) * 3**4)
    assert f"{paths} of the 81 paths" in axes.texts[-1].get_text()
    ways = {0: {0: 1, 1: 1}}  # from the forward recursion: at the first frame a blank or label 1
    for frame in range(1, 4):
        before = ways[frame - 1]
        moves = {s: [s, s - 1, *([s - 2] if s in (1, 3) else [])] for s in range(5)}
        ways[frame] = {s: sum(before.get(old, 0) for old in moves[s]) for s in range(5)}
    assert ways[3][3] + ways[3][4] == paths
    counts = [int(text.get_text()) for text in axes.texts if text.get_text().isdigit()]
    circles = [patch.center for patch in axes.patches if isinstance(patch, Circle)]
    for x in {x for x, _ in circles}:
        assert sum(count for count, (there, _) in zip(counts, circles, strict=True) if there == x) == paths
    lines = [patch for patch in axes.patches if isinstance(patch, PathPatch)]
    assert sum(line.get_linewidth() for line in lines) == pytest.approx(3 * 0.8 * paths)


def test_the_slopes_are_those_of_a_thousand_lines() -> None:
    """Each histogram has all lines in it; MSE's are least squares, and MAE's spread more and are carried less far."""
    random, x = np.random.default_rng(0), np.linspace(-1.5, 1.5, 21)
    targets = 2 * x + 1 + random.standard_normal((1000, 21))
    for axes, above in zip(drawn("slopes").axes, (0, 10)):
        found = {}
        for name in ("MSE", "MAE"):
            edges, counts = line(axes, name)
            assert counts[::2].sum() == 1000
            middles = (edges[::2] + edges[1::2]) / 2
            mean = (counts[::2] * middles).sum() / 1000
            found[name] = mean, (counts[::2] * (middles - mean) ** 2).sum() / 1000
        exact = (targets + above * (x > 1.3)) @ x / (x @ x)
        counts, _ = np.histogram(exact, np.append(edges[::2], edges[-1]))
        np.testing.assert_allclose(line(axes, "MSE")[1][::2], counts, atol=1)
        assert found["MAE"][1] > 1.15 * found["MSE"][1]
        assert abs(found["MAE"][0] - 2) < abs(found["MSE"][0] - 2) / 4 + 0.02
