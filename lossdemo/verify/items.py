"""Claims as pytest items, and what the plugins share: the book, the settings, and what runs a claim.

All of Sybil is here: a chapter is its document, a claim its region, and an item its item.
"""

from __future__ import annotations

import importlib.metadata
import operator
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from sybil import Document, Example, Region, Sybil
from sybil.integration.pytest import SybilFile, SybilItem

from lossdemo.verify.claims import Book, Claim, Refused, is_page
from lossdemo.verify.run import Failure, Setting, run_compared
from lossdemo.verify.verdicts import Verdict
from lossdemo.verify.world import World

TIMEOUT = 60  # seconds for a claim, where neither option nor setting says another limit
PROOFS = 10  # times as long for a proof, which runs the claim up to eight hundred times

BOOK = pytest.StashKey[Book]()
WORLD = pytest.StashKey[World]()
VERIFY = pytest.StashKey[Callable[[Claim, Setting], Verdict]]()


def book(config: pytest.Config) -> Book:
    """The claims of the project, read once a run."""
    if BOOK not in config.stash:
        config.stash[BOOK] = Book(config.rootpath / config.getini("claims"), config.rootpath)
    return config.stash[BOOK]


def world(config: pytest.Config) -> World:
    """What the claims of this process share."""
    if WORLD not in config.stash:
        config.stash[WORLD] = World({name.partition(".")[0] for name in config.getini("mutants")})
    return config.stash[WORLD]


def settings(config: pytest.Config, dtypes: Sequence[str] = ("float32",)) -> list[Setting]:
    """Every device with every dtype that the command line asks for, by default the devices here and `dtypes`."""
    here = ["cpu", *["cuda"] * torch.cuda.is_available()]
    return [
        Setting(device, getattr(torch, dtype), _option(config, "seed", 0), _option(config, "threads", 1))
        for device in _named(config, "device", ("cpu", "cuda")) or here
        for dtype in _named(config, "dtype", ("float32", "float64")) or dtypes
    ]


def _named(config: pytest.Config, option: str, known: tuple[str, ...]) -> list[str]:
    """What the option names; another plugin's option of that name may hold one value, or something else."""
    value = _option(config, option, None)
    values = value if isinstance(value, (list, tuple)) else [value]
    return list(dict.fromkeys(value for value in values if value in known))


def _option(config: pytest.Config, name: str, default: Any) -> Any:
    value = config.getoption(name, default)
    return default if value is None or (isinstance(default, int) and not isinstance(value, int)) else value


def nodeid(config: pytest.Config, claim: Claim, setting: Setting) -> str:
    """What pytest calls a claim in a setting: `spec/loss.md::equal-losses-can-have-different-gradients[cpu]`."""
    return f"{chapter(config, claim.path)}::{claim.id}[{setting}]"


def chapter(config: pytest.Config, path: Path) -> str:
    """The page's path from the project's root, with slashes."""
    return path.relative_to(config.rootpath.resolve()).as_posix()


def untried(config: pytest.Config) -> list[str]:
    """The packages of which the book names releases, but not the one that is installed."""
    releases = book(config).releases
    found = []
    for package in dict.fromkeys(release.package for release in releases):
        here = installed(package)
        if here and here[1] not in [release.version for release in releases if release.package == package]:
            found.append(f"{package} {here[0]} was not tried with these claims: see Releases in README.md")
    return found


def collect(path: Path, parent: pytest.Collector) -> ChapterFile | None:
    """The chapter at `path`, if it is a page of the book."""
    claims = book(parent.config)
    if claims.directory not in path.resolve().parents or not is_page(path.resolve(), claims.directory):
        return None
    chapters = [Chapters(claims, setting) for setting in settings(parent.config)]
    return ChapterFile.from_parent(parent, path=path, sybils=chapters)


class Chapters(Sybil):
    """The chapters as Sybil's documents in one setting: a region is a claim, and its name is the claim's id."""

    def __init__(self, book: Book, setting: Setting) -> None:
        super().__init__(parsers=[self.regions], pattern="*", path=str(book.directory), encoding="utf-8-sig")
        self.book = book
        self.setting = setting

    def regions(self, document: Document) -> Iterator[Region]:
        """One region for each claim; the item runs it."""
        for claim in self.book.claims(Path(document.path).resolve()):
            yield Region(claim.start, claim.end, parsed=claim, evaluator=lambda example: None)

    def identify(self, example: Example) -> str:
        """The claim's id and setting: `mae-resists-outliers-in-the-targets-better-than-mse[cpu]`."""
        return f"{example.parsed.id}[{self.setting}]"


class ChapterFile(SybilFile):
    """A page of the book; one with problems fails its collection with all of them."""

    def collect(self) -> Generator[ClaimItem]:
        """The page's claims, in each setting."""
        claims = book(self.config)
        problems = claims.checked[self.path.resolve()].problems
        if problems:
            self.config.option.continue_on_collection_errors = True  # a refused chapter does not stop the others
            raise pytest.Collector.CollectError(str(Refused(sorted(problems, key=lambda problem: problem.line))))
        for sybil in self.sybils:
            document = sybil.parse(self.path)
            self.documents.append(document)
            for example in document.examples():
                yield ClaimItem.from_parent(self, sybil=sybil, example=example)


class ClaimFailed(Exception):
    """A claim does not hold, shows nothing, or left something behind."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


class ClaimItem(SybilItem):
    """A claim in a setting. It carries id and basis into JUnit's XML, and its verdict into the report."""

    def __init__(self, parent: ChapterFile, sybil: Chapters, example: Example) -> None:
        super().__init__(parent, sybil, example)
        self.claim: Claim = example.parsed
        self.setting = sybil.setting
        self.verdict: Verdict | None = None
        self.user_properties += [("claim", self.claim.id), ("basis", self.claim.basis)]
        if hasattr(self, "id"):
            # Since 9.2 pytest keeps ids in parts. It reads `[cpu]` from its cache as a part of its own, Sybil makes it
            # none, and without this --lf finds no claim that failed.
            self._id = type(self.id).parse(self.nodeid)
        reason = not_run_because(self.claim, self.setting)
        if reason:
            self.add_marker(pytest.mark.skip(reason=f"not run here: {reason}"))
        has, limit = self.config.pluginmanager.has_plugin, self.config.getoption("timeout", None)
        if has("timeout") and limit is None and not self.config.getini("timeout"):  # nobody set one
            self.add_marker(pytest.mark.timeout(TIMEOUT * PROOFS if has("lossdemo-prover") else TIMEOUT))

    def runtest(self) -> None:
        """Run the claim as the options of the run say."""
        verify, one = self.config.stash.get(VERIFY, None), (self.claim, self.setting)
        self.verdict = verify(*one) if verify else failed(run_compared(*one, world(self.config)))
        if self.verdict.outcome == "not run":
            pytest.skip(self.verdict.reason)
        if self.verdict.outcome != "passed":
            raise ClaimFailed(self.verdict)

    def _initrequest(self) -> None:
        """Ready to run again, as plugins ask that run a failure once more."""
        self.request_fixtures(())

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the claim stands, and its title."""
        return self.path, self.claim.line - 1, f"{self.claim.title} [{self.setting}]"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What refuted the claim, and the line, as a terminal can open it."""
        if not isinstance(excinfo.value, ClaimFailed):
            return pytest.Item.repr_failure(self, excinfo, style)
        verdict = excinfo.value.verdict
        kind = f" ({self.claim.basis}: {verdict.kind})" if verdict.kind else ""
        where = f"{chapter(self.config, self.path.resolve())}:{verdict.at}"
        return f"{where}: {self.claim.title}{kind}\n\n{verdict.message}"

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
        return excinfo.traceback  # Sybil's wants its own frames in it, and a warning from pytest has none


def failed(failure: Failure | None) -> Verdict:
    """What a run of a claim came to: held, or failed."""
    if failure is None:
        return Verdict()
    return Verdict(outcome="failed", message=failure.message, reason=failure.reason, at=failure.line)


def not_run_because(claim: Claim, setting: Setting) -> str | None:
    """Why `claim` cannot run in `setting` on this machine, or None where it can."""
    if setting.device == "cuda" and not torch.cuda.is_available():
        return "torch finds no CUDA device"
    if claim.needs == "cuda" and setting.device != "cuda":
        return "the claim needs cuda"
    if claim.needs == "processes" and not (hasattr(os, "fork") and torch.distributed.is_available()):
        return "the claim needs processes, which this system or this build of torch does not fork and connect"
    if claim.needs == "processes" and setting.device != "cpu":
        return "the claim needs processes, and CUDA does not work in a forked one"
    for release, holds, word in ((claim.since, operator.ge, "since"), (claim.until, operator.le, "until")):
        here = release and installed(release.package)
        if release and (not here or not holds(here[1], release.version)):
            found = f"this is {here[0]}" if here else f"{release.package} is not installed"
            return f"the claim holds {word} {release}, {found}"
    return None


def installed(package: str) -> tuple[str, tuple[int, int]] | None:
    """The version of a package in full, and as two numbers; None where it is not installed."""
    try:
        version = str(torch.__version__) if package == "torch" else importlib.metadata.version(package)
        major, minor = version.split(".")[:2]
        return version, (int(major), int("".join(c for c in minor if c.isdigit())))
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
