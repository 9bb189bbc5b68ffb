"""Runs one claim in one setting, and leaves torch as it was."""

import builtins
import doctest
import random
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import _tensor_str

from lossdemo.verify.claims import Claim
from lossdemo.verify.compare import OutputChecker, mismatch


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
    """What went wrong in a claim, at which line of its page, counted from 1, and what it raised unexpectedly."""

    line: int
    message: str
    error: BaseException | None = None


def _set_default_device(device: torch.device) -> None:
    # On the CPU no device is set at all: the mode that a set device brings costs small trainings half their time.
    torch.set_default_device(None if device.type == "cpu" else device)


# Every global that a claim may change: how to read it, and how to set it.
STATE: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.get_default_device, _set_default_device),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_warn_always_enabled, torch.set_warn_always),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (_tensor_str.get_printoptions, lambda options: torch.set_printoptions(**options)),
    (lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    (lambda: torch.is_autocast_enabled("cuda"), lambda on: torch.set_autocast_enabled("cuda", on)),
    (np.get_printoptions, lambda options: np.set_printoptions(**options)),
    (np.geterr, lambda handling: np.seterr(**handling)),
    (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state),
)


@contextmanager
def torch_as(setting: Setting) -> Generator[None]:
    """Torch's global state as `setting` says, seeded, with warnings as errors; afterwards as it was before."""
    cuda = range(torch.cuda.device_count()) if setting.device == "cuda" else ()
    before = [read() for read, _ in STATE]
    try:
        with torch.random.fork_rng(cuda), warnings.catch_warnings():
            warnings.simplefilter("error")
            _set_default_device(torch.device(setting.device))
            torch.set_default_dtype(setting.dtype)
            torch.set_num_threads(setting.threads)
            torch.set_grad_enabled(True)
            torch.set_warn_always(True)  # or a warning would be seen by the first claim of a process alone
            torch.set_printoptions(profile="default")
            torch.manual_seed(setting.seed)
            random.seed(setting.seed)
            np.random.seed(setting.seed)
            yield
    finally:
        for (_, write), value in zip(STATE, before):
            write(value)
        torch.set_flush_denormal(False)  # torch cannot say how it was
        vars(builtins).pop("_", None)  # what the last prompt printed


class _Runner(doctest.DebugRunner):
    """Doctest's runner, which stops at the first failure; output before an expected exception is one."""

    def report_success(self, out: Callable, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        if example.exc_msg is not None and not got.startswith("Traceback (most recent call last):"):
            self.report_failure(out, test, example, got)


def run(claim: Claim, setting: Setting) -> Failure | None:
    """Run a claim behind its chapter's preamble, in a namespace of its own; None where it holds."""
    examples = [*claim.preamble, *claim.examples]
    namespace = {"__name__": claim.id}
    test = doctest.DocTest(examples, namespace, claim.id, str(claim.path), 0, None)
    try:
        with torch_as(setting):
            _Runner(OutputChecker(), verbose=False).run(test)
    except doctest.DocTestFailure as failure:
        return Failure(failure.example.lineno + 1, _comparison(failure.example, failure.got))
    except doctest.UnexpectedException as failure:
        error = failure.exc_info[1]
        return Failure(failure.example.lineno + 1, _exception(failure.example, error), error)
    return None


def _comparison(example: doctest.Example, got: str) -> str:
    reason = "" if example.exc_msg else mismatch(example.want, got) or ""
    want = _indented(example.want) or "    nothing"
    return f"{_prompt(example)}\nExpected:\n{want}\nGot:\n{_indented(got) or '    nothing'}\n{reason}".rstrip()


def _exception(example: doctest.Example, error: BaseException) -> str:
    # The frames of doctest itself come first, and tell the reader nothing.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != doctest.__file__]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames)]
    text = "".join([*lines, *traceback.format_exception_only(error)])
    return f"{_prompt(example)}\nExpected:\n{_indented(example.want) or '    nothing'}\nRaised:\n{_indented(text)}"


def _prompt(example: doctest.Example) -> str:
    first, *rest = example.source.rstrip("\n").split("\n")
    return "\n".join([f"    >>> {first}", *(f"    ... {line}" for line in rest)])


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip("\n").split("\n") if line or text.strip())
