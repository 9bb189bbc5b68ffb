"""Claims run under pytest in this process: a plugin that chooses them, and keeps what became of the run as objects."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from lossdemo.books import Place, Unknown, find
from lossdemo.interrupt import INTERRUPTS
from lossdemo.terminal import count
from lossdemo.verify import items
from lossdemo.verify.claims import Page
from lossdemo.verify.plugin import Terminated
from lossdemo.verify.recorder import Recorder
from lossdemo.verify.verdicts import Verdicts

HELD, FAILED, WRONG, BROKEN, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143  # what the shell gets
ClaimItem = items.ClaimItem  # hooks of pytest have a parameter `items`


class Session:
    """One run of the claims that `names` stand for, or of the whole book.

    `error` says what is wrong with its use, `crash` what broke in pytest or in a plugin. `verdicts` are None where
    nothing was run. `interrupted` is the code of the signal that ended the run, and `running` the test that it ended.
    """

    def __init__(self, place: Place, names: Sequence[str], advance: Callable[..., None]) -> None:
        self.place = place
        self.names = names
        self.advance = advance
        self.error = self.crash = self.running = ""
        self.interrupted = 0
        self.verdicts: Verdicts | None = None
        self.notes: list[str] = []
        self._wanted: dict[Path, set[str]] = {}  # ids by page
        self._chosen: set[str] = set()
        self._is_short = False  # something that is wanted was not run

    def run(self, options: Sequence[str]) -> int:
        """Run pytest with these options; the code for the shell."""
        output = io.StringIO()
        try:
            with redirect_stdout(output), redirect_stderr(output):
                status = pytest.main([*self.place.arguments, *options], plugins=[self])
        except pytest.UsageError as error:  # as releases before 9 leave it
            self.error, status = str(error), pytest.ExitCode.USAGE_ERROR
        except KeyboardInterrupt as interrupt:
            self._note(interrupt)
            status = pytest.ExitCode.INTERRUPTED
        finally:
            INTERRUPTS.mode = "end"
        if self.interrupted or INTERRUPTS.number:  # at the end it is noted alone
            self.interrupted = self.interrupted or 128 + INTERRUPTS.number
            return self.interrupted
        if self.crash or status == pytest.ExitCode.INTERNAL_ERROR:
            self.crash = self.crash or output.getvalue()
            return BROKEN
        if status == pytest.ExitCode.NO_TESTS_COLLECTED:
            self.error = "\n".join(self.notes) or f"there is no claim in {self.place.directory}"
        if status == pytest.ExitCode.USAGE_ERROR and not self.verdicts:
            self.error = self.error or output.getvalue()
        if self.error or status == pytest.ExitCode.USAGE_ERROR:
            return WRONG
        return FAILED if status or self._is_short else HELD

    def _note(self, interrupt: BaseException) -> None:
        self.interrupted = TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Run in this process, whatever a project's settings say; keep what is wrong with the run."""
        for option, value in (("numprocesses", None), ("dist", "no"), ("tx", [])):
            if hasattr(config.option, option):
                setattr(config.option, option, value)
        try:
            return (yield)
        except pytest.UsageError as error:
            self.error = str(error)
            raise

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Record the run, also where no file is wanted."""
        plugins = session.config.pluginmanager
        if not plugins.has_plugin("lossdemo-recorder"):
            plugins.register(Recorder(), "lossdemo-recorder")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Find what the names mean; from here on an interrupt leaves a record."""
        pages = items.book(session.config).pages
        for name in self.names:
            for path, ids in self._meant(name, pages).items():
                self._wanted.setdefault(path, set()).update(ids)
        self._wanted = self._wanted or _ids(pages)
        INTERRUPTS.mode = "raise"

    def _meant(self, name: str, pages: dict[Path, Page]) -> dict[Path, set[str]]:
        """The ids that a name stands for, by page: of the whole book, of a chapter, or one."""
        directory, root = self.place.directory.resolve(), self.place.root.resolve()
        if name.rstrip("/") == directory.name or (name and Path(name).resolve() in (directory, root)):
            return _ids(pages)
        try:
            meant = find(name, pages)
        except Unknown as error:
            raise pytest.UsageError(str(error)) from None
        if not isinstance(meant, Page):
            return {meant.path: {meant.id}}
        if not meant.claims and not meant.problems:
            raise pytest.UsageError(f"{name} has no claims: leave it out for the whole book")
        return _ids({meant.path: meant})

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Read no page on which nothing is wanted, and no file that is none."""
        return True if collection_path.is_file() and collection_path.resolve() not in self._wanted else None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave the claims that are wanted."""
        wanted = set().union(*self._wanted.values())
        chosen = [item for item in items if isinstance(item, ClaimItem) and item.claim.id in wanted]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin to count."""
        self._chosen = {item.claim.id for item in session.items if isinstance(item, ClaimItem)}
        self.advance(total=len(session.items))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note what runs now."""
        self.running = nodeid
        self.advance(description=nodeid.partition("::")[2])

    def pytest_runtest_logfinish(self) -> None:
        """Note that it ended, and end the run if a claim swallowed an interrupt."""
        self.running = ""
        self.advance(advance=1)
        if INTERRUPTS.number:
            raise KeyboardInterrupt

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note by what the run was ended."""
        self._note(excinfo.value)

    def pytest_internalerror(self, excrepr: object) -> None:
        """Keep what broke."""
        self.crash = str(excrepr)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Nothing interrupts the end; then keep what the plugins of the run found."""
        INTERRUPTS.mode = "note"
        yield
        plugins: Any = session.config.pluginmanager
        recorder, replacer = plugins.get_plugin("lossdemo-recorder"), plugins.get_plugin("lossdemo-replacer")
        prover = plugins.get_plugin("lossdemo-prover")
        self.verdicts = recorder.verdicts
        if self.verdicts:
            refused = {refusal.chapter for refusal in self.verdicts.refused}
            pages = [path for path in self._wanted if items.chapter(session.config, path) not in refused]
            left_out = sorted(set().union(*(self._wanted[path] for path in pages)) - self._chosen)
            self._is_short = bool(left_out) and not replacer
            why = "calling none of what is replaced" if replacer else "left out by the settings of pytest here"
            named = ", ".join([*left_out[:5], *[f"and {len(left_out) - 5} more"][: len(left_out) > 5]])
            self.notes += items.untried(session.config)
            self.notes += [f"{count(len(left_out), 'claim')} not run, {why}: {named}"] if left_out else []
            self.notes += replacer.summary() if replacer else ()
            self.notes += (line for line, _ in prover.summary()) if prover else ()
            self.notes += [recorder.unwritten] if recorder.unwritten else []


def _ids(pages: dict[Path, Page]) -> dict[Path, set[str]]:
    return {path: {claim.id for claim in page.claims} for path, page in pages.items()}
