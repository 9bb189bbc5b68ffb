"""What a run leaves as data: a record of each claim, whatever became of it."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from conftest import CHAPTER, Project
from lossdemo.verify import plugin
from lossdemo.verify.verdicts import Verdicts

REFUSED = """\
# Bad

## One is one

```python
>>> 1
1
```

Basis: mathematics

## Nothing shown

Basis: hearsay
"""


def outcomes(verdicts: Verdicts) -> dict[str, tuple[str, str]]:
    """Outcome and reason of each record by the name of its test."""
    return {record.nodeid.partition("::")[2]: (record.outcome, record.reason) for record in verdicts.records}


def test_each_claim_has_a_record(project: Project) -> None:
    """A record says what was claimed where, on what basis and in which setting, what became of it, and in what time."""
    verdicts = project.verdicts("--seed", "3", "--threads", "2", "--dtype", "float64")
    first = verdicts.records[0]
    assert (first.claim, first.chapter, first.title) == ("mse-squares", "spec/losses.md", "MSE squares")
    assert (first.line, first.basis) == (CHAPTER.splitlines().index("## MSE squares") + 1, "mathematics")
    assert (first.device, first.dtype, first.seed, first.threads) == ("cpu", "float64", 3, 2)
    assert first.nodeid == "spec/losses.md::mse-squares[cpu-float64]"
    assert first.duration > 0
    assert (first.killed, first.survived, first.idle, first.kind) == (None, None, None, "")
    assert (verdicts.torch, verdicts.python) == (torch.__version__, sys.version.split()[0])
    assert (verdicts.prove, verdicts.replace, verdicts.refused, verdicts.cuda) == (False, (), (), None)
    assert verdicts.package == "wrong"  # whose mutants are named first; it is no package, and has no version


def test_a_checksum_is_of_the_claim_and_of_the_preambles_code(project: Project) -> None:
    """What a claim says changes with both, and with nothing else of its page."""

    def checksums() -> list[str]:
        return [record.checksum for record in project.verdicts().records]

    first = checksums()
    assert len(set(first)) == 4
    project.chapter(CHAPTER.replace("# Losses\n", "# Losses\n\nPlain words.\n"))
    assert checksums() == first
    project.chapter(CHAPTER.replace("tensor(2.)", "tensor(3.)"))
    assert [one == other for one, other in zip(first, checksums())] == [True, False, True, True]
    project.chapter(CHAPTER.replace("[1.]", "[2.]"))
    assert not set(first) & set(checksums())


def test_outcomes_of_a_run(project: Project) -> None:
    """Passed, failed with what came, and not run with the reason, in the book's order."""
    verdicts = project.verdicts()
    assert list(outcomes(verdicts).items()) == [
        ("mse-squares[cpu]", ("passed", "")),
        ("mse-halves[cpu]", ("failed", "expected '2.', got '4.'")),
        ("mse-returns-a-tensor[cpu]", ("passed", "")),
        ("a-gpu-is-fast[cpu]", ("not run", "the claim needs cuda")),
    ]
    failed = verdicts.records[1]
    assert failed.message.startswith("    >>> F.mse_loss(three, one)\nExpected:\n")
    assert failed.at == CHAPTER.splitlines().index("tensor(2.)")  # of the line before, counted from 1


@pytest.mark.parametrize("workers", [[], pytest.param(["-n", "1"], marks=pytest.mark.slow)], ids=["here", "a worker"])
def test_outcomes_of_a_proof(project: Project, workers: list[str]) -> None:
    """With --prove the weak claim is vacuous, and each has its mutants; in the book's order, whoever ran what."""
    verdicts = project.verdicts("--prove", *workers)
    assert [record.outcome for record in verdicts.records] == ["passed", "failed", "vacuous", "not run"]
    strong, wrong, weak, absent = verdicts.records
    assert (strong.killed, strong.survived) == (("mse_is_zero",), ())
    assert (weak.killed, weak.survived, weak.reason) == ((), ("mse_is_zero",), "vacuous")
    assert wrong.killed is wrong.survived is absent.killed is None
    assert verdicts.prove


def test_outcomes_of_a_replacement(project: Project) -> None:
    """What is known to fail is neither passed nor failed; what is listed and holds has passed."""
    project.pytester.makepyfile(mine="def mse(x, y, *rest, **others): return (x - y) ** 2 / 2")
    (project.path / "known.txt").write_text("mse-squares one half\nmse-returns-a-tensor not yet\n")
    replacement = "torch.nn.functional.mse_loss=mine:mse"
    verdicts = project.verdicts("--replace", replacement, "--known", "known.txt")
    found = outcomes(verdicts)
    assert found["mse-squares[cpu]"] == ("known failure", "one half")
    assert found["mse-halves[cpu]"] == ("failed", "expected 'tensor(', got 'tensor(['")
    assert found["mse-returns-a-tensor[cpu]"] == ("passed", "listed as a known failure, and holds: not yet")
    assert "tensor([2.])" in verdicts.records[0].message
    assert verdicts.replace == (replacement,)


@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_what_fails_around_a_claim_fails_it(project: Project, phase: str) -> None:
    """An error in setup or teardown is a failure of the claim, and the record says where it was."""
    project.pytester.makeconftest(
        f"def pytest_runtest_{phase}(item):\n    assert 'squares' not in item.name, 'no room'"
    )
    record = project.verdicts("-k", "squares").records[0]
    assert record.outcome == "failed"
    assert record.message.startswith(f"in {phase}:\n")
    assert "no room" in record.message


@pytest.mark.parametrize(
    ("code", "arguments", "ended"),
    [("F.mse_loss(three, one)\ntensor(2.)", ["-x"], "failed"), ("raise KeyboardInterrupt\n2", [], "not run")],
    ids=["the first failure", "an interrupt"],
)
def test_claims_that_the_run_did_not_come_to_are_not_run(
    project: Project, code: str, arguments: list[str], ended: str
) -> None:
    """A run that ends early leaves records of the claims behind it, and says in which it ended."""
    project.chapter(CHAPTER.replace("F.mse_loss(three, one)\ntensor(2.)", code))
    found = outcomes(project.verdicts(*arguments))
    assert found["mse-halves[cpu]"][0] == ended
    assert ended == "failed" or found["mse-halves[cpu]"][1] == "the run ended while this claim ran"
    assert found["mse-returns-a-tensor[cpu]"] == ("not run", "the run ended before it was this claim's turn")


def test_claims_that_were_not_selected_have_no_record(project: Project) -> None:
    """What someone leaves out on purpose is not told as something missing."""
    assert list(outcomes(project.verdicts("-k", "squares"))) == ["mse-squares[cpu]"]


def test_a_refused_chapter_does_not_vanish(project: Project) -> None:
    """The verdicts name the chapter with its problems, and have its claims as not run; the others ran."""
    project.chapter(REFUSED, "bad")
    verdicts = project.verdicts()
    assert [refusal.chapter for refusal in verdicts.refused] == ["spec/bad.md"]
    assert verdicts.refused[0].message.splitlines() == [
        "line 12: the claim 'Nothing shown' has no example: show it in a ```python fence with >>> prompts",
        "line 14: the basis 'hearsay' is not one of mathematics, documented, observed",
    ]
    found = outcomes(verdicts)
    assert found["one-is-one[cpu]"] == ("not run", "spec/bad.md is refused")
    assert "nothing-shown[cpu]" not in found
    assert found["mse-squares[cpu]"] == ("passed", "")
    assert len(found) == 5


def test_a_title_of_two_chapters_is_recorded_once(project: Project) -> None:
    """Both chapters are refused; an id is in the verdicts once for each setting, so that the file can be read."""
    project.chapter(CHAPTER, "again")
    verdicts = project.verdicts()
    assert [refusal.chapter for refusal in verdicts.refused] == ["spec/again.md", "spec/losses.md"]
    assert [record.outcome for record in verdicts.records] == ["not run"] * 4


def test_control_characters_do_not_come_out_again(project: Project) -> None:
    """What a claim printed is written as in Python where a terminal would obey it or UTF-8 has no place for it."""
    code = r">>> print('\x1b[31m', '\ud800')" + "\nred"
    project.chapter(CHAPTER.replace(">>> F.mse_loss(three, one)\ntensor(2.)", code))
    assert r"    \x1b[31m \ud800" in project.verdicts("-k", "halves").records[0].message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone/verdicts.json", "--verdicts gone/verdicts.json: make the directory * first"),
        ("spec", "--verdicts spec: this is no file: name one that may be written anew"),
        ("/proc/verdicts.json", "--verdicts /proc/verdicts.json: no file can be made in /proc: *"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(
    project: Project, name: str, message: str
) -> None:
    """Nobody waits for a run whose verdicts then have no place; also where the user may do everything, as root."""
    result = project.run("--verdicts", name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}"])
    assert not [line for line in result.outlines if "collected" in line]


def test_a_file_that_fails_at_the_end_is_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say: the run is not lost in a traceback, and does not pass for one that has its file."""

    def full(verdicts: Verdicts, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Verdicts, "write", full)
    result = project.run("--verdicts", "verdicts.json", "-k", "squares")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["the verdicts could not be written: * No space left on device"])


def test_a_worker_writes_no_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the controller has all reports: in a worker nothing is registered."""
    names = ("prove", "prove_all", "prove_anew", "replace", "known")
    options = SimpleNamespace(verdicts=project.path / "verdicts.json", **dict.fromkeys(names))
    manager = pytest.PytestPluginManager()
    worker: Any = SimpleNamespace(
        option=options, workerinput={}, pluginmanager=manager, getini=lambda name: "spec", rootpath=project.path
    )
    plugin.pytest_configure(worker)
    assert manager.has_plugin("lossdemo-claims")
    assert not manager.has_plugin("lossdemo-recorder")


@pytest.mark.parametrize("arguments", [["spec/losses.md::no-such-claim"], ["--collect-only"]], ids=" ".join)
def test_a_run_of_nothing_leaves_the_file_alone(project: Project, arguments: list[str]) -> None:
    """A mistyped id does not cost the verdicts of yesterday."""
    (project.path / "verdicts.json").write_text("yesterday")
    project.run("--verdicts", "verdicts.json", *arguments)
    assert (project.path / "verdicts.json").read_text() == "yesterday"


def test_the_run_says_where_its_verdicts_are(project: Project) -> None:
    """The last lines name the file."""
    project.run("--verdicts", "verdicts.json").stdout.fnmatch_lines(["4 verdicts are in verdicts.json"])


@pytest.mark.parametrize("arguments", [[], ["--prove"]], ids=["run", "proof"])
def test_junit_has_id_and_basis_of_each_claim(project: Project, arguments: list[str]) -> None:
    """pytest's own XML carries what a dashboard groups claims by, and no data that are not text."""
    project.run("--junitxml", "junit.xml", *arguments)
    cases = ElementTree.parse(project.path / "junit.xml").getroot().iter("testcase")
    found = {
        case.get("name"): {entry.get("name"): entry.get("value") for entry in case.iter("property")} for case in cases
    }
    assert found == {
        "mse-squares[cpu]": {"claim": "mse-squares", "basis": "mathematics"},
        "mse-halves[cpu]": {"claim": "mse-halves", "basis": "documented"},
        "mse-returns-a-tensor[cpu]": {"claim": "mse-returns-a-tensor", "basis": "documented"},
        "a-gpu-is-fast[cpu]": {"claim": "a-gpu-is-fast", "basis": "observed"},
    }
