"""The pytest plugin of this package: one test for each claim in each setting, where a project has claims.

A project has claims where its settings for pytest name their directory, `claims = "spec"`. Elsewhere nothing is added
or imported.
"""

from __future__ import annotations

import argparse
import atexit
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from lossdemo.verify.options import ALL, Option

if TYPE_CHECKING:
    from lossdemo.verify.run import Setting


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings of a project, which do nothing by themselves."""
    parser.addini("claims", "the directory of the project's claims, from its root")
    parser.addini("mutants", "modules in which the wrong versions are that --prove tries", type="args", default=[])


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser) -> Generator[None]:
    """The options, where the project has claims: after its conftest, whose options of the same name go before."""
    yield
    if not early_config.getini("claims"):
        return
    if sys.flags.optimize:
        raise pytest.UsageError("python -O drops every assert, so that nothing could fail: run without -O")
    group = parser.getgroup("lossdemo", "claims of the project's Markdown")
    for option in ALL:
        if not _is_taken(parser, f"--{option.name}"):
            group.addoption(f"--{option.name}", **_how(option))


def _is_taken(parser: pytest.Parser, name: str) -> bool:
    """Whether another plugin or a conftest has an option of this name: asked by giving it a value."""
    try:
        return f"{name}=0" not in parser.parse_known_and_unknown_args([f"{name}=0"])[1]
    except (pytest.UsageError, SystemExit):
        return True


def _how(option: Option) -> dict[str, Any]:
    """The option in the words of argparse."""
    if option.flag:
        return {"action": "store_true", "help": option.help}
    kind = Path if option.metavar == "FILE" else _whole(*option.range) if option.range else str
    return {
        "help": option.help,
        "default": option.default,
        "metavar": option.metavar,
        "action": "append" if option.repeated else "store",
        "choices": option.choices or None,
        "type": kind,
    }


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def pytest_configure(config: pytest.Config) -> None:
    """Proving, replacing and recording are plugins of their own; what they cannot work with is refused at once."""
    if not config.getini("claims"):
        return
    directory = config.rootpath / config.getini("claims")
    if not directory.is_dir():
        raise pytest.UsageError(f"claims = {config.getini('claims')!r}: there is no directory {directory}")
    option = config.option
    proving = option.prove or option.prove_all or option.prove_anew
    if proving and option.replace:
        raise pytest.UsageError("--prove and --replace: give one of them")
    if proving and not config.getini("mutants"):
        raise pytest.UsageError('--prove tries wrong versions: name their modules, as mutants = ["mylib.mutants"]')
    if option.known and not option.replace:
        raise pytest.UsageError("--known lists known failures of --replace: give both")
    config.pluginmanager.register(_Claims(), "lossdemo-claims")
    if proving:
        from lossdemo.verify.prove import Prover

        config.pluginmanager.register(Prover(config), "lossdemo-prover")
    if option.replace:
        from lossdemo.verify.replace import Replacer

        config.pluginmanager.register(Replacer(config), "lossdemo-replacer")
    if option.verdicts and not hasattr(config, "workerinput"):  # the reports of workers come to the controller
        from lossdemo.verify.recorder import Recorder

        config.pluginmanager.register(Recorder(_writable(option.verdicts)), "lossdemo-recorder")


def _writable(path: Path) -> Path:
    directory = path.resolve().parent
    if path.exists() and not path.is_file():
        raise pytest.UsageError(f"--verdicts {path}: this is no file: name one that may be written anew")
    if not directory.is_dir():
        raise pytest.UsageError(f"--verdicts {path}: make the directory {directory} first")
    try:
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise pytest.UsageError(f"--verdicts {path}: no file can be made in {directory}: {error.strerror}") from None
    return path


class Terminated(KeyboardInterrupt):
    """SIGTERM: the run ends as after Ctrl-C, with what it found so far."""


def _terminate(number: int, frame: Any) -> None:
    raise Terminated(f"SIGTERM during {os.environ.get('PYTEST_CURRENT_TEST', 'the run')}")


class _Exit:
    """While it is on, `os._exit(0)` ends this process with `status`; a child that it forked ends as it wants."""

    def __init__(self) -> None:
        self.status = 1
        self.leave = os._exit
        self.process = os.getpid()

    def on(self) -> None:
        os._exit = self  # pyrefly: ignore — it is called alike

    def off(self) -> None:
        os._exit = self.leave

    def __call__(self, status: int) -> None:
        self.leave(status or (self.status if os.getpid() == self.process else 0))


class _Claims:
    """The hooks of a project that has claims."""

    def __init__(self) -> None:
        self.terminated = False
        self.handler: Any = None
        self.exit: _Exit | None = None

    @property
    def items(self) -> ModuleType:
        """It imports torch: not before a hook needs it."""
        from lossdemo.verify import items

        return items

    def pytest_report_header(self, config: pytest.Config) -> str | None:
        """A release that the book does not name."""
        return "\n".join(self.items.untried(config)) or None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """From here SIGTERM is Ctrl-C, and the process does not end as a success while claims run."""
        if threading.current_thread() is threading.main_thread():
            self.handler = signal.signal(signal.SIGTERM, _terminate)
        self.exit = _Exit()
        self.exit.on()

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note which of the two it was."""
        self.terminated = isinstance(excinfo.value, Terminated)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """After SIGTERM the exit status is what a shell expects."""
        if self.terminated:
            session.exitstatus = 128 + signal.SIGTERM
        if self.exit:
            self.exit.status = int(session.exitstatus)

    def pytest_unconfigure(self) -> None:
        """Leave both as they were. A function called at the process's end does not make a success of a failure."""
        if self.handler is not None:
            signal.signal(signal.SIGTERM, self.handler)
        if self.exit:
            self.exit.off()
            if self.exit.status:
                atexit.register(self.exit.on)  # called before what claims have registered, as that came earlier

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> Generator[None, Any, Any]:
        """A page of the book is collected once for each setting, and by nobody else, as doctest with its globs."""
        others = yield
        chapter = file_path.suffix.lower() in (".md", ".markdown") and self.items.collect(file_path, parent)
        return [chapter] if chapter else others

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """What another test changes is not the next claim's."""
        if not isinstance(item, self.items.ClaimItem) and self.items.WORLD in item.config.stash:
            self.items.world(item.config).forget()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """A claim's verdict travels with its report as `verdict`, in plain values for another process."""
        report = yield
        verdict = getattr(item, "verdict", None)
        if verdict is not None and call.when == "call":
            import msgspec

            report.verdict = msgspec.to_builtins(verdict)
        return report

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test that asks for `torch_setting` runs on each device and with each dtype that the command line names."""
        if "torch_setting" in metafunc.fixturenames:
            dtypes = ["float32"] if "device" in metafunc.fixturenames else ["float32", "float64"]
            metafunc.parametrize("torch_setting", self.items.settings(metafunc.config, dtypes), indirect=True, ids=str)

    @pytest.fixture
    def torch_setting(self, request: pytest.FixtureRequest) -> Generator[Setting]:
        """Torch as a claim would find it in this setting: default device and dtype, seed, warnings as errors."""
        from lossdemo.verify.run import torch_as

        with torch_as(request.param):
            yield request.param
