"""What changed between two runs of the book: what someone asks who has upgraded torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import NamedTuple

from lossdemo.verify.verdicts import Record, Verdicts, badness

MEANING = {
    "mathematics": "true of any correct implementation",
    "documented": "PyTorch promises it",
    "observed": "may change from version to version",
}
DIRECTIONS = ("no longer passes", "fares differently, without passing", "passes now")


class Change(NamedTuple):
    """A claim in one setting, in both runs, with another outcome."""

    old: Record
    new: Record

    @property
    def direction(self) -> str:
        """One of DIRECTIONS."""
        return DIRECTIONS[0 if self.old.outcome == "passed" else 2 if self.new.outcome == "passed" else 1]

    def __str__(self) -> str:
        text = ", its text changed too" if self.old.checksum != self.new.checksum else ""
        reason = f": {self.new.reason}" if self.new.reason else ""
        return f"{self.new.nodeid}\n    {self.new.outcome}, was {self.old.outcome}{text}{reason}"


@dataclass(frozen=True)
class Difference:
    """What changed between two runs, in the settings (device and dtype) that both have.

    `changes` are worst first: what no longer passes, then what fares differently, then what passes now; in each first
    `mathematics`, then `documented`, then `observed`. `rewritten` are records of the new run, one a claim.
    """

    old: Verdicts
    new: Verdicts
    changes: tuple[Change, ...]
    appeared: tuple[Record, ...]
    vanished: tuple[Record, ...]
    rewritten: tuple[Record, ...]

    @property
    def worse(self) -> bool:
        """Whether something that passed is recorded as anything else; what vanished is not recorded at all."""
        return any(change.direction == DIRECTIONS[0] for change in self.changes)

    def lines(self) -> Iterator[str]:
        """The difference in plain text."""
        yield f"old: {_described(self.old)}"
        yield f"new: {_described(self.new)}"
        yield from _of_one_run("old", self.old, self.new)
        yield from _of_one_run("new", self.new, self.old)
        for direction in DIRECTIONS:
            for basis, meaning in MEANING.items():
                changes = [c for c in self.changes if (c.direction, c.new.basis) == (direction, basis)]
                yield from _listed(f"{direction}, {basis} ({meaning})", changes)
        yield from _listed("appeared", [f"{record.nodeid} {record.outcome}" for record in self.appeared])
        yield from _listed("vanished", [f"{record.nodeid} was {record.outcome}" for record in self.vanished])
        yield from _listed("text changed", [f"{record.chapter}::{record.claim}" for record in self.rewritten])
        if not (self.changes or self.appeared or self.vanished or self.rewritten):
            yield "no claim changed"


def diff(old: Verdicts, new: Verdicts) -> Difference:
    """Which claims changed outcome, appeared, vanished or changed text from the run `old` to the run `new`."""
    both = {record.setting for record in old.records} & {record.setting for record in new.records}
    before = {(record.claim, record.setting): record for record in old.records if record.setting in both}
    after = {(record.claim, record.setting): record for record in new.records if record.setting in both}
    pairs = [Change(before[key], after[key]) for key in after if key in before]
    changes = [pair for pair in pairs if pair.old.outcome != pair.new.outcome]
    rewritten = {change.new.claim: change.new for change in pairs if change.old.checksum != change.new.checksum}
    return Difference(
        old=old,
        new=new,
        changes=tuple(sorted(changes, key=lambda c: (DIRECTIONS.index(c.direction), badness(c.new)))),
        appeared=tuple(record for key, record in after.items() if key not in before),
        vanished=tuple(record for key, record in before.items() if key not in after),
        rewritten=tuple(rewritten.values()),
    )


def _described(run: Verdicts) -> str:
    randomness = dict.fromkeys(f"seed {record.seed}, threads {record.threads}" for record in run.records)
    options = [*randomness, *["proved"] * run.prove, *(f"with {replacement}" for replacement in run.replace)]
    machine = [f"Python {run.python}", run.platform, run.processor, run.cuda, run.date]
    return ", ".join(part for part in [f"torch {run.torch}", run.package, *options, *machine] if part)


def _of_one_run(name: str, run: Verdicts, other: Verdicts) -> Iterator[str]:
    """What keeps claims of the run from being compared."""
    here, there = (dict.fromkeys(record.setting for record in verdicts.records) for verdicts in (run, other))
    yield from (f"{name} alone has {setting}: not compared" for setting in here if setting not in there)
    for refusal in run.refused:
        yield f"{name} refused {refusal.chapter}:\n{indent(refusal.message, '    ')}"


def _listed(title: str, entries: Sequence[object]) -> Iterator[str]:
    if entries:
        yield f"{title}: {len(entries)}"
        yield from (indent(str(entry), "    ") for entry in entries)
