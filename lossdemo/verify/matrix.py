"""Verdicts of several runs side by side: claims by setting, for a terminal, as Markdown and as an HTML page."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from lossdemo.verify.verdicts import OUTCOMES, Outcome, Record, Verdicts

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

COLOURS: dict[Outcome, str] = {
    "passed": "green",
    "known failure": "yellow",
    "not run": "cyan",
    "vacuous": "magenta",
    "failed": "bold red",
}
_IN_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&$])")


class Column(NamedTuple):
    """One setting on one machine: runs that have all of this in common are of one column. `cuda` is '' on the CPU."""

    setting: str
    torch: str
    seed: int
    threads: int
    prove: bool
    replace: tuple[str, ...]
    python: str
    platform: str
    processor: str
    cuda: str

    @property
    def words(self) -> list[str]:
        """Each field in words that can stand alone, in the order of the fields."""
        return [
            self.setting,
            f"torch {self.torch}",
            f"seed {self.seed}",
            f"threads {self.threads}",
            "proved" if self.prove else "not proved",
            f"with {', '.join(self.replace)}" if self.replace else "nothing replaced",
            f"Python {self.python}",
            self.platform,
            self.processor,
            self.cuda,
        ]


class Row(NamedTuple):
    """A claim as the newest run has it, and its record in each column, None where that has none."""

    newest: Record
    cells: tuple[Record | None, ...]

    @property
    def rewritten(self) -> bool:
        """Whether the claim's text is not the same in all columns."""
        return any(cell and cell.checksum != self.newest.checksum for cell in self.cells)

    @property
    def holds(self) -> bool:
        """Whether the claim passed in every column."""
        return all(cell and cell.outcome == "passed" for cell in self.cells)

    def said(self, cell: Record | None) -> str:
        """A cell in words: the outcome, of which text, and the reason."""
        if cell is None:
            return "no record"
        text = " (of another text)" if cell.checksum != self.newest.checksum else ""
        return f"{cell.outcome}{text}{': ' if cell.reason else ''}{cell.reason}"


class Tally(NamedTuple):
    """How some claims fared in one column."""

    cells: tuple[Record | None, ...]

    @property
    def counts(self) -> Counter[str]:
        """Claims by outcome."""
        return Counter(cell.outcome for cell in self.cells if cell)

    @property
    def passed(self) -> int:
        """How many claims passed."""
        return self.counts["passed"]

    @property
    def recorded(self) -> int:
        """How many claims the column knows of; those that were not run are among them."""
        return self.counts.total()

    @property
    def missing(self) -> int:
        """How many claims it does not know of."""
        return len(self.cells) - self.recorded

    @property
    def percent(self) -> int:
        """Passed of recorded, in hundredths, rounded down: 99 for 999 of 1000, 100 for all alone."""
        return 100 * self.passed // max(self.recorded, 1)

    @property
    def not_run(self) -> str:
        """Why claims were not run, and how many, a line for each reason."""
        reasons = Counter(cell.reason for cell in self.cells if cell and cell.outcome == "not run")
        return "\n".join(f"{count} not run: {reason}" for reason, count in reasons.items())

    def __str__(self) -> str:
        if not self.recorded:
            return "no record"
        missing = f"; no record of {self.missing}" if self.missing else ""
        return f"{self.passed} of {self.recorded}, {self.percent} %{missing}"


@dataclass(frozen=True)
class Matrix:
    """Claims, in the book's order, by setting.

    `dates` has for each column when its newest run was; `notes` say what a reader of the cells has to know besides.
    """

    columns: tuple[Column, ...]
    dates: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def settings(self) -> list[list[str]]:
        """Each column in full: all that is known of the setting, and the date, each in words."""
        words = ([*column.words, date] for column, date in zip(self.columns, self.dates))
        return [[word for word in said if word] for said in words]

    @property
    def heads(self) -> list[list[str]]:
        """For each column its setting and torch, and what else tells it from the others, each in words."""
        return _heads(self.columns)

    @property
    def chapters(self) -> dict[str, list[Row]]:
        """The rows by chapter."""
        chapters: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            chapters[row.newest.chapter].append(row)
        return dict(chapters)

    def tallies(self, rows: Sequence[Row]) -> list[Tally]:
        """For each column, how `rows` fared in it."""
        return [Tally(tuple(row.cells[number] for row in rows)) for number in range(len(self.columns))]

    def markdown(self) -> str:
        """The matrix as Markdown with tables, as GitHub renders it."""
        return self._rendered("matrix.md.jinja", autoescape=False)

    def html(self) -> str:
        """The matrix as one HTML page, which needs nothing beside it: no script, no network."""
        return self._rendered("matrix.html.jinja", autoescape=True)

    def _rendered(self, name: str, autoescape: bool) -> str:
        from jinja2 import Environment, StrictUndefined

        environment = Environment(
            autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters["plain"] = _without_markup
        template = resources.files("lossdemo.verify").joinpath(name).read_text(encoding="utf-8")
        return environment.from_string(template).render(matrix=self)

    def table(self) -> "Table":
        """Every claim in every setting as a table for a terminal, chapter by chapter."""
        from rich.box import HORIZONTALS
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        table = Table(box=HORIZONTALS, pad_edge=False, expand=True)
        table.add_column("claim", ratio=2)
        for head in self.heads:
            table.add_column(Text("\n".join(head)), ratio=1, overflow="fold")
        for chapter, rows in self.chapters.items():
            table.add_row(*(Text(str(part), "bold") for part in (chapter, *self.tallies(rows))))
            for row in rows:
                cells = (Text(row.said(cell), COLOURS[cell.outcome] if cell else "dim") for cell in row.cells)
                table.add_row(Padding(Text(row.newest.title), (0, 0, 0, 2)), *cells)
            table.add_section()
        table.add_row(*(Text(str(part), "bold") for part in ("all", *self.tallies(self.rows))))
        return table

    def summary(self) -> "Group":
        """For each setting a table for a terminal: its chapters, their claims by outcome, and why some were not run."""
        from rich.box import HORIZONTALS
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        shown = [outcome for outcome in OUTCOMES if outcome in ("passed", "failed", "not run") or self._has(outcome)]
        tables = []
        for number, head in enumerate(self.heads):
            table = Table(title=Text(", ".join(head)), title_justify="left", box=HORIZONTALS, pad_edge=False)
            table.add_column("chapter", no_wrap=True)
            for name in ("claims", *shown):
                table.add_column(name, justify="right")
            for chapter, rows in [*self.chapters.items(), ("all", self.rows)]:
                tally = self.tallies(rows)[number]
                parts = (chapter, tally.recorded, *(tally.counts[outcome] for outcome in shown))
                table.add_row(*(Text(str(part)) for part in parts), style="bold" if chapter == "all" else None)
            tables += [table, Text(self.tallies(self.rows)[number].not_run)]
        return Group(*tables)

    def _has(self, outcome: Outcome) -> bool:
        return any(cell.outcome == outcome for row in self.rows for cell in row.cells if cell)


def merge(verdicts: Sequence[Verdicts]) -> Matrix:
    """The verdicts of several runs as one matrix, its columns in the order of `verdicts`.

    Where two runs of the same column have the same claim, the newer counts, of equally old ones the later given.
    """
    runs = sorted(verdicts, key=lambda run: run.date)
    cells: dict[Column, dict[str, Record]] = {_column(run, record): {} for run in verdicts for record in run.records}
    sources: dict[Column, list[Verdicts]] = {column: [] for column in cells}
    for run in runs:
        for record in run.records:
            cells[_column(run, record)][record.claim] = record
        for column in {_column(run, record) for record in run.records}:
            sources[column].append(run)
    newest = {record.claim: record for run in runs for record in run.records}
    chapters = _chapters(runs)
    order = sorted(newest.values(), key=lambda record: (chapters.index(record.chapter), record.line))
    rows = tuple(Row(record, tuple(column.get(record.claim) for column in cells.values())) for record in order)
    dates = tuple(of[-1].date for of in sources.values())
    return Matrix(tuple(cells), dates, rows, (*_doubled(sources), *_refused(runs, sources), *_rewritten(rows)))


def _chapters(runs: list[Verdicts]) -> list[str]:
    """The chapters in the book's order, as the run with most of them has it, of several the newest."""
    orders = [list(dict.fromkeys(record.chapter for record in run.records)) for run in reversed(runs)]
    return list(dict.fromkeys(chapter for order in sorted(orders, key=len, reverse=True) for chapter in order))


def _column(run: Verdicts, record: Record) -> Column:
    return Column(
        setting=record.setting,
        torch=run.torch,
        seed=record.seed,
        threads=record.threads,
        prove=run.prove,
        replace=run.replace,
        python=run.python,
        platform=run.platform,
        processor=run.processor,
        cuda=run.cuda or "" if record.device == "cuda" else "",
    )


def _heads(columns: Sequence[Column]) -> list[list[str]]:
    words = [column.words for column in columns]
    telling = [number for number, field in enumerate(zip(*words)) if number < 2 or len(set(field)) > 1]
    return [[said[number] for number in telling if said[number]] for said in words]


def _doubled(sources: dict[Column, list[Verdicts]]) -> Iterator[str]:
    for head, runs in zip(_heads(list(sources)), sources.values()):
        *older, newest = (run.date for run in runs)
        if older:
            counts = f"the newest counts, of {newest}, and what only older ones have, of {' and '.join(older)}"
            yield f"{', '.join(head)} is in {len(runs)} files: {counts}"


def _refused(runs: list[Verdicts], sources: dict[Column, list[Verdicts]]) -> Iterator[str]:
    """What was refused in a run that no newer one stands in for."""
    for run in runs:
        if not run.records or any(of[-1] is run for of in sources.values()):
            for page in run.refused:
                yield f"{page.chapter} was refused in the run of {run.date} with torch {run.torch}: {page.message}"


def _rewritten(rows: Sequence[Row]) -> Iterator[str]:
    count = sum(row.rewritten for row in rows)
    if count:
        yield f"claims whose text is not the same in all settings, each marked: {count}"


def _without_markup(text: str) -> str:
    """A line in which Markdown finds no markup."""
    return _IN_MARKDOWN.sub(r"\\\1", " ".join(text.split()))
