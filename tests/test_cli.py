"""The command line: what each command prints, refuses, and returns to the shell."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from lossdemo import cli, runs
from lossdemo.verify.claims import Book, index
from lossdemo.verify.verdicts import Verdicts

SPEC = Path(__file__).parent.parent / "spec"
CLAIMS = {claim.id: claim for claim in Book(SPEC)}


@pytest.fixture
def lossdemo() -> Callable[..., Result]:
    """Runs the command with these words, as from a shell that pipes its output."""
    return lambda *words: CliRunner().invoke(cli.main, [str(word) for word in words], prog_name="lossdemo")


def test_the_index_is_the_book() -> None:
    """What `list` reads quickly is what the book's reader reads with care."""
    found = [(entry.id, entry.title, entry.chapter, entry.line, entry.basis, entry.text) for entry in index(SPEC)]
    book = [(c.id, c.title, c.path.name, c.line, c.basis, c.text) for c in CLAIMS.values()]
    assert found == book


@pytest.mark.parametrize("words", [["list", "huber"], ["show", "equal-losses"], ["--help"], ["train", "--help"]])
def test_finding_and_reading_import_no_torch(words: list[str]) -> None:
    """These commands start without torch."""
    code = f"""
import sys
from lossdemo.cli import main
main({words}, standalone_mode=False)
assert not {{"torch", "sklearn", "matplotlib", "pytest"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_python_m_lossdemo_is_the_command() -> None:
    """`python -m lossdemo` prints the same help."""
    done = subprocess.run([sys.executable, "-m", "lossdemo", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: lossdemo [OPTIONS] COMMAND")


@pytest.mark.parametrize("command", cli.main.commands)
def test_the_help_of_each_command_has_an_example_that_works(lossdemo: Callable[..., Result], command: str) -> None:
    """Every help says how; the examples name claims, runs and options that exist."""
    help_text = lossdemo(command, "--help").output
    assert "Example: lossdemo" in help_text
    words = help_text.split("Example: lossdemo ")[1].splitlines()[0].split()
    if command not in ("report", "diff", "verify", "prove"):  # these take files, or long; their tests are below
        assert lossdemo(*words).exit_code == 0


def test_the_help_of_train_names_what_there_is(lossdemo: Callable[..., Result]) -> None:
    """Every run, data set, loss and optimizer is in it."""
    words = set(lossdemo("train", "--help").output.replace(",", " ").replace(".", " ").replace(";", " ").split())
    data = {name for run in runs.RUNS.values() for name in run.data if name != "breast-cancer"}  # broken at its hyphen
    assert {*runs.RUNS, *data, *runs.OPTIMIZERS} <= words
    assert all(loss in "".join(lossdemo("train", "--help").output.split()) for loss in runs.LOSSES)


def test_ids_and_chapters_are_completed() -> None:
    """The shell is offered what begins with the word."""
    environment = {"COMP_WORDS": "lossdemo verify equal-l", "COMP_CWORD": "2", "_LOSSDEMO_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "lossdemo"], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.stdout == "plain,equal-losses-can-pull-with-different-strength\n"


# --- list and show ---


def test_list_finds_claims_that_have_all_words(lossdemo: Callable[..., Result]) -> None:
    """Words are looked for in title, text and id, in any case; chapters stand above their claims."""
    output = lossdemo("list", "HUBER", "outlier").output
    assert "outliers.md\n  MAE pulls no harder at a far target than at a near one\n" in output
    count, _, of = output.splitlines()[-1].partition(" of ")
    wanted = [claim for claim in CLAIMS.values() if "huber" in claim.text.lower() and "outlier" in claim.text.lower()]
    assert (int(count), of) == (len(wanted), f"{len(CLAIMS)} claims")
    assert lossdemo("list", "nowhere-at-all").output == "no claim has all these words\n"


def test_list_as_json_has_every_claim_once(lossdemo: Callable[..., Result]) -> None:
    """The ids are the book's, with chapter, line, title and basis."""
    entries = json.loads(lossdemo("list", "--json").output)
    assert [entry["id"] for entry in entries] == list(CLAIMS)
    assert set(entries[0]) == {"id", "chapter", "line", "title", "basis"}


def test_list_by_basis_and_chapter(lossdemo: Callable[..., Result]) -> None:
    """A chapter may be named with or without its suffix; an unknown one is refused with those there are."""
    entries = json.loads(lossdemo("list", "--basis", "observed", "--chapter", "ranking", "--json").output)
    assert {(entry["basis"], entry["chapter"]) for entry in entries} == {("observed", "ranking.md")}
    assert lossdemo("list", "--chapter", "ranking.md").exit_code == 0
    refused = lossdemo("list", "--chapter", "rank")
    assert refused.exit_code == 2
    assert "'rank' is not one of loss, gradient, step" in refused.output


@pytest.mark.parametrize(
    "name",
    [
        "equal-losses-can-pull-with-different-strength",
        "equal-losses",
        "Equal losses can pull",
        "spec/loss.md::equal-losses-can-pull-with-different-strength[cpu]",
        "loss.md#equal-losses-can-pull-with-different-strength",
    ],
)
def test_show_finds_a_claim_by_any_unambiguous_part(lossdemo: Callable[..., Result], name: str) -> None:
    """An id, a part of it or of the title, a node id, a link."""
    output = lossdemo("show", name).output
    assert output.startswith("## Equal losses can pull with different strength\n")
    assert "Run it: pytest spec/loss.md::equal-losses-can-pull-with-different-strength" in output


def test_show_makes_mathematics_legible(lossdemo: Callable[..., Result]) -> None:
    """Formulas are Unicode text, links within the book their words; code is as it stands."""
    output = lossdemo("show", "mse-is-the-average").output
    assert "L = (1) / (N) ∑_i (ŷ_i - y_i)^2" in output
    assert "L = (1) / (C) ∑_(i ≠ y) max(0, m - x_y + x_i)^p" in lossdemo("show", "divides-the-violations").output
    assert "‖g‖^2" in lossdemo("show", "a-small-step-lowers").output
    assert ">>> prediction = torch.tensor([[1., 2.], [3., 4.]], requires_grad=True)    # (2, 2)\n" in output
    for claim in CLAIMS:
        assert not [
            part for part in cli._legible(CLAIMS[claim].text).split("```")[::2] if "$" in part or "\\frac" in part
        ]


@pytest.mark.parametrize(
    ("name", "message"),
    [("momentun-applies", "momentum-applies-a-decaying-sum"), ("adam", "claims have 'adam' in their id; nearest:")],
)
def test_a_mistyped_or_ambiguous_id_gets_the_nearest_ones(
    lossdemo: Callable[..., Result], name: str, message: str
) -> None:
    """It is a wrong use, and says which claims may be meant."""
    result = lossdemo("show", name)
    assert result.exit_code == 2
    assert message in result.output


def test_in_a_terminal_prose_is_wrapped_and_code_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrapped line of code would be another example, and could not be pasted."""
    cli._render(
        Console(width=40, force_terminal=True, color_system=None), cli._legible(cli._find("counts-squared").text)
    )
    lines = capsys.readouterr().out.splitlines()
    code = "  ...     print([loss(torch.tensor([1., 1., 1., error]), torch.zeros(4)).item() for error in (10., 100.)])"
    assert code in lines
    assert max(len(line) for line in lines if "print(" not in line) <= 45


def test_show_says_where_a_file_has_no_verdict(lossdemo: Callable[..., Result], tmp_path: Path) -> None:
    """And refuses a file that is none before it prints anything."""
    assert lossdemo("show", "equal-losses", "--verdicts", tmp_path / "nowhere").exit_code == 2


def test_without_the_book_it_says_what_to_do(
    lossdemo: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A package without its clone has no book."""
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    result = lossdemo("list")
    assert result.exit_code == 2
    assert "there is no book beside the package: install a clone, with pip install -e ." in result.output


# --- verify and prove ---


def run(*words: str | Path) -> subprocess.CompletedProcess:
    """The command in a process of its own: pytest underneath does not run within pytest."""
    return subprocess.run([sys.executable, "-m", "lossdemo", *map(str, words)], capture_output=True, text=True)


def test_verify_runs_the_chosen_claims_and_writes_verdicts(tmp_path: Path) -> None:
    """Chapters and ids may be mixed; the table has a row a chapter; piped output has no bar and no colour."""
    file = tmp_path / "verdicts.json"
    done = run("verify", "optimizers.md", "equal-losses", "--device", "cpu", "--verdicts", file)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    of_chapter = str(sum(claim.path.name == "optimizers.md" for claim in CLAIMS.values()))
    assert rows["spec/optimizers.md"][:2] == [of_chapter, of_chapter]
    assert rows["spec/loss.md"][:2] == ["1", "1"]
    assert {record.outcome for record in Verdicts.read(file).records} == {"passed"}
    shown = run("show", "equal-losses", "--verdicts", file).stdout
    assert "cpu, float32: passed" in shown


def test_verify_with_a_wrong_function_fails_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and the comparison that failed; a known failure is not one."""
    (tmp_path / "mine.py").write_text("def halved(x, y, **_):\n    return ((x - y) ** 2).mean() / 2\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    replaced = ["--replace", "torch.nn.functional.mse_loss=mine:halved", "--device", "cpu"]
    done = run("verify", "equal-losses", *replaced)
    assert done.returncode == 1
    assert "spec/loss.md::equal-losses-can-pull-with-different-strength[cpu]" in done.stdout
    assert "1.0 -2.0" in done.stdout
    (tmp_path / "known").write_text("equal-losses-can-pull-with-different-strength the half is meant\n")
    assert run("verify", "equal-losses", *replaced, "--known", tmp_path / "known").returncode == 0
    (tmp_path / "known").write_text("adams-first-step-is-the-learning-rate-times-the-sign is no longer so\n")
    done = run("verify", "equal-losses", "a-sigmoid-keeps", *replaced, "--known", tmp_path / "known")
    assert "not run, as it calls none of what is replaced: a-sigmoid-keeps-every-output" in done.stdout


def test_prove_shows_what_a_claim_kills(tmp_path: Path) -> None:
    """The verdicts of a proof have the mutants, and `show` names them."""
    file = tmp_path / "verdicts.json"
    done = run("prove", "momentum-applies", "--device", "cpu", "--verdicts", file)
    assert done.returncode == 0
    assert "7 mutants killed" in done.stdout
    assert "kills sgd_climbs, sgd_ignores_momentum" in run("show", "momentum-applies", "--verdicts", file).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", "nowhere"], "no claim has 'nowhere' in its id; nearest:"),
        (["verify", "equal-losses", "--verdicts", "nowhere/at/all.json"], "make the directory"),
        (["verify", "equal-losses", "--replace", "torch.nowhere=mine:halved"], "there is no function torch.nowhere"),
        (["verify", "equal-losses", "--device", "cuda"], "torch finds no CUDA device"),
        (["verify", "equal-losses", "--seed", str(2**64)], "is not in the range"),
        (["verify", ""], "'' names no claim"),
        (["verify", "--dtype", "float16"], "'float16' is not one of 'float32', 'float64'"),
    ],
)
def test_wrong_uses_of_verify(words: list[str], message: str) -> None:
    """Exit code 2, before anything runs."""
    done = run(*words)
    assert done.returncode == 2
    assert message in done.stderr


# --- train ---


def test_train_prints_parameters_before_gradient_and_after(lossdemo: Callable[..., Result]) -> None:
    """And the line that was learned, near y = 2x + 1."""
    output = lossdemo("train", "linear-regression").output
    assert all(head in output for head in ("parameter", "before", "first gradient", "after", "slope", "intercept"))
    learned = json.loads(lossdemo("train", "linear-regression", "--json").output)[0]
    assert (learned["slope"], learned["intercept"]) == pytest.approx((2, 1), abs=0.05)
    assert learned["losses"][-1] < learned["losses"][0]
    assert learned["before"]["weight"] != learned["after"]["weight"]


def test_train_compares_losses_in_one_table(lossdemo: Callable[..., Result]) -> None:
    """The telephone calls under three losses: MSE's slope is far above the others."""
    words = ["train", "linear-regression", "--data", "calls", "--compare", "mse,mae,huber"]
    assert [line.split()[1] for line in lossdemo(*words).output.splitlines()[3:6]] == ["mse", "mae", "huber"]
    slopes = [outcome["slope"] for outcome in json.loads(lossdemo(*words, "--json").output)]
    assert slopes[0] == pytest.approx(5.04, abs=0.01)
    assert max(slopes[1:]) < 1.7


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_train_draws(lossdemo: Callable[..., Result], tmp_path: Path, suffix: str) -> None:
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
        (["linear-regression", "--lr", "-1"], "the learning rate is -1: give a number above 0 and below a million"),
        (["regression"], "run 'regression' is not one of linear-regression, binary, multiclass"),
        (["binary", "--plot", "loss.jpg"], "cannot draw loss.jpg: end its name in .svg or .png"),
        (["binary", "--plot", "no/where.svg"], "make the directory"),
        (["binary", "--compare", ""], "loss '' is not one of bce-with-logits"),
        (["binary", "--lr", "1e39"], "the learning rate is 1e+39"),
        (["binary", "--loss", "bce", "--compare", "bce"], "--loss and --compare: give one of them"),
    ],
)
def test_wrong_trainings_are_refused(lossdemo: Callable[..., Result], words: list[str], message: str) -> None:
    """Exit code 2, with what is allowed."""
    result = lossdemo("train", *words)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_training_that_diverges_says_when(lossdemo: Callable[..., Result]) -> None:
    """Exit code 1, and what to do."""
    result = lossdemo("train", "linear-regression", "--lr", "100")
    assert result.exit_code == 1
    assert "mse: the loss became" in result.output
    assert "lower the learning rate" in result.output


def test_an_interrupted_training_says_where_it_stopped(
    lossdemo: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 130, as shells have it."""

    def perform(*_: object, callback: Callable[[int, float], object], **__: object) -> None:
        callback(6, 0.25)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "perform", perform)
    result = lossdemo("train", "linear-regression")
    assert result.exit_code == 130
    assert "mse: interrupted after 7 of 300 steps, at a loss of 0.25" in result.output


# --- report and diff ---


def test_report_and_diff_read_what_verify_writes(lossdemo: Callable[..., Result], tmp_path: Path) -> None:
    """The matrix as a table, as Markdown, as HTML; a claim that no longer holds makes diff return 1."""
    old, new, page = tmp_path / "old.json", tmp_path / "new.json", tmp_path / "report.html"
    run("verify", "equal-losses", "accuracy", "--device", "cpu", "--verdicts", old)
    data = json.loads(old.read_text())
    data["torch"] = "2.99.0"
    data["records"][0]["outcome"] = "failed"
    new.write_text(json.dumps(data))
    assert "Equal losses can pull" in lossdemo("report", old, new).output
    assert "| Equal losses" in lossdemo("report", old, new, "--format", "markdown").output
    assert lossdemo("report", old, new, "--format", "html", "--output", page).exit_code == 0
    assert "<html" in page.read_text()
    assert lossdemo("diff", old, old).exit_code == 0
    data["records"] = []
    (tmp_path / "none.json").write_text(json.dumps(data))
    assert lossdemo("diff", old, tmp_path / "none.json").exit_code == 2
    worse = lossdemo("diff", old, new)
    assert worse.exit_code == 1
    assert "no longer passes" in worse.output


def test_files_that_are_no_verdicts_are_refused(lossdemo: Callable[..., Result], tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "no.json").write_text("[]")
    for name, message in (("no.json", "is not a verdict file"), ("nowhere.json", "No such file")):
        result = lossdemo("report", tmp_path / name)
        assert result.exit_code == 2
        assert message in result.output
    refused = lossdemo("report", tmp_path / "no.json", "--output", tmp_path / "x.html")
    assert refused.exit_code == 2
