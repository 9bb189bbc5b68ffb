"""The command line: find a claim, read it, run it, watch a training, and say what held where.

Nothing heavy is imported before it is needed: `list` and `show` start without torch.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lossdemo import books, terminal
from lossdemo.interrupt import INTERRUPTS, Handover
from lossdemo.verify.options import PROVE, RECORD, REPLACE, SETTINGS, Option

if TYPE_CHECKING:
    from lossdemo.runs import Outcome, Plan
    from lossdemo.session import Session
    from lossdemo.verify.claims import Book, Problem
    from lossdemo.verify.verdicts import Verdicts

BASES = ("mathematics", "documented", "observed")
SHOWN = 10  # of what a search finds
NAMES = "[ID or CHAPTER]..."
FILE = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lossdemo")
def main() -> None:
    """How PyTorch's losses move a model's parameters: a book in which every claim is a test.

    In a project whose settings for pytest name `claims`, the commands read and run these; elsewhere lossdemo's own.
    They return 0 where all holds, 1 where something does not, 2 for a wrong use, 130 after Ctrl-C.

    Completion by the shell: eval "$(_LOSSDEMO_COMPLETE=bash_source lossdemo)", or zsh_source, fish_source.
    """


def _book() -> Book:
    from lossdemo.verify.claims import Book

    place = books.locate()
    return Book(place.directory, place.root)


def _near(path: Path) -> Path:
    """The path from the working directory, if it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Chapters and ids for the shell."""
    try:
        entries = books.read_entries(books.locate().directory)
    except click.UsageError:
        return []
    names = dict.fromkeys(name for entry in entries for name in (entry.chapter.removesuffix(".md"), entry.id))
    return [name for name in names if name.startswith(incomplete)]


class _Text(click.Command):
    """A command whose words may begin with a minus, as -100 and what is pasted: it has no short options but -h."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """With a blank before it, a word is no option to click."""
        return super().parse_args(
            ctx, [f" {word}" if re.match(r"-(?!h$)[^-]|--[^=]*\s", word) else word for word in args]
        )


@main.command("list", cls=_Text)
@click.argument("words", nargs=-1)
@click.option("--basis", type=click.Choice(BASES, case_sensitive=False), help="Only claims that rest on it.")
@click.option("--chapter", help="Only claims of this chapter, as outliers or outliers.md.")
@click.option("--all", "everything", is_flag=True, help=f"Not only the best {SHOWN}.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object a claim; all of them.")
def list_claims(
    words: tuple[str, ...], basis: str | None, chapter: str | None, everything: bool, as_json: bool
) -> None:
    """Find the claims that answer WORDS: what you see, a name, a number, an error's text; without WORDS list the book.

    The best come first, each with its id and the line that has most of the words. Returns 1 if nothing is found.

    \b
    Example: lossdemo list loss stuck at 0.693
    """
    directory = books.locate().directory
    entries = books.read_entries(directory)
    chapters = list(dict.fromkeys(entry.chapter for entry in entries))
    only = books.find_chapter(chapter, chapters) if chapter is not None else None
    if chapter is not None and not only:
        names = ", ".join(name.removesuffix(".md") for name in chapters)
        raise click.BadParameter(f"{chapter!r} is not one of {names}", param_hint="'--chapter'")
    claims = [entry for entry in entries if basis in (None, entry.basis) and only in (None, entry.chapter)]
    text, of = " ".join(words).strip(), f"of {terminal.count(len(entries), 'claim')}"
    if not text:
        if as_json:
            _print_json((entry, {}) for entry in claims)
        else:
            for name, there in groupby(claims, key=lambda entry: entry.chapter):
                click.echo(terminal.bold(name))
                click.echo("\n".join(f"  {entry.title}\n    {entry.id}" for entry in there))
            click.echo(f"{len(claims)} {of}")
        sys.exit(0 if claims else 1)
    from lossdemo.search import Index, heading

    found, guessed, is_typed = Index(claims).search(text)
    if as_json:
        _print_json((hit.entry, {"match": hit.line, "complete": hit.complete}) for hit in found)
    else:
        for typed, near in guessed.items():
            click.echo(f"no claim has {typed!r}; nearest: {near}")
        pages = [directory / name for name in ("symptoms.md", "names.md")]
        symptoms, names = (page.read_text(encoding="utf-8") if page.is_file() else "" for page in pages)
        see = heading(symptoms, names, text, found)
        if see:
            click.echo(f"see {_near(directory / see[0])}: {see[1]}\n")
        shown = found if everything else found[:SHOWN]
        for hit in shown:
            terminal.result(hit.entry.title, hit.entry.id, hit.line, hit.spans)
        more = f"--all shows {len(found) - len(shown)} more" if len(shown) < len(found) else str(len(found))
        click.echo(f"{more} {of}" if found else "no claim has any of that")
    sys.exit(0 if is_typed else 1)


def _print_json(entries: Iterable[tuple[books.Entry, dict[str, Any]]]) -> None:
    claims = [entry._asdict() | more for entry, more in entries]
    click.echo(json.dumps([{k: claim[k] for k in claim if k not in ("text", "words")} for claim in claims], indent=1))


@main.command()
@click.argument("names", metavar=NAMES, nargs=-1, required=True, shell_complete=_complete)
@click.option(
    "--script", "as_script", is_flag=True, help="As a Python file that runs: lossdemo show ID --script | python"
)
@click.option("--verdicts", "file", type=FILE, help="A verdict file: outcome, and mutants killed.")
def show(names: tuple[str, ...], as_script: bool, file: Path | None) -> None:
    """Show the claims with these ids, or with parts of id or title that no other has, and the claims of a chapter.

    \b
    Example: lossdemo show momentum-applies
    """
    from lossdemo.verify.claims import Page
    from lossdemo.watch import table

    book = _book()
    found = [books.find(name, book.pages) for name in names]
    verdicts = _read(file) if file else None
    if as_script:
        from lossdemo.script import script

        claims = [claim for part in found for claim in (part.claims if isinstance(part, Page) else [part])]
        click.echo("\n".join(script(claim, f"{_near(claim.path)}#{claim.id}") for claim in claims), nl=False)
        return
    console = terminal.console()
    for number, part in enumerate(found):
        if number:
            click.echo()
        if isinstance(part, Page):
            opening = re.split(r"^(?:```|\||<|!\[|## )", part.text, maxsplit=1, flags=re.MULTILINE)[0]
            terminal.render(console, opening if part.claims else part.text)
            click.echo("".join(f"\n  {claim.title}\n    {claim.id}" for claim in part.claims))
            click.echo(f"\n{_near(part.path)}" + f"\nRun it: lossdemo verify {part.path.stem}" * bool(part.claims))
            continue
        terminal.render(console, part.text)
        click.echo(f"\n{_near(part.path)}:{part.line}\nRun it: lossdemo verify {part.id}")
        watches = [row for row in table.read() if row.claim == part.id]
        if watches:
            notes = " --notes" * all(row.note for row in watches)
            click.echo(f"Seen in a script of yours by: lossdemo watch{notes} SCRIPT")
        if verdicts:
            records = [record for record in verdicts.records if record.claim == part.id]
            kills = ["" if r.killed is None else f", kills {', '.join(r.killed) or 'no mutant'}" for r in records]
            lines = [f"{record.setting}: {record.outcome}{killed}" for record, killed in zip(records, kills)]
            click.echo("\n".join(lines) or f"{file} has no verdict on it")
    _end_with([problem for path in {part.path for part in found} for problem in book.checked[path].problems])


@main.command()
def check() -> None:
    """Say what in the book would be refused, without running it: nothing else stands between a page and its claims.

    \b
    Example: lossdemo check
    """
    book = _book()
    problems = [problem for page in book.checked.values() for problem in page.problems]
    if not problems:
        claims, pages = terminal.count(len(book.ids), "claim"), terminal.count(len(book.pages), "page")
        click.echo(f"{claims} in {pages}: nothing is refused")
    _end_with(problems)


def _end_with(problems: list[Problem]) -> NoReturn:
    for problem in sorted(problems):
        click.echo(f"{_near(problem.path)}:{problem.line}: {problem.message}", err=True)
    sys.exit(1 if problems else 0)


def _options(*options: Option) -> Callable[[Callable], Callable]:
    """Names of claims, and the options that pytest has too."""

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            kind = click.Choice(option.choices, case_sensitive=False) if option.choices else None
            kind = click.IntRange(*option.range) if option.range else bool if option.flag else kind
            text = f"{option.help[0].upper()}{option.help[1:]}."
            how = {"is_flag": option.flag, "multiple": option.repeated, "metavar": option.metavar, "help": text}
            command = click.option(f"--{option.name}", type=kind, **how)(command)
        return click.argument("names", metavar=NAMES, nargs=-1, shell_complete=_complete)(command)

    return decorate


@main.command()
@_options(*SETTINGS, RECORD, *REPLACE)
@click.option("-x", "--exitfirst", is_flag=True, help="End at the first claim that fails.")
def verify(names: tuple[str, ...], **options: Any) -> None:
    """Run the claims of the whole book, or of some chapters, or some claims.

    \b
    Example: lossdemo verify outliers momentum-applies
    """
    _run(names, options)


@main.command()
@_options(*SETTINGS, RECORD, *PROVE[1:])
def prove(names: tuple[str, ...], **options: Any) -> None:
    """Run each claim again under every wrong PyTorch that it could notice.

    \b
    Example: lossdemo prove momentum-applies
    """
    _run(names, {"prove": True, **options})


def _run(names: Sequence[str], options: dict[str, Any]) -> None:
    """Run claims under pytest, with a progress bar; print what became of them, and end."""
    place = books.locate()
    for device in options["device"]:
        _check_device(device)
    from lossdemo.session import Session

    arguments = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        values = value if isinstance(value, tuple) else [] if value in (None, False) else [value]
        arguments += [flag if one is True else f"{flag}={one}" for one in values]
    with terminal.progress("claims") as advance:
        session = Session(place, names, advance)
        code = session.run(arguments)
    if session.error:
        raise click.UsageError(session.error.strip())
    if session.verdicts:
        _print_run(session, session.verdicts)
    if session.crash:
        click.echo(f"{session.crash.strip()}\nlossdemo: the run broke; this is no claim's failure", err=True)
    if session.interrupted:
        records = session.verdicts.records if session.verdicts else ()
        ran = sum(record.outcome != "not run" for record in records)
        where = f" in {session.running}," if session.running else ""
        word = "terminated" if code == 143 else "interrupted"
        click.echo(f"{word}{where} after {ran} of {terminal.count(len(records), 'claim')}", err=True)
    sys.exit(code)


def _print_run(session: Session, verdicts: Verdicts) -> None:
    """What failed and why, mathematics first; what was refused; the table; and what else is to be known."""
    from lossdemo.verify.matrix import merge
    from lossdemo.verify.verdicts import badness

    console = terminal.console()
    for record in sorted(verdicts.records, key=badness):
        if record.outcome not in ("failed", "vacuous"):
            continue
        click.echo(terminal.bold(record.nodeid))
        place = f"{_near(session.place.root / record.chapter)}:{record.at or record.line}"
        kind = f", {record.kind}" if record.kind else ""
        click.echo(f"{record.outcome}, {record.basis}{kind}, {place}\n{record.message}\n")
    for refusal in verdicts.refused:
        click.echo(terminal.bold(f"{refusal.chapter} is refused"))
        click.echo(f"{refusal.message}\n")
    matrix = merge([verdicts])
    for table, tally in zip(matrix.summary(console.width < terminal.NARROW), matrix.tallies(matrix.rows)):
        console.print(table)
        for reason, number in tally.not_run.items():
            click.echo(f"{number} not run: {reason}")
    for note in session.notes:
        click.echo(note)


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
@click.option(
    "--schedule",
    default="none",
    show_default=True,
    help="Of the learning rate, at each step: none, step (a tenth after each third), cosine (to 0), onecycle, plateau"
    " or warmup (in a tenth of the steps).",
)
@click.option("--momentum", type=float, help="Of sgd and rmsprop; the optimizer momentum is sgd with 0.9.")
@click.option("--weight-decay", type=float, help="Default: torch's, 0.01 for adamw and 0 for the others.")
@click.option("--clip", metavar="NORM", type=float, help="Scale the gradients down to this norm where they exceed it.")
@click.option("--batch-size", type=int, help="Samples a batch, shuffled; default: all of them, in each step.")
@click.option("--accumulate", metavar="BATCHES", type=int, default=1, show_default=True, help="Batches a step.")
@click.option("--steps", type=int, help="Updates, at most a million; default: enough for the run.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of data, first parameters and batches.")
@click.option("--dtype", default="float32", show_default=True, help="float16, bfloat16, float32 or float64.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--plot", type=FILE, help="Draw it to this file, .svg or .png.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def train(plot: Path | None, as_json: bool, **choice: Any) -> None:
    """Train RUN: linear-regression, binary or multiclass.

    \b
    Example: lossdemo train linear-regression --data calls --compare mse,mae,huber
    """
    from lossdemo import runs

    choice = {name: value.lower() if isinstance(value, str) else value for name, value in choice.items()}
    compare, loss, run = choice.pop("compare"), choice.pop("loss"), choice.pop("run")
    if compare is not None and loss is not None:
        raise click.UsageError("--loss and --compare: give one of them")
    _check_device(choice["device"])
    if plot:
        _check_plot(plot)
    losses = [loss] if compare is None else list(dict.fromkeys(compare.replace(",", " ").split()))
    if not losses:
        raise click.UsageError("--compare names no loss: write them as mse,mae")
    try:
        plans = [runs.plan(run, loss=name, **choice) for name in losses]
        outcomes = [_trained(plan) for plan in plans]
    except runs.Wrong as wrong:
        raise click.UsageError(str(wrong)) from None
    if plot:
        _draw(outcomes, plot)
    click.echo(_as_json(outcomes)) if as_json else _print_training(outcomes)


class _ThenAnything(click.Command):
    """A command whose options end at the first word that is none, and at the module behind -m."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As Python's own command line."""
        at = 0
        while at < len(args) and args[at].startswith("-") and args[at] not in ("-", "--"):
            if args[at] == "-m" or (args[at].startswith("-m") and not args[at].startswith("--")):
                at += 1 + (args[at] == "-m")
                break
            at += 2 if args[at] in ("--ignore", "--every") else 1
        return super().parse_args(ctx, [*args[:at], "--", *args[at:]] if args[at : at + 1] != ["--"] else args)


@main.command(cls=_ThenAnything)
@click.option("-m", "module", metavar="MODULE", help="Run this module, as python -m does.")
@click.option("--notes", is_flag=True, help="Also say what is only suspicious.")
@click.option("--ignore", metavar="ID", multiple=True, help="Do not tell this claim; may be given several times.")
@click.option("--every", type=click.IntRange(1), help="After the first calls of a line look at one in so many.")
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON, the last line of standard error.")
@click.option("--fail", is_flag=True, help="Return 1 if something is found and the script itself succeeded.")
@click.argument("words", metavar="SCRIPT [ARGUMENT]...", nargs=-1, type=click.UNPROCESSED)
def watch(module: str | None, words: tuple[str, ...], **options: Any) -> None:
    """Run SCRIPT as python does, and say on standard error which claims of the book it comes up against.

    A line that is meant as it is says so in a comment: # lossdemo: ignore ID. Under torchrun:
    torchrun --nproc-per-node 2 -m lossdemo watch SCRIPT

    \b
    Example: lossdemo watch train.py --epochs 1
    """
    from lossdemo.watch.children import Options
    from lossdemo.watch.script import Script

    if module is None and not words:
        raise click.UsageError("which script? lossdemo watch train.py")
    name, arguments = (module, words) if module is not None else (words[0], words[1:])
    if module in ("torch.distributed.run", "torch.distributed.launch") or Path(name).name == "torchrun":
        raise click.UsageError(
            "torchrun starts processes that would not be watched: torchrun ... -m lossdemo watch SCRIPT"
        )
    if module is None and not Path(name).exists():
        raise click.UsageError(f"there is no file {name}")
    if options["ignore"]:
        place = books.locate(books.PACKAGE)  # the watches are of lossdemo's own book, wherever the script is
        ids = {entry.id for entry in books.read_entries(place.directory)}
        options["ignore"] = tuple(books.find_claim(id, ids) for id in options["ignore"])
    raise Handover(Script(name, module is not None, arguments, Options(**options)).run)


def _trained(plan: Plan) -> Outcome:
    """One training under a bar that shows its loss; where it stops early, that is said, and the process ends."""
    from lossdemo.runs import perform
    from lossdemo.train import Diverged

    taken, last = 0, float("nan")

    def shown(step: int, value: float) -> None:
        nonlocal taken, last
        taken, last = step + 1, value
        advance(advance=1, description=f"{plan.loss} {value:.4g}")
        if INTERRUPTS.number:  # it was raised where something swallowed it
            raise KeyboardInterrupt

    try:
        with terminal.progress(plan.loss) as advance, INTERRUPTS:
            advance(total=plan.steps)
            return perform(plan, callback=shown)
    except KeyboardInterrupt:
        at = f", at a loss of {last:.4g}" if taken else ""
        click.echo(f"{plan.loss}: interrupted after {taken} of {terminal.count(plan.steps, 'step')}{at}", err=True)
        sys.exit(128 + (INTERRUPTS.number or 2))
    except Diverged as diverged:
        click.echo(f"{plan.loss}: {diverged}", err=True)
        sys.exit(1)


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
    if path.is_dir() or not os.access(path.resolve().parent, os.W_OK):
        raise click.UsageError(f"--plot {path}: no file can be written there; make the directory first")


def _print_training(outcomes: list[Outcome]) -> None:
    """For one training each parameter before, its first gradient, and after; for several a row each."""
    console = terminal.console()
    first = outcomes[0]
    if len(outcomes) == 1:
        table = terminal.table(console, "parameter", "shape", "before", "first gradient", "after")
        for name, before in first.before.items():
            values = map(_numbers, (before, first.gradient[name], first.after[name]))
            table.add_row(name, "×".join(map(str, before.shape)), *values)
        console.print(table)
    table = terminal.table(console, "loss", "first", "last", *first.measures)
    for outcome in outcomes:
        values = (outcome.history.loss[0], outcome.last, *outcome.measures.values())
        table.add_row(outcome.plan.loss, *(f"{value:.4g}" for value in values))
    console.print(table)
    if len(outcomes) == 1:
        also = "; slope and intercept on inputs as they are" if "slope" in first.measures else ""
        click.echo(f"Weights act on inputs scaled to mean 0 and deviation 1{also}.")


def _numbers(values: Any) -> str:
    """A few numbers as they are; of many the length of the vector."""
    flat = values.flatten().tolist()
    return ", ".join(f"{value:.4g}" for value in flat) if len(flat) <= 3 else f"norm {values.norm().item():.4g}"


def _as_json(outcomes: list[Outcome]) -> str:
    values = [
        {
            "loss": of.plan.loss,
            "losses": of.history.loss,
            "every": of.history.every,
            "last": of.last,
            "before": of.before,
            "first gradient": of.gradient,
            "after": of.after,
        }
        | of.measures
        for of in outcomes
    ]
    return json.dumps(values, default=lambda tensor: tensor.tolist(), indent=1)


def _draw(outcomes: list[Outcome], path: Path) -> None:
    from lossdemo.plot import draw_runs

    first = outcomes[0]
    data: Any = ()
    if "slope" in first.measures:
        lines = {outcome.plan.loss: (outcome.measures["slope"], outcome.measures["intercept"]) for outcome in outcomes}
        data = first.x, first.y, lines
    draw_runs({outcome.plan.loss: outcome.history for outcome in outcomes}, path, *data)


def _read(file: Path) -> Verdicts:
    from lossdemo.verify.verdicts import NotVerdicts, Verdicts

    try:
        return Verdicts.read(file)
    except NotVerdicts as error:
        raise click.UsageError(str(error)) from None


@main.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--format", "form", type=click.Choice(["table", "markdown"]), default="table", show_default=True)
def report(files: tuple[Path, ...], form: str) -> None:
    """Merge verdict FILES into one matrix, claims by setting.

    \b
    Example: lossdemo report cpu.json cuda.json --format markdown > report.md
    """
    from lossdemo.verify.matrix import merge

    matrix = merge([_read(file) for file in files])
    if form != "table":
        click.echo(matrix.markdown())
        return
    click.echo("\n".join(matrix.legend))
    terminal.console().print(matrix.table())
    for line in [*matrix.reasons, *matrix.notes]:
        click.echo(line)


@main.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
def diff(old: Path, new: Path) -> None:
    """Say which claims changed from verdict file OLD to NEW; return 1 if one that held no longer does.

    \b
    Example: lossdemo diff torch-2.12.json torch-2.13.json
    """
    from lossdemo.verify.difference import diff as compare

    before, after = _read(old), _read(new)
    if not {(r.claim, r.setting) for r in before.records} & {(r.claim, r.setting) for r in after.records}:
        raise click.UsageError(f"nothing can be compared: {old} and {new} have no claim in the same setting")
    difference = compare(before, after)
    click.echo("\n".join(difference.lines()))
    sys.exit(1 if difference.worse else 0)
