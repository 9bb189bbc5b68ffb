"""Verdicts: what a run leaves as data, several runs side by side, and what changed between two."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import torch
from rich.console import Console

from lossdemo.verify import plugin, prove
from lossdemo.verify import verdicts as verdicts_module
from lossdemo.verify.claims import BASES
from lossdemo.verify.difference import diff
from lossdemo.verify.matrix import Tally, merge
from lossdemo.verify.mutant import Mutant
from lossdemo.verify.verdicts import OUTCOMES, NotVerdicts, Record, Refusal, Verdicts, checksum

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads(Path(verdicts_module.__file__).with_name("verdicts.schema.json").read_text())
CHAPTER = """\
# Losses

```python
>>> import torch
>>> from torch.nn import functional as F
>>> one, three = torch.tensor([1.]), torch.tensor([3.])
```

## MSE squares

```python
>>> F.mse_loss(three, one)
tensor(4.)
```

Basis: mathematics

## MSE halves

```python
>>> F.mse_loss(three, one)
tensor(2.)
```

Basis: documented

## MSE returns a tensor

```python
>>> type(F.mse_loss(three, one)) is torch.Tensor
True
```

Basis: documented

## A GPU is fast

```python
>>> F.mse_loss(three, one)
tensor(4.)
```

Basis: observed · Needs: cuda
"""
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


@pytest.fixture
def spec(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a chapter: a claim that holds, one that does not, a weak one, and one that needs a GPU."""
    pytester.makeconftest('pytest_plugins = ["lossdemo.verify.plugin"]')
    pytester.makeini("[pytest]\naddopts = -p no:doctest -p no:hypothesispytest\npythonpath = .\n")
    pytester.mkdir("spec")
    (pytester.path / "spec" / "losses.md").write_text(CHAPTER)
    pytester.makepyfile(test_other="def test_other(): pass")
    return pytester


def recorded(spec: pytest.Pytester, *arguments: str) -> Verdicts:
    """The verdicts of a run on the CPU, in a process of its own where it has workers."""
    run = spec.runpytest_subprocess if "-n" in arguments else spec.runpytest_inprocess
    run("--device", "cpu", "--verdicts", "verdicts.json", *arguments)
    return Verdicts.read(spec.path / "verdicts.json")


def outcomes(verdicts: Verdicts) -> dict[str, tuple[str, str]]:
    """Outcome and reason of each record by the name of its test."""
    return {record.nodeid.partition("::")[2]: (record.outcome, record.reason) for record in verdicts.records}


RECORD = Record(
    claim="a",
    chapter="spec/one.md",
    line=3,
    title="A",
    basis="mathematics",
    checksum=checksum("## A"),
    device="cpu",
    dtype="float32",
    seed=0,
    threads=1,
    outcome="passed",
    message="",
    duration=0.1,
    killed=None,
    survived=None,
)
RUN = Verdicts(
    date="2026-01-02T03:04:05Z",
    torch="2.13.0",
    python="3.11.7",
    platform="Linux 6.1",
    processor="x86_64 AVX2",
    cuda=None,
    prove=False,
    replace=(),
    refused=(),
    records=(RECORD,),
)
B = replace(RECORD, claim="b", title="B", line=9)
C = replace(RECORD, claim="c", title="C", chapter="spec/two.md", line=5)
FAILED = {
    "outcome": "failed",
    "message": "line 7:\n    >>> f()\nExpected:\n    1.0\nGot:\n    2.0\nexpected '1.0', got '2.0'",
}


def run(*records: Record, **changes: object) -> Verdicts:
    """A run with these records."""
    return replace(RUN, records=records, **changes)


# What a run leaves


def test_each_claim_has_a_record(spec: pytest.Pytester) -> None:
    """A record says what was claimed where, on what basis and in which setting, what became of it, and in what time."""
    verdicts = recorded(spec, "--seed", "3", "--threads", "2", "--dtype", "float64")
    first = verdicts.records[0]
    assert (first.claim, first.chapter, first.title) == ("mse-squares", "spec/losses.md", "MSE squares")
    assert (first.line, first.basis) == (CHAPTER.splitlines().index("## MSE squares") + 1, "mathematics")
    assert (first.device, first.dtype, first.seed, first.threads) == ("cpu", "float64", 3, 2)
    assert first.nodeid == "spec/losses.md::mse-squares[cpu-float64]"
    assert first.checksum == checksum(CHAPTER[CHAPTER.index("## MSE squares") : CHAPTER.index("## MSE halves")])
    assert first.duration > 0
    assert (first.killed, first.survived) == (None, None)
    assert (verdicts.torch, verdicts.python) == (torch.__version__, sys.version.split()[0])
    assert (verdicts.prove, verdicts.replace, verdicts.refused, verdicts.cuda) == (False, (), (), None)


def test_outcomes_of_a_run(spec: pytest.Pytester) -> None:
    """Passed, failed with what came, and not run with the reason, in the book's order."""
    verdicts = recorded(spec)
    assert list(outcomes(verdicts).items()) == [
        ("mse-squares[cpu]", ("passed", "")),
        ("mse-halves[cpu]", ("failed", "expected '2.', got '4.'")),
        ("mse-returns-a-tensor[cpu]", ("passed", "")),
        ("a-gpu-is-fast[cpu]", ("not run", "the claim needs cuda")),
    ]
    line = CHAPTER.splitlines().index("tensor(2.)")
    assert verdicts.records[1].message.startswith(f"line {line}:\n    >>> F.mse_loss(three, one)\nExpected:\n")


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "two workers"])
def test_outcomes_of_a_proof(spec: pytest.Pytester, workers: list[str]) -> None:
    """With --prove the weak claim is vacuous, and each has its mutants; in the book's order, whoever ran what."""
    verdicts = recorded(spec, "--prove", *workers)
    assert [record.outcome for record in verdicts.records] == ["passed", "failed", "vacuous", "not run"]
    strong, wrong, weak, absent = verdicts.records
    assert "mse_loss_is_halved_under_mean" in strong.killed
    assert weak.killed == ()
    assert "mse_loss_is_halved_under_mean" in weak.survived
    assert weak.reason.startswith("Tried: ")
    assert wrong.killed is wrong.survived is absent.killed is None
    assert verdicts.prove


def test_a_crashed_mutant_is_a_failure_and_not_the_claims_vacuity(
    spec: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a mutant crashes by itself nobody knows what the claim notices."""
    crashing = Mutant("made", "torch.nn.functional.mse_loss", "Crashes.", lambda original: lambda x: x, None)
    monkeypatch.setattr(prove, "MUTANTS", [crashing])
    outcome, reason = outcomes(recorded(spec, "--prove", "-k", "squares"))["mse-squares[cpu]"]
    assert (outcome, reason[:15]) == ("failed", "made: TypeError")


def test_outcomes_of_a_replacement(spec: pytest.Pytester) -> None:
    """What is known to fail is neither passed nor failed; what is listed and holds has passed."""
    spec.makepyfile(mine="def mse(x, y, *rest, **others): return (x - y) ** 2 / 2")
    (spec.path / "known.txt").write_text("mse-squares one half\nmse-returns-a-tensor not yet\n")
    replacement = "torch.nn.functional.mse_loss=mine:mse"
    verdicts = recorded(spec, "--replace", replacement, "--known", "known.txt")
    assert outcomes(verdicts) == {
        "mse-squares[cpu]": ("known failure", "one half"),
        "mse-halves[cpu]": ("failed", "expected 'tensor(', got 'tensor(['"),
        "mse-returns-a-tensor[cpu]": ("passed", "listed as a known failure, and holds: not yet"),
        "a-gpu-is-fast[cpu]": ("not run", "the claim needs cuda"),
    }
    assert "tensor([2.])" in verdicts.records[0].message
    assert verdicts.replace == (replacement,)


@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_what_fails_around_a_claim_fails_it(spec: pytest.Pytester, phase: str) -> None:
    """An error in setup or teardown is a failure of the claim, and the record says where it was."""
    hook = f"def pytest_runtest_{phase}(item):\n    assert 'squares' not in item.name, 'no room'\n"
    (spec.path / "conftest.py").write_text(f'pytest_plugins = ["lossdemo.verify.plugin"]\n\n\n{hook}')
    record = recorded(spec, "-k", "squares").records[0]
    assert record.outcome == "failed"
    assert record.message.startswith(f"in {phase}:\n")
    assert "no room" in record.message


def test_a_claim_that_kills_its_worker_has_failed(spec: pytest.Pytester) -> None:
    """A crash of the interpreter leaves no report, and records all the same, also of the claims behind it."""
    text = CHAPTER.replace(">>> F.mse_loss(three, one)\ntensor(2.)", ">>> __import__('os')._exit(1)\n1")
    (spec.path / "spec" / "losses.md").write_text(text)
    found = outcomes(recorded(spec, "-n", "1", "--max-worker-restart", "0", "-p", "no:randomly"))
    assert found["mse-squares[cpu]"] == ("passed", "")
    assert found["mse-returns-a-tensor[cpu]"] == ("not run", "the run ended before it was this claim's turn")
    assert found["mse-halves[cpu]"][0] == "failed"
    assert re.match(r"worker 'gw\d+' crashed while running 'spec/losses.md::mse-halves", found["mse-halves[cpu]"][1])


def test_claims_that_the_run_did_not_come_to_are_not_run(spec: pytest.Pytester) -> None:
    """A run that stops at its first failure leaves records of the claims behind it."""
    found = outcomes(recorded(spec, "-x", "-p", "no:randomly"))
    assert found["mse-halves[cpu]"][0] == "failed"
    assert found["mse-returns-a-tensor[cpu]"] == ("not run", "the run ended before it was this claim's turn")


def test_claims_that_were_not_selected_have_no_record(spec: pytest.Pytester) -> None:
    """What someone leaves out on purpose is not told as something missing."""
    assert list(outcomes(recorded(spec, "-k", "squares"))) == ["mse-squares[cpu]"]


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["one process", "a worker"])
def test_a_refused_chapter_does_not_vanish(spec: pytest.Pytester, workers: list[str]) -> None:
    """The verdicts name the chapter with its problems, and have its claims, as far as they can be read, as not run."""
    (spec.path / "spec" / "bad.md").write_text(REFUSED)
    verdicts = recorded(spec, *workers)
    assert [refusal.chapter for refusal in verdicts.refused] == ["spec/bad.md"]
    assert verdicts.refused[0].message.splitlines() == [
        "line 12: the claim 'Nothing shown' has no example: show it in a ```python fence with >>> prompts",
        "line 14: the basis 'hearsay' is not one of mathematics, documented, observed",
    ]
    found = outcomes(verdicts)
    assert found["one-is-one[cpu]"] == ("not run", "spec/bad.md is refused")
    assert "nothing-shown[cpu]" not in found
    assert found["a-gpu-is-fast[cpu]"][0] == "not run"
    assert len(found) == 5


def test_a_title_of_two_chapters_is_recorded_once(spec: pytest.Pytester) -> None:
    """Both chapters are refused; an id is in the verdicts once for each setting, so that the file can be read."""
    (spec.path / "spec" / "again.md").write_text(CHAPTER)
    verdicts = recorded(spec)
    assert [refusal.chapter for refusal in verdicts.refused] == ["spec/again.md", "spec/losses.md"]
    assert [record.outcome for record in verdicts.records] == ["not run"] * 4


@pytest.mark.parametrize(
    "option", [["--prove"], ["--replace", "torch.nn.functional.mse_loss=torch.nn.functional:l1_loss"]]
)
def test_a_refused_chapter_is_reported_whatever_runs_the_claims(spec: pytest.Pytester, option: list[str]) -> None:
    """Proving and replacing say what is wrong with the chapter, and do not stumble over it themselves."""
    (spec.path / "spec" / "bad.md").write_text(REFUSED)
    result = spec.runpytest_inprocess("--device", "cpu", *option)
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*/spec/bad.md:14: the basis 'hearsay' is not one of *"])


def test_control_characters_do_not_come_out_again(spec: pytest.Pytester) -> None:
    """What a claim printed is written as in Python where a terminal would obey it or UTF-8 has no place for it."""
    text = CHAPTER.replace(">>> F.mse_loss(three, one)\ntensor(2.)", r">>> print('\x1b[31m', '\ud800')" + "\nred")
    (spec.path / "spec" / "losses.md").write_text(text)
    assert r"    \x1b[31m \ud800" in recorded(spec, "-k", "halves").records[0].message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone/verdicts.json", "--verdicts gone/verdicts.json: make the directory * first"),
        ("spec", "--verdicts spec: this is no file: name one that may be written anew"),
        ("/proc/verdicts.json", "--verdicts /proc/verdicts.json: the directory /proc is not writable: name another"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(
    spec: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    """Nobody waits for a run whose verdicts then have no place."""
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != "/proc")  # to root everything is writable
    result = spec.runpytest_inprocess("--device", "cpu", "--verdicts", name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}"])
    assert not [line for line in result.outlines if "collected" in line]


def test_a_file_that_fails_at_the_end_is_said(spec: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say: the run is not lost in a traceback, and does not pass for one that has its file."""

    def full(verdicts: Verdicts, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Verdicts, "write", full)
    result = spec.runpytest_inprocess("--device", "cpu", "--verdicts", "verdicts.json", "-k", "squares")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["the verdicts could not be written: * No space left on device"])


def test_a_worker_writes_no_file(tmp_path: Path) -> None:
    """Only the controller has all reports: in a worker nothing is registered."""
    options = SimpleNamespace(prove=False, replace=None, known=None, verdicts=tmp_path / "verdicts.json")
    worker: Any = SimpleNamespace(option=options, workerinput={}, pluginmanager=pytest.PytestPluginManager())
    plugin.pytest_configure(worker)
    assert not worker.pluginmanager.has_plugin("lossdemo-recorder")


@pytest.mark.parametrize("arguments", [["spec/losses.md::no-such-claim"], ["--collect-only"]], ids=" ".join)
def test_a_run_of_nothing_leaves_the_file_alone(spec: pytest.Pytester, arguments: list[str]) -> None:
    """A mistyped id does not cost the verdicts of yesterday."""
    (spec.path / "verdicts.json").write_text("yesterday")
    spec.runpytest_inprocess("--device", "cpu", "--verdicts", "verdicts.json", *arguments)
    assert (spec.path / "verdicts.json").read_text() == "yesterday"


def test_the_run_says_where_its_verdicts_are(spec: pytest.Pytester) -> None:
    """The last lines name the file."""
    result = spec.runpytest_inprocess("--device", "cpu", "--verdicts", "verdicts.json")
    result.stdout.fnmatch_lines(["4 verdicts are in verdicts.json"])


def test_a_program_records_without_a_file(spec: pytest.Pytester) -> None:
    """A command hands its own recorder to pytest, and has the verdicts afterwards."""
    program = """\
        import pytest
        from lossdemo.verify.recorder import Recorder

        recorder = Recorder()
        assert recorder.verdicts is None
        status = pytest.main(["spec", "-q", "-W", "error", "--device", "cpu"], plugins=[recorder])
        print(int(status), [record.outcome for record in recorder.verdicts.records])
        """
    result = spec.run(sys.executable, spec.makepyfile(program))
    assert result.outlines[-1] == "1 ['passed', 'failed', 'passed', 'not run']"


@pytest.mark.parametrize("arguments", [[], ["--prove"]], ids=["run", "proof"])
def test_junit_has_id_and_basis_of_each_claim(spec: pytest.Pytester, arguments: list[str]) -> None:
    """pytest's own XML carries what a dashboard groups claims by, and no data that are not text."""
    recorded(spec, "--junitxml", "junit.xml", "spec", *arguments)
    cases = ElementTree.parse(spec.path / "junit.xml").getroot().iter("testcase")
    found = {
        case.get("name"): {entry.get("name"): entry.get("value") for entry in case.iter("property")} for case in cases
    }
    assert found == {
        "mse-squares[cpu]": {"claim": "mse-squares", "basis": "mathematics"},
        "mse-halves[cpu]": {"claim": "mse-halves", "basis": "documented"},
        "mse-returns-a-tensor[cpu]": {"claim": "mse-returns-a-tensor", "basis": "documented"},
        "a-gpu-is-fast[cpu]": {"claim": "a-gpu-is-fast", "basis": "observed"},
    }


# The file


@pytest.mark.parametrize("arguments", [[], ["--prove"]], ids=["run", "proof"])
def test_the_file_is_as_its_schema_says(spec: pytest.Pytester, arguments: list[str]) -> None:
    """What a run writes, with every outcome and a refused chapter in it, has the form that others rely on."""
    (spec.path / "spec" / "README.md").write_text("# Book\n\n[gone](gone.md)\n")
    recorded(spec, "--continue-on-collection-errors", *arguments)
    data = json.loads((spec.path / "verdicts.json").read_text())
    jsonschema.validate(data, SCHEMA, jsonschema.Draft202012Validator)
    assert data["refused"] == [
        {"chapter": "spec/README.md", "message": "line 3: the link to 'gone.md' leads nowhere: no such file"}
    ]
    assert len(data["records"]) == 4


def test_the_schema_is_that_of_the_code() -> None:
    """Fields, outcomes and bases are the same in the schema as in the data classes."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    records = SCHEMA["properties"]["records"]["items"]
    assert ["schema", *asdict(RUN)] == SCHEMA["required"] == list(SCHEMA["properties"])
    assert list(asdict(RECORD)) == records["required"] == list(records["properties"])
    assert tuple(records["properties"]["outcome"]["enum"]) == OUTCOMES
    assert tuple(records["properties"]["basis"]["enum"]) == BASES


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """A file has everything, and is the same to the byte if it is written again."""
    verdicts = run(
        replace(RECORD, killed=("x",), survived=(), title="α ≠ β"), replace=("a=b:c",), refused=(Refusal("x", "y"),)
    )
    verdicts.write(tmp_path / "one.json")
    assert Verdicts.read(tmp_path / "one.json") == verdicts
    Verdicts.read(tmp_path / "one.json").write(tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_a_file_is_written_wholly_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails the old file stays, and nothing is left beside it."""
    path = tmp_path / "verdicts.json"
    RUN.write(path)

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        replace(RUN, torch="3.0").write(path)
    assert Verdicts.read(path) == RUN
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    """The file that a symbolic link names is replaced, and not the link."""
    (tmp_path / "link.json").symlink_to(tmp_path / "verdicts.json")
    RUN.write(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert Verdicts.read(tmp_path / "verdicts.json") == RUN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file or directory"),
        ("", "is not JSON: Expecting value"),
        ("[" * 100_000, "is not JSON"),
        ("\xff", "is not JSON"),
        ("[]", "is not a verdict file: `pytest spec --verdicts FILE` writes one"),
        ('{"records": []}', "is not a verdict file: `pytest spec --verdicts FILE` writes one"),
        ('{"schema": 2, "records": []}', "has schema version 2, and this lossdemo reads 1: write it anew"),
        (
            '{"schema": 1, "records": []}',
            "is not a verdict file of version 1: the file has to have date, torch, python",
        ),
    ],
)
def test_another_file_is_refused_with_what_is_wrong(tmp_path: Path, text: str | None, message: str) -> None:
    """Each message names the file, and says what it is not."""
    path = tmp_path / "verdicts.json"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(NotVerdicts, match=re.escape(message)) as caught:
        Verdicts.read(path)
    assert str(path) in str(caught.value)


def with_record(**changes: object) -> Callable[[dict], None]:
    """Changes the first record of a file's data."""
    return lambda data: data["records"][0].update(changes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (with_record(outcome="green"), "records[0].outcome is 'green', not one of passed, known failure, not run"),
        (with_record(basis=None), "records[0].basis is None, not one of mathematics, documented, observed"),
        (with_record(line="3"), "records[0].line is '3', not of type int"),
        (with_record(seed=True), "records[0].seed is True, not of type int"),
        (with_record(duration="1 s"), "records[0].duration is '1 s', not of type float"),
        (with_record(killed="x"), "records[0].killed is 'x', not a list"),
        (with_record(killed=[1]), "records[0].killed[0] is 1, not of type str"),
        (with_record(mood="good"), "records[0] has to have claim, chapter, line"),
        (lambda data: data["records"][0].pop("title"), "records[0] has to have claim, chapter, line"),
        (lambda data: data.update(prove="yes"), "prove is 'yes', not of type bool"),
        (lambda data: data.update(date="yesterday"), "time data 'yesterday' does not match format"),
        (lambda data: data.update(cuda=0), "cuda is 0, not of type str"),
        (lambda data: data.update(refused=["x"]), "refused[0] has to have chapter, message, and nothing else"),
    ],
)
def test_a_spoilt_file_is_refused_by_reader_and_schema(
    tmp_path: Path, spoil: Callable[[dict], None], message: str
) -> None:
    """A file that was edited by hand is no source of false figures: the message says where it is wrong."""
    path = tmp_path / "verdicts.json"
    RUN.write(path)
    data = json.loads(path.read_text())
    spoil(data)
    path.write_text(json.dumps(data))
    with pytest.raises(NotVerdicts, match=re.escape(message)):
        Verdicts.read(path)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


def test_a_claim_is_in_a_file_once_for_each_setting(tmp_path: Path) -> None:
    """A file in which a claim both passes and fails says nothing."""
    run(RECORD, replace(RECORD, outcome="failed")).write(tmp_path / "verdicts.json")
    with pytest.raises(NotVerdicts, match="a is in it twice for cpu"):
        Verdicts.read(tmp_path / "verdicts.json")


def test_what_is_read_is_safe_to_print(tmp_path: Path) -> None:
    """A file that somebody sends cannot steer the terminal that shows it; blanks and umlauts are left alone."""
    run(replace(RECORD, title="\x1b[2J \u202e", message="ä\xa0\n\tb")).write(tmp_path / "verdicts.json")
    record = Verdicts.read(tmp_path / "verdicts.json").records[0]
    assert (record.title, record.message) == (r"\x1b[2J \u202e", "ä\xa0\n\tb")


def test_a_checksum_is_of_the_text_alone() -> None:
    """Line ends and the blank lines around a claim do not count, each letter does."""
    assert checksum("## A\r\n\r\ntext\r\n\r\n") == checksum("## A\n\ntext\n") != checksum("## A\n\ntexts\n")


def test_reading_and_drawing_need_neither_torch_nor_pytest() -> None:
    """A command that only reads verdicts starts at once."""
    modules = "lossdemo.verify.verdicts, lossdemo.verify.matrix, lossdemo.verify.difference"
    code = f"import sys, {modules}; print(sorted({{'torch', 'pytest', 'rich', 'jinja2'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"


# Several runs side by side


def cells(*verdicts: Verdicts) -> dict[str, list[str]]:
    """The cells in words, by claim."""
    return {row.newest.claim: [row.said(cell) for cell in row.cells] for row in merge(verdicts).rows}


def test_claims_stand_in_the_books_order_and_settings_in_that_of_the_files() -> None:
    """Rows are ordered by chapter and line, columns as the runs are given."""
    float64 = replace(B, dtype="float64", **FAILED)
    newest = run(C, RECORD, torch="2.14.0", date="2026-03-01T00:00:00Z")
    older = run(RECORD, B, float64, replace(C, claim="d", line=2))
    matrix = merge([newest, older])
    assert [row.newest.claim for row in matrix.rows] == ["d", "c", "a", "b"]
    assert matrix.heads == [["cpu", "torch 2.14.0"], ["cpu", "torch 2.13.0"], ["cpu-float64", "torch 2.13.0"]]
    assert cells(newest, older) == {
        "d": ["no record", "passed", "no record"],
        "c": ["passed", "no record", "no record"],
        "a": ["passed", "passed", "no record"],
        "b": ["no record", "passed", "failed: expected '1.0', got '2.0'"],
    }


def test_a_newer_run_of_one_chapter_does_not_turn_the_book_round() -> None:
    """The order of the chapters is that of the run that has most of them."""
    matrix = merge([run(RECORD, C), run(C, date="2026-03-01T00:00:00Z")])
    assert list(matrix.chapters) == ["spec/one.md", "spec/two.md"]


@pytest.mark.parametrize(
    ("changes", "head"),
    [
        ({}, ["cpu", "torch 2.13.0"]),
        ({"torch": "2.14.0"}, ["cpu", "torch 2.14.0"]),
        ({"python": "3.13.1"}, ["cpu", "torch 2.13.0", "Python 3.13.1"]),
        ({"platform": "Darwin 23", "processor": "arm64"}, ["cpu", "torch 2.13.0", "Darwin 23", "arm64"]),
        ({"prove": True}, ["cpu", "torch 2.13.0", "proved"]),
        ({"replace": ("t=m:f",)}, ["cpu", "torch 2.13.0", "with t=m:f"]),
        ({"records": (replace(RECORD, seed=3, threads=2),)}, ["cpu", "torch 2.13.0", "seed 3", "threads 2"]),
        ({"records": (replace(RECORD, device="cuda"),), "cuda": "H100"}, ["cuda", "torch 2.13.0", "H100"]),
        ({"cuda": "H100"}, ["cpu", "torch 2.13.0"]),
    ],
    ids=str,
)
def test_columns_are_told_apart_by_what_differs(changes: dict, head: list[str]) -> None:
    """Beside the setting and torch a column's head has what is not the same in all, and nothing else."""
    matrix = merge([RUN, replace(RUN, **changes)])
    assert matrix.heads[-1] == head
    assert len(matrix.columns) == (1 if head == ["cpu", "torch 2.13.0"] else 2)


def test_the_newer_of_two_runs_of_one_column_counts() -> None:
    """Whatever the order of the files; what only the older has is kept, and the matrix says so."""
    older = run(RECORD, B)
    newer = run(replace(RECORD, **FAILED), date="2026-02-01T00:00:00Z")
    for runs in ([older, newer], [newer, older]):
        assert cells(*runs) == {"a": ["failed: expected '1.0', got '2.0'"], "b": ["passed"]}
        assert merge(runs).notes == (
            "cpu, torch 2.13.0 is in 2 files: the newest counts, of 2026-02-01T00:00:00Z, "
            "and what only older ones have, of 2026-01-02T03:04:05Z",
        )
    assert merge([older]).notes == ()


def test_of_equally_old_runs_the_later_given_counts() -> None:
    """The outcome never depends on chance."""
    assert cells(RUN, run(replace(RECORD, **FAILED)))["a"][0].startswith("failed")
    assert cells(run(replace(RECORD, **FAILED)), RUN)["a"] == ["passed"]


def test_claims_with_another_text_are_marked() -> None:
    """A cell that is of an older text than the row says so, and the matrix counts such claims."""
    rewritten = replace(RECORD, checksum=checksum("## A, rewritten"))
    matrix = merge([RUN, run(rewritten, B, torch="2.14.0", date="2026-02-01T00:00:00Z")])
    assert [row.rewritten for row in matrix.rows] == [True, False]
    assert [matrix.rows[0].said(cell) for cell in matrix.rows[0].cells] == ["passed (of another text)", "passed"]
    assert matrix.notes == ("claims whose text is not the same in all settings, each marked: 1",)


def test_refused_chapters_are_noted_until_a_newer_run_has_them() -> None:
    """A refusal is said beside the figures that lack it; one that a newer run of the column has mended is not."""
    refused = replace(RUN, refused=(Refusal("spec/bad.md", "line 3: no"),))
    note = "spec/bad.md was refused in the run of 2026-01-02T03:04:05Z with torch 2.13.0: line 3: no"
    assert merge([refused]).notes == (note,)
    assert merge([replace(refused, records=())]).notes == (note,)
    assert not any("bad.md" in text for text in merge([refused, replace(RUN, date="2026-02-01T00:00:00Z")]).notes)


@pytest.mark.parametrize(
    ("passed", "others", "percent"),
    [(1, 0, 100), (0, 1, 0), (1, 1, 50), (2, 1, 66), (999, 1, 99), (99_999, 1, 99), (1000, 0, 100), (0, 0, 0)],
)
@pytest.mark.parametrize("other", [outcome for outcome in OUTCOMES if outcome != "passed"])
def test_a_percentage_is_rounded_down(passed: int, others: int, percent: int, other: str) -> None:
    """100 % is all, and nothing but passed is passed."""
    tally = Tally((RECORD,) * passed + (replace(RECORD, outcome=other),) * others)
    assert tally.percent == percent


def test_a_tally_says_of_how_many_it_knows_nothing() -> None:
    """What was not run counts against the whole; what is not in the file is named apart."""
    not_run = replace(B, outcome="not run", message="the claim needs cuda")
    assert str(Tally((RECORD, not_run))) == "1 of 2, 50 %"
    assert str(Tally((RECORD, None, None))) == "1 of 1, 100 %; no record of 2"
    assert str(Tally((None,))) == "no record"
    assert Tally((not_run, not_run, RECORD)).not_run == "2 not run: the claim needs cuda"


NASTY = replace(RECORD, title='<script>alert("x")</script> & *a* | [b](c) `d` $e_f$')
MATRIX = merge(
    [
        run(NASTY, replace(B, **FAILED), C, refused=(Refusal("spec/<i>.md", "line 1: <b>"),)),
        run(
            replace(NASTY, outcome="not run", message="<script>"),
            replace(B, outcome="vacuous", message="Weak.\nTried: x_y", killed=(), survived=("x_y",), checksum="0" * 64),
            torch="2.12.0",
        ),
    ]
)


TITLE = r'\<script\>alert("x")\</script\> \& \*a\* \| \[b\](c) \`d\` \$e\_f\$'
REST = r"seed 0, threads 1, not proved, nothing replaced, Python 3.11.7, Linux 6.1, x86\_64 AVX2, 2026-01-02T03:04:05Z"
MARKDOWN = rf"""# Verdicts

3 claims. A percentage is rounded down, and what was not run has not passed.

- cpu, torch 2.13.0, {REST}
- cpu, torch 2.12.0, {REST}
- spec/\<i\>.md was refused in the run of 2026-01-02T03:04:05Z with torch 2.13.0: line 1: \<b\>
- claims whose text is not the same in all settings, each marked: 1

| chapter | cpu<br>torch 2.13.0 | cpu<br>torch 2.12.0 |
|---|---|---|
| spec/one.md | 1 of 2, 50 % | 0 of 2, 0 % |
| spec/two.md | 1 of 1, 100 % | no record |
| **all** | **2 of 3, 66 %** | **0 of 2, 0 %; no record of 1** |

## spec/one.md

| claim | basis | cpu<br>torch 2.13.0 | cpu<br>torch 2.12.0 |
|---|---|---|---|
| {TITLE} | mathematics | passed | not run: \<script\> |
| B | mathematics | failed (of another text): expected '1.0', got '2.0' | vacuous: Tried: x\_y |

## spec/two.md

| claim | basis | cpu<br>torch 2.13.0 | cpu<br>torch 2.12.0 |
|---|---|---|---|
| C | mathematics | passed | no record |
"""


def test_markdown_has_the_chapters_and_every_cell() -> None:
    """Tables as GitHub renders them; nothing in a title or message is read as markup."""
    assert MATRIX.markdown() == MARKDOWN


class Page(HTMLParser):
    """What an HTML page has: its elements with their attributes, and its text. Every element must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note the text, apart from that of other elements."""
        self.text += f"{data} "


def test_the_page_has_every_cell_and_needs_nothing() -> None:
    """One well-formed page without scripts, with links only to itself, in which everything foreign is text."""
    page = Page(MATRIX.html())
    assert not {"script", "link", "img", "i", "b", "iframe"} & {tag for tag, _ in page.elements}
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = [value for _, attributes in page.elements for name, value in attributes.items() if name in ("href", "src")]
    assert links == ["#chapter-1", "#chapter-2"]
    assert {link.removeprefix("#") for link in links} <= ids
    assert not re.search(r"https?:|@import|url\(", MATRIX.html())
    for text in (
        NASTY.title,
        FAILED["message"],
        "Tried: x_y",
        "0 of 1 mutants killed",
        "line 1: <b>",
        "no record of 1",
    ):
        assert text in page.text
    words = " ".join(page.text.split())
    assert "failed (of another text) expected '1.0', got '2.0'" in words
    assert "mathematics · not the same text in every setting" in words


def test_the_page_is_for_light_and_dark() -> None:
    """The page follows the reader's colour scheme."""
    assert "color-scheme: light dark" in MATRIX.html()
    assert "@media (prefers-color-scheme: dark)" in MATRIX.html()


def drawn(what: object, width: int = 80) -> str:
    """What a terminal of this width shows."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(what)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_has_every_cell(width: int) -> None:
    """Claims by setting below their chapter's figures, in a terminal of any usual width; brackets are no markup."""
    text = drawn(MATRIX.table(), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for part in ("torch 2.12.0", "spec/one.md 1 of 2, 50 % 0 of 2, 0 %", "all 2 of 3, 66 %", "C passed no record"):
        assert part in words
    assert "[b](c)" in words


def test_the_summary_counts_outcomes_by_chapter() -> None:
    """For each setting a table with the claims of each chapter by outcome, and the reasons below it."""
    assert drawn(MATRIX.summary()).split("\ncpu, torch 2.12.0\n")[1] == (
        " ──────────────────────────────────────────────────────────\n"
        " chapter       claims   passed   not run   vacuous   failed\n"
        " ──────────────────────────────────────────────────────────\n"
        " spec/one.md        2        0         1         1        0\n"
        " spec/two.md        0        0         0         0        0\n"
        " all                2        0         1         1        0\n"
        " ──────────────────────────────────────────────────────────\n"
        "1 not run: <script>"
    )


# What changed between two runs


def test_two_runs_of_the_same_do_not_differ() -> None:
    """Other dates and durations are no difference."""
    difference = diff(RUN, run(replace(RECORD, duration=9.0), date="2026-02-01T00:00:00Z"))
    assert not difference.worse
    assert difference.text() == (
        "old: torch 2.13.0, seed 0, threads 1, Python 3.11.7, Linux 6.1, x86_64 AVX2, 2026-01-02T03:04:05Z\n"
        "new: torch 2.13.0, seed 0, threads 1, Python 3.11.7, Linux 6.1, x86_64 AVX2, 2026-02-01T00:00:00Z\n"
        "no claim changed"
    )


def test_what_changed_is_told_worst_first() -> None:
    """What no longer passes before what passes now, mathematics before what may change, failed before not run."""
    made = {name: replace(RECORD, claim=name) for name in "abcdefgh"}
    wrong = {name: replace(record, **FAILED) for name, record in made.items()}
    observed = replace(made["a"], basis="observed")
    documented = replace(made["b"], basis="documented")
    old = run(observed, documented, made["c"], made["d"], wrong["e"], wrong["f"], made["g"], made["h"])
    new = run(
        replace(observed, **FAILED),
        replace(documented, **FAILED),
        replace(made["c"], outcome="not run", message="the claim needs cuda"),
        replace(wrong["d"], checksum="0" * 64),
        made["e"],
        replace(wrong["f"], outcome="vacuous", message="Tried: x"),
        replace(made["g"], checksum="0" * 64),
        replace(RECORD, claim="i"),
        torch="2.14.0",
        prove=True,
        refused=(Refusal("spec/bad.md", "line 1: no\nline 2: nor this"),),
    )
    difference = diff(old, new)
    assert difference.worse
    assert [change.new.claim for change in difference.changes] == list("dcbafe")
    assert difference.text() == (
        "old: torch 2.13.0, seed 0, threads 1, Python 3.11.7, Linux 6.1, x86_64 AVX2, 2026-01-02T03:04:05Z\n"
        "new: torch 2.14.0, seed 0, threads 1, proved, Python 3.11.7, Linux 6.1, x86_64 AVX2, 2026-01-02T03:04:05Z\n"
        "new refused spec/bad.md:\n"
        "    line 1: no\n"
        "    line 2: nor this\n"
        "no longer passes, mathematics (true of any correct implementation): 2\n"
        "    spec/one.md::d[cpu]\n"
        "        failed, was passed, its text changed too: expected '1.0', got '2.0'\n"
        "    spec/one.md::c[cpu]\n"
        "        not run, was passed: the claim needs cuda\n"
        "no longer passes, documented (PyTorch promises it): 1\n"
        "    spec/one.md::b[cpu]\n"
        "        failed, was passed: expected '1.0', got '2.0'\n"
        "no longer passes, observed (may change from version to version): 1\n"
        "    spec/one.md::a[cpu]\n"
        "        failed, was passed: expected '1.0', got '2.0'\n"
        "fares differently, without passing, mathematics (true of any correct implementation): 1\n"
        "    spec/one.md::f[cpu]\n"
        "        vacuous, was failed: Tried: x\n"
        "passes now, mathematics (true of any correct implementation): 1\n"
        "    spec/one.md::e[cpu]\n"
        "        passed, was failed\n"
        "appeared: 1\n"
        "    spec/one.md::i[cpu] passed\n"
        "vanished: 1\n"
        "    spec/one.md::h[cpu] was passed\n"
        "text changed: 2\n"
        "    spec/one.md::d\n"
        "    spec/one.md::g"
    )


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_worse_is_what_passed_and_does_not(outcome: str) -> None:
    """Nothing but passed is passed; what never passed, appeared or vanished is not worse."""
    changed = replace(RECORD, outcome=outcome)
    assert diff(RUN, run(changed)).worse == (outcome != "passed")
    assert not diff(run(changed), RUN).worse
    assert not diff(run(RECORD, B), run(B, replace(C, **FAILED))).worse


def test_settings_are_compared_one_by_one() -> None:
    """A claim is compared with itself in the same setting; a setting of one run alone is named and left out."""
    float64 = replace(RECORD, dtype="float64")
    cuda = replace(RECORD, device="cuda")
    difference = diff(run(RECORD, float64, cuda, cuda=None), run(RECORD, replace(float64, **FAILED)))
    assert [change.new.nodeid for change in difference.changes] == ["spec/one.md::a[cpu-float64]"]
    assert difference.vanished == ()
    assert "old alone has cuda: not compared" in difference.text()
    assert "new alone has cpu-float64: not compared" in diff(RUN, run(RECORD, float64)).text()
