"""`pytest --verdicts FILE`: what becomes of each claim in a run, kept as `verdicts.Verdicts`.

This module does not import the plugin by itself: pytest wants to do that, and a command that records may come first.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lossdemo.verify.claims import BASES, Book, Claim, Page
from lossdemo.verify.verdicts import DATE, Outcome, Record, Refusal, Verdicts, checksum, printable

if TYPE_CHECKING:
    from lossdemo.verify.run import Setting  # torch comes with it


class Recorder:
    """A plugin that makes `verdicts` out of the reports of a run, and writes them where a path is given.

    It works in the process that the reports of all workers come to, so it is registered there alone. After a usage
    error, or where claims were only collected, `verdicts` is None and nothing is written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.verdicts: Verdicts | None = None
        self.unwritten = ""
        self._selected: set[str] = set()
        self._reports: dict[str, list[pytest.TestReport]] = defaultdict(list)
        self._refused: dict[str, str] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a page that was refused."""
        if report.failed:
            self._refused[report.nodeid] = report.longreprtext

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what was selected in this process."""
        self._selected |= {item.nodeid for item in session.items}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note what was selected in a worker."""
        self._selected |= set(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the report until the end."""
        self._reports[report.nodeid].append(report)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Make the verdicts of what was reported, and write them."""
        if exitstatus == pytest.ExitCode.USAGE_ERROR or session.config.option.collectonly:
            return
        self.verdicts = self._made(session.config)
        if self.path:
            try:
                self.verdicts.write(self.path)
            except OSError as error:
                self.unwritten = f"the verdicts could not be written: {error}"
                session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where they are."""
        if self.unwritten:
            terminalreporter.write_line(self.unwritten, red=True)
        elif self.path and self.verdicts:
            terminalreporter.write_line(f"{len(self.verdicts.records)} verdicts are in {self.path}")

    def _made(self, config: pytest.Config) -> Verdicts:
        import torch

        from lossdemo.verify.plugin import BOOK, settings

        book = Book(config.rootpath / BOOK)
        pages = {f"{BOOK}/{path.relative_to(book.directory).as_posix()}": page for path, page in book.pages.items()}
        on = settings(config)
        places = [(chapter, claim, setting) for chapter in pages for claim in pages[chapter].claims for setting in on]
        records = {(record.claim, record.setting): record for record in self._records(places)}
        cuda = torch.cuda.is_available() and any(setting.device == "cuda" for setting in on)
        return Verdicts(
            date=datetime.now(UTC).strftime(DATE),
            torch=str(torch.__version__),
            python=platform.python_version(),
            platform=f"{platform.system()} {platform.release()}",
            processor=f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
            cuda=torch.cuda.get_device_name() if cuda else None,
            prove=config.option.prove,
            replace=tuple(config.option.replace or ()),
            refused=tuple(self._refusal(chapter, pages[chapter]) for chapter in pages if chapter in self._refused),
            records=tuple(records.values()),  # the title of two claims is in it once: their chapters are refused
        )

    def _refusal(self, chapter: str, page: Page) -> Refusal:
        problems = sorted((problem.line, problem.message) for problem in page.problems)
        text = "\n".join(f"line {line}: {message}" for line, message in problems)
        return Refusal(chapter, printable(text or self._refused[chapter]))

    def _records(self, places: list[tuple[str, Claim, Setting]]) -> Iterator[Record]:
        """In the book's order, whichever worker ran what: each claim that was selected, or may have been."""
        for chapter, claim, setting in places:
            nodeid = f"{chapter}::{claim.id}[{setting}]"
            reports = self._reports[nodeid]
            if reports or nodeid in self._selected:
                yield _record(chapter, claim, setting, *_outcome(reports), reports)
            elif chapter in self._refused and claim.basis in BASES:
                yield _record(chapter, claim, setting, "not run", f"{chapter} is refused", [])


def _record(
    chapter: str, claim: Claim, setting: Setting, outcome: Outcome, message: str, reports: list[pytest.TestReport]
) -> Record:
    call = next((report for report in reports if report.when == "call"), None)
    proof = getattr(call, "proof", None)
    return Record(
        claim=claim.id,
        chapter=chapter,
        line=claim.line,
        title=claim.title,
        basis=claim.basis,  # pyrefly: ignore — a claim with another basis is refused
        checksum=checksum(claim.text),
        device=setting.device,
        dtype=str(setting.dtype).removeprefix("torch."),
        seed=setting.seed,
        threads=setting.threads,
        outcome=outcome,
        message=printable(message),
        duration=round(call.duration, 4) if call else 0.0,
        killed=tuple(proof["killed"]) if proof else None,
        survived=tuple(proof["survived"]) if proof else None,
    )


def _outcome(reports: list[pytest.TestReport]) -> tuple[Outcome, str]:
    """What the reports of a claim's phases come to: the worst that they say, and why."""
    for report in reports:
        if report.failed:
            return _failed(report)
    for report in reports:
        known = getattr(report, "wasxfail", "").removeprefix("known: ")
        if report.skipped and known:
            return "known failure", f"{_text(report)}\n\n{known}"
        if report.skipped:
            return "not run", _why_skipped(report)
        if report.when == "call":
            return "passed", f"listed as a known failure, and holds: {known}" if known else ""
    return "not run", "the run ended before it was this claim's turn"


def _failed(report: pytest.TestReport) -> tuple[Outcome, str]:
    proof = getattr(report, "proof", None)
    if proof:
        from lossdemo.verify.prove import Proof

        if Proof(**proof).vacuous:
            return "vacuous", _text(report)
    return "failed", _text(report) if report.when in ("call", "???") else f"in {report.when}:\n{_text(report)}"


def _text(report: pytest.TestReport) -> str:
    """What refuted the claim; where something else went wrong, in setup or by a crash of the worker, what that was."""
    return getattr(report, "failure", None) or report.longreprtext


def _why_skipped(report: pytest.TestReport) -> str:
    *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else (report.longreprtext,)
    return str(reason).removeprefix("Skipped: ").removeprefix("not run here: ")
