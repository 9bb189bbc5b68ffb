"""The table of watches by claims: the book, watched. `python -m lossdemo.watch.table` writes it beside this file.

What a watch is proved by: it fires in the claim that it names, on the lines that show the mistake, and nowhere else but
in the claims that the family's TOML file names, each with its reason.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lossdemo.verify.claims import Book, Claim

FILE = Path(__file__).with_name("table.json")
FAMILIES = Path(__file__).with_name("families")
Fired = dict[str, dict[str, list[str]]]  # the lines by watch and claim


class Row(NamedTuple):
    """A watch: what it is, and in which claims of the book it fires on which lines."""

    name: str
    claim: str
    note: bool
    doc: str
    moments: list[str]
    fired: dict[str, list[str]]


def read() -> list[Row]:
    """The table as it was written last, by family."""
    return [Row(**row) for row in json.loads(FILE.read_text(encoding="utf-8"))]


def unseen(book: Book, rows: list[Row]) -> list[Claim]:
    """The claims with symptoms that no watch sees."""
    seen = {row.claim for row in rows}
    return [claim for claim in book if claim.symptoms and claim.id not in seen]


def watched(claims: Iterable[Claim]) -> tuple[Fired, dict[str, str]]:
    """Run claims, and say which lines of them which watch fires on.

    Beside it: what failed, a watch or a claim that holds unwatched, and its error.
    """
    from lossdemo import processes
    from lossdemo.verify.items import not_run_because
    from lossdemo.verify.run import Setting, run
    from lossdemo.watch.findings import Findings
    from lossdemo.watch.watcher import EVERY, Watcher, load

    fired: Fired = defaultdict(dict)
    failed: dict[str, str] = {}
    watcher = Watcher(Findings(notes=True), EVERY, load(), forked=True)
    with watcher.installed():
        for claim in claims:
            if not_run_because(claim, Setting()):
                continue
            findings = Findings(notes=True)
            watcher.begin(findings, is_complete=True)
            # What processes see that a claim forks comes back, too.
            with processes.watching(lambda: watcher.findings.of_each_watch, findings.elsewhere.extend):
                failure = run(claim, Setting())
            watcher.end()
            failed |= findings.crashes | ({claim.id: failure.message} if failure else {})
            for found in findings.of_each_watch:
                lines = fired[found.watch].setdefault(claim.id, [])
                line = _source(claim, found.file, found.line)
                if line not in lines:
                    lines.append(line)
    return fired, failed


def _source(claim: Claim, file: str, line: int) -> str:
    """The line of a claim at which something was found; `the end` where it was found at the end."""
    number = re.search(r"\[(\d+)\]>$", file)
    if not number or line == 0:
        return "the end"
    return [*claim.preamble, *claim.examples][int(number[1])].source.splitlines()[line - 1].strip()


def missing(fired: Fired) -> list[str]:
    """What is wrong with the table: watches that do not fire in their claim, or fire where nobody expects them.

    A note tells what may be meant, and so it may be in any claim.
    """
    from lossdemo.watch.watcher import load

    elsewhere: dict[str, dict[str, str]] = {}
    for file in FAMILIES.glob("*.toml"):
        elsewhere |= tomllib.loads(file.read_text(encoding="utf-8"))
    problems = []
    for watch in load():
        expected = {watch.claim, *elsewhere.get(watch.name, {})}
        problems += [f"{watch.name} does not fire in {claim}" for claim in sorted(expected - {*fired[watch.name]})]
        problems += [
            f"{watch.name} fires in {claim}, at {'; '.join(fired[watch.name][claim])}: see to it, or say in the"
            " family's TOML file why it is right"
            for claim in sorted({*fired[watch.name]} - expected)
            if not watch.note
        ]
    return problems


def text(fired: Fired) -> str:
    """The table as it is kept."""
    from lossdemo.watch.watcher import load

    rows = [Row(w.name, w.claim, w.note, " ".join(w.doc.split()), [*w.moments], fired[w.name]) for w in load()]
    return json.dumps([row._asdict() for row in rows], indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the table anew, and print what is wrong with it."""
    from lossdemo.books import locate
    from lossdemo.watch.watcher import load

    place = locate()
    book = Book(place.directory, place.root)
    fired, failed = watched(book)
    FILE.write_text(text(fired), encoding="utf-8")
    problems = missing(fired) + [f"{name} failed: {error}" for name, error in failed.items()]
    print("\n".join([*problems, f"{len(load())} watches, {len(problems)} problems"]))


if __name__ == "__main__":
    main()
