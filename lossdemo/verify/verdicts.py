"""What a run of the book found, as data: one record a claim and setting, and the JSON file that keeps them.

`verdicts.schema.json` beside this module describes the file. Importing this module imports neither torch nor pytest.
"""

import hashlib
import json
import unicodedata
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin

SCHEMA = 1
Outcome = Literal["passed", "known failure", "not run", "vacuous", "failed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)  # from best to worst
DATE = "%Y-%m-%dT%H:%M:%SZ"


class NotVerdicts(ValueError):
    """A file that is no verdict file of this version; the message names the file, and says what is wrong with it."""


@dataclass(frozen=True)
class Record:
    """What became of one claim in one setting.

    `chapter` is the page's path from the project's root, with slashes, and `line` the heading's, counted from 1.
    `message` is the failure's text, or why the claim did not run. `duration` is in seconds. `killed` and `survived` are
    names of mutants, None where the claim was not proved.
    """

    claim: str
    chapter: str
    line: int
    title: str
    basis: Literal["mathematics", "documented", "observed"]
    checksum: str
    device: str
    dtype: str
    seed: int
    threads: int
    outcome: Outcome
    message: str
    duration: float
    killed: tuple[str, ...] | None
    survived: tuple[str, ...] | None

    @property
    def setting(self) -> str:
        """Device and dtype as in the ids of tests: `cpu`, `cuda-float64`."""
        return self.device if self.dtype == "float32" else f"{self.device}-{self.dtype}"

    @property
    def nodeid(self) -> str:
        """What pytest calls this claim in this setting: `spec/loss.md::a-loss-is-a-number[cpu]`."""
        return f"{self.chapter}::{self.claim}[{self.setting}]"

    @property
    def reason(self) -> str:
        """The message in a line: its last, where a comparison and a traceback say what was wrong."""
        return next((line.strip() for line in reversed(self.message.splitlines()) if line.strip()), "")


@dataclass(frozen=True)
class Refusal:
    """A page that was refused at collection, and the problems in it, a line each."""

    chapter: str
    message: str


@dataclass(frozen=True)
class Verdicts:
    """One run of the book. The records are in the book's order, the settings of a claim next to each other.

    `cuda` is the name of the GPU where one was used, `date` the run's end in UTC, as 2026-01-31T12:00:00Z. `replace`
    has each TARGET=MODULE:NAME of the run.
    """

    date: str
    torch: str
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
            data = json.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise NotVerdicts(f"{path}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise NotVerdicts(f"{path} is not JSON: {error}") from None
        if not isinstance(data, dict) or not {"schema", "records"} <= set(data):
            raise NotVerdicts(f"{path} is not a verdict file: `pytest spec --verdicts FILE` writes one")
        version = data.pop("schema")
        if version != SCHEMA:
            raise NotVerdicts(f"{path} has schema version {version!r}, and this lossdemo reads {SCHEMA}: write it anew")
        try:
            verdicts = _read(cls, data, "")
            datetime.strptime(verdicts.date, DATE)
            _refuse_repeated(verdicts.records)
        except ValueError as error:
            raise NotVerdicts(f"{path} is not a verdict file of version {SCHEMA}: {error}") from None
        return verdicts

    def write(self, path: Path) -> None:
        """Write the file at `path`, in place of what is there, wholly or not at all."""
        path = path.resolve()
        text = json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False)
        unfinished = path.with_name(f"{path.name}.unfinished")
        try:
            unfinished.write_text(f"{text}\n", encoding="utf-8", newline="\n")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def checksum(text: str) -> str:
    """SHA-256 of a claim's text, in hex. How lines end, and blank lines around the text, make no difference."""
    return hashlib.sha256("\n".join(text.strip().splitlines()).encode()).hexdigest()


def printable(text: str) -> str:
    """The text with control characters and surrogates, which terminals obey and UTF-8 has not, as in Python."""
    control = {c for c in text if unicodedata.category(c)[0] == "C" and c not in "\n\t"}
    return text.translate({ord(c): c.encode("unicode_escape").decode() for c in control})


def _read(kind: Any, value: Any, where: str) -> Any:
    """`value`, as JSON has it, as `kind`: a data class, a tuple of one kind, one that may be None, or a plain one."""
    origin, kinds = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _read_object(kind, value, where)
    if origin is Literal:
        if value not in kinds:
            raise ValueError(f"{where} is {value!r}, not one of {', '.join(kinds)}")
    elif origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} is {value!r}, not a list")
        return tuple(_read(kinds[0], part, f"{where}[{number}]") for number, part in enumerate(value))
    elif kinds:
        return None if value is None else _read(kinds[0], value, where)
    elif type(value) not in ((int, float) if kind is float else (kind,)):
        raise ValueError(f"{where} is {value!r}, not of type {kind.__name__}")
    return printable(value) if kind is str else value


def _read_object(kind: Any, value: Any, where: str) -> Any:
    types = {field.name: field.type for field in fields(kind)}
    if not isinstance(value, dict) or set(value) != set(types):
        raise ValueError(f"{where or 'the file'} has to have {', '.join(types)}, and nothing else")
    inside = f"{where}." if where else ""
    return kind(**{name: _read(types[name], value[name], f"{inside}{name}") for name in types})


def _refuse_repeated(records: tuple[Record, ...]) -> None:
    seen: set[tuple[str, str]] = set()
    for record in records:
        if (record.claim, record.setting) in seen:
            raise ValueError(f"{record.claim} is in it twice for {record.setting}")
        seen.add((record.claim, record.setting))
