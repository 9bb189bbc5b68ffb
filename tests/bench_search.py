"""What it takes to find a claim: `lossdemo list` as a process, and the same index in Python and on the site's page.

`make bench` runs it; the number in brackets behind the times is the ratio. It is no test: slowness fails nothing.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from test_search import INDEX, QUESTIONS
from test_site_search import ANSWERS, CHROMIUM, address, browser, playwright, script  # noqa: F401 — its page

ASKED = [line.partition(" -> ")[0] for line in QUESTIONS.splitlines()]


def of_children() -> float:
    """The processor's seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.benchmark(group="a process", timer=of_children)
@pytest.mark.parametrize("arguments", [["-c", "import click"], ["-m", "lossdemo", "list", "huber", "outlier"]], ids=str)
def test_list(benchmark: BenchmarkFixture, tmp_path: Path, arguments: list[str]) -> None:
    """The processor's seconds, once the claims have been read, against the import that any such command has."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, *arguments]
    benchmark.pedantic(
        subprocess.run, [command], {"env": environment, "capture_output": True}, rounds=7, warmup_rounds=1
    )


@pytest.mark.benchmark(group="all questions of the tests")
def test_questions_in_python(benchmark: BenchmarkFixture) -> None:
    """What is found for each of them."""
    benchmark.pedantic(lambda: [INDEX.search(question) for question in ASKED], rounds=5, warmup_rounds=1)


@pytest.mark.skipif(not CHROMIUM, reason="there is no chromium to search in")
@pytest.mark.benchmark(group="all questions of the tests")
def test_questions_on_the_page(benchmark: BenchmarkFixture, script: playwright.Page) -> None:  # noqa: F811
    """The same in a browser, with the line and the heading of each answer."""
    benchmark.pedantic(script.evaluate, [ANSWERS, ASKED], rounds=5, warmup_rounds=1)
