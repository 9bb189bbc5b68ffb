"""Somebody else's repository under this harness: a loss, claims and mutants of its own, and lossdemo from its wheel."""

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^(`{3,})(\w+) *\n(.*?)^\1$", re.DOTALL | re.MULTILINE)
LOSS = '''\
"""The focal loss of Lin et al., for logits and targets of 0 or 1."""

import torch
from torch.nn import functional as F


def focal_loss(logits, targets, gamma=2.0, alpha=None):
    """The mean over the batch."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    losses = (1 - torch.exp(-entropy)) ** gamma * entropy
    if alpha is not None:
        losses = losses * torch.where(targets == 1, alpha, 1 - alpha)
    return losses.mean()
'''
FUSED = '''\
"""Another implementation, and one that forgets alpha."""

import torch


def focal(logits, targets, gamma=2.0, alpha=None):
    right = torch.sigmoid(torch.where(targets == 1, logits, -logits))
    losses = -((1 - right) ** gamma) * right.log()
    if alpha is not None:
        losses = losses * torch.where(targets == 1, alpha, 1 - alpha)
    return losses.mean()


def forgetful(logits, targets, gamma=2.0, alpha=None):
    return focal(logits, targets, gamma)
'''
CONFTEST = """\
import pytest


def pytest_addoption(parser):
    parser.addoption("--device", default="none", help="where the tests run")


@pytest.fixture
def device(request):
    return request.config.getoption("--device")
"""
TEST = """\
def test_own_option(device):
    assert device == "mine"
"""


class Place(NamedTuple):
    """A directory, and the Python of an environment in which lossdemo is the wheel's."""

    directory: Path
    python: Path

    def run(self, *arguments: str, status: int = 0, where: str = ".") -> str:
        """What `python -m …` prints; its exit status is `status`."""
        done = subprocess.run(
            [self.python, "-m", *arguments],
            cwd=self.directory / where,
            env={name: value for name, value in os.environ.items() if not name.startswith(("PY", "COV", "COLUMNS"))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == status, done.stdout
        return done.stdout


def own_losses() -> str:
    """What CONTRIBUTING.md tells an adopter to write."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition("\n## Your own losses under this harness\n")[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel of this checkout, which shares torch with this one."""
    directory = tmp_path_factory.mktemp("installed")
    for command in (
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory],
        [sys.executable, "-m", "venv", "--without-pip", directory / "environment"],
    ):
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    python = directory / "environment" / "bin" / "python"
    (site,) = directory.glob("environment/lib/python*/site-packages")
    (site / "shared.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    install = ["install", "--no-deps", "--no-index", "--force-reinstall", *directory.glob("*.whl")]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True, capture_output=True)
    return python


@pytest.fixture(scope="module")
def repository(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The repository that CONTRIBUTING.md describes."""
    shown = {language: text for _, language, text in BLOCK.findall(own_losses())}
    place = Place(tmp_path_factory.mktemp("repository"), python)
    for name, text in {
        "pyproject.toml": shown["toml"],
        "docs/claims/focal.md": shown["markdown"],
        "docs/claims/README.md": "# Claims\n\n- [Focal loss](focal.md)\n",
        "focal/__init__.py": "",
        "focal/loss.py": LOSS,
        "focal/mutants.py": shown["python"],
        "fused.py": FUSED,
        "conftest.py": CONFTEST,
        "test_focal.py": TEST,
    }.items():
        (place.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (place.directory / name).write_text(text, encoding="utf-8")
    return place


def test_the_wheel_holds_package_and_book(python: Path) -> None:
    """The wheel has every file of the package and the book."""
    (site,) = python.parent.parent.glob("lib/python*/site-packages")
    for folder, inside in (("lossdemo", site / "lossdemo"), ("spec", site / "lossdemo" / "spec")):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert files
        for path in files:
            assert (inside / path.relative_to(ROOT / folder)).read_bytes() == path.read_bytes()


def test_claims_run_beside_the_repositorys_own_tests(repository: Place) -> None:
    """Both are collected, and an option of the conftest stays the conftest's; a report is drawn of the verdicts."""
    assert "5 passed" in repository.run("pytest", "--device=mine")
    options = ["-n2", "--dtype=float64", "--import-mode=importlib", "--verdicts=v.json"]
    assert "4 passed" in repository.run("pytest", "docs/claims", *options)
    assert "With gamma 0 the focal loss is cross-entropy" in repository.run("lossdemo", "report", "v.json")


def test_a_mutant_that_no_claim_notices_fails_the_run(repository: Place) -> None:
    """Only the repository's own mutants count."""
    chapter = repository.directory / "docs" / "claims" / "focal.md"
    text = chapter.read_text(encoding="utf-8")
    try:
        chapter.write_text(re.sub(r"## Alpha.*?(?=## |\Z)", "", text, flags=re.DOTALL), encoding="utf-8")
        output = repository.run("pytest", "--prove", "-p", "no:randomly", status=1)
    finally:
        chapter.write_text(text, encoding="utf-8")
    assert "3 passed, 1 deselected" in output
    assert "3 killed, 1 survived\n" in output
    assert "survived: focal_ignores_alpha" in output


def test_another_implementation_stands_in(repository: Place) -> None:
    """A right one passes; a wrong one fails by the claims that it breaks, and the verdicts say so."""
    replace = "--replace=focal.loss.focal_loss=fused"
    assert "4 passed" in repository.run("pytest", f"{replace}:focal")
    verdicts = repository.directory.parent / "v.json"
    verdicts.write_text("{}")  # a file that is there, and elsewhere
    output = repository.run("pytest", f"{replace}:forgetful", f"--verdicts={verdicts}", status=1)
    assert "1 failed, 3 passed" in output
    records = json.loads(verdicts.read_text())
    assert records["package"].startswith("focal")
    assert [record["outcome"] for record in records["records"]].count("failed") == 1


COMMANDS: dict[tuple[str, ...], tuple[str, str]] = {
    ("list",): (".", "With gamma 0 the focal loss is cross-entropy"),
    ("show", "gamma-0"): ("docs", "## With gamma 0 the focal loss is cross-entropy"),
    ("verify", "focal"): (".", "docs/claims/focal.md"),
    ("prove", "focal"): ("docs", "4 killed"),
}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_command_reads_the_repositorys_claims(repository: Place, command: tuple[str, ...]) -> None:
    """In the repository, and in a directory of it, the command is about its claims."""
    where, output = COMMANDS[command]
    assert output in repository.run("lossdemo", *command, where=where)


def test_where_there_are_no_claims_nothing_is_added_or_imported(python: Path, tmp_path: Path) -> None:
    """The plugin costs a project without claims the import of a few lines, and leaves its conftest's options alone."""
    other = Place(tmp_path, python)
    (tmp_path / "test_other.py").write_text(TEST)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "notes.md").write_text("## Not a claim\n")
    plain = ["pytest", "-p", "no:hypothesispytest", "-p", "no:benchmark", "--device=mine"]
    assert "unrecognized arguments: --prove" in other.run(*plain, "--prove", status=4)
    command = [python, "-X", "importtime", "-m", *plain]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "1 passed" in done.stdout
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "lossdemo.verify.options" in imported
    assert not {"torch", "numpy", "sybil", "msgspec", "markdown_it", "rich", "click"} & imported


LOSSDEMO: dict[tuple[str, ...], str] = {
    ("list", "huber"): "HuberLoss",
    ("show", "counts-squared"): "An outlier's error counts squared in MSE",
    ("prove", "counts-squared"): "kills: l1_loss",
}


@pytest.mark.parametrize("command", LOSSDEMO, ids=" ".join)
def test_the_wheel_alone_has_lossdemos_own_book(python: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Outside of a repository with claims the command reads and proves the book in the wheel."""
    assert LOSSDEMO[command] in Place(tmp_path, python).run("lossdemo", *command)


def test_the_source_distribution_has_what_its_tests_need(python: Path, tmp_path: Path) -> None:
    """Unpacked, it verifies a chapter, and its tests pass."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    for name in ("conftest.py", "constraints.txt", "Makefile", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run"):
        assert (source / name).read_bytes() == (ROOT / name).read_bytes()
    output = Place(source, python).run("pytest", "-q", "tests/test_claims.py", "spec/loss.md")
    assert " passed" in output
