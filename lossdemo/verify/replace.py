"""`pytest --replace TARGET=MODULE:NAME`: the claims that call TARGET, with somebody's own function in its place."""

import importlib
import logging
import re
import sys
import warnings
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lossdemo.processes import watching
from lossdemo.verify import items
from lossdemo.verify.claims import BASES, Claim
from lossdemo.verify.kept import claim_key
from lossdemo.verify.patch import Function, NoSuchTarget, homes, located, replaced
from lossdemo.verify.run import Failure, Setting, run, run_compared
from lossdemo.verify.standin import StandIn, refused
from lossdemo.verify.verdicts import Verdict

KEPT = "lossdemo/callers"  # where it is in pytest's cache which claims call what
LONG = 20  # claims to be tried take long enough to say so
MANY = 100_000  # compilations

ClaimItem = items.ClaimItem  # hooks of pytest have a parameter `items`
Warned = list[list[str]]  # category and text of each warning that a target gave in a claim
StandIns = dict[str, StandIn]  # by target


class Replacer:
    """The plugin of `--replace`: which claims run, with what in place of which function, and what is known to fail."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.names, functions = {}, {}
        for replacement in config.option.replace:
            target, self.names[target], functions[target] = _parse(replacement, config)
        self.homes = {target: homes(target) for target in functions}
        self.stand_ins = {target: StandIn(located(target), functions[target]) for target in functions}
        self.originals = {target: StandIn(located(target), located(target)) for target in functions}
        self.known = _read_known(config.option.known) if config.option.known else {}
        ids = items.book(config).ids
        self.stale = {claim: "names no claim of the book" for claim in self.known if claim not in ids}
        self.cached = config.pluginmanager.has_plugin("cacheprovider")
        self.kept: dict[str, dict[str, Warned | None]] = config.cache.get(KEPT, {}) if self.cached else {}
        self.table: Counter[tuple[str, str]] = Counter()
        config.stash[items.VERIFY] = self.verify

    def verify(self, claim: Claim, setting: Setting) -> Verdict:
        """Run a claim with the functions in place; what they do not take is not run."""
        failure = self._run(claim, setting)
        for target, stand_in in self.stand_ins.items():
            if stand_in.lacks:
                reason = f"{self.names[target]} has no argument {stand_in.lacks}"
                return Verdict(outcome="not run", message=reason, reason=reason, kind=f"no {stand_in.lacks}")
        verdict = items.failed(failure)
        return msgspec.structs.replace(verdict, kind=self._kind(failure, claim, setting)) if failure else verdict

    def _run(self, claim: Claim, setting: Setting, comparing: bool = False) -> Failure | None:
        warned = self.kept[claim_key(claim, setting)]
        for target, stand_in in self.stand_ins.items():
            stand_in.begin({(category, text) for category, text in warned[target] or ()}, comparing)
        around = lambda: self._in_place(self.stand_ins)  # noqa: E731
        failure = run_compared(claim, setting, items.world(self.config), around)
        return failure if failure and failure.example else None  # what a function leaves behind is put back, no more

    @contextmanager
    def _in_place(self, stand_ins: StandIns) -> Generator[None]:
        with ExitStack() as stack:
            for handler in logging.root.handlers:  # pytest's, which take all that compilers write for debugging
                if handler.level == logging.NOTSET:
                    handler.setLevel(logging.WARNING)
                    stack.callback(handler.setLevel, logging.NOTSET)
            if dynamo := sys.modules.get("torch._dynamo"):  # it compiles a function 8 times, and then runs it as it is
                stack.callback(dynamo.reset)  # while what it keeps in modules is there
                stack.enter_context(dynamo.config.patch(recompile_limit=MANY, accumulated_recompile_limit=MANY))
            for target, stand_in in stand_ins.items():
                stack.callback(stand_in.leave)
                stack.enter_context(watching(stand_in.seen, stand_in.take))
                for home in self.homes[target]:
                    stack.enter_context(replaced(home, lambda _, made=stand_in.in_place: made))
            yield

    def _kind(self, failure: Failure, claim: Claim, setting: Setting) -> str:
        """What the functions did differently, in a run of both beside each other."""
        if failure.example and failure.example.exc_msg:
            return "other text" if failure.got.startswith("Traceback") else "not refused"
        self._run(claim, setting, comparing=True)
        kinds = [kind for stand_in in self.stand_ins.values() for kind in stand_in.kinds]
        raised = [error for stand_in in self.stand_ins.values() for error in stand_in.raised]
        classes = any(isinstance(stand_in.original, type) for stand_in in self.stand_ins.values())
        return kinds[-1] if kinds else refused(raised[-1]) if raised else "value" if classes else "otherwise"

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the claims that call a target, mathematics first; mark those that are known to fail."""
        claims = {item: claim_key(item.claim, item.setting) for item in items if isinstance(item, ClaimItem)}
        self._find_callers(claims)
        chosen = [item for item, key in claims.items() if any(self.kept[key][t] is not None for t in self.homes)]
        if items and not chosen:
            raise pytest.UsageError(f"no claim that was selected calls {', '.join(self.homes)}")
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = sorted(chosen, key=lambda item: BASES.index(item.claim.basis))
        for item in chosen:
            reason = self.known.get(item.claim.id)
            if reason:
                item.add_marker(pytest.mark.xfail(reason=f"known: {reason}", strict=False))

    def _find_callers(self, claims: dict[ClaimItem, str]) -> None:
        """Run each claim as it is, unless it is kept what it calls."""
        new = {item: key for item, key in claims.items() if not self.homes.keys() <= self.kept.get(key, {}).keys()}
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter and len(new) >= LONG:
            reporter.write_line(f"{len(new)} claims run once to see which of them call {', '.join(self.homes)}")
        for item, key in new.items():
            for original in self.originals.values():
                original.begin()
            with self._in_place(self.originals):
                run(item.claim, item.setting)
            found = {t: [[*warned] for warned in o.warned] if o.calls else None for t, o in self.originals.items()}
            self.kept[key] = self.kept.get(key, {}) | found
        if new and self.cached:
            self.config.cache.set(KEPT, self.kept)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what became of a claim. A known failure that holds is stale."""
        if report.when != "call":
            return
        if report.passed and hasattr(report, "wasxfail"):
            self.stale[report.nodeid.partition("::")[2].partition("[")[0]] = "does not fail any more"
        verdict = msgspec.convert(getattr(report, "verdict", None) or {}, Verdict)
        known = report.skipped and hasattr(report, "wasxfail")
        column = "passed" if report.passed else "known failure" if known else verdict.kind or "otherwise"
        self.table[_basis(report), column] += 1

    def summary(self) -> Generator[str]:
        """What was in place of what, a table by basis and kind, and what is stale among the known failures."""
        for target, name in self.names.items():
            yield f"{target} by {name}"
        found = {column for _, column in self.table} - {"passed"}
        columns = ["passed", *sorted(found, key=lambda column: (column.startswith("no "), column))]
        for basis in ("basis", *BASES) if self.table else ():
            cells = (column if basis == "basis" else str(self.table[basis, column] or "·") for column in columns)
            yield "".join([basis.ljust(12), *(f"  {cell:>{len(column)}}" for cell, column in zip(cells, columns))])
        yield from (f"stale in --known: {claim} {why}" for claim, why in self.stale.items())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None]:
        """Show it, and then what failed, mathematics first."""
        terminalreporter.section("replaced")
        for line in self.summary():
            terminalreporter.write_line(line, yellow=line.startswith("stale"))
        failed = terminalreporter.stats.get("failed", [])
        failed.sort(key=lambda report: BASES.index(_basis(report)))  # workers end in any order
        yield


def _basis(report: pytest.TestReport) -> str:
    return str(dict(report.user_properties).get("basis", BASES[-1]))


def _parse(replacement: str, config: pytest.Config) -> tuple[str, str, Function]:
    """TARGET, MODULE:NAME and what it names, from TARGET=MODULE:NAME."""
    match = re.fullmatch(r"([\w.]+)=(([\w.]+):([\w.]+))", replacement)
    if not match:
        raise pytest.UsageError(f"--replace {replacement}: write it as torch.nn.functional.mse_loss=mykernels:mse_loss")
    target, label, module, name = match.groups()
    try:
        original = located(target)
    except NoSuchTarget as error:
        raise pytest.UsageError(f"--replace {replacement}: {error}") from None
    here = [str(config.invocation_params.dir), str(config.rootpath)]
    sys.path[:0] = [directory for directory in dict.fromkeys(here) if directory not in sys.path]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a module warns of while it is imported is not the claims' matter
        try:
            function: Any = importlib.import_module(module)
        except Exception as error:
            raise pytest.UsageError(f"--replace {replacement}: importing {module} failed: {error!r}") from None
        for part in name.split("."):
            function = getattr(function, part, None)
            if function is None:
                raise pytest.UsageError(f"--replace {replacement}: {module} has no {name}")
    if not callable(function):
        raise pytest.UsageError(f"--replace {replacement}: {name} is a {type(function).__name__}, not a function")
    if isinstance(function, type) and not isinstance(original, type):
        how = f'loss = lossdemo.adapt("{target}", {name})'
        raise pytest.UsageError(f"--replace {replacement}: {name} is a class, {target} a function: name {how}")
    return target, label, function


def _read_known(path: Path) -> dict[str, str]:
    """Reasons by claim id: one id a line, a blank, and the reason; `#` begins a comment."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise pytest.UsageError(f"--known {path}: {error.strerror}") from None
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
