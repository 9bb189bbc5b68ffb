"""Markdown, mathematics, tables and a bar for a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROW = 60  # columns of a terminal in which tables do without blanks between their own
_CODE = re.compile(r"(^(?:```.*?^```|~~~.*?^~~~)$)", re.DOTALL | re.MULTILINE)
_FOLD = re.compile(r"^<details>(?:<summary>(.*?)</summary>)?|^</details>\n?", re.MULTILINE)


def console() -> Console:
    """Where output goes: as wide as the terminal, 100 columns where it is piped; without color if NO_COLOR is set."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100
    return Console(highlight=False, width=width, color_system=None if os.environ.get("NO_COLOR") else "auto")


def bold(text: str) -> str:
    """The text in bold, where that is wanted."""
    return click.style(text, bold=not os.environ.get("NO_COLOR") or None)


def result(title: str, name: str, line: str, spans: Callable[[str], list[tuple[int, int]]]) -> None:
    """What a search found: a title, an id, and the line that matched; in a terminal wrapped, what matched in bold."""

    def show(text: str, indent: str) -> None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10**6
        for part in textwrap.wrap(text, width - len(indent), break_on_hyphens=False, break_long_words=False):
            for begin, end in reversed(spans(part)):
                part = f"{part[:begin]}{bold(part[begin:end])}{part[end:]}"
            click.echo(f"{indent}{part}")

    show(title, "")
    click.echo(f"    {name}")  # in one line, to be copied
    if line != title:
        show(line, "    ")


def table(console: Console, *columns: str) -> Table:
    """A table in which nothing is cut: what is too long for its column goes on in the next line."""
    from rich.table import Table

    made = Table(padding=(0, 0 if console.width < NARROW else 1))
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


def count(number: int, noun: str) -> str:
    """`1 claim`, `2 claims`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def render(console: Console, markdown: str) -> None:
    """In a terminal prose as wide as that; code as it stands, since a wrapped line is no longer the example."""
    if not console.is_terminal:
        click.echo(legible(markdown).strip())
        return
    from rich.markdown import Markdown
    from rich.text import Text

    for part in _CODE.split(legible(markdown)):
        if part.startswith(("```", "~~~")):
            code = "\n".join(f"  {line}" for line in part.splitlines()[1:-1])
            console.print(Text(f"{code}\n", style="cyan"), soft_wrap=True)
        elif part.strip():
            console.print(Markdown(part), "")


def legible(markdown: str) -> str:
    """Markdown with its mathematics as Unicode text, links within the book as their text, and folds unfolded."""
    parts = _CODE.split(markdown)
    for i, part in enumerate(parts):
        if part.startswith("```math"):
            parts[i] = re.sub(r"```math\n(.*?)\n```", lambda match: f"    {_plain(match)}", part, flags=re.DOTALL)
        elif not part.startswith(("```", "~~~")):
            part = _FOLD.sub(lambda match: f"### {match[1]}" if match[1] else "", part)
            part = re.sub(r"\$([^$]+)\$", lambda match: f"`{_plain(match)}`", part)
            parts[i] = re.sub(r"\[([^]]+)\]\((?!https)[^)]+\)", r"\1", part)
    return "".join(parts)


def _plain(match: re.Match[str]) -> str:
    """LaTeX as text: fractions and scripts keep their ends by parentheses."""
    from pylatexenc.latex2text import LatexNodes2Text

    latex = re.sub(r"\\frac\{((?:[^{}]|\{[^{}]*\})*)\}\{((?:[^{}]|\{[^{}]*\})*)\}", r"(\1) / (\2)", match[1])
    latex = re.sub(r"([_^])\{([^{}]+[^{}\w][^{}]*|\w\w+|[^{}]*\\[^{}]*)\}", r"\1(\2)", latex)
    latex = re.sub(r"\\(?:qquad|quad|,|;| )", " ", latex).replace(r"\|", "‖")
    latex = re.sub(r"\\ne(?![a-z])", " ≠ ", latex)
    plain = LatexNodes2Text(math_mode="text").latex_to_text(f"${latex.strip()}$")
    plain = re.sub(r"([←⊙≈∥∑])", r" \1 ", plain)
    return " ".join(re.sub(r" +([_^)])", r"\1", plain).split())


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[..., None]]:
    """A bar on the terminal's standard error, none where that is piped.

    What it yields takes `total`, `advance` and `description` as rich's `Progress.update` does.
    """
    if not sys.stderr.isatty():
        yield lambda **changes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    text = TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True), markup=False)
    how = {"expand": True, "transient": True, "redirect_stdout": False, "redirect_stderr": False}
    columns = BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), text
    with os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace") as own:  # pytest captures 2 itself
        console = Console(file=own, color_system=None if os.environ.get("NO_COLOR") else "auto")
        with Progress(*columns, **how, console=console) as bar:
            task = bar.add_task(what, total=None)
            yield lambda **changes: bar.update(task, **changes)
