"""`pytest --verdicts FILE`: what becomes of each claim in a run, kept as `verdicts.Verdicts`."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import torch

from lossdemo.verify import items
from lossdemo.verify.claims import BASES, Claim, Page
from lossdemo.verify.run import Setting
from lossdemo.verify.verdicts import DATE, Record, Refusal, Verdict, Verdicts, checksum, printable


class Recorder:
    """A plugin that makes `verdicts` out of the reports of a run, and writes them where a path is given.

    It works in the process that the reports of all workers come to, so it is registered there alone. After a usage
    error, or where claims were only collected, `verdicts` is None and nothing is written; `unwritten` says why a file
    could not be.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.verdicts: Verdicts | None = None
        self.unwritten = ""
        self._selected: set[str] = set()
        self._started: set[str] = set()
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

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note whose turn it is."""
        self._started.add(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the report until the end, but of a failure that is run once more."""
        if report.outcome != "rerun":
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
        pages = {items.chapter(config, path): page for path, page in items.book(config).checked.items()}
        settings = items.settings(config)
        cuda = torch.cuda.is_available() and any(setting.device == "cuda" for setting in settings)
        records = {
            (record.claim, record.setting): record  # a title that two claims have is in it once: they are refused
            for chapter, page in pages.items()
            for claim in page.claims
            for setting in settings
            for record in self._records(config, chapter, claim, setting)
        }
        return Verdicts(
            date=datetime.now(UTC).strftime(DATE),
            torch=str(torch.__version__),
            package=_under_test(config),
            python=platform.python_version(),
            platform=f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
            processor=f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
            cuda=torch.cuda.get_device_name() if cuda else None,
            prove=config.pluginmanager.has_plugin("lossdemo-prover"),
            replace=tuple(config.option.replace or ()),
            refused=tuple(self._refusal(chapter, pages[chapter]) for chapter in pages if chapter in self._refused),
            records=tuple(records.values()),
        )

    def _refusal(self, chapter: str, page: Page) -> Refusal:
        problems = sorted((problem.line, problem.message) for problem in page.problems)
        text = "\n".join(f"line {line}: {message}" for line, message in problems)
        return Refusal(chapter, printable(text or self._refused[chapter]))

    def _records(self, config: pytest.Config, chapter: str, claim: Claim, setting: Setting) -> Iterator[Record]:
        """The claim's record, if it was selected, or may have been."""
        nodeid = items.nodeid(config, claim, setting)
        reports = self._reports[nodeid]
        if reports or nodeid in self._selected:
            yield _record(chapter, claim, setting, _verdict(reports, nodeid in self._started), reports)
        elif chapter in self._refused and claim.basis in BASES:
            yield _record(chapter, claim, setting, _not_run(f"{chapter} is refused"), [])


def _under_test(config: pytest.Config) -> str:
    """The package whose mutants are named first, with its version."""
    package = next(iter(config.getini("mutants")), "").partition(".")[0]
    here = items.installed(package) if package else None
    return f"{package} {here[0]}" if here else package


def _record(chapter: str, claim: Claim, setting: Setting, verdict: Verdict, reports: list[pytest.TestReport]) -> Record:
    return Record(
        **{name: getattr(verdict, name) for name in Verdict.__struct_fields__ if name not in ("message", "reason")},
        message=printable(verdict.message),
        reason=printable(verdict.reason),
        claim=claim.id,
        chapter=chapter,
        line=claim.line,
        title=claim.title,
        basis=claim.basis,  # pyrefly: ignore — a claim with another basis is refused
        checksum=checksum(claim.verified),
        device=setting.device,
        dtype=str(setting.dtype).removeprefix("torch."),
        seed=setting.seed,
        threads=setting.threads,
        duration=round(sum(report.duration for report in reports if report.when == "call"), 4),
    )


def _not_run(reason: str) -> Verdict:
    return Verdict(outcome="not run", message=reason, reason=reason)


def _verdict(reports: list[pytest.TestReport], started: bool) -> Verdict:
    """What the reports of a claim's phases come to: the worst that they say, and why."""
    for report in sorted(reports, key=lambda report: report.outcome != "failed"):
        found = msgspec.convert(getattr(report, "verdict", None) or {}, Verdict)
        known = getattr(report, "wasxfail", "").removeprefix("known: ")
        if report.failed:
            return _failed(report, found)
        if report.skipped and known:
            message = f"{found.message}\n\n{known}"
            return msgspec.structs.replace(found, outcome="known failure", message=message, reason=known)
        if report.skipped:
            return found if found.outcome == "not run" else _not_run(_why_skipped(report))
        if report.when == "call":
            holds = f"listed as a known failure, and holds: {known}"
            return msgspec.structs.replace(found, message=holds, reason=holds) if known else found
    turn = "while this claim ran" if started else "before it was this claim's turn"
    return _not_run(f"the run ended {turn}")


def _failed(report: pytest.TestReport, found: Verdict) -> Verdict:
    """A claim that failed, or something around it: a fixture, a crash of the worker, the limit of time."""
    if found.outcome != "passed":
        return found
    text = report.longreprtext
    message = text if report.when in ("call", "???") else f"in {report.when}:\n{text}"
    lines = [line.removeprefix("E ").strip() for line in text.splitlines() if line.strip()]
    return msgspec.structs.replace(found, outcome="failed", message=message, reason=lines[-1] if lines else "")


def _why_skipped(report: pytest.TestReport) -> str:
    *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else (report.longreprtext,)
    return str(reason).removeprefix("Skipped: ").removeprefix("not run here: ")
