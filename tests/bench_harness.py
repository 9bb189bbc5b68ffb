"""What the harness costs: the book under pytest against the same code under plain exec, in one process.

`make bench` runs it; the number in brackets behind the medians is the ratio. It is no test: slowness fails nothing.
"""

import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from lossdemo.verify.claims import Book

ROOT = Path(__file__).parent.parent


def book_under_exec() -> None:
    """Preamble and code of each claim, statement by statement in a fresh namespace."""
    for claim in Book(ROOT / "spec"):
        namespace: dict[str, object] = {}
        for example in [*claim.preamble, *claim.examples]:
            try:
                exec(compile(example.source, str(claim.path), "single"), namespace)
            except Exception:
                if example.exc_msg is None:
                    raise


def book_under_pytest() -> None:
    """The book as `pytest spec` runs it, from reading the options to the report."""
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:benchmark", "--device", "cpu"]
    assert pytest.main([*arguments, str(ROOT / "spec")]) == 0


@pytest.mark.benchmark(group="the whole book")
@pytest.mark.parametrize("run", [book_under_exec, book_under_pytest], ids=lambda run: run.__name__)
def test_whole_book(benchmark: BenchmarkFixture, run: Callable[[], None]) -> None:
    """Seconds for all claims on one thread, after a first round that imports what they need."""

    def quietly() -> None:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("error")
            run()

    torch.set_num_threads(1)
    benchmark.pedantic(quietly, rounds=5, warmup_rounds=1)
