"""What is generated: the pages are current, have everything, and say only what the claims do; errors can be found."""

import ast
import builtins
import importlib
import inspect
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lossdemo import indexes
from lossdemo.books import read_entries
from lossdemo.verify import items
from lossdemo.verify import run as running
from lossdemo.verify.claims import Book, Claim
from lossdemo.verify.run import Failure, Setting

ROOT = Path(__file__).parent.parent
BOOK = Book(ROOT / "spec")
CLAIMS = {claim.id: claim for claim in BOOK}
PINNED = re.findall(r"^torch==([\d.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[0]


class Caught:
    """What the claims caught, printed as a traceback, or recorded as a warning, while the names were watched."""

    def __init__(self) -> None:
        self.errors: dict[str, dict[tuple[str, str], None]] = {}
        self.claim = ""

    def note(self, kind: str, text: str) -> None:
        """Note an error or a warning of the claim that runs."""
        self.errors.setdefault(self.claim, {})[kind, " ".join(text.split())] = None


class Noting(ast.NodeTransformer):
    """Tells what each `except` catches."""

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        self.generic_visit(node)
        node.body[:0] = ast.parse("__caught__()").body
        return node


def compile_noting(source: str, filename: str, mode: str, *flags: Any) -> Any:
    """As `compile`, for one statement, with what its handlers catch noted."""
    tree = ast.Interactive(Noting().visit(ast.parse(source)).body)
    return compile(ast.fix_missing_locations(tree), filename, mode, *flags)


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[str, Caught]]:
    """names.md, and what the claims showed of errors and warnings while they were run for it."""
    caught = Caught()
    with pytest.MonkeyPatch.context() as patch:
        enter, report = warnings.catch_warnings.__enter__, running._Runner.report_success
        logs: list[list[warnings.WarningMessage]] = []

        def run(claim: Claim, setting: Setting) -> Failure | None:
            caught.claim = claim.id
            logs.clear()
            failure = running.run(claim, setting)
            for warning in (warning for log in logs for warning in log):
                caught.note(warning.category.__name__, str(warning.message))
            if items.not_run_because(claim, setting):
                caught.errors.pop(claim.id, None)
            else:
                assert not failure, failure.message
            return failure

        def recorded(self: warnings.catch_warnings) -> list | None:
            log = enter(self)
            logs.extend([] if log is None else [log])
            return log

        def reported(self: Any, out: Any, test: Any, example: Any, got: str) -> None:
            report(self, out, test, example, got)
            if example.exc_msg is not None:
                _, *rest = re.split(r"^(?=\S)", got, flags=re.MULTILINE)[1:]
                kind, _, text = "".join(rest).partition(": ")
                caught.note(kind.rpartition(".")[2], text)

        def raised() -> None:
            error = __import__("sys").exception()
            caught.note(type(error).__name__, str(error))

        patch.setattr(builtins, "__caught__", raised, raising=False)
        patch.setattr(running, "_compile", compile_noting)
        patch.setattr(running._Runner, "report_success", reported)
        patch.setattr(warnings.catch_warnings, "__enter__", recorded)
        patch.setattr(indexes, "run", run)
        yield indexes.names(BOOK), caught
