"""What was found: each mistake once, with where, how often and since when; as text, as JSON, and merged."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import msgspec

from lossdemo.watch.definition import Bite, Watch
from lossdemo.watch.place import Place, statement


class Finding(msgspec.Struct):
    """A claim that bit at one place.

    `count` calls of the `looked` at showed it, the first one at optimizer step `first` and the last at `last`, counted
    from 0 steps taken. `rank` is the process of a distributed training, or None.
    """

    claim: str
    watch: str
    file: str
    line: int
    via: str
    what: str
    advice: str
    note: bool
    first: int
    last: int
    count: int = 1
    looked: int = 1
    rank: int | None = None

    @property
    def place(self) -> Place:
        """Where in the script."""
        return Place(self.file, self.line, self.via)

    @property
    def how_often(self) -> str:
        """In words."""
        if self.line == 0 or self.looked == 1:
            return "" if self.first == 0 or self.line == 0 else f"[after step {self.first}]"
        if self.count == self.looked:
            return f"[each of {self.looked} times]"
        return f"[{self.count} of {self.looked} times, first after step {self.first}]"

    @property
    def head(self) -> str:
        """Where, and what happened."""
        at = str(self.place) if self.line else "at the end"
        rank = f"rank {self.rank}: " if self.rank is not None else ""
        return f"{at}  {rank}{'note: ' if self.note else ''}{self.what}"

    def __str__(self) -> str:
        lines = [f"{self.head}  {self.how_often}".rstrip(), *([self.advice] if self.advice else [])]
        return "\n    ".join([*lines, f"lossdemo show {self.claim}"])


class Findings:
    """What has been found so far. A claim is found once at each place, and counted there."""

    def __init__(self, ignored: Iterable[str] = (), notes: bool = False, stream: TextIO | None = None) -> None:
        self.ignored, self.notes, self.stream = set(ignored), notes, stream
        self.known: dict[tuple[str, str, int], Finding | None] = {}  # None: ignored at this line
        self.calls: dict[tuple[str, str, int], int] = {}
        self.looked: dict[tuple[str, str, int], int] = {}
        self.elsewhere: list[Finding] = []  # of other processes
        self.crashes: dict[
            str, str
        ] = {}  # watches that raised, with their errors: a mistake of ours, never the script's

    def turn(self, watch: Watch, place: Place, first: int, every: int) -> int | None:
        """How often the place was called before; None where the watch does not look this time."""
        key = watch.name, place.file, place.line
        count = self.calls.get(key, 0)
        self.calls[key] = count + 1
        if not watch.cheap and count >= first and count % every:
            return None
        self.looked[key] = self.looked.get(key, 0) + 1
        return count

    def add(self, watch: Watch, place: Place, bite: Bite, step: int) -> None:
        """Count what a watch saw; what is new is written at once."""
        key = watch.name, place.file, place.line
        found = self.known.get(key)
        if found is not None:
            found.count, found.last = found.count + 1, step
        elif key not in self.known:
            if watch.claim in self.ignored or (watch.note and not self.notes) or _is_ignored(watch.claim, place):
                self.known[key] = None
                return
            where = (place.file, place.line, place.via)
            found = Finding(watch.claim, watch.name, *where, bite.what, bite.advice, watch.note, step, step)
            self.known[key] = found
            if self.stream:
                print(f"lossdemo: {found.head}", file=self.stream, flush=True)

    def __iter__(self) -> Any:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.all)

    @property
    def all(self) -> list[Finding]:
        """The findings in the order in which they came, findings before notes."""
        for key, found in self.known.items():
            if found:
                found.looked = max(self.looked.get(key, 0), found.count)
        here = [found for found in self.known.values() if found]
        places = {(found.watch, found.place) for found in here}
        elsewhere = [found for found in self.elsewhere if (found.watch, found.place) not in places]
        return sorted([*here, *elsewhere], key=lambda found: found.note)

    def claims(self) -> list[str]:
        """The ids of the claims that were found."""
        return list(dict.fromkeys(found.claim for found in self.all))

    def report(self) -> str:
        """All of it in lines, for the end."""
        number = sum(not found.note for found in self.all)
        head = f"lossdemo: {number or 'no'} finding{'s' * (number != 1)}"
        crashed = [
            f"lossdemo: the watch {name} failed, please report it: {error}" for name, error in self.crashes.items()
        ]
        return "\n".join([head, *map(str, self.all), *crashed])

    def json(self) -> str:
        """All of it as JSON in one line."""
        return msgspec.json.encode(self.all).decode()

    def write(self, directory: Path, process: int) -> None:
        """Leave it for the process that makes the report."""
        part = directory / f"{process}.part"
        part.write_bytes(msgspec.json.encode(self.all))
        part.rename(directory / f"{process}.json")

    def take(self, directory: Path, count: int, patience: float) -> None:
        """Take in what other processes left; wait `patience` seconds at most until there are `count` of them."""
        end = time.monotonic() + patience
        while len(list(directory.glob("*.json"))) < count and time.monotonic() < end:
            time.sleep(0.05)
        for file in sorted(directory.glob("*.json")):
            self.elsewhere += msgspec.json.decode(file.read_bytes(), type=list[Finding])


def _is_ignored(claim: str, place: Place) -> bool:
    """Whether a comment at the line says so: `# lossdemo: ignore ID`, several ids with commas between them."""
    for line in statement(place).splitlines() if place.line else ():
        _, mark, ids = line.partition("# lossdemo: ignore ")
        if mark and claim in ids.replace(",", " ").split():
            return True
    return False
