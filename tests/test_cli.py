"""The command line: what each command prints, refuses, and returns to the shell."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import Mock

import pytest
import records
from click.testing import CliRunner, Result
from msgspec.structs import replace

from conftest import CHAPTER, LIMIT, Project
from lossdemo import books, cli, runs, search
from lossdemo.interrupt import INTERRUPTS
from lossdemo.script import script
from lossdemo.verify.claims import Book
from lossdemo.verify.compare import mismatch
from lossdemo.verify.run import Setting, torch_as
from lossdemo.verify.verdicts import Verdicts

SPEC = Path(__file__).parent.parent / "spec"
BOOK = Book(SPEC, SPEC.parent)
CLAIMS = {claim.id: claim for claim in BOOK}
Lossdemo = Callable[..., Result]


@pytest.fixture
def lossdemo(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Lossdemo:
    """Runs the command with these words in this process, as from a shell that pipes its output."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    read = cli._book

    def book() -> Book:
        return BOOK if books.locate().directory == SPEC else read()  # which takes seconds to read and check

    monkeypatch.setattr(cli, "_book", book)
    return lambda *words: CliRunner().invoke(cli.main, [str(word) for word in words], prog_name="lossdemo")


def run(*words: str, **how: object) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "lossdemo", *words]
    return subprocess.run(command, capture_output=True, text=True, **how)  # pyrefly: ignore


def figures(output: str, chapter: str) -> list[list[int]]:
    """What the tables of a run have of a chapter: claims, passed, not run, failed."""
    rows = [line.split() for line in output.splitlines()]
    return [[int(cell) for cell in row[1:]] for row in rows if row and row[0] == chapter and row[-1].isdigit()]


# --- the whole command ---


@pytest.mark.parametrize("command", cli.main.commands)
def test_the_help_of_each_command_has_an_example_that_works(lossdemo: Lossdemo, command: str) -> None:
    """Every help says how; the examples name claims, runs and options that exist."""
    help_text = lossdemo(command, "--help").output
    assert "Example: lossdemo" in help_text
    words = help_text.split("Example: lossdemo ")[1].splitlines()[0].split()
    if command not in ("report", "diff", "verify", "prove", "watch"):  # these take files, or long, and have tests
        assert lossdemo(*words).exit_code == 0


def test_options_are_those_of_pytest(lossdemo: Lossdemo) -> None:
    """They are declared once: what pytest takes, the command takes, with the same words."""
    verify, prove = (" ".join(lossdemo(command, "--help").output.split()) for command in ("verify", "prove"))
    for option in ("--device", "--dtype", "--seed", "--threads", "--verdicts"):
        assert option in verify
        assert option in prove
    assert all(option in verify for option in ("--replace TARGET=MODULE:NAME", "--known FILE", "--exitfirst"))
    assert all(option in prove for option in ("--prove-all", "--prove-anew"))
    assert "--prove " not in prove
    assert "run each claim on this many threads".capitalize() in verify


def test_the_help_of_train_names_what_there_is(lossdemo: Lossdemo) -> None:
    """Every run, data set, loss, optimizer, schedule and dtype is in it."""
    words = set(lossdemo("train", "--help").output.replace(",", " ").replace(".", " ").replace(";", " ").split())
    data = {name for run in runs.RUNS.values() for name in run.data if name != "breast-cancer"}  # broken at its hyphen
    assert {*runs.RUNS, *data, *runs.OPTIMIZERS, *runs.SCHEDULES, *runs.DTYPES} <= words
    assert all(loss in "".join(lossdemo("train", "--help").output.split()) for loss in runs.LOSSES)


def test_ids_and_chapters_are_completed(lossdemo: Lossdemo) -> None:
    """The shell is offered what begins with the word."""
    words = {"COMP_WORDS": "lossdemo verify equal-losses", "COMP_CWORD": "2", "_LOSSDEMO_COMPLETE": "bash_complete"}
    done = CliRunner().invoke(cli.main, env=words, prog_name="lossdemo")
    assert done.output == "plain,equal-losses-can-have-different-gradients\n"


def test_nothing_is_completed_where_settings_are_broken(project: Project) -> None:
    """And no traceback is in the shell's line."""
    (project.path / "pyproject.toml").write_text("[")
    words = {"COMP_WORDS": "lossdemo verify m", "COMP_CWORD": "2", "_LOSSDEMO_COMPLETE": "bash_complete"}
    assert CliRunner().invoke(cli.main, env=words, prog_name="lossdemo").output.strip() == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "others"),
    [
        (["list", "huber"], {"markdown_it", "rich", "doctest", "hashlib"}),
        (["show", "equal-losses"], set()),
        (["check"], {"rich"}),
        (["train", "--help"], {"markdown_it", "rich"}),
    ],
    ids=["list", "show", "check", "help"],
)
def test_finding_and_reading_import_no_torch(lossdemo: Lossdemo, words: list[str], others: set[str]) -> None:
    """These commands start without what is slow to import, once the claims have been read."""
    lossdemo("list")
    command = [sys.executable, "-X", "importtime", "-m", "lossdemo", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "lossdemo.cli" in imported
    assert not {"torch", "numpy", "sklearn", "matplotlib", "pytest"} & imported
    assert not others & imported


# --- what the shell gets ---

# Looks for a module, as an import does, and lets a signal come just then.
AT_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                os.kill(os.getpid(), signal.{signal})
            except BaseException:  # as some imports do
                pass
sys.meta_path.insert(0, Finder())
sys.argv = ["lossdemo", *{words}]
from lossdemo.__main__ import run
run()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("click", ["list"]),
        ("lossdemo.books", ["list"]),
        ("markdown_it", ["check"]),
        ("lossdemo.session", ["verify", "loss"]),
        ("torch", ["train", "binary"]),
        ("numpy", ["train", "binary"]),
        ("xdist.plugin", ["verify", "loss"]),
    ],
)
def test_an_interrupt_of_an_import_ends_the_process(module: str, words: list[str]) -> None:
    """At once, with one line and 130, though imports swallow what is raised in them."""
    code = AT_IMPORT.format(module=module, signal="SIGINT", words=words)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_a_signal_at_the_end_is_one_line_too(name: str, code: int, word: str) -> None:
    """Behind the output, while Python calls what is to be called at its end."""
    end = f"import atexit, os, signal; atexit.register(lambda: os.kill(os.getpid(), signal.{name}))"
    begin = "import sys; sys.argv = ['lossdemo', 'list', 'huber']; from lossdemo.__main__ import run; run()"
    done = subprocess.run([sys.executable, "-c", f"{end}\n{begin}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, f"{word}\n")
    assert "claims" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_a_signal_in_a_claim_names_it_and_keeps_what_ran(project: Project, name: str, code: int, word: str) -> None:
    """One line, the code, the table and the verdicts of what ran, whatever the claim does about it."""
    project.claim(">>> import os, signal", f">>> os.kill(os.getpid(), signal.{name})", ">>> 1", "1")
    done = run("verify", "losses", "probe", "--verdicts", "found.json", "--device", "cpu")
    line = f"{word} in spec/probe.md::a-claim[cpu], after 3 of 5 claims\n"
    assert (done.returncode, done.stderr) == (code, line)
    assert figures(done.stdout, "spec/losses.md") == [[4, 2, 1, 1]]
    probe = Verdicts.read(project.path / "found.json").records[-1]
    assert (probe.outcome, probe.reason) == ("not run", "the run ended while this claim ran")


def test_an_interrupt_that_a_claim_swallows_ends_the_run(project: Project, lossdemo: Lossdemo) -> None:
    """Behind that claim."""
    swallowed = ">>> from lossdemo.interrupt import INTERRUPTS", ">>> INTERRUPTS.number = 2", ">>> 1", "1"
    project.chapter(project.claim(*swallowed).read_text().replace("# Probe", "# A"), "a")
    (project.path / "spec" / "probe.md").unlink()
    try:
        done = lossdemo("verify", "--device", "cpu")
    finally:
        INTERRUPTS.number = 0
    assert done.exit_code == 130
    assert done.stderr == "interrupted after 1 of 5 claims\n"


@pytest.mark.slow
def test_output_that_cannot_be_written_is_said_in_a_line() -> None:
    """A full disk: another code than 1, and no traceback."""
    for words in (["list"], ["show", "equal-losses"], ["train", "--help"]):
        with open("/dev/full", "w") as full:
            command = [sys.executable, "-m", "lossdemo", *words]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr) == (3, "lossdemo: [Errno 28] No space left on device\n")


@pytest.mark.slow
def test_a_terminal_without_unicode_is_served(tmp_path: Path) -> None:
    """What its encoding lacks is a question mark, and no traceback."""
    records.run(replace(records.RECORD, title="α ≠ β")).write(tmp_path / "found.json")
    done = run("report", str(tmp_path / "found.json"), env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.returncode == 0
    assert re.search(r"\? \? \? +\| passed", done.stdout)


@pytest.mark.slow
def test_a_pipe_that_closes_is_no_traceback() -> None:
    """`lossdemo list | head -1`."""
    command = f"{sys.executable} -m lossdemo list | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("loss.md\n", "")


def test_without_color_nothing_is_bold(lossdemo: Lossdemo, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR, as no-color.org has it, and more: no escapes at all."""
    for value, escapes in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", value)
        done = CliRunner().invoke(cli.main, ["list", "huber"], color=True)
        assert ("\x1b[1m" in done.output) == escapes


# --- list, show and check ---


def test_list_lists_the_book(lossdemo: Lossdemo) -> None:
    """Chapter by chapter, each claim with its id."""
    output = lossdemo("list").output
    first = next(iter(CLAIMS.values()))
    assert output.startswith(f"{first.path.name}\n  {first.title}\n    {first.id}\n")
    assert output.endswith(f"{len(CLAIMS)} of {len(CLAIMS)} claims\n")
    assert lossdemo("list", "").output == output


def test_list_finds_claims_by_words(lossdemo: Lossdemo) -> None:
    """The best ten with their ids and the line that matches, how many more, and all of them if told so."""
    output = lossdemo("list", "momentum", "applies").output
    claim = next(claim for claim in CLAIMS.values() if claim.id.startswith("momentum-applies"))
    assert output.startswith(f"{claim.title}\n    {claim.id}\n")
    assert lossdemo("list", "MOMENTUM applies").output == output
    output = lossdemo("list", "huber").output
    ids = [line.strip() for line in output.splitlines() if line.strip() in CLAIMS]
    more = re.search(rf"--all shows (\d+) more of {len(CLAIMS)} claims\n$", output)
    assert (len(ids), bool(more)) == (10, True)
    everything = lossdemo("list", "huber", "--all").output
    assert everything.endswith(f"\n{10 + int(more[1])} of {len(CLAIMS)} claims\n")
    found = json.loads(lossdemo("list", "huber", "--json").output)
    assert [hit["id"] for hit in found] == [line.strip() for line in everything.splitlines() if line.strip() in CLAIMS]
    assert set(found[0]) == {"id", "chapter", "line", "title", "basis", "symptoms", "match", "complete"}


def test_list_names_the_page_that_says_in_which_order_to_check(lossdemo: Lossdemo) -> None:
    """Above the claims, with its heading."""
    see = "symptoms.md: The loss, or a gradient, is NaN\n\n"
    assert re.match(rf"see \S*{see}", lossdemo("list", "nan loss").output)
    assert "see " not in lossdemo("list", "momentum", "applies").output


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["-100"], "-100"),
        (["--", "-100"], "-100"),
        (["--json", "-100 is out of bounds"], "-100"),
        (["ignore_index", "-100", "--all"], "-100"),
        (["-x"], "x"),
        (
            ["RuntimeError: \"grad\" can be 'implicitly' created only for scalar outputs [3, 1]"],
            "only for scalar outputs",
        ),
    ],
)
def test_what_is_pasted_is_no_option(lossdemo: Lossdemo, words: list[str], match: str) -> None:
    """A text may begin with a minus and have quotes and brackets."""
    done = lossdemo("list", *words)
    assert done.exit_code == 0
    assert match in done.output


def test_list_says_that_there_is_none_and_returns_1(lossdemo: Lossdemo) -> None:
    """So that a script sees it, with what is spelt nearly so."""
    for words, output in (
        (["qqqqqq"], "no claim has any of that\n"),
        (["qqqqqq", "--json"], "[]\n"),
        (["?"], "no claim has any of that\n"),
    ):
        done = lossdemo("list", *words)
        assert (done.exit_code, done.output) == (1, output)
    done = lossdemo("list", "momemtum")
    assert done.exit_code == 1
    assert done.output.startswith("no claim has 'momemtum'; nearest: momentum\n")
    assert "momentum-applies" in done.output


def test_a_python_without_fts5_says_so(lossdemo: Lossdemo, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line; the list itself needs none."""
    monkeypatch.setattr(search, "Index", Mock(side_effect=search.NoSearch("no FTS5")))
    assert lossdemo("list").exit_code == 0
    done = lossdemo("list", "huber")
    assert done.exit_code == 2
    assert done.output.endswith("Error: no FTS5\n")


def test_list_as_json_has_every_claim_once(lossdemo: Lossdemo) -> None:
    """The ids are the book's, with chapter, line, title, basis and symptoms; words add what matched."""
    entries = json.loads(lossdemo("list", "--json").output)
    assert [entry["id"] for entry in entries] == list(CLAIMS)
    assert set(entries[0]) == {"id", "chapter", "line", "title", "basis", "symptoms"}


def test_list_by_basis_and_chapter(lossdemo: Lossdemo) -> None:
    """A chapter may be named as anywhere; an unknown one is refused with those there are."""
    for chapter in ("ranking", "ranking.md", "spec/ranking.md", "RANKING"):
        entries = json.loads(lossdemo("list", "--basis", "Observed", "--chapter", chapter, "--json").output)
        assert {(entry["basis"], entry["chapter"]) for entry in entries} == {("observed", "ranking.md")}
    refused = lossdemo("list", "--chapter", "rank")
    assert refused.exit_code == 2
    assert re.search(r"'rank' is not one of \w+, .*ranking", refused.output)


def test_show_shows_several_and_says_where_they_are(lossdemo: Lossdemo) -> None:
    """Each with its place and how to run it."""
    output = lossdemo("show", "equal-losses", "counts-squared").output
    line = CLAIMS["equal-losses-can-have-different-gradients"].line
    assert output.startswith("## Equal losses can have different gradients\n")
    assert f"spec/loss.md:{line}\nRun it: lossdemo verify equal-losses-can-have-different-gradients\n" in output
    assert "\n## An outlier's error counts squared in MSE, and once in MAE\n" in output


def test_show_shows_a_chapter(lossdemo: Lossdemo) -> None:
    """What it is about, its claims, and how to run it."""
    page = Book(SPEC).pages[SPEC / "outliers.md"]
    for name in ("outliers", "spec/OUTLIERS.md"):
        output = lossdemo("show", name).output
        assert output.startswith("# Outliers\n\n")
        assert all(f"  {claim.title}\n    {claim.id}\n" in output for claim in page.claims)
        assert ">>>" not in output
        assert output.endswith("\nspec/outliers.md\nRun it: lossdemo verify outliers\n")
    output = lossdemo("show", "sources").output  # has no claims, and is shown itself
    assert "\n## S31\n" in output
    assert "Run it" not in output


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("momentun-applies", "nearest:\n  momentum-applies-a-decaying-sum"),
        ("adam", "claims have 'adam' in their id; nearest:\n  adam"),
        ("", "'' names no claim"),
    ],
)
def test_what_names_no_claim_is_a_wrong_use(lossdemo: Lossdemo, name: str, message: str) -> None:
    """And says which claims may be meant."""
    result = lossdemo("show", name)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.slow
def test_every_claim_is_a_script_that_prints_what_it_should(tmp_path: Path, lossdemo: Lossdemo) -> None:
    """Without prompts, behind its preamble, to its end; what a prompt would show is printed, and errors are.

    Each is compiled, and every fifth is run.
    """
    for number, claim in enumerate(CLAIMS.values()):
        code, output = compile(script(claim, "here"), claim.id, "exec"), StringIO()
        if number % 5:
            continue
        with torch_as(Setting()), redirect_stdout(output):
            exec(code, {"__name__": "__main__"})
        wanted = [example.want if example.exc_msg is None else example.exc_msg for example in claim.examples]
        if not (claim.since or claim.until or claim.needs or any("..." in want for want in wanted)):
            in_line = (" ".join(text.split()) for text in ("".join(wanted), output.getvalue()))  # one ends with a blank
            assert mismatch(*in_line) is None, claim.id
    file = tmp_path / "both.py"
    file.write_text(lossdemo("show", "equal-losses", "momentum-applies", "--script").output)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout[:9]) == (0, "", "1.0 -2.0\n")


@pytest.mark.slow
def test_a_script_says_what_it_is_and_what_it_prints(lossdemo: Lossdemo, project: Project) -> None:
    """Title and link first; expected output as comments; a loop, a tuple and an error as a prompt would show them."""
    project.claim(
        ">>> 1, 'é'  # both", "(1, 'é')", ">>> for i in range(2):", "...     i", "0", "1", ">>> _ = 2",
        ">>> raise ValueError('no')", "Traceback (most recent call last):", "ValueError: no",
    )  # fmt: skip
    code = lossdemo("show", "probe", "--script").output
    assert code.startswith("# A claim\n# spec/probe.md#a-claim\n")
    assert (
        "displayhook((1, 'é'))  # both\n# (1, 'é')\nfor i in range(2):\n    displayhook(i)\n# 0\n# 1\n_ = 2\n" in code
    )
    assert code.endswith("# ValueError: no\n")
    done = subprocess.run([sys.executable, "-X", "utf8", "-"], input=code, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "(1, 'é')\n0\n1\nValueError: no\n")


def test_show_has_the_verdicts_of_a_file(lossdemo: Lossdemo, project: Project) -> None:
    """Outcome and mutants; a file without the claim says so, and one that is none is refused first."""
    project.run("--prove", "-k", "squares", "--verdicts", "found.json")
    assert re.search(r"^cpu: passed, kills \w+", lossdemo("show", "squares", "--verdicts", "found.json").output, re.M)
    assert "found.json has no verdict on it" in lossdemo("show", "halves", "--verdicts", "found.json").output
    refused = lossdemo("show", "squares", "--verdicts", "nowhere")
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_a_refused_page_does_not_hide_the_others(lossdemo: Lossdemo, project: Project) -> None:
    """Its claims are shown with what is wrong; `check` says all of it, as a place that a terminal can open."""
    assert lossdemo("check").output == "4 claims in 1 page: nothing is refused\n"
    project.chapter("# Bad\n\n## Half written\n\nMore to come.\n", "bad")
    assert lossdemo("show", "squares").exit_code == 0
    assert lossdemo("list", "half").exit_code == 0
    done = lossdemo("show", "half-written")
    assert done.exit_code == 1
    assert done.stdout.startswith("## Half written\n")
    problem = "spec/bad.md:3: the claim 'Half written' has no example:"
    assert problem in done.stderr
    done = lossdemo("check")
    assert done.exit_code == 1
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == ["spec/bad.md:3"] * 2


@pytest.mark.parametrize(
    ("page", "content"),
    [("README.md", b"# Book\n\n[losses](losses.md) [gone](gone.md)\n"), ("latin.md", b"## Gr\xfc\xdfe\n")],
)
def test_a_mistake_in_a_page_is_no_traceback(lossdemo: Lossdemo, project: Project, page: str, content: bytes) -> None:
    """A link that leads nowhere, a page that is not UTF-8: every command says what is wrong, or does what it can."""
    (project.path / "spec" / page).write_bytes(content)
    for words, code in ((["list"], 0), (["show", "squares"], 0), (["check"], 1), (["verify", "squares"], 0)):
        done = lossdemo(*words)
        assert (done.exit_code, done.exception is None or isinstance(done.exception, SystemExit)) == (code, True)
    assert re.match(rf"spec/{page}:\d: .*(leads nowhere|save it as UTF-8)", lossdemo("check").stderr)


# --- verify and prove ---


def test_verify_runs_what_it_is_told(lossdemo: Lossdemo, project: Project) -> None:
    """Chapters and claims may be mixed, a chapter in any case and with its path; the table has a row a chapter."""
    project.claim(">>> 1", "1")
    for names in (
        ["probe", "squares"],
        ["spec/probe.md", "MSE squares"],
        ["PROBE.md", "spec/losses.md::mse-squares[cpu]"],
    ):
        done = lossdemo("verify", *names, "--device", "cpu", "--verdicts", "found.json")
        assert done.exit_code == 0
        assert "\x1b" not in done.output
        records = Verdicts.read(project.path / "found.json").records
        assert [(record.claim, record.outcome) for record in records] == [
            ("mse-squares", "passed"),
            ("a-claim", "passed"),
        ]


@pytest.mark.parametrize("names", [[], ["spec"], ["spec/"], ["."], ["losses", "mse-squares"]], ids=str)
def test_verify_runs_the_whole_book(lossdemo: Lossdemo, project: Project, names: list[str]) -> None:
    """Without a name, by its directory, and not twice what is named twice."""
    project.pytester.makepyfile(**{"spec/test_other": "def test_other(): assert False"})
    done = lossdemo("verify", *names, "--device", "cpu", "--dtype", "float32", "--dtype", "float64")
    assert done.exit_code == 1
    assert figures(done.output, "all") == [[4, 2, 1, 1], [4, 2, 1, 1]]
    assert "1 not run: the claim needs cuda" in done.output


def test_a_failure_has_its_whole_id_its_basis_and_its_place(
    lossdemo: Lossdemo, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In lines that are not cut, however narrow the terminal is; mathematics before the rest."""
    long = "A title of seventy characters, which is as long as a title is allowed "
    wrong = (
        CHAPTER.replace("A GPU is fast", f"{long}to").replace(" · Needs: cuda", "").replace("observed", "mathematics")
    )
    project.chapter(wrong.replace("tensor(4.)\n```\n\nBasis: mathematics\n", "tensor(5.)\n```\n\nBasis: mathematics\n"))
    monkeypatch.setenv("COLUMNS", "40")
    done = lossdemo("verify", "--device", "cpu")
    lines = done.output.splitlines()
    heads = [line for line in lines if line.startswith("spec/losses.md::")]
    assert heads[-1] == "spec/losses.md::mse-halves[cpu]"
    assert "spec/losses.md::a-title-of-seventy-characters-which-is-as-long-as-a-title-is-allowed-to[cpu]" in heads
    line = wrong.splitlines().index("tensor(2.)")
    assert lines[lines.index(heads[-1]) + 1] == f"failed, documented, spec/losses.md:{line}"
    assert "…" not in done.output


def test_a_refused_chapter_stops_no_other(lossdemo: Lossdemo, project: Project) -> None:
    """It is named with its problems and fails the run, unless it was not asked for."""
    project.chapter("# Bad\n\n## Half written\n\nMore to come.\n", "bad")
    done = lossdemo("verify", "bad", "squares", "--device", "cpu")
    assert done.exit_code == 1
    assert "spec/bad.md is refused\nline 3: the claim 'Half written' has no example" in done.output
    assert figures(done.output, "spec/losses.md") == [[1, 1, 0, 0]]
    assert lossdemo("verify", "half", "--device", "cpu").exit_code == 1
    done = lossdemo("verify", "squares", "--device", "cpu")
    assert done.exit_code == 0
    assert "refused" not in done.output


def test_what_runs_is_what_pytest_collects(lossdemo: Lossdemo, project: Project) -> None:
    """What a project's settings leave out is said, and is no success."""
    settings = project.path / "pyproject.toml"
    settings.write_text(settings.read_text().replace("addopts = [", 'addopts = ["-k", "not halves", '))
    done = lossdemo("verify", "--device", "cpu")
    assert done.exit_code == 1
    assert "1 claim not run, left out by the settings of pytest here: mse-halves\n" in done.output
    done = lossdemo("verify", "halves", "--device", "cpu")
    assert done.exit_code == 2
    assert "left out by the settings of pytest here: mse-halves" in done.output
    settings.write_text(settings.read_text().replace("not halves", ""))
    project.pytester.makeconftest("collect_ignore = ['spec/losses.md']")
    done = lossdemo("verify", "halves", "--device", "cpu")
    assert done.exit_code == 2
    assert "1 claim not run, left out by the settings of pytest here: mse-halves" in done.output


@pytest.mark.parametrize("addopts", ["-n 2", "--dist loadgroup -n auto", "-q -q", "-p no:xdist", "--no-header"])
def test_a_projects_options_for_pytest_do_not_disturb(lossdemo: Lossdemo, project: Project, addopts: str) -> None:
    """The command runs in one process, and reads no output."""
    project.pytester.makefile(".ini", pytest=f"[pytest]\nclaims = spec\naddopts = {addopts}\n")
    done = lossdemo("verify", "squares", "--device", "cpu")
    assert done.exit_code == 0
    assert figures(done.output, "spec/losses.md") == [[1, 1, 0, 0]]


def test_verify_ends_at_the_first_failure_if_told_so(lossdemo: Lossdemo, project: Project) -> None:
    """-x, as in pytest."""
    done = lossdemo("verify", "-x", "--device", "cpu")
    assert done.exit_code == 1
    assert "2 not run: the run ended before it was this claim's turn" in done.output


def test_a_run_that_breaks_is_no_failure_of_a_claim(lossdemo: Lossdemo, project: Project) -> None:
    """Another code, and the error."""
    project.pytester.makeconftest("def pytest_runtest_protocol(item): raise RuntimeError('the plugin broke')")
    done = lossdemo("verify", "squares", "--device", "cpu")
    assert done.exit_code == 3
    assert "RuntimeError: the plugin broke" in done.stderr
    assert "1 not run: the run ended before it was this claim's turn" in done.output


def test_files_and_time_that_a_claim_does_not_give_back_are_its_failure(lossdemo: Lossdemo, project: Project) -> None:
    """An open file, and a loop without an end: named, with the line."""
    project.claim(">>> open('pyproject.toml').readline()", "'[tool.pytest.ini_options]\\n'")
    done = lossdemo("verify", "probe", "squares", "--device", "cpu")
    assert done.exit_code == 1
    assert "spec/probe.md::a-claim[cpu]\nfailed, observed, spec/probe.md:3\nThe claim leaves behind" in done.output
    project.pytester.makeconftest(LIMIT.format(name="a-claim"))
    project.claim(">>> while True: pass", ">>> 1", "1")
    done = lossdemo("verify", "probe", "squares", "--device", "cpu")
    assert done.exit_code == 1
    assert "spec/probe.md::a-claim[cpu]\nfailed, observed, spec/probe.md:" in done.output
    assert "Timeout" in done.output
    assert figures(done.output, "spec/losses.md") == [[1, 1, 0, 0]]


def test_a_release_that_was_not_tried_is_said(lossdemo: Lossdemo, project: Project) -> None:
    """As pytest's header says it."""
    project.chapter("# Book\n\n[losses](losses.md)\n\nReleases: torch 1.0\n", "README")
    done = lossdemo("verify", "squares", "--device", "cpu")
    assert done.exit_code == 0
    assert re.search(r"^torch 2\S+ was not tried with these claims: see Releases in README.md$", done.output, re.M)


def test_verify_with_a_wrong_function_fails_and_says_where(
    lossdemo: Lossdemo, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module of the working directory is found; a known failure is none, and a line that is stale is said."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(project.path))])
    (project.path / "mine.py").write_text("def halved(x, y, **_):\n    return ((x - y) ** 2).mean() / 2\n")
    project.claim(">>> 1", "1")
    replaced = ["--replace", "torch.nn.functional.mse_loss=mine:halved", "--device", "cpu"]
    done = lossdemo("verify", "squares", "probe", *replaced)
    assert done.exit_code == 1
    assert "spec/losses.md::mse-squares[cpu]\nfailed, mathematics, value, spec/losses.md:" in done.output
    assert "1 claim not run, calling none of what is replaced: a-claim\n" in done.output
    (project.path / "known").write_text("mse-squares the half is meant\nno-such-claim gone\n")
    done = lossdemo("verify", "squares", *replaced, "--known", "known")
    assert done.exit_code == 0
    assert "stale in --known: no-such-claim names no claim of the book\n" in done.output
    done = lossdemo("verify", "probe", *replaced)
    assert done.exit_code == 2
    assert "no claim that was selected calls torch.nn.functional.mse_loss" in done.output


def test_prove_shows_what_a_claim_kills(lossdemo: Lossdemo, project: Project) -> None:
    """By name for a few; a claim that proves nothing fails, and so does a book that lets a mutant live."""
    done = lossdemo("prove", "squares", "--device", "cpu")
    assert done.exit_code == 0
    assert "mse-squares[cpu] kills 1 of 1\n    kills: mse_is_zero\n    does not notice: none\n" in done.output
    done = lossdemo("prove", "returns-a-tensor", "--prove-all", "--prove-anew", "--device", "cpu")
    assert done.exit_code == 1
    assert "vacuous, documented, spec/losses.md:" in done.output
    assert "Tried: mse_is_zero" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", "nowhere"], "no claim has 'nowhere' in its id; nearest:"),
        (["verify", "mse"], "3 claims have 'mse' in their id; nearest:"),
        (["verify", "README.md"], "README.md has no claims: leave it out for the whole book"),
        (["verify", ""], "'' names no claim"),
        (["verify", "squares", "--verdicts", "nowhere/at/all.json"], "make the directory"),
        (["verify", "squares", "--verdicts", "/proc/x.json"], "no file can be made in /proc"),
        (["verify", "squares", "--verdicts", "spec"], "this is no file"),
        (["verify", "squares", "--replace", "torch.nowhere=mine:halved"], "there is no function torch.nowhere"),
        (["verify", "squares", "--known", "nowhere"], "--known lists known failures of --replace: give both"),
        (["verify", "squares", "--seed", str(2**64)], "is not in the range"),
        (["verify", "squares", "--threads", "0"], "is not in the range"),
        (["verify", "--dtype", "float16"], "'float16' is not one of 'float32', 'float64'"),
        (["prove", "squares", "--device", "tpu"], "'tpu' is not one of 'cpu', 'cuda'"),
    ],
)
def test_wrong_uses_of_verify(lossdemo: Lossdemo, project: Project, words: list[str], message: str) -> None:
    """Exit code 2, before anything runs."""
    project.chapter("# Book\n\n[losses](losses.md)\n", "README")
    done = lossdemo(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[pytest]\nclaims = nowhere\n", "there is no directory"),
        ("[pytest]\nclaims = spec\naddopts = -p no:hypothesispytest --no-such-option\n", "--no-such-option"),
        (
            "[pytest]\nclaims = spec\nmutants = no.such.module\naddopts = -p no:hypothesispytest\n",
            "mutants = 'no.such.module': importing it failed",
        ),
    ],
)
def test_settings_that_are_wrong_are_a_wrong_use(
    lossdemo: Lossdemo, project: Project, settings: str, message: str
) -> None:
    """Said as pytest says it."""
    (project.path / "pytest.ini").write_text(settings)
    done = lossdemo("prove", "squares", "--device", "cpu")
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.slow
def test_elsewhere_lossdemos_own_book_runs(tmp_path: Path) -> None:
    """Whatever lies in and above the working directory; nothing is left there."""
    (tmp_path / "conftest.py").write_text("raise RuntimeError('a conftest of something else')")
    environment = {**os.environ, "PYTHONPATH": str(SPEC.parent), "XDG_CACHE_HOME": str(tmp_path / "conftest.py")}
    done = run("verify", "equal-losses", "--device", "cpu", cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(done.stdout, "spec/loss.md") == [[1, 1, 0, 0]]
    assert [path.name for path in tmp_path.iterdir()] == ["conftest.py"]


# --- train ---


def test_train_prints_parameters_before_gradient_and_after(lossdemo: Lossdemo) -> None:
    """And the line that was learned, near y = 2x + 1, with what tells its numbers from the parameters."""
    output = lossdemo("train", "linear-regression").output
    assert all(head in output for head in ("parameter", "before", "first gradient", "after", "slope", "intercept"))
    assert "inputs scaled to mean 0 and deviation 1; slope and intercept on inputs as they are" in output
    learned = json.loads(lossdemo("train", "linear-regression", "--json").output)[0]
    assert (learned["slope"], learned["intercept"]) == pytest.approx((2, 1), abs=0.05)
    assert learned["losses"][-1] < learned["losses"][0]
    assert learned["before"]["weight"] != learned["after"]["weight"]
    assert "slope" not in lossdemo("train", "binary", "--steps", "2").output


def test_train_takes_names_in_any_case(lossdemo: Lossdemo) -> None:
    """SGD is spelt so by torch."""
    words = ["train", "Linear-Regression", "--steps", "2", "--json"]
    given = lossdemo(*words, "--optimizer", "SGD", "--loss", "MSE", "--data", "Synthetic")
    assert given.output == lossdemo(*words).output


def test_train_compares_losses_in_one_table(lossdemo: Lossdemo) -> None:
    """The telephone calls under three losses: MSE's slope is far above the others."""
    words = ["train", "linear-regression", "--data", "calls", "--compare", "mse,mae,huber"]
    assert [line.split()[1] for line in lossdemo(*words).output.splitlines()[3:6]] == ["mse", "mae", "huber"]
    slopes = [outcome["slope"] for outcome in json.loads(lossdemo(*words, "--json").output)]
    assert slopes[0] == pytest.approx(5.04, abs=0.01)
    assert max(slopes[1:]) < 1.7


def test_train_takes_what_the_loop_and_the_optimizer_take(lossdemo: Lossdemo) -> None:
    """Each of these options changes what is learned, and a schedule shows where the learning rate ended."""
    words = ["train", "linear-regression", "--steps", "5", "--json"]
    options = ["--batch-size 9", "--clip 0.1", "--momentum 0.5", "--weight-decay 0.1", "--schedule step"]
    options += ["--batch-size 9 --accumulate 2", "--dtype float16"]
    printed = [lossdemo(*words, *option.split()).output for option in ["", *options]]
    assert len({str(json.loads(output)[0]["after"]) for output in printed}) == len(printed)
    last = json.loads(printed[5])[0]
    assert last["last lr"] == pytest.approx(1e-5)
    assert (last["every"], last["last"]) == (1, last["losses"][-1])


def test_in_a_narrow_terminal_no_number_is_cut(lossdemo: Lossdemo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too long goes on in the next line."""
    monkeypatch.setenv("COLUMNS", "40")
    output = lossdemo("train", "binary", "--steps", "2").output
    assert "…" not in output
    assert max(map(len, output.splitlines()[:-1])) <= 40


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_train_draws(lossdemo: Lossdemo, tmp_path: Path, suffix: str) -> None:
    """A picture of the losses, and of the lines where there are some."""
    file = tmp_path / f"calls.{suffix}"
    assert lossdemo("train", "linear-regression", "--steps", "5", "--plot", file).exit_code == 0
    assert file.stat().st_size > 1000
    assert lossdemo("train", "binary", "--steps", "5", "--plot", file).exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["multiclass", "--data", "digits", "--loss", "mse"], "loss 'mse' is not one of cross-entropy, multi-margin"),
        (["linear-regression", "--optimizer", "lion"], "optimizer 'lion' is not one of sgd, momentum, adam"),
        (["linear-regression", "--lr", "-1"], "lr is -1.0: give a number above 0 and below 1000"),
        (["regression"], "run 'regression' is not one of linear-regression, binary, multiclass"),
        (["binary", "--plot", "loss.jpg"], "cannot draw loss.jpg: end its name in .svg or .png"),
        (["binary", "--plot", "no/where.svg"], "no file can be written there; make the directory first"),
        (["binary", "--compare", ""], "--compare names no loss: write them as mse,mae"),
        (["binary", "--lr", "1e39"], "lr is 1e+39"),
        (["binary", "--steps", "99999999999999999999"], "steps is 99999999999999999999: give 1 to 1,000,000"),
        (["binary", "--batch-size", "101"], "batch-size is 101: give 1 to 100, the samples to train on"),
        (["binary", "--schedule", "linear"], "schedule 'linear' is not one of none, step, cosine"),
        (["binary", "--momentum", "1"], "momentum is 1.0: give 0 or more, and below 1"),
        (["binary", "--loss", "bce", "--compare", "bce"], "--loss and --compare: give one of them"),
    ],
)
def test_wrong_trainings_are_refused(lossdemo: Lossdemo, words: list[str], message: str) -> None:
    """Exit code 2, with what is allowed."""
    result = lossdemo("train", *words)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_training_that_diverges_says_when(lossdemo: Lossdemo) -> None:
    """Exit code 1, and what to do."""
    result = lossdemo("train", "linear-regression", "--lr", "100")
    assert result.exit_code == 1
    assert "mse: the loss became" in result.output
    assert "lower the learning rate" in result.output


@pytest.mark.parametrize("swallowed", [False, True])
def test_an_interrupted_training_says_where_it_stopped(
    lossdemo: Lossdemo, monkeypatch: pytest.MonkeyPatch, swallowed: bool
) -> None:
    """Exit code 130, as shells have it, also if something swallowed the interrupt."""

    def perform(plan: object, callback: Callable[[int, float], object], **__: object) -> None:
        if swallowed:
            monkeypatch.setattr(INTERRUPTS, "number", int(signal.SIGINT))
        callback(6, 0.25)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "perform", perform)
    result = lossdemo("train", "linear-regression")
    assert result.exit_code == 130
    assert result.stderr == "mse: interrupted after 7 of 300 steps, at a loss of 0.25\n"


# --- report and diff ---


def test_report_and_diff_read_what_verify_writes(lossdemo: Lossdemo, project: Project) -> None:
    """The matrix as a table, as Markdown; a claim that no longer holds makes diff return 1."""
    for name, words in (("old", ["squares", "tensor"]), ("more", ["halves"])):
        lossdemo("verify", *words, "--device", "cpu", "--verdicts", f"{name}.json")
    data = json.loads(Path("old.json").read_text())
    data["torch"] = "2.99.0"
    data["records"][0] |= {"outcome": "failed", "reason": "expected '4.', got '5.'"}
    Path("new.json").write_text(json.dumps(data))
    output = lossdemo("report", "old.json", "new.json").output
    assert output.startswith("1: cpu, torch 2.")
    assert "\n2: failed, mathematics: spec/losses.md::mse-squares[cpu]\n    expected '4.', got '5.'\n" in output
    assert "| MSE squares" in lossdemo("report", "old.json", "new.json", "--format", "markdown").output
    shards = lossdemo("report", "old.json", "more.json").output  # of one run: one setting, and no note
    assert "2: cpu" not in shards
    assert "files" not in shards
    assert "2 of 3, 66 %" in shards
    assert lossdemo("diff", "old.json", "old.json").exit_code == 0
    assert lossdemo("diff", "old.json", "more.json").exit_code == 2
    worse = lossdemo("diff", "old.json", "new.json")
    assert worse.exit_code == 1
    assert "no longer passes, mathematics" in worse.output


def test_files_that_are_no_verdicts_are_refused(lossdemo: Lossdemo, tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "no.json").write_text("[]")
    for name, message in (("no.json", "is not a verdict file"), ("nowhere.json", "No such file")):
        result = lossdemo("report", tmp_path / name)
        assert result.exit_code == 2
        assert message in result.output
