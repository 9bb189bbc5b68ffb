"""Any training drawn."""

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lossdemo import data, plot
from lossdemo.train import History

RUNS = {"mse": History(loss=[4.0, 1.0, 0.01]), "mae": History(loss=[2.0, 1.0, 0.5])}


def texts(svg: Path) -> list[str]:
    """What can be read in a picture, in order."""
    return [element.text or "" for element in ElementTree.parse(svg).iter() if element.tag.endswith("}text")]


@pytest.mark.parametrize("name", ["runs.svg", "runs.PNG"])
def test_runs_are_drawn_as_their_file_is_named(name: str, tmp_path: Path) -> None:
    """The suffix says how, in capitals too, and the same runs give the same bytes."""
    for path in (tmp_path / name, tmp_path / f"again-{name}"):
        plot.draw_runs(RUNS, path)
    written = (tmp_path / name).read_bytes()
    assert written.startswith(b"<?xml" if name.endswith("svg") else b"\x89PNG")
    assert written == (tmp_path / f"again-{name}").read_bytes()


def test_runs_are_named_and_their_data_and_lines_drawn(tmp_path: Path) -> None:
    """The legend names every run and line once; a second panel has a dot for each sample."""
    path = tmp_path / "runs.svg"
    x, y = data.line(20)
    plot.draw_runs(RUNS, path)
    assert {"mse", "mae", "loss", "step"} <= set(texts(path))
    assert "x" not in texts(path)
    without = path.read_text().count("<use")
    plot.draw_runs(RUNS, path, x.requires_grad_(), y.bfloat16(), {"mae": (2.0, 1.0), "best": (2.1, 1.0)})
    assert {"mse", "best", "x", "y"} <= set(texts(path))
    assert texts(path).count("mae") == 1
    assert path.read_text().count("<use") >= without + 20


def test_runs_are_drawn_without_lines_and_whatever_their_length(tmp_path: Path) -> None:
    """Data alone, a run of one step, one of none, and one that became infinite."""
    path = tmp_path / "runs.svg"
    runs = {"one": History(loss=[1.0]), "none": History(), "diverged": History(loss=[1.0, 9.0, math.inf])}
    plot.draw_runs(runs, path, [[1], [2]], [3, 4])
    assert set(runs) <= set(texts(path))
    plot.draw_runs({"none": History()}, path)
    assert "none" in texts(path)


def test_losses_that_were_thinned_stand_at_their_steps(tmp_path: Path) -> None:
    """The axis counts steps, not losses."""
    path = tmp_path / "runs.svg"
    plot.draw_runs({"run": History(loss=[3.0, 2.0, 1.0], every=1000)}, path)
    assert "2000" in texts(path)


@pytest.mark.parametrize(("losses", "logarithmic"), [([100.0, 0.5], True), ([1.0, 0.5], False), ([100.0, -0.5], False)])
def test_losses_far_apart_have_a_logarithmic_scale(losses: list[float], logarithmic: bool, tmp_path: Path) -> None:
    """Where the last losses would all lie on the floor, decades show them; what is not positive has no logarithm."""
    path = tmp_path / "runs.svg"
    plot.draw_runs({"run": History(loss=losses)}, path)
    assert ("100" in texts(path) and "10" in texts(path) and "1" in texts(path)) == logarithmic


def test_twenty_runs_are_told_apart(tmp_path: Path) -> None:
    """Colors come again with other dashes: sixteen looks before one is repeated."""
    path = tmp_path / "runs.svg"
    plot.draw_runs({f"run {n}": History(loss=[float(n), 1.0]) for n in range(20)}, path)
    looks = re.findall(r'<path d="[^"]+" clip-path="[^"]+" style="([^"]+)"', path.read_text())
    assert len(looks) == 20
    assert len(set(looks)) == 16


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("runs.pdf", {}, r"cannot draw runs\.pdf: end its name in \.svg or \.png"),
        ("runs", {}, r"cannot draw runs: end its name in \.svg or \.png"),
        ("runs.svg", {"lines": {"mse": (1, 2)}}, "lines are drawn over their data: give x and y, too"),
        ("runs.svg", {"x": [1, 2, 3], "y": [1, 2]}, "x has 3 numbers and y has 2: give one each for every sample"),
    ],
)
def test_what_cannot_be_drawn_is_refused(name: str, arguments: dict, message: str, tmp_path: Path) -> None:
    """The error says what to change, and no file is written."""
    with pytest.raises(ValueError, match=message):
        plot.draw_runs(RUNS, tmp_path / name, **arguments)
    assert not (tmp_path / name).exists()
