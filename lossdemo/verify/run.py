"""Runs one claim in one setting, and sees that it left nothing behind."""

import doctest
import os
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch

from lossdemo.processes import InProcess
from lossdemo.verify.claims import Claim
from lossdemo.verify.compare import OutputChecker, mismatch
from lossdemo.verify.world import STATES, World, clear_last_value


class Setting(NamedTuple):
    """What a claim is run under: device and dtype multiply the claims, seed and threads must not matter."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    seed: int = 0
    threads: int = 1

    def __str__(self) -> str:
        """`cpu`, `cuda`, `cpu-float64`: float32 is not named."""
        dtype = str(self.dtype).removeprefix("torch.")
        return self.device if self.dtype == torch.float32 else f"{self.device}-{dtype}"


class Failure(NamedTuple):
    """What went wrong in a claim, at which line of its page, counted from 1, and what it raised unexpectedly.

    `reason` says it in a line. `example` is what failed, and `got` what it printed.
    """

    line: int
    message: str
    reason: str
    error: BaseException | None = None
    example: doctest.Example | None = None
    got: str = ""


@contextmanager
def torch_as(setting: Setting) -> Generator[None]:
    """Torch's global state as `setting` says, seeded, with warnings as errors; afterwards as it was before."""
    before = [state.read() for state in STATES]
    generators = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if setting.device == "cuda" else []
    try:
        with warnings.catch_warnings(), torch.inference_mode(False):
            warnings.simplefilter("error")
            # Torch 2.15 says this of itself, at the first use of forward mode in a process.
            warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", FutureWarning)
            torch.set_default_device(None if setting.device == "cpu" else setting.device)
            torch.set_default_dtype(setting.dtype)
            torch.set_num_threads(setting.threads)
            torch.set_grad_enabled(True)
            torch.set_warn_always(True)  # or a warning would be seen by the first claim of a process alone
            torch.set_printoptions(profile="default")
            # Without a GPU `torch.manual_seed` would note a stack for each, in case one comes.
            (torch.default_generator if setting.device == "cpu" else torch).manual_seed(setting.seed)
            random.seed(setting.seed)
            np.random.seed(setting.seed)
            yield
    finally:
        for state, value in zip(STATES, before):
            if state.read() != value:
                state.write(value)
        random.setstate(generators[0])
        np.random.set_state(generators[1])
        torch.set_rng_state(generators[2])
        torch.cuda.set_rng_state_all(cuda)
        clear_last_value()


class _Runner(doctest.DebugRunner):
    """Doctest's runner, which stops at the first failure; output before an expected exception is one."""

    def report_success(self, out: Callable, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        if example.exc_msg is not None and not got.startswith("Traceback (most recent call last):"):
            self.report_failure(out, test, example, got)


_compile = cache(compile)


def run(claim: Claim, setting: Setting) -> Failure | None:
    """Run a claim behind its chapter's preamble, in a namespace of its own; None where it holds."""
    with torch_as(setting):
        return _run(claim)


def run_compared(
    claim: Claim, setting: Setting, world: World, around: Callable[[], AbstractContextManager] = nullcontext
) -> Failure | None:
    """Run a claim, inside of what `around` makes; one that leaves the world changed fails, whatever else it shows."""
    for _ in range(2):
        modules = world.modules
        with torch_as(setting), world.compared() as changed, _guarded(changed), around():
            failure = _run(claim)
        if not changed or len(sys.modules) == modules:
            break  # or the claim runs again, as what was imported meanwhile may change things, once
    if failure is None and changed:
        left = "\n".join(f"    {change}" for change in changed)
        message = f"The claim leaves behind, and other claims would see it:\n{left}"
        return Failure(claim.line, message, f"the claim leaves behind: {'; '.join(changed)}")
    return failure


def _run(claim: Claim) -> Failure | None:
    namespace: dict[str, Any] = {"__name__": claim.id}
    test = doctest.DocTest([*claim.preamble, *claim.examples], namespace, claim.id, str(claim.path), 0, None)
    vars(doctest)["compile"] = _compile  # doctest compiles each statement anew in each run, and a proof has thousands
    try:
        _Runner(OutputChecker(), verbose=False).run(test)
    except doctest.DocTestFailure as failure:
        example, got = failure.example, _without_frames(failure.got)
        found = mismatch(example.want, got)
        message = _message(example, "Got", got, None if example.exc_msg else found)
        return Failure(example.lineno + 1, message, found or got.strip().rpartition("\n")[2], None, example, got)
    except doctest.UnexpectedException as failure:
        error, example = failure.exc_info[1], failure.example
        reason = traceback.format_exception_only(error)[0].strip().partition("\n")[0]
        return Failure(example.lineno + 1, _exception(example, error), reason, error, example)
    finally:
        vars(doctest).pop("compile", None)
        test.globs.clear()  # here, so that what a claim forgets to close is seen while it is its own
    return None


@contextmanager
def _guarded(changed: list[str]) -> Generator[None]:
    """What nothing can catch: raised by a destructor, also one that finds a file open, it is noted as a change.

    `os._exit` ends the process without a word, as a success if it likes: in a claim it is an error.
    """
    hook, leave, process = sys.unraisablehook, os._exit, os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != process:  # a child that the claim forked ends as it wants
            leave(status)
        raise RuntimeError(f"the claim calls os._exit({status}), which would end the run")

    os._exit = refuse
    sys.unraisablehook = lambda args: changed.append(f"{type(args.exc_value).__name__}: {args.exc_value}")
    try:
        yield
    finally:
        sys.unraisablehook, os._exit = hook, leave


def _without_frames(got: str) -> str:
    """What was printed; of a traceback the exception alone, as a claim writes it."""
    first, *rest = got.split("\n")
    if not first.startswith("Traceback (most recent call last):"):
        return got
    frames = next((n for n, line in enumerate(rest) if line[:1].strip()), 0)
    return "\n".join([first, "  ...", *rest[frames:]])


def _exception(example: doctest.Example, error: BaseException) -> str:
    # The frames of doctest itself come first, and tell the reader nothing.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != doctest.__file__]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames)]
    cause = [str(error.__cause__)] if isinstance(error.__cause__, InProcess) else []
    text = "".join([*lines, *traceback.format_exception_only(error), *cause])
    return _message(example, "Raised", text)


def _message(example: doctest.Example, came: str, text: str, reason: str | None = "") -> str:
    first, *rest = example.source.rstrip("\n").split("\n")
    prompt = "\n".join([f"    >>> {first}", *(f"    ... {line}" for line in rest)])
    want, got = (_indented(part) or "    nothing" for part in (example.want, text))
    return f"{prompt}\nExpected:\n{want}\n{came}:\n{got}\n{reason or ''}".rstrip()


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip("\n").split("\n") if line or text.strip())
