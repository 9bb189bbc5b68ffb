"""`pytest --prove`: each claim again under every wrong PyTorch that breaks a function it calls."""

import importlib
import pkgutil
from collections import Counter, defaultdict
from collections.abc import Generator
from functools import wraps
from typing import Any, NamedTuple

import pytest

from lossdemo.verify.claims import Book, Claim
from lossdemo.verify.mutant import MUTANTS, Make, Mutant, RefusedOnPurpose, arguments
from lossdemo.verify.patch import Function, NoSuchTarget, locate, replaced, watched
from lossdemo.verify.plugin import BOOK, is_claim
from lossdemo.verify.run import Failure, Setting, run


class Proof(NamedTuple):
    """Which mutants a claim noticed, which it did not, which it could not, and which crashed by themselves.

    It could not notice one (`idle`) if it calls the target, but never so that the mutant differs from the original.
    """

    killed: list[str]
    survived: list[str]
    idle: list[str]
    crashed: dict[str, str]

    @property
    def vacuous(self) -> bool:
        """Whether the claim shows nothing: it holds, and noticed no mutant."""
        return not self.killed and not self.crashed


def available() -> list[Mutant]:
    """The mutants whose target this torch has."""
    for name in pkgutil.iter_modules(importlib.import_module("lossdemo.mutants").__path__, "lossdemo.mutants."):
        importlib.import_module(name.name)

    def exists(target: str) -> bool:
        try:
            return bool(locate(target))
        except NoSuchTarget:
            return False

    targets = {target: exists(target) for target in {mutant.target for mutant in MUTANTS}}
    return [mutant for mutant in MUTANTS if targets[mutant.target]]


def prove(claim: Claim, setting: Setting, candidates: list[Mutant]) -> tuple[Failure | None, Proof]:
    """Run a claim as it is; where it holds, again under each of the candidates that a call of it could notice."""
    waiting: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in candidates:
        waiting[mutant.target].append(mutant)
    called: set[str] = set()
    noticeable: set[str] = set()

    def watch(target: str, function: Function, args: tuple, kwargs: dict) -> None:
        called.add(target)
        for mutant in list(waiting[target]):
            if mutant.when is None or mutant.when(arguments(function, args, kwargs)):
                noticeable.add(mutant.name)
                waiting[target].remove(mutant)

    with watched(list(waiting), watch):
        failure = run(claim, setting)
    proof = Proof([], [], [], {})
    for mutant in candidates if failure is None else ():
        if mutant.name not in noticeable:
            if mutant.target in called:
                proof.idle.append(mutant.name)
        else:
            crashes: list[Exception] = []
            with replaced(mutant.target, _Guarded(mutant.make, crashes)):
                noticed = run(claim, setting)
            if noticed is None:
                proof.survived.append(mutant.name)
            elif noticed.error in crashes:
                proof.crashed[mutant.name] = repr(noticed.error)
            else:
                proof.killed.append(mutant.name)
    return failure, proof


class _Guarded(NamedTuple):
    """Makes a mutant and notes what it raises, unless it means it: a mistake of its own shows nothing of the claim."""

    make: Make
    crashes: list[Exception]

    def __call__(self, original: Function) -> Function:
        mutant = self.make(original)

        @wraps(mutant)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return mutant(*args, **kwargs)
            except RefusedOnPurpose:
                raise
            except Exception as error:
                self.crashes.append(error)
                raise

        return call


class Prover:
    """The plugin of `--prove`: what a run of a claim is, and the matrix of claims by mutants."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.candidates = available()
        self.proofs: dict[str, Proof] = {}
        self.chapters: dict[str, str] = {}
        self.seen: set[str] = set()
        self.last: Proof | None = None

    def verify(self, claim: Claim, setting: Setting) -> Failure | None:
        """A failure where the claim does not hold, where no mutant breaks it, or where a mutant crashed."""
        self.last = None
        failure, proof = prove(claim, setting, self.candidates)
        if failure:
            return failure
        self.last = proof
        if proof.crashed:
            crashes = "\n".join(f"    {name}: {error}" for name, error in proof.crashed.items())
            return Failure(claim.line, f"These mutants crashed by themselves: mend them.\n{crashes}")
        if proof.vacuous:
            tried = ", ".join(proof.survived) or "nothing, as it calls no function that a mutant breaks"
            return Failure(claim.line, f"The claim is vacuous: it holds for wrong PyTorches too.\nTried: {tried}")
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Only claims can be proved."""
        config.hook.pytest_deselected(items=[item for item in items if not is_claim(item)])
        items[:] = [item for item in items if is_claim(item)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, pytest.TestReport]:
        """The proof travels with the report as its `proof`, also from one process to another."""
        report = yield
        report.proof = self.last._asdict() if call.when == "call" and self.last else None
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the proofs out of the reports."""
        if report.when == "call" or report.skipped:
            self.seen.add(report.nodeid.partition("::")[2].partition("[")[0])
        if getattr(report, "proof", None):  # the report of a worker that crashed is made by xdist
            self.proofs[report.nodeid] = Proof(**report.proof)

    def outcome(self) -> dict[str, list[str]]:
        """Names of mutants: those that some claim kills, that no claim kills, that no claim calls, that torch lacks."""
        killed = {name for proof in self.proofs.values() for name in proof.killed}
        survived = {name for proof in self.proofs.values() for name in proof.survived + proof.idle} - killed
        here = [mutant.name for mutant in self.candidates]
        return {
            "killed": [name for name in here if name in killed],
            "survived": [name for name in here if name in survived],
            "untouched": [name for name in here if name not in killed | survived],
            "not in this torch": [mutant.name for mutant in MUTANTS if mutant not in self.candidates],
        }

    def whole_book(self) -> bool:
        """Whether every claim was run, or skipped with a reason: only then a surviving mutant is a gap of the book."""
        return Book(self.config.rootpath / BOOK).ids <= self.seen

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep the matrix, and fail a run of the whole book that lets a mutant live, called or not."""
        if hasattr(self.config, "workerinput"):
            return
        if self.config.pluginmanager.has_plugin("cacheprovider") and self.config.cache:
            proofs = {nodeid: proof._asdict() for nodeid, proof in self.proofs.items()}
            self.config.cache.set("lossdemo/proofs", {"claims": proofs, "mutants": self.outcome()})
        outcome = self.outcome()
        gaps = outcome["survived"] + outcome["untouched"]
        if session.exitstatus == pytest.ExitCode.OK and gaps and self.whole_book():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The matrix by chapter; for a few claims, by claim."""
        write = terminalreporter.write_line
        terminalreporter.section("mutants")
        if len(self.proofs) <= 5:
            for nodeid, proof in self.proofs.items():
                write(f"{nodeid} kills {len(proof.killed)} of {len(proof.killed) + len(proof.survived)}")
                for verb, names in (("kills", proof.killed), ("does not notice", proof.survived)):
                    write(f"    {verb}: {', '.join(names) or 'none'}")
        else:
            self._write_chapters(terminalreporter)
        outcome = self.outcome()
        if self.whole_book():
            write(", ".join(f"{len(names)} {kind}" for kind, names in outcome.items() if names))
            for kind in ("survived", "untouched", "not in this torch"):
                if outcome[kind]:
                    write(f"{kind}: {', '.join(outcome[kind])}", red=kind != "not in this torch")

    def _write_chapters(self, terminalreporter: pytest.TerminalReporter) -> None:
        kills: dict[str, set[str]] = defaultdict(set)
        claims = Counter()
        fewest: dict[str, int] = {}
        for nodeid, proof in self.proofs.items():
            chapter = nodeid.partition("::")[0]
            claims[chapter] += 1
            kills[chapter] |= set(proof.killed)
            fewest[chapter] = min(fewest.get(chapter, len(MUTANTS)), len(proof.killed))
        terminalreporter.write_line(f"{'chapter':<24}{'claims':>8}{'mutants killed':>16}{'fewest by a claim':>20}")
        for chapter in claims:
            line = f"{chapter:<24}{claims[chapter]:>8}{len(kills[chapter]):>16}{fewest[chapter]:>20}"
            terminalreporter.write_line(line)
