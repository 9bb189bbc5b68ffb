"""`pytest --prove`: each claim again under every wrong version of what it calls."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import Any

import msgspec
import pytest
import torch

from lossdemo.processes import watching
from lossdemo.verify import items
from lossdemo.verify.claims import Claim
from lossdemo.verify.kept import Fate, Fates, claim_key, mutant_key
from lossdemo.verify.mutant import MUTANTS, Call, Mutant, RefusedOnPurpose, arguments
from lossdemo.verify.patch import Function, NoSuchTarget, locate, replaced, watched
from lossdemo.verify.run import Failure, Setting, run, run_compared
from lossdemo.verify.verdicts import Verdict
from lossdemo.verify.world import World

KEPT = "lossdemo/proofs"  # where results are, in pytest's cache


book, ClaimItem = items.book, items.ClaimItem  # hooks of pytest have a parameter `items`


def load(modules: list[str]) -> list[Mutant]:
    """The mutants of the modules and of those below them.

    Raises:
        pytest.UsageError: if one of them cannot be imported.
    """
    for name in modules:
        try:
            module = importlib.import_module(name)
            for below in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
                importlib.import_module(below.name)
        except ImportError as error:
            raise pytest.UsageError(f"mutants = {name!r}: importing it failed: {error!r}") from None
    named = [mutant for mutant in MUTANTS if any(f"{mutant.module}.".startswith(f"{name}.") for name in modules)]
    # A module that is imported once more in this process makes its mutants once more.
    return list({(m.name, m.module, m.make.__code__.co_firstlineno): m for m in named}.values())


def exists(target: str) -> bool:
    """Whether there is a function at the dotted path `target`."""
    try:
        return bool(locate(target))
    except NoSuchTarget:
        return False


class Watch:
    """Which mutants the calls of a claim could notice, and which targets it calls at all."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self.called: set[str] = set()
        self.noticeable: set[str] = set()
        self.waiting: dict[str, list[Mutant]] = defaultdict(list)
        for mutant in mutants:
            self.waiting[mutant.target].append(mutant)

    def __call__(self, target: str, function: Function, args: tuple, kwargs: dict) -> None:
        """Note a call. One that does not fit the signature is left to the function, which says so in its own words."""
        self.called.add(target)
        call = _fitting(function, args, kwargs) if self.waiting[target] else None
        if call is not None:
            self.noticeable |= {mutant.name for mutant in self.waiting[target] if _differs(mutant, call)}
            self.waiting[target] = [m for m in self.waiting[target] if m.name not in self.noticeable]

    def seen(self) -> tuple[set[str], set[str]]:
        """What a process that the claim forked saw, for `take`."""
        return self.called, self.noticeable

    def take(self, seen: tuple[set[str], set[str]]) -> None:
        """Note what was seen in another process."""
        self.called |= seen[0]
        self.noticeable |= seen[1]


def _differs(mutant: Mutant, call: Call) -> bool:
    try:
        return mutant.when is None or bool(mutant.when(call))
    except Exception:  # a call that the condition was not written for, as one that the function refuses
        return False


def _fitting(function: Function, args: tuple, kwargs: dict) -> Call | None:
    """A call by its arguments, None where it does not fit the signature."""
    try:
        return arguments(function, args, kwargs)
    except TypeError:
        return None


def fate(claim: Claim, setting: Setting, mutant: Mutant) -> tuple[Fate | None, str]:
    """What becomes of a mutant under a claim; None, and its error, where it crashes by itself.

    It does where it raises what the original did not raise, and does not mean it. Calls that do not fit the original
    are the claim's own mistake: the original answers them.
    """
    of_original, of_mutant = list[Exception](), list[Exception]()

    def make(original: Function) -> Function:
        def noting(function: Function, raised: list[Exception]) -> Function:
            @wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                if _fitting(original, args, kwargs) is None:
                    return original(*args, **kwargs)
                try:
                    return function(*args, **kwargs)
                except Exception as error:
                    raised.append(error)
                    raise

            return call

        return noting(mutant.make(noting(original, of_original)), of_mutant)

    def take(raised: tuple[list[Exception], list[Exception]]) -> None:
        of_original.extend(raised[0])
        of_mutant.extend(raised[1])

    with replaced(mutant.target, make), watching(lambda: (of_original, of_mutant), take):
        failure = run(claim, setting)
    if failure is None:
        return "survived", ""
    if failure.error not in of_mutant or failure.error in of_original:
        return "killed", ""
    return ("refused", "") if isinstance(failure.error, RefusedOnPurpose) else (None, repr(failure.error))


@dataclass
class Trial:
    """A claim in a setting under mutants: what became of those that it could notice."""

    claim: Claim
    setting: Setting
    fates: dict[str, Fate]
    idle: set[str] = field(default_factory=set)
    crashed: dict[str, str] = field(default_factory=dict)
    tried: bool = False

    @property
    def noticed(self) -> bool:
        """Whether the claim proves something."""
        return "killed" in self.fates.values()

    def run(self, mutants: list[Mutant], world: World, is_needed: Callable[[Mutant, Trial], bool]) -> Failure | None:
        """Run the claim as it is; where it holds, again under each mutant that is needed and that it could notice."""
        watch = Watch(mutants)
        around = lambda: watched([*watch.waiting], watch)  # noqa: E731
        with watching(watch.seen, watch.take):
            failure = run_compared(self.claim, self.setting, world, around)
        for mutant in mutants if failure is None else ():
            if mutant.name not in watch.noticeable:
                self.idle |= {mutant.name} if mutant.target in watch.called else set()
            elif is_needed(mutant, self):
                self.tried = True
                outcome, error = fate(self.claim, self.setting, mutant)
                known: dict[str, Any] = self.fates if outcome else self.crashed
                known[mutant.name] = outcome or error
        return failure

    def verdict(self, order: list[str]) -> Verdict:
        """The verdict on a claim that holds. A mutant that refuses is noticed by every caller, and proves no claim."""
        fates = {name: self.fates[name] for name in order if name in self.fates}
        proof = {
            "killed": tuple(name for name in fates if fates[name] in ("killed", "refused")),
            "survived": tuple(name for name in fates if fates[name] == "survived"),
            "idle": tuple(name for name in order if name in self.idle),
        }
        if self.crashed:
            crashes = [f"    {name}: {error}" for name, error in self.crashed.items()]
            message = "\n".join(["These mutants crashed by themselves: mend them.", *crashes])
            return Verdict(outcome="failed", message=message, reason="mutants crashed", at=self.claim.line, **proof)
        if not self.noticed:
            tried = ", ".join(fates) or "nothing, as it calls no function that a mutant breaks"
            message = f"The claim is vacuous: it holds for wrong versions too.\nTried: {tried}"
            return Verdict(outcome="vacuous", message=message, reason="vacuous", at=self.claim.line, **proof)
        return Verdict(**proof)


class Prover:
    """The plugin of `--prove`: what a run of a claim is, and the matrix of claims by mutants."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.mutants = load(config.getini("mutants"))
        self.here = [mutant for mutant in self.mutants if exists(mutant.target)]
        self.every = config.option.prove_all
        self.noticed: set[str] = set()  # mutants that need not be tried again
        self.tries, self.kills = Counter[str](), Counter[str]()
        self.verdicts: dict[str, Verdict] = {}
        self.fates: dict[str, Fates] = {}
        self.keys = {mutant.name: mutant_key(mutant) for mutant in self.here}
        self.key = cache(claim_key)
        self.cache = config.cache if config.pluginmanager.has_plugin("cacheprovider") else None
        self.kept: dict[str, Fates] = self.cache.get(KEPT, {}) if self.cache and not config.option.prove_anew else {}
        config.stash[items.VERIFY] = self.verify

    def verify(self, claim: Claim, setting: Setting) -> Verdict:
        """A failure where the claim does not hold, where no mutant breaks it, or where a mutant crashed."""
        compile_forward_mode()
        kept = self.kept.get(self.key(claim, setting), {})
        trial = Trial(claim, setting, {name: kept[key] for name, key in self.keys.items() if key in kept})
        rest = [mutant for mutant in self.here if mutant.name not in trial.fates]
        rest.sort(key=self._chance, reverse=True)
        # A claim that noticed something is tried with what no claim noticed; else one that every call shows may do.
        wanted = [
            m for m in rest if self._is_needed(m, trial) and (self.every or not m.when or m.name not in self.noticed)
        ]
        failure = trial.run(wanted, items.world(self.config), self._is_needed)
        if not failure and not trial.noticed:
            others = [mutant for mutant in rest if mutant not in wanted]
            failure = trial.run(others, items.world(self.config), self._is_needed) if others else None
        if failure:
            return items.failed(failure)
        self.noticed |= {name for name, outcome in trial.fates.items() if outcome != "survived"}
        self.tries.update([*trial.fates])
        self.kills.update(name for name, outcome in trial.fates.items() if outcome == "killed")
        self.fates[self.key(claim, setting)] = {self.keys[name]: outcome for name, outcome in trial.fates.items()}
        if trial.tried and (failure := run(claim, setting)):
            message = f"The claim does not repeat: it held once, and then did not.\n{failure.message}"
            return items.failed(failure._replace(message=message, reason="the claim does not repeat"))
        return trial.verdict([mutant.name for mutant in self.here])

    def _chance(self, mutant: Mutant) -> tuple[bool, float]:
        """What no claim noticed yet goes first, then what most claims notice: one such is enough for a claim."""
        return mutant.name not in self.noticed, (self.kills[mutant.name] + 1) / (self.tries[mutant.name] + 2)

    def _is_needed(self, mutant: Mutant, trial: Trial) -> bool:
        """Whether it must be known if the claim notices the mutant: no claim does yet, or this one noticed none."""
        return self.every or mutant.name not in self.noticed or not trial.noticed

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Only claims can be proved: those without results first, of these the cheapest."""
        claims = [item for item in items if isinstance(item, ClaimItem)]
        config.hook.pytest_deselected(items=[item for item in items if not isinstance(item, ClaimItem)])
        self.every = self.every or not book(config).ids <= {item.claim.id for item in claims}
        keys = {item: self.key(item.claim, item.setting) for item in claims}
        if not self.every:
            claims.sort(key=lambda item: (keys[item] in self.kept, _cost(item.claim)))
        names = {key: name for name, key in self.keys.items()}
        for fates in (self.kept.get(key, {}) for key in keys.values()):
            self.noticed |= {names[key] for key in fates if fates[key] != "survived" and key in names}
        items[:] = claims

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: ClaimItem, call: pytest.CallInfo[None]) -> Iterator[Any]:
        """The results travel with the report, also from one process to another."""
        report: Any = yield
        key = self.key(item.claim, item.setting)
        report.fates = {key: self.fates[key]} if call.when == "call" and key in self.fates else {}
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the verdicts and results out of the reports."""
        if report.when == "call" or report.skipped:
            self.verdicts[report.nodeid] = msgspec.convert(getattr(report, "verdict", None) or {}, Verdict)
            self.fates |= getattr(report, "fates", {})  # the report of a worker that crashed is made by xdist

    def outcome(self) -> dict[str, list[str]]:
        """Names of mutants: killed by a claim, by none, called by none, of a later torch, of what does not exist."""
        verdicts = self.verdicts.values()
        killed = {name for verdict in verdicts for name in verdict.killed or ()}
        survived = {name for verdict in verdicts for name in (verdict.survived or ()) + (verdict.idle or ())} - killed
        here = [mutant.name for mutant in self.here]
        missing = [mutant for mutant in self.mutants if mutant not in self.here]
        torch = items.installed("torch")
        later = [mutant for mutant in missing if mutant.since and torch and torch[1] < mutant.since]
        return {
            "killed": [name for name in here if name in killed],
            "survived": [name for name in here if name in survived],
            "untouched": [name for name in here if name not in killed | survived],
            "not in this torch": [mutant.name for mutant in missing if mutant in later],
            "without target": [f"{mutant.name} ({mutant.target})" for mutant in missing if mutant not in later],
        }

    def whole_book(self) -> bool:
        """Whether every claim was run, or skipped with a reason: only then a surviving mutant is a gap of the book."""
        return book(self.config).ids <= {nodeid.partition("::")[2].partition("[")[0] for nodeid in self.verdicts}

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep the results; fail a run that has a mutant without target, or the whole book if it lets one live."""
        if hasattr(self.config, "workerinput"):
            return
        outcome, whole = self.outcome(), self.whole_book()
        if self.cache:
            older = {} if whole else self.kept
            self.cache.set(KEPT, older | {key: fates for key, fates in self.fates.items() if fates})
        gaps = outcome["survived"] + outcome["untouched"] if whole else []
        if session.exitstatus == pytest.ExitCode.OK and (gaps or outcome["without target"]):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def summary(self) -> Iterator[tuple[str, bool]]:
        """The matrix in lines, and whether each is bad news: by claim for a few of them, of a whole book by mutant."""
        proved = {nodeid: verdict for nodeid, verdict in self.verdicts.items() if verdict.killed is not None}
        for nodeid, verdict in proved.items() if len(proved) <= 5 else ():
            killed, survived = verdict.killed or (), verdict.survived or ()
            yield f"{nodeid} kills {len(killed)} of {len(killed) + len(survived)}", False
            for verb, names in (("kills", killed), ("does not notice", survived)):
                yield f"    {verb}: {', '.join(names) or 'none'}", False
        outcome = self.outcome()
        if outcome["without target"]:
            yield f"mutants of what does not exist: {', '.join(outcome['without target'])}", True
        if self.whole_book():
            yield ", ".join(f"{len(names)} {kind}" for kind, names in outcome.items() if names), False
            for kind in ("survived", "untouched", "not in this torch"):
                if outcome[kind]:
                    yield f"{kind}: {', '.join(outcome[kind])}", kind != "not in this torch"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show it."""
        terminalreporter.section("mutants")
        for line, bad in self.summary():
            terminalreporter.write_line(line, red=bad)


@cache
def compile_forward_mode() -> None:
    """Torch compiles parts of it from their source at its first use, and then finds nothing that is watched."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jvp(torch.sin, (torch.zeros(()),), (torch.ones(()),))


def _cost(claim: Claim) -> tuple[bool, int, int]:
    """A guess at what a claim costs before it ever ran: its largest number is mostly how often it does something."""
    code = " ".join(example.source for example in (*claim.preamble, *claim.examples))
    loops = re.sub(r"\b(?:nn|torch)\.[\w.]+\([^()]*\)", "", code)  # sizes of layers and tensors, which cost little
    return claim.needs == "processes", max(map(int, re.findall(r"\d+", loops)), default=0), len(code)
