"""The command line: find a claim, read it, run it, watch a training, and say what held where.

Nothing heavy is imported before it is needed, so that `list` and `show` start without torch.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from lossdemo.runs import Outcome
    from lossdemo.verify.claims import Claim, Entry
    from lossdemo.verify.verdicts import Record, Verdicts

ROOT = Path(__file__).parent.parent
BASES = ("mathematics", "documented", "observed")
HELD, FAILED, INTERRUPTED = 0, 1, 130  # exit codes; 2 is click's for a wrong use


def _book() -> Path:
    if not (ROOT / "spec" / "README.md").exists():
        raise click.UsageError("there is no book beside the package: install a clone, with pip install -e .")
    return ROOT / "spec"


def _console() -> Console:
    """Where output goes: as wide as the terminal; without colour where it is piped or NO_COLOR is set."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def _entries() -> list[Entry]:
    from lossdemo.verify.claims import index

    return list(index(_book()))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lossdemo")
def main() -> None:
    """How PyTorch's losses move a model's parameters: a book in which every claim is a test.

    Completion of commands and options: eval "$(_LOSSDEMO_COMPLETE=bash_source lossdemo)", or zsh_source, fish_source.
    """


# --- finding and reading ---


@main.command("list")
@click.argument("words", nargs=-1)
@click.option(
    "--basis", type=click.Choice(["mathematics", "documented", "observed"]), help="Only claims that rest on it."
)
@click.option("--chapter", help="Only claims of this chapter, as outliers or outliers.md.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object a claim.")
def list_claims(words: tuple[str, ...], basis: str | None, chapter: str | None, as_json: bool) -> None:
    """List the claims whose title, text or id has all WORDS.

    \b
    Example: lossdemo list huber outlier
    """
    entries = _entries()
    if chapter is not None:
        names = list(dict.fromkeys(entry.chapter.removesuffix(".md") for entry in entries))
        if chapter.removesuffix(".md") not in names:
            raise click.BadParameter(f"{chapter!r} is not one of {', '.join(names)}", param_hint="'--chapter'")
        entries = [entry for entry in entries if entry.chapter.removesuffix(".md") == chapter.removesuffix(".md")]
    found = [
        entry
        for entry in entries
        if (not basis or entry.basis == basis)
        and all(word.lower() in f"{entry.title}\n{entry.text}\n{entry.id}".lower() for word in words)
    ]
    if as_json:
        fields = ("id", "chapter", "line", "title", "basis")
        click.echo(json.dumps([{name: getattr(entry, name) for name in fields} for entry in found], indent=1))
        return
    for chapter_name in dict.fromkeys(entry.chapter for entry in found):
        click.secho(chapter_name, bold=True)
        for entry in found:
            if entry.chapter == chapter_name:
                click.echo(f"  {entry.title}")
    click.echo(f"{len(found)} of {len(entries)} claims" if found else "no claim has all these words")


def _find(name: str) -> Claim:
    """The claim that `name` is the id of, or an unambiguous part of it."""
    from lossdemo.verify.claims import Book, slug

    claims = {claim.id: claim for claim in Book(_book())}
    wanted = slug((name.partition("::")[2] or name.rpartition("#")[2]).partition("[")[0])
    if not wanted:
        raise click.UsageError(f"{name!r} names no claim: `lossdemo list WORDS` finds one")
    if wanted in claims:
        return claims[wanted]
    parts = [claim for claim in claims if wanted and wanted in claim]
    if len(parts) == 1:
        return claims[parts[0]]
    near = parts[:8] or sorted(claims, key=lambda claim: -_likeness(wanted, claim))[:4]
    problem = f"{len(parts)} claims have {name!r} in their id" if parts else f"no claim has {name!r} in its id"
    raise click.UsageError(f"{problem}; nearest:\n" + "\n".join(f"  {claim}" for claim in near))


def _likeness(wanted: str, claim: str) -> float:
    """How well the words of `wanted` are found among those of a claim's id, misspelt or not."""
    words = claim.split("-")
    return sum(max(difflib.SequenceMatcher(None, word, other).ratio() for other in words) for word in wanted.split("-"))


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Chapters and ids for the shell."""
    names = dict.fromkeys(name for entry in _entries() for name in (entry.chapter.removesuffix(".md"), entry.id))
    return [name for name in names if name.startswith(incomplete)]


@main.command()
@click.argument("id", shell_complete=_complete)
@click.option(
    "--verdicts", "file", type=click.Path(path_type=Path), help="A verdict file: outcome, and mutants killed."
)
def show(id: str, file: Path | None) -> None:
    """Show the claim with this ID, or with an unambiguous part of it.

    \b
    Example: lossdemo show momentum-applies
    """
    claim = _find(id)
    records = [record for record in _read(file).records if record.claim == claim.id] if file else []
    console = _console()
    if console.is_terminal:
        _render(console, _legible(claim.text))
    else:
        click.echo(_legible(claim.text).strip())
    console.print(f"\nRun it: pytest spec/{claim.path.name}::{claim.id}", soft_wrap=True)
    for record in records:
        console.print(f"{record.device}, {record.dtype}: {record.outcome}{_killing(record)}")
    if file and not records:
        click.echo(f"{file} has no verdict on it")


def _render(console: Console, text: str) -> None:
    """Prose as wide as the terminal; code as it stands, since a wrapped line is no longer the example."""
    import re

    from rich.markdown import Markdown
    from rich.text import Text

    for part in re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE):
        if part.startswith("```"):
            code = "\n".join(f"  {line}" for line in part.splitlines()[1:-1])
            console.print(Text(f"{code}\n", style="cyan"), soft_wrap=True)
        elif part.strip():
            console.print(Markdown(part), "")


def _killing(record: Record) -> str:
    return "" if record.killed is None else f", kills {', '.join(record.killed) or 'no mutant'}"


def _legible(markdown: str) -> str:
    """Markdown with its mathematics as Unicode text, and its links as their text."""
    import re

    from pylatexenc.latex2text import LatexNodes2Text

    def text(match: re.Match) -> str:
        latex = re.sub(r"\\frac\{((?:[^{}]|\{[^{}]*\})*)\}\{((?:[^{}]|\{[^{}]*\})*)\}", r"(\1) / (\2)", match[1])
        latex = re.sub(
            r"([_^])\{([^{}]+[^{}\w][^{}]*|\w\w+|[^{}]*\\[^{}]*)\}", r"\1(\2)", latex
        )  # no script loses its end
        latex = re.sub(r"\\(?:qquad|quad|,|;| )", " ", latex).replace(r"\|", "‖")
        latex = re.sub(r"\\ne(?![a-z])", " ≠ ", latex)
        plain = LatexNodes2Text(math_mode="text").latex_to_text(f"${latex.strip()}$")
        plain = re.sub(r"([←⊙≈∥∑])", r" \1 ", plain)
        return " ".join(re.sub(r" +([_^)])", r"\1", plain).split())

    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    for i, part in enumerate(parts):
        if part.startswith("```math"):
            parts[i] = re.sub(r"```math\n(.*?)\n```", lambda match: f"    {text(match)}", part, flags=re.DOTALL)
        elif not part.startswith("```"):
            part = re.sub(r"\$([^$]+)\$", lambda match: f"`{text(match)}`", part)
            parts[i] = re.sub(r"\[([^]]+)\]\((?!https)[^)]+\)", r"\1", part)
    return "".join(parts)


# --- running ---


def _settings(command: Callable) -> Callable:
    """The options of `verify` and `prove`."""
    for option in reversed(
        [
            click.argument("names", metavar="[ID or CHAPTER]...", nargs=-1, shell_complete=_complete),
            click.option("--device", multiple=True, type=click.Choice(["cpu", "cuda"]), help="Default: what is here."),
            click.option("--dtype", multiple=True, type=click.Choice(["float32", "float64"]), help="Default: float32."),
            click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True),
            click.option(
                "--verdicts", "file", type=click.Path(path_type=Path), help="Write the verdicts to this file."
            ),
        ]
    ):
        command = option(command)
    return command


@main.command()
@_settings
@click.option("--replace", multiple=True, metavar="TARGET=MODULE:NAME", help="Your function in place of torch's.")
@click.option(
    "--known",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --replace: claims known to fail.",
)
def verify(names: tuple[str, ...], replace: tuple[str, ...], known: Path | None, **options: Any) -> None:
    """Run the claims of the whole book, or of some chapters, or some claims.

    \b
    Example: lossdemo verify outliers momentum-applies
    """
    extra = [f"--replace={replacement}" for replacement in replace] + ([f"--known={known}"] if known else [])
    sys.exit(_run(names, extra, **options))


@main.command()
@_settings
def prove(names: tuple[str, ...], **options: Any) -> None:
    """Run each claim again under every wrong PyTorch that it could notice.

    \b
    Example: lossdemo prove momentum-applies
    """
    sys.exit(_run(names, ["--prove"], **options))


def _run(
    names: Sequence[str], extra: list[str], device: Sequence[str], dtype: Sequence[str], seed: int, file: Path | None
) -> int:
    """Run pytest underneath, with a progress bar, and print the table; the exit code."""
    chosen = _choose(names)
    for name in device:
        _check_device(name)
    import pytest
    import torch  # here, or an interrupt while pytest's plugin imports it leaves half of it  # noqa: F401
    from rich.text import Text

    from lossdemo.verify.matrix import merge
    from lossdemo.verify.recorder import Recorder

    arguments = [*extra, f"--seed={seed}", *(f"--device={d}" for d in device), *(f"--dtype={d}" for d in dtype)]
    arguments += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-p", "no:cacheprovider", str(_book())]
    arguments += [f"--verdicts={file.resolve()}"] if file else []
    recorder, output = Recorder(), io.StringIO()
    with _progress("claims") as advance, contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(arguments, plugins=[recorder, _Selected(chosen, advance)])
    if recorder.verdicts is None:
        raise click.UsageError(output.getvalue().strip().rpartition("ERROR: ")[2])
    console = _console()
    for record in recorder.verdicts.records:
        if record.outcome in ("failed", "vacuous"):
            console.rule(Text(record.nodeid), align="left")
            console.print(record.message, markup=False)
    for refusal in recorder.verdicts.refused:
        console.rule(Text(refusal.chapter), align="left")
        console.print(refusal.message, markup=False)
    matrix = merge([recorder.verdicts])
    console.print(matrix.summary())
    left_out = chosen - {record.claim for record in recorder.verdicts.records} if names else ()
    warnings = [
        line for line in output.getvalue().splitlines() if line.startswith(("stale in --known", "the verdicts could"))
    ]
    for note in (
        *matrix.notes,
        *warnings,
        *(f"not run, as it calls none of what is replaced: {name}" for name in left_out),
    ):
        console.print(note, markup=False)
    if recorder.verdicts.prove:
        killed = {mutant for record in recorder.verdicts.records for mutant in record.killed or ()}
        console.print(f"{len(killed)} mutants killed")
    if code == pytest.ExitCode.INTERRUPTED:
        ran = sum(record.outcome != "not run" for record in recorder.verdicts.records)
        click.echo(f"interrupted after {ran} of {len(recorder.verdicts.records)} claims", err=True)
        return INTERRUPTED
    return HELD if code == pytest.ExitCode.OK else FAILED


def _choose(names: Sequence[str]) -> set[str]:
    """The ids that names of claims and chapters stand for; all of them for no name."""
    entries = _entries()
    chosen = set()
    for name in names:
        chapter = {entry.id for entry in entries if entry.chapter in (name, f"{name}.md", Path(name).name)}
        chosen |= chapter or {_find(name).id}
    return chosen or {entry.id for entry in entries}


class _Selected:
    """The pytest plugin that runs the chosen claims and advances a bar."""

    def __init__(self, chosen: set[str], advance: Callable[..., None]) -> None:
        self.chosen = chosen
        self.advance = advance

    def pytest_collection_modifyitems(self, config: Any, items: list) -> None:
        from lossdemo.verify.plugin import is_claim

        kept = [item for item in items if is_claim(item) and item.example.parsed.id in self.chosen]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
        self.advance(len(kept))

    def pytest_runtest_logfinish(self) -> None:
        self.advance(None)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[..., None]]:
    """A bar on the terminal's standard error, none where that is piped.

    What it yields takes the total once, and then None for each advance, with another text if there is one.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def advance(total: int | None, text: str = what) -> None:
            progress.update(task, total=total, description=text) if total else progress.update(
                task, advance=1, description=text
            )

        yield advance


# --- training ---


@main.command()
@click.argument("run", metavar="RUN")
@click.option("--data", "data_set", help="synthetic (default), or calls, diabetes, breast-cancer, digits.")
@click.option(
    "--loss",
    help="mse, mae, huber, smooth-l1; bce-with-logits, bce, mse-on-sigmoid; cross-entropy, multi-margin."
    " The first of each is the default.",
)
@click.option("--compare", metavar="LOSS,LOSS,...", help="Train with each of these losses, and print one table.")
@click.option("--optimizer", default="sgd", show_default=True, help="sgd, momentum, adam, adamw, rmsprop or adagrad.")
@click.option("--lr", type=float, help="Learning rate; the default suits the run and the optimizer.")
@click.option("--steps", type=int, help="Default: enough for the run.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of the data and the first parameters.",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw it to this file, .svg or .png.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def train(run: str, loss: str | None, compare: str | None, plot: Path | None, as_json: bool, **options: Any) -> None:
    """Train RUN: linear-regression, binary or multiclass.

    \b
    Example: lossdemo train linear-regression --data calls --compare mse,mae,huber
    """
    from lossdemo import runs

    if compare is not None and loss is not None:
        raise click.UsageError("--loss and --compare: give one of them")
    device, seed = options.pop("device"), options.pop("seed")
    _check_device(device)
    if plot:
        _check_plot(plot)
    losses = [loss] if compare is None else dict.fromkeys(name.strip() for name in compare.split(","))
    try:
        checked = [runs.check(run, loss=loss, **options) for loss in losses]
    except runs.Wrong as wrong:
        raise click.UsageError(str(wrong)) from None
    outcomes = [_trained(run, options["optimizer"], *choice, seed=seed, device=device) for choice in checked]
    if plot:
        _draw(outcomes, plot)
    click.echo(_as_json(outcomes)) if as_json else _print_training(outcomes)


def _trained(
    run: str, optimizer: str, data_set: str, loss: str, lr: float, steps: int, *, seed: int, device: str
) -> Outcome:
    """One training under a bar that shows its loss; where it stops early, that is said, and the process ends."""
    from lossdemo.runs import perform
    from lossdemo.train import Diverged

    taken, last = 0, float("nan")

    def shown(step: int, value: float) -> None:
        nonlocal taken, last
        taken, last = step + 1, value
        advance(None, f"{loss} {value:.4g}")

    try:
        with _progress(loss) as advance:
            advance(steps)
            choice = {"data_set": data_set, "loss": loss, "optimizer": optimizer, "lr": lr, "steps": steps}
            return perform(run, **choice, seed=seed, device=device, callback=shown)
    except KeyboardInterrupt:
        at = f", at a loss of {last:.4g}" if taken else ""
        click.echo(f"{loss}: interrupted after {taken} of {steps} steps{at}", err=True)
        sys.exit(INTERRUPTED)
    except Diverged as diverged:
        click.echo(f"{loss}: {diverged}", err=True)
        sys.exit(FAILED)


def _check_device(device: str) -> None:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise click.UsageError("torch finds no CUDA device here: leave --device out")


def _check_plot(path: Path) -> None:
    """Before a long training, not after it."""
    try:
        from lossdemo.plot import METADATA
    except ModuleNotFoundError as error:
        raise click.UsageError(f"--plot needs {error.name}: pip install 'lossdemo[figures]'") from None
    if path.suffix.lower() not in METADATA:
        raise click.UsageError(f"--plot cannot draw {path.name}: end its name in {' or '.join(METADATA)}")
    if not path.resolve().parent.is_dir():
        raise click.UsageError(f"--plot {path}: make the directory {path.resolve().parent} first")
    if path.is_dir() or not os.access(path.resolve().parent, os.W_OK):
        raise click.UsageError(f"--plot {path}: no file can be written there")


def _print_training(outcomes: list[Outcome]) -> None:
    """For one training each parameter before, its first gradient, and after; for several a row each."""
    from rich.table import Table

    console = _console()
    if len(outcomes) == 1:
        outcome = outcomes[0]
        table = Table("parameter", "shape", "before", "first gradient", "after")
        for name, path in outcome.history.parameters.items():
            values = path[0], outcome.history.gradients[name][0], path[-1]
            table.add_row(name, "×".join(map(str, path.shape[1:])), *map(_numbers, values))
        console.print(table)
    table = Table("loss", "first", "last", *outcomes[0].measures)
    for outcome in outcomes:
        losses = outcome.history.loss
        table.add_row(outcome.loss, *(f"{value:.4g}" for value in (losses[0], losses[-1], *outcome.measures.values())))
    console.print(table)


def _numbers(values: Any) -> str:
    """A few numbers as they are; of many the length of the vector."""
    flat = values.flatten().tolist()
    return ", ".join(f"{value:.4g}" for value in flat) if len(flat) <= 3 else f"norm {values.norm().item():.4g}"


def _as_json(outcomes: list[Outcome]) -> str:
    return json.dumps(
        [
            {
                "loss": outcome.loss,
                "losses": outcome.history.loss,
                "before": {name: path[0].tolist() for name, path in outcome.history.parameters.items()},
                "first gradient": {name: path[0].tolist() for name, path in outcome.history.gradients.items()},
                "after": {name: path[-1].tolist() for name, path in outcome.history.parameters.items()},
                **outcome.measures,
            }
            for outcome in outcomes
        ],
        indent=1,
    )


def _draw(outcomes: list[Outcome], path: Path) -> None:
    from lossdemo.plot import draw_runs

    histories = {outcome.loss: outcome.history for outcome in outcomes}
    if "slope" not in outcomes[0].measures:
        draw_runs(histories, path)
        return
    lines = {outcome.loss: (outcome.measures["slope"], outcome.measures["intercept"]) for outcome in outcomes}
    draw_runs(histories, path, outcomes[0].x, outcomes[0].y, lines)


# --- verdicts ---


def _read(file: Path) -> Verdicts:
    from lossdemo.verify.verdicts import Verdicts

    try:
        return Verdicts.read(file)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["table", "markdown", "html"]), default="table", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file.")
def report(files: tuple[Path, ...], form: str, output: Path | None) -> None:
    """Merge verdict FILES into one matrix, claims by setting.

    \b
    Example: lossdemo report cpu.json cuda.json --format html --output report.html
    """
    from lossdemo.verify.matrix import merge

    matrix = merge([_read(file) for file in files])
    if form == "table" and not output:
        console = _console()
        console.print(matrix.table())
        for note in matrix.notes:
            console.print(note, markup=False)
        return
    if form == "table":
        raise click.UsageError("--output takes --format markdown or html")
    text = matrix.markdown() if form == "markdown" else matrix.html()
    if not output:
        click.echo(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--output {output}: {error.strerror}") from None


@main.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
def diff(old: Path, new: Path) -> None:
    """Say which claims changed from verdict file OLD to NEW; exit 1 if one that held no longer does.

    \b
    Example: lossdemo diff torch-2.12.json torch-2.13.json
    """
    from lossdemo.verify.difference import diff as compare

    before, after = _read(old), _read(new)
    if not {(r.claim, r.setting) for r in before.records} & {(r.claim, r.setting) for r in after.records}:
        raise click.UsageError(f"nothing can be compared: {old} and {new} have no claim in the same setting")
    difference = compare(before, after)
    click.echo(difference.text())
    sys.exit(FAILED if difference.worse else HELD)
