"""Verdicts of several runs side by side: claims by setting, for a terminal and as Markdown."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from lossdemo.verify.verdicts import OUTCOMES, Outcome, Record, Verdicts, badness

if TYPE_CHECKING:
    from rich.table import Table

COLORS: dict[Outcome, str] = dict(zip(OUTCOMES, ("green", "yellow", "cyan", "magenta", "bold red")))
Column = tuple[str, ...]  # what runs of one setting have in common, in words: the setting, torch, …, and the machine
MACHINE = 4  # words at the end of a column
Part = tuple[Verdicts, dict[str, Record]]  # what a run adds to a column: its records there, by claim
_IN_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&$])")


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

    def said(self, cell: Record | None, reason: bool = True) -> str:
        """A cell in words: the outcome, whether it is of another text, and the reason."""
        if cell is None:
            return "no record"
        of = " (of another text)" if cell.checksum != self.newest.checksum else ""
        return f"{cell.outcome}{of}{f': {cell.reason}' if cell.reason and reason else ''}"


class Tally(NamedTuple):
    """How some claims fared in one column."""

    cells: tuple[Record | None, ...]

    @property
    def counts(self) -> Counter[str]:
        """Claims by outcome."""
        return Counter(cell.outcome for cell in self.cells if cell)

    @property
    def recorded(self) -> int:
        """How many claims the column knows of, with those that were not run."""
        return self.counts.total()

    @property
    def percent(self) -> int:
        """Passed of recorded, in hundredths, rounded down: 99 for 999 of 1000, 100 for all alone."""
        return 100 * self.counts["passed"] // max(self.recorded, 1)

    @property
    def not_run(self) -> Counter[str]:
        """Claims that were not run by the reason why."""
        return Counter(cell.reason for cell in self.cells if cell and cell.outcome == "not run")

    def __str__(self) -> str:
        if not self.recorded:
            return "no record"
        missing = f"; no record of {self.cells.count(None)}" if None in self.cells else ""
        return f"{self.counts['passed']} of {self.recorded}, {self.percent} %{missing}"


@dataclass(frozen=True)
class Matrix:
    """Claims, in the book's order, by setting.

    For each column `heads` has its setting and torch, and what else tells it from the others, each in words; `dates`
    when its newest run was. `notes` say what a reader of the cells has to know besides.
    """

    columns: tuple[Column, ...]
    heads: list[list[str]]
    dates: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def settings(self) -> list[list[str]]:
        """Each column in full: all that is known of the setting, and the date, each in words."""
        return [[word for word in (*column, date) if word] for column, date in zip(self.columns, self.dates)]

    @property
    def chapters(self) -> dict[str, list[Row]]:
        """The rows by chapter."""
        return {chapter: list(rows) for chapter, rows in groupby(self.rows, key=lambda row: row.newest.chapter)}

    def tallies(self, rows: Sequence[Row]) -> list[Tally]:
        """For each column, how `rows` fared in it."""
        return [Tally(tuple(row.cells[number] for row in rows)) for number in range(len(self.columns))]

    def markdown(self) -> str:
        """As Markdown, with tables."""
        from jinja2 import Environment, StrictUndefined

        environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        environment.filters["plain"] = lambda text: _IN_MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))
        template = resources.files("lossdemo.verify").joinpath("matrix.md.jinja").read_text(encoding="utf-8")
        return environment.from_string(template).render(matrix=self)

    def table(self) -> Table:
        """Every claim in every setting as a table for a terminal, the settings by number: `legend` has these."""
        from rich.padding import Padding
        from rich.text import Text

        table = _table()
        for name in ("claim", *map(str, range(1, len(self.columns) + 1))):
            table.add_column(name, overflow="fold")
        for chapter, rows in self.chapters.items():
            table.add_row(*(Text(str(part), "bold") for part in (chapter, *self.tallies(rows))))
            for row in rows:
                cells = (Text(row.said(cell, False), COLORS[cell.outcome] if cell else "dim") for cell in row.cells)
                table.add_row(Padding(Text(row.newest.title), (0, 0, 0, 2)), *cells)
            table.add_section()
        table.add_row(*(Text(str(part), "bold") for part in ("all", *self.tallies(self.rows))))
        return table

    @property
    def legend(self) -> list[str]:
        """The settings by their number."""
        return [f"{number}: {', '.join(head)}" for number, head in enumerate(self.heads, 1)]

    @property
    def reasons(self) -> Iterator[str]:
        """Why claims did not pass: in each setting those that were not run, and then the rest, mathematics first."""
        for number, tally in enumerate(self.tallies(self.rows), 1):
            yield from (f"{number}: {count} not run: {reason}" for reason, count in tally.not_run.items())
        cells = [(cell, number) for row in self.rows for number, cell in enumerate(row.cells, 1) if cell]
        for record, number in sorted(cells, key=lambda entry: badness(entry[0])):
            if record.outcome not in ("passed", "not run"):
                yield f"{number}: {record.outcome}, {record.basis}: {record.nodeid}\n    {record.reason}"

    def summary(self, narrow: bool = False) -> Iterator[Table]:
        """For each setting a table for a terminal: its chapters, and their claims by outcome."""
        from rich.text import Text

        every = {cell.outcome for row in self.rows for cell in row.cells if cell}
        shown = [outcome for outcome in OUTCOMES if outcome in {"passed", "failed", "not run", *every}]
        for number, head in enumerate(self.heads):
            table = _table(title=Text(", ".join(head)), title_justify="left", padding=(0, 0 if narrow else 1))
            table.add_column("chapter", overflow="fold")
            for name in ("claims", *shown):
                table.add_column(name, justify="right", min_width=max(map(len, name.split())))
            for chapter, rows in [*self.chapters.items(), ("all", self.rows)]:
                tally = self.tallies(rows)[number]
                figures = (chapter, tally.recorded, *(tally.counts[outcome] for outcome in shown))
                table.add_row(*(Text(str(part)) for part in figures), style="bold" if chapter == "all" else None)
            yield table


def _table(**how: Any) -> Table:
    from rich.box import HORIZONTALS
    from rich.table import Table

    return Table(box=HORIZONTALS, pad_edge=False, **how)


def merge(verdicts: Sequence[Verdicts]) -> Matrix:
    """The verdicts of several runs as one matrix, its columns in the order of `verdicts`.

    Where two runs of the same column have the same claim, the newer counts, of equally old ones the later given. Runs
    of the same setting and options that share no claim are shards of one run, on whatever machines: one column.
    """
    columns = _joined(verdicts)
    runs = sorted(verdicts, key=lambda run: run.date)
    newest = {record.claim: record for run in runs for record in run.records}
    # The chapters in the book's order, as the run with most of them has it, of several the newest.
    orders = [list(dict.fromkeys(record.chapter for record in run.records)) for run in reversed(runs)]
    chapters = list(dict.fromkeys(chapter for order in sorted(orders, key=len, reverse=True) for chapter in order))
    records = sorted(newest.values(), key=lambda record: (chapters.index(record.chapter), record.line))
    cells = [_cells(parts) for parts in columns.values()]
    rows = tuple(Row(record, tuple(column.get(record.claim) for column in cells)) for record in records)
    dates = tuple(parts[-1][0].date for parts in columns.values())
    telling = [number for number, words in enumerate(zip(*columns)) if number < 2 or len(set(words)) > 1]
    heads = [[column[number] for number in telling if column[number]] for column in columns]
    return Matrix(tuple(columns), heads, dates, rows, tuple(_notes(runs, heads, columns, rows)))


def _joined(verdicts: Sequence[Verdicts]) -> dict[Column, list[Part]]:
    """The columns in the order of the runs; the parts of each from the oldest to the newest."""
    apart: dict[Column, list[Part]] = defaultdict(list)
    for run in verdicts:
        for column in dict.fromkeys(_column(run, record) for record in run.records):
            records = {record.claim: record for record in run.records if _column(run, record) == column}
            apart[column].append((run, records))
    joined: dict[Column, list[Part]] = {}
    for column in apart:
        alike = [other for other in apart if other[:-MACHINE] == column[:-MACHINE]]
        parts = [part for other in alike for part in apart[other]]
        if not _are_shards(parts):
            alike, parts = [column], apart[column]
        column = tuple(" and ".join(dict.fromkeys(words)) for words in zip(*alike))
        joined[column] = sorted(parts, key=lambda part: part[0].date)
    return joined


def _column(run: Verdicts, record: Record) -> Column:
    options = (record.setting, f"torch {run.torch}", run.package, f"seed {record.seed}", f"threads {record.threads}")
    replaced = f"with {', '.join(run.replace)}" if run.replace else "nothing replaced"
    machine = (f"Python {run.python}", run.platform, run.processor, run.cuda or "" if record.device == "cuda" else "")
    return (*options, "proved" if run.prove else "not proved", replaced, *machine)


def _are_shards(parts: list[Part]) -> bool:
    """Whether no claim was run in two of them."""
    ran = [claim for _, records in parts for claim, record in records.items() if record.outcome != "not run"]
    return len(ran) == len(set(ran))


def _cells(parts: list[Part]) -> dict[str, Record]:
    cells: dict[str, Record] = {}
    shards = _are_shards(parts)
    for _, records in parts:
        for claim, record in records.items():
            if not shards or claim not in cells or record.outcome != "not run":
                cells[claim] = record
    return cells


def _notes(
    runs: list[Verdicts], heads: list[list[str]], columns: dict[Column, list[Part]], rows: Sequence[Row]
) -> Iterator[str]:
    """Files of which one hides the other; pages refused in a run that no newer one stands in for; texts that differ."""
    standing: list[Verdicts] = []
    for head, parts in zip(heads, columns.values()):
        *older, newest = (run for run, _ in parts)
        if _are_shards(parts):
            standing += older
        else:
            counts = f"the newest counts, of {newest.date}, and what only older ones have, of "
            yield f"{', '.join(head)} is in {len(parts)} files: {counts}{' and '.join(run.date for run in older)}"
        standing.append(newest)
    for run in runs:
        for page in run.refused if not run.records or any(other is run for other in standing) else ():
            yield f"{page.chapter} was refused in the run of {run.date} with torch {run.torch}: {page.message}"
    rewritten = sum(row.rewritten for row in rows)
    if rewritten:
        yield f"claims whose text is not the same in all settings, each marked: {rewritten}"
