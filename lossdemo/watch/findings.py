"""What was found: each mistake once, with where, how often and since when; as text, as JSON, and merged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import msgspec

from lossdemo.watch.definition import Bite, Watch
from lossdemo.watch.place import Place, statement


class Finding(msgspec.Struct):
    """A claim that bit at one place.

    `count` calls of the `looked` at showed it, the first one at optimizer step `first` and the last at `last`, counted
    from 0 steps taken; of all `calls` some were not looked at. `looked` is 0 for what is said at the end of the whole
    run. `steps` are those of the run. `rank` is the process of a distributed training, or None.
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
    calls: int = 1
    steps: int = 0
    rank: int | None = None

    @property
    def place(self) -> Place:
        """Where in the script."""
        return Place(self.file, self.line, self.via)

    @property
    def how_often(self) -> str:
        """In words."""
        if self.line == 0 or self.looked == 0:
            return ""
        since = f"first after step {self.first}" if self.first else "first before any step"
        if self.calls == 1:
            return f"[after step {self.first}]" if self.first else ""
        if self.count < self.looked:
            return f"[seen at {self.count} of {self.looked} calls, {since}]"
        if self.looked < self.calls:
            return f"[each of the {self.looked} calls looked at, of {self.calls}]"
        return "[every step]" if self.calls == self.steps else f"[each of {self.calls} calls]"

    def says_as(self, other: Finding) -> bool:
        """Whether both are about one claim at one line."""
        return (self.claim, self.file, self.line) == (other.claim, other.file, other.line)

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
        # How often its place was looked at, and called, and the steps of the run.
        self.looks: Callable[[Finding], tuple[int, int, int]] = lambda found: (found.looked, found.calls, found.steps)
        self.new: Callable[[], None] = lambda: None  # called when something is found that was not known
        self.elsewhere: list[Finding] = []  # of other processes
        self.unheard: list[int] = []  # ranks that had not ended when the report was made
        # Watches that raised, with their errors: a mistake of ours, never the script's.
        self.crashes: dict[str, str] = {}

    def clear(self) -> None:
        """Forget what was found, as in a process that was forked."""
        self.known, self.elsewhere, self.crashes, self.stream = {}, [], {}, None
        self.new = lambda: None

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
            first = not any(other and other.says_as(found) for other in self.known.values())
            self.known[key] = found
            if self.stream and first:
                with suppress(OSError, ValueError):  # closed
                    print(f"lossdemo: {found.head}", file=self.stream, flush=True)
            self.new()

    def __iter__(self) -> Any:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.all)

    @property
    def all(self) -> list[Finding]:
        """The findings in the order in which they came, findings before notes."""
        told: list[Finding] = []
        for found in self.of_each_watch:
            if found.claim not in self.ignored and not any(other.says_as(found) for other in told):
                told.append(found)
        return sorted(told, key=lambda found: found.note)

    @property
    def of_each_watch(self) -> list[Finding]:
        """The same, with what several watches say of one claim at one line."""
        here = [found for found in self.known.values() if found]
        for found in here:
            looked, calls, found.steps = self.looks(found)
            found.looked = max(looked, found.count) if looked else 0
            found.calls = max(calls, found.looked)
        return [*here, *self.elsewhere]

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
        unheard = [f"lossdemo: rank {rank} had not ended: what was found there is not told" for rank in self.unheard]
        return "\n".join([head, *map(str, self.all), *crashed, *unheard])

    def json(self) -> str:
        """All of it as JSON in one line."""
        return msgspec.json.encode(self.all).decode()

    def write(self, directory: Path, name: str) -> None:
        """Leave it for the process that makes the report."""
        with suppress(OSError):  # it has made its report, and nobody waits
            part = directory / f"{name}.part"
            part.write_bytes(msgspec.json.encode((self.all, self.crashes)))
            part.replace(directory / f"{name}.json")

    def take(self, directory: Path, ranks: Iterable[int] = (), patience: float = 0.0) -> None:
        """Take in what other processes left; wait `patience` seconds at most for these ranks."""
        end, self.unheard = time.monotonic() + patience, [*ranks]
        while True:
            self.unheard = [rank for rank in self.unheard if not (directory / f"rank{rank}.json").exists()]
            if not self.unheard or time.monotonic() > end:
                break
            time.sleep(0.05)
        for file in sorted(directory.glob("*.json")):
            found, crashes = msgspec.json.decode(file.read_bytes(), type=tuple[list[Finding], dict[str, str]])
            if file.stem.startswith("rank"):
                for one in found:
                    one.rank = int(file.stem.removeprefix("rank"))
            self.elsewhere += found
            self.crashes = crashes | self.crashes


def _is_ignored(claim: str, place: Place) -> bool:
    """Whether a comment at the line says so: `# lossdemo: ignore ID`, several ids with commas between them."""
    for line in statement(place).splitlines() if place.line else ():
        _, mark, ids = line.partition("# lossdemo: ignore ")
        if mark and claim in ids.replace(",", " ").split():
            return True
    return False
