"""What a run of the book found, as data: one record a claim and setting, and the JSON file that keeps them.

Importing this module imports neither torch nor pytest.
"""

import hashlib
import unicodedata
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

import msgspec

SCHEMA = 2
Outcome = Literal["passed", "known failure", "not run", "vacuous", "failed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)  # from best to worst
Basis = Literal["mathematics", "documented", "observed"]
DATE = "%Y-%m-%dT%H:%M:%SZ"


class NotVerdicts(ValueError):
    """A file that is no verdict file of this version; the message names the file, and says what is wrong with it."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a claim in one setting.

    `message` is the failure's text, or why the claim did not run; `reason` says it in a line; `at` is the line of the
    page at which it failed, 0 where it did not. `kind` is what a replaced function did differently. Names of mutants
    are None where the claim was not proved: it noticed those in `killed`, it did not those in `survived`, and it calls
    what those in `idle` break, but never so that they differ.
    """

    outcome: Outcome = "passed"
    message: str = ""
    reason: str = ""
    at: int = 0
    kind: str = ""
    killed: tuple[str, ...] | None = None
    survived: tuple[str, ...] | None = None
    idle: tuple[str, ...] | None = None


class Record(Verdict, frozen=True, kw_only=True):
    """A verdict, the claim, and the setting.

    `chapter` is the page's path from the project's root, with slashes, and `line` the heading's, counted from 1.
    `checksum` is that of the claim's text and the preamble's. `duration` is in seconds.
    """

    claim: str
    chapter: str
    line: int
    title: str
    basis: Basis
    checksum: str
    device: str
    dtype: str
    seed: int
    threads: int
    duration: float

    @property
    def setting(self) -> str:
        """Device and dtype as in the ids of tests: `cpu`, `cuda-float64`."""
        return self.device if self.dtype == "float32" else f"{self.device}-{self.dtype}"

    @property
    def nodeid(self) -> str:
        """What pytest calls this claim in this setting: `spec/loss.md::a-loss-is-a-number[cpu]`."""
        return f"{self.chapter}::{self.claim}[{self.setting}]"


class Refusal(msgspec.Struct, frozen=True):
    """A page that was refused at collection, and the problems in it, a line each."""

    chapter: str
    message: str


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the book. The records are in the book's order, the settings of a claim next to each other.

    `package` is the package under test with its version, `cuda` the name of the GPU where one was used, `date` the
    run's end in UTC, as 2026-01-31T12:00:00Z. `replace` has each TARGET=MODULE:NAME of the run.
    """

    schema: Literal[2] = SCHEMA
    date: str
    torch: str
    package: str
    python: str
    platform: str
    processor: str
    cuda: str | None
    prove: bool
    replace: tuple[str, ...]
    refused: tuple[Refusal, ...]
    records: tuple[Record, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The verdicts in the file at `path`, safe to print.

        Raises:
            NotVerdicts: if there is no such file, or it is not a verdict file of this version.
        """
        try:
            data = _printable(msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf")))
        except OSError as error:
            raise NotVerdicts(f"{path}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise NotVerdicts(f"{path} is not JSON: {error}") from None
        if not isinstance(data, dict) or not {"schema", "records"} <= set(data):
            raise NotVerdicts(f"{path} is not a verdict file: `pytest --verdicts FILE` writes one")
        if data["schema"] != SCHEMA:
            version = data["schema"]
            raise NotVerdicts(f"{path} has schema version {version!r}, and this lossdemo reads {SCHEMA}: write it anew")
        try:
            verdicts = msgspec.convert(data, cls)
            datetime.strptime(verdicts.date, DATE)
            for (claim, setting), number in Counter((r.claim, r.setting) for r in verdicts.records).items():
                if number > 1:
                    raise ValueError(f"{claim} is in it twice for {setting}")
        except ValueError as error:
            raise NotVerdicts(f"{path} is not a verdict file of version {SCHEMA}: {error}") from None
        return verdicts

    def write(self, path: Path) -> None:
        """Write the file at `path`, in place of what is there, wholly or not at all."""
        path = path.resolve()
        text = msgspec.json.format(msgspec.json.encode(self), indent=1)
        unfinished = path.with_name(f"{path.name}.unfinished")
        try:
            unfinished.write_bytes(text + b"\n")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def badness(record: Record) -> tuple[int, int]:
    """To sort by: mathematics first, and then the worst outcome."""
    return get_args(Basis).index(record.basis), -OUTCOMES.index(record.outcome)


def checksum(text: str) -> str:
    """SHA-256 of a text, in hex. How lines end, and blank lines around the text, make no difference."""
    return hashlib.sha256("\n".join(text.strip().splitlines()).encode()).hexdigest()


def printable(text: str) -> str:
    """The text with control characters and surrogates, which terminals obey and UTF-8 has not, as in Python."""
    control = {c for c in text if unicodedata.category(c)[0] == "C" and c not in "\n\t"}
    return text.translate({ord(c): c.encode("unicode_escape").decode() for c in control})


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_printable(key): _printable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_printable(part) for part in value]
    return printable(value) if isinstance(value, str) else value
