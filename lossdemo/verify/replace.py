"""`pytest --replace TARGET=MODULE:NAME`: the claims that call TARGET, with somebody's own function in its place."""

import importlib
import re
import warnings
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lossdemo.verify import items
from lossdemo.verify.claims import Claim
from lossdemo.verify.patch import Function, NoSuchTarget, locate, replaced, watched
from lossdemo.verify.run import Setting, run, run_compared
from lossdemo.verify.verdicts import Verdict

ClaimItem = items.ClaimItem  # hooks of pytest have a parameter `items`


class Replacer:
    """The plugin of `--replace`: which claims run, with what in place of which function, and what is known to fail."""

    def __init__(self, config: pytest.Config) -> None:
        self.functions = dict(_parse(replacement) for replacement in config.option.replace)
        self.known = _read_known(config.option.known) if config.option.known else {}
        ids = items.book(config).ids
        self.stale = {claim: "names no claim of the book" for claim in self.known if claim not in ids}
        self.config = config
        config.stash[items.VERIFY] = self.verify

    def verify(self, claim: Claim, setting: Setting) -> Verdict:
        """Run a claim with the functions in place."""
        return items.failed(run_compared(claim, setting, items.world(self.config), self._in_place))

    @contextmanager
    def _in_place(self) -> Generator[None]:
        with ExitStack() as stack:
            for target, function in self.functions.items():
                stack.enter_context(replaced(target, partial(_standing_in, function)))
            yield

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the claims that call a target, known by running each as it is; mark those that are known to fail."""
        chosen, others = [], []
        for item in items:
            (chosen if isinstance(item, ClaimItem) and self._calls(item) else others).append(item)
        if items and not chosen:
            raise pytest.UsageError(f"no claim that was selected calls {', '.join(self.functions)}")
        config.hook.pytest_deselected(items=others)
        items[:] = chosen
        for item in chosen:
            reason = self.known.get(item.claim.id)
            if reason:
                item.add_marker(pytest.mark.xfail(reason=f"known: {reason}", strict=False))

    def _calls(self, item: ClaimItem) -> bool:
        called = []
        with watched(self.functions, lambda *call: called.append(call)):
            run(item.claim, item.setting)
        return bool(called)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A known failure that holds is stale."""
        if report.when == "call" and report.passed and hasattr(report, "wasxfail"):
            self.stale[report.nodeid.partition("::")[2].partition("[")[0]] = "does not fail any more"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What was in place of what, and which lines of the known failures are stale."""
        terminalreporter.section("replaced")
        for target, function in self.functions.items():
            terminalreporter.write_line(f"{target} by {function.__module__}:{getattr(function, '__name__', function)}")
        for claim, why in self.stale.items():
            terminalreporter.write_line(f"stale in --known: {claim} {why}", yellow=True)


def _standing_in(function: Function, original: Function) -> Function:
    """`function`, which still finds `original` at its place while it runs: many implementations are built on it."""
    running = False

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal running
        if running:
            return original(*args, **kwargs)
        running = True
        try:
            return function(*args, **kwargs)
        finally:
            running = False

    return call


def _parse(replacement: str) -> tuple[str, Function]:
    """TARGET and the function, from TARGET=MODULE:NAME."""
    match = re.fullmatch(r"([\w.]+)=([\w.]+):([\w.]+)", replacement)
    if not match:
        raise pytest.UsageError(f"--replace {replacement}: write it as torch.nn.functional.mse_loss=mykernels:mse_loss")
    target, module, name = match.groups()
    try:
        locate(target)
    except NoSuchTarget as error:
        raise pytest.UsageError(f"--replace {replacement}: {error}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a module warns of while it is imported is not the claims' matter
            function: Any = importlib.import_module(module)
    except Exception as error:
        raise pytest.UsageError(f"--replace {replacement}: importing {module} failed: {error!r}") from None
    for part in name.split("."):
        if not hasattr(function, part):
            raise pytest.UsageError(f"--replace {replacement}: {module} has no {name}")
        function = getattr(function, part)
    if not callable(function):
        raise pytest.UsageError(f"--replace {replacement}: {name} is a {type(function).__name__}, not a function")
    return target, function


def _read_known(path: Path) -> dict[str, str]:
    """Reasons by claim id: one id a line, a blank, and the reason; `#` begins a comment."""
    if not path.is_file():
        raise pytest.UsageError(f"--known {path}: there is no such file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise pytest.UsageError(f"--known {path} is not UTF-8 ({error.reason} at byte {error.start})") from None
    known = {}
    for number, line in enumerate(text.splitlines(), 1):
        claim, _, reason = line.strip().partition(" ")
        if claim and not claim.startswith("#"):
            if not reason.strip():
                raise pytest.UsageError(f"{path}:{number}: say behind {claim} why it is known to fail")
            known[claim] = reason.strip()
    return known
