"""The book as a whole: sources, links, style, and the README's copy of a claim."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from lossdemo import cli
from lossdemo.verify import prove
from lossdemo.verify.claims import Book, Claim, Page, read_page
from lossdemo.verify.verdicts import Verdicts

ROOT = Path(__file__).parent.parent
BOOK = Book(ROOT / "spec")
CLAIMS = list(BOOK)
STATEMENTS = [f"S{n}" for n in range(1, 32)]


def sections(page: Page) -> dict[str, str]:
    """Text by `##` heading."""
    parts = re.split(r"^## (.+)\n", page.text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def cited(claim: Claim) -> set[str]:
    """The statements of the source document that a claim cites."""
    return set(re.findall(r"\[(S\d+)\]\(sources\.md#s\d+\)", claim.source))


SOURCES = sections(BOOK.pages[ROOT / "spec" / "sources.md"])


def test_sources_lists_every_statement_once_in_order() -> None:
    """sources.md has S1 to S31, and nothing else."""
    assert list(SOURCES) == STATEMENTS


@pytest.mark.parametrize("statement", STATEMENTS)
def test_each_statement_has_a_verdict_and_the_claims_that_settle_it(statement: str) -> None:
    """A statement is settled by claims that cite it, and carries one of three verdicts."""
    assert len(re.findall(r"\*\*(Holds|Holds if|False as written)\b\.?\*\*", SOURCES[statement])) == 1
    settled_by = {tuple(link) for link in re.findall(r"\]\((\w+\.md)#([^)]+)\)", SOURCES[statement])}
    citing = {(claim.path.name, claim.id) for claim in CLAIMS if statement in cited(claim)}
    assert settled_by
    assert settled_by <= citing


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_rests_on_something_that_can_be_looked_up(claim: Claim) -> None:
    """Every claim cites a source; what is documented cites the documentation; citations lead to what they say."""
    assert claim.source
    if claim.basis == "documented":
        assert re.search(r"\]\(https://", claim.source)
    for label, target in re.findall(r"\[(S\d+)\]\(([^)]+)\)", claim.source):
        assert target == f"sources.md#{label.lower()}"


@pytest.mark.parametrize("page", BOOK.pages.values(), ids=lambda page: page.path.name)
def test_pages_use_only_what_github_renders(page: Page) -> None:
    """No braces or double backslashes in `$…$`, no raw HTML but details, no directives."""
    prose = re.sub(r"^```.*?^```$", "", page.text, flags=re.DOTALL | re.MULTILINE)
    mathematics = re.findall(r"\$([^$\n]+(?:\n[^$\n]+)?)\$", prose)
    assert not [formula for formula in mathematics if re.search(r"[{}]|\\\\", formula)]
    assert not re.findall(r"<(?!/?(?:details|summary)\b)[a-z/!][^>\n]*>", re.sub(r"`[^`]*`", "", prose))
    assert not re.findall(r"^(?::::|\.\. )|\{#", prose, flags=re.MULTILINE)


@pytest.mark.parametrize("page", BOOK.pages.values(), ids=lambda page: page.path.name)
def test_links_stay_in_the_book(page: Page) -> None:
    """The wheel and the site have the book without the clone around it."""
    assert not [target for _, target in page.links if target.startswith("..")]


def test_every_chapter_is_in_the_readme() -> None:
    """The book's README links to each page of it."""
    linked = {target for _, target in BOOK.pages[ROOT / "spec" / "README.md"].links}
    assert {path.name for path in BOOK.pages} - {"README.md"} <= linked


def test_the_readmes_claim_is_the_books() -> None:
    """The claim that README.md shows in full is a copy of a claim of the book, to the letter."""
    shown = re.search(r"^````markdown\n(.+?)^````$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert shown
    assert shown[1].strip() in [claim.text.strip() for claim in CLAIMS]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_top_level_lead_somewhere(name: str) -> None:
    """Links beside the book lead to files and headings that are there."""
    for _, target in read_page(ROOT / name).links:
        path, _, anchor = target.partition("#")
        if not target.startswith("https:"):
            assert (ROOT / path).exists(), target
            assert not anchor or anchor in read_page(ROOT / path).anchors, target


def test_the_readmes_thousand_mutants_are_there() -> None:
    """README.md says that there are more than a thousand, and no number that each new one would make wrong."""
    assert "[more than a thousand ways](lossdemo/mutants)" in (ROOT / "README.md").read_text()
    assert len(prove.load(["lossdemo.mutants"])) > 1000


def shown(command: str) -> list[str]:
    """The lines that README.md shows below a command, without times, paths and line numbers."""
    block = (ROOT / "README.md").read_text().split(f"\n$ {command}\n")[1].split("\n```")[0]
    return [
        line
        for line in block.splitlines()
        if line and not re.search(r" in [\d.]+s$|\.(md|py):\d+|^=|^_|^[.Fs]+ |run once", line)
    ]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """Runs pytest in this project, as in a shell, and in this process: the lines that it prints."""
    for name in ("CI", "BUILD_NUMBER", "COLUMNS"):  # without CI pytest cuts its lines, as in README.md
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(ROOT)

    def run(*arguments: str) -> set[str]:
        with redirect_stdout(StringIO()) as output:
            pytest.main([*arguments, "-q", "--device", "cpu", "-p", "no:cacheprovider"])
        return set(output.getvalue().splitlines())

    return run


def test_the_readmes_proof_is_real(printed: Callable[..., set[str]]) -> None:
    """What README.md shows of --prove is what the command prints."""
    lines = shown("pytest spec --prove -q -k momentum-applies")
    assert any("kills 14 of 18" in line for line in lines)
    assert set(lines) <= printed("spec", "--prove", "-k", "momentum-applies")


def without_counts(lines: Iterable[str]) -> set[str]:
    """The lines without the numbers of claims, which every new claim changes."""
    return {re.sub(r" *(\d+|·)", " #", line) for line in lines}


REPLACEMENTS = re.findall(r"^\$ (pytest .*--replace.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", REPLACEMENTS)
def test_the_readmes_replacements_are_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: Callable[..., set[str]], command: str
) -> None:
    """What README.md shows of --replace is what the command prints for the file that it shows."""
    code = re.findall(r"^```python\n(import torch.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "mine.py").write_text(code[0])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    lines = shown(command)
    assert any(line.startswith("mathematics ") for line in lines)
    try:
        assert without_counts(lines) <= without_counts(printed(*command.split()[1:]))
    finally:
        sys.modules.pop("mine", None)


COMMANDS = re.findall(r"^(`{3,4})console\n(\$ .*?)^\1$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
RECORDINGS = [recording for _, block in COMMANDS for recording in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]


def alike(text: str) -> list[str]:
    """Lines without what differs from machine to machine, and from edit to edit of the book."""
    text = re.sub(r"torch [\d.]+(\+\w+)?", "torch", text).replace(f"{ROOT}/", "")
    text = re.sub(r", Python .*$|\d+ of \d+ claims$|(?<=\.md):\d+$", "", text, flags=re.MULTILINE)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_the_readmes_commands_print_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each recording of `lossdemo` is run, in the order of README.md; numbers of trainings agree to two percent."""
    code = re.findall(r"^```python\n(import torch.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "mine.py").write_text(code[0])
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.delenv("COLUMNS", raising=False)  # workers have it, and it is how wide the tables are
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    recordings = [recording.partition("\n")[::2] for recording in RECORDINGS]
    run = set()
    for line, expected in recordings:
        if not line.startswith("lossdemo ") or line.startswith("lossdemo watch "):
            continue
        words = line.split()[1:]
        output = CliRunner().invoke(cli.main, words, prog_name="lossdemo").output.replace(f"{ROOT}{os.sep}", "")
        shown, printed = alike(expected), alike(output)
        run.add(words[0])
        if words[0] == "list":
            assert set(shown) <= set(printed)
        elif words[0] == "prove":  # mutants are added
            assert {word.strip(",") for word in " ".join(shown).split() if not word.isdigit()} <= {
                word.strip(",") for word in " ".join(printed).split()
            }
        elif words[0] == "train":
            assert_nearly(shown, printed)
        else:
            assert shown == printed
    sys.modules.pop("mine", None)
    assert run == {"list", "show", "verify", "prove", "train", "report", "diff"}


@pytest.mark.slow
def test_the_readmes_watch_finds_what_it_shows(tmp_path: Path) -> None:
    """The script of README.md, watched in a process of its own, and all that is printed."""
    code = re.findall(r"^```python\n(import torch.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "train.py").write_text(next(one for one in code if "mean loss" in one))
    expected = next(recording for recording in RECORDINGS if recording.startswith("lossdemo watch train.py\n"))
    command = [sys.executable, "-W", "ignore", "-m", "lossdemo", "watch", "train.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0
    assert sorted(expected.splitlines()[1:]) == sorted(line for line in done.stdout.splitlines() if line)


def assert_nearly(shown: list[str], printed: list[str]) -> None:
    """The same words, and numbers within two percent: the processor decides the last digits of a training."""
    for one, other in zip(" ".join(shown).split(), " ".join(printed).split(), strict=True):
        try:
            assert float(other) == pytest.approx(float(one), rel=0.02)
        except ValueError:
            assert one == other


@pytest.mark.parametrize("file", sorted((ROOT / "docs" / "verdicts").glob("*.json")), ids=lambda file: file.stem)
def test_the_verdicts_of_a_release_have_no_failure(file: Path) -> None:
    """Each file is of a release that the book names, and nothing in it failed; texts may have changed since."""
    verdicts = Verdicts.read(file)
    assert verdicts.torch.partition("+")[0] == file.stem.removeprefix("torch-")
    assert verdicts.torch.startswith(tuple(f"{major}.{minor}." for _, (major, minor) in BOOK.releases))
    assert {record.outcome for record in verdicts.records} <= {"passed", "not run"}
