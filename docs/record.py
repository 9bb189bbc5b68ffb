"""What the site says was verified where, from docs/verdicts/ and docs/proof.json: no number on it is typed by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from lossdemo.verify.claims import Book, Claim
from lossdemo.verify.difference import Difference, diff
from lossdemo.verify.verdicts import OUTCOMES, Record, Verdicts, checksum

MEANING = {
    "mathematics": "true of any correct implementation",
    "documented": "PyTorch promises it",
    "observed": "true of the versions that were run; it may change",
}
CHANGED = "its text has changed since"


class Column(NamedTuple):
    """One setting of one run: a column of the matrix."""

    release: str  # as 2.13
    setting: str  # device and dtype, as cpu-float64
    run: Verdicts
    records: dict[str, Record]

    @property
    def name(self) -> str:
        """Release, device and dtype in words."""
        return f"torch {self.release}, {in_words(self.setting)}"


class State(NamedTuple):
    """How a claim fares in a column: an outcome of a record, or `unknown` for a text that was not run, and why."""

    column: Column
    outcome: str
    reason: str


def in_words(setting: str) -> str:
    """Device and dtype: `cpu, float32` for `cpu`."""
    device, _, dtype = setting.partition("-")
    return f"{device}, {dtype or 'float32'}"


def checksum_of(claim: Claim) -> str:
    """What a record of the claim as it stands has as checksum."""
    return checksum(claim.verified)


@dataclass(frozen=True)
class Kept:
    """The runs whose files are kept, oldest release first, and the proof; None where there is none."""

    book: Book
    runs: Sequence[Verdicts]
    proof: Verdicts | None

    @classmethod
    def read(cls, book: Book, docs: Path) -> Kept:
        """What docs/ keeps."""
        runs = [Verdicts.read(path) for path in sorted((docs / "verdicts").glob("*.json"))]
        runs = [run for run in runs if not run.replace and not run.prove]
        proof = docs / "proof.json"
        return cls(book, sorted(runs, key=_version), Verdicts.read(proof) if proof.exists() else None)

    @cached_property
    def columns(self) -> list[Column]:
        """Each setting of each run."""
        columns = []
        for run in self.runs:
            for setting in dict.fromkeys(record.setting for record in run.records):
                records = {record.claim: record for record in run.records if record.setting == setting}
                columns.append(Column(release(run), setting, run, records))
        return columns

    @cached_property
    def checksums(self) -> dict[str, str]:
        """The checksum of each claim as it stands, by id."""
        return {claim.id: checksum_of(claim) for claim in self.book}

    def states(self, claim: str) -> list[State]:
        """How the claim with this id fares in each column. What was verified of another text says nothing of this."""
        states: list[State] = []
        for column in self.columns:
            record = column.records.get(claim)
            if record is None:
                states.append(State(column, "unknown", "it was not part of the run"))
            elif record.checksum != self.checksums[claim]:
                states.append(State(column, "unknown", CHANGED))
            else:
                states.append(State(column, record.outcome, record.reason))
        return states

    def counts(self, column: Column) -> Counter[str]:
        """How many claims fare how in a column."""
        places = {claim: state for claim in self.checksums for state in self.states(claim) if state.column is column}
        return Counter(state.outcome for state in places.values())

    @property
    def outcomes(self) -> list[str]:
        """Those that occur, the best first."""
        found = {state.outcome for claim in self.checksums for state in self.states(claim)}
        return [outcome for outcome in (*OUTCOMES, "unknown") if outcome in found]

    @property
    def rewritten(self) -> list[str]:
        """The ids of claims with a text that was not part of every run."""
        return [claim for claim in self.checksums if any(state.outcome == "unknown" for state in self.states(claim))]

    def summary(self, claim: str) -> list[tuple[str, str, str]]:
        """Outcome, releases and settings, and reason: a line for all that fared alike."""
        alike: dict[tuple[str, str, str], list[str]] = {}
        for state in self.states(claim):
            reason = state.reason.partition(", this is ")[0]
            alike.setdefault((state.outcome, reason, state.column.setting), []).append(state.column.release)
        every = list(dict.fromkeys(column.release for column in self.columns))
        return [
            (outcome, f"torch {spans(releases, every)} ({in_words(setting)})", reason)
            for (outcome, reason, setting), releases in alike.items()
        ]

    @cached_property
    def noticed(self) -> dict[str, list[str]]:
        """The names of the mutants that each claim notices; a claim whose text has changed since the proof has none."""
        noticed: dict[str, list[str]] = {}
        for record in self.proof.records if self.proof else ():
            if record.killed is not None and record.checksum == self.checksums.get(record.claim):
                noticed.setdefault(record.claim, []).extend(record.killed)
        return {claim: list(dict.fromkeys(names)) for claim, names in noticed.items()}

    @cached_property
    def noticing(self) -> dict[str, list[str]]:
        """The ids of the claims that notice each mutant, in the book's order."""
        noticing: dict[str, list[str]] = {}
        for claim in self.book:
            for name in self.noticed.get(claim.id, ()):
                noticing.setdefault(name, []).append(claim.id)
        return noticing

    def changes(self) -> Iterator[tuple[str, Difference]]:
        """Each release but the oldest, newest first, and what changed since the one before."""
        newest = [list(same)[-1] for _, same in groupby(self.runs, key=release)]
        for old, new in reversed(list(pairwise(newest))):
            yield release(new), diff(old, new)


def spans(some: Sequence[str], every: Sequence[str]) -> str:
    """Releases in words, neighbours as spans: `2.11 to 2.13, 2.15`."""
    places = sorted(every.index(one) for one in set(some))
    parts = []
    for _, group in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0]):
        span = [every[place] for _, place in group]
        parts.append(span[0] if len(span) == 1 else f"{span[0]} to {span[-1]}")
    return ", ".join(parts)


def release(run: Verdicts) -> str:
    """The release of torch, as 2.13."""
    return ".".join(run.torch.partition("+")[0].split(".")[:2])


def _version(run: Verdicts) -> tuple[list[int], str]:
    return [int(part) for part in release(run).split(".")], run.date
