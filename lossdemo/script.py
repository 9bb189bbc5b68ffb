"""A claim as a Python file, which runs to its end and prints what the claim prints."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from doctest import Example
from textwrap import indent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossdemo.verify.claims import Claim

# As the tests run it: an expression shows what it would at a prompt.
_BEGIN = """\
import warnings
from sys import displayhook

import torch

warnings.simplefilter("error")
torch.manual_seed(0)
"""


def script(claim: Claim, place: str) -> str:
    """The code of a claim behind its chapter's preamble, without prompts, and what it should print as comments."""
    preamble, examples = ("".join(map(_statement, part)) for part in (claim.preamble, claim.examples))
    releases = [
        f"# {word} {release}\n" for word, release in (("Since", claim.since), ("Until", claim.until)) if release
    ]
    return f"# {claim.title}\n# {place}\n{''.join(releases)}\n{_BEGIN}\n{preamble}\n{examples}"


def _statement(example: Example) -> str:
    code, expected = example.source, example.want
    if example.exc_msg is not None:
        expected = example.exc_msg
        shown = 'print(f"{type(raised).__name__}: {raised}")'
        code = f"try:\n{indent(code, '    ')}except Exception as raised:\n    {shown}\n"
    elif expected:
        code = _displayed(code)
    elif code.startswith(("def ", "class ", "@")):
        code = f"\n{code}\n"
    return code + indent(expected, "# ", lambda line: True)


def _displayed(code: str) -> str:
    """The code with what a prompt would show given to `displayhook`."""
    lines = code.encode().splitlines(keepends=True)
    for value in reversed(list(_shown(ast.parse(code).body))):
        begin, end = ("displayhook((", "))") if isinstance(value, ast.Tuple) else ("displayhook(", ")")
        for line, at, text in (value.end_lineno, value.end_col_offset, end), (value.lineno, value.col_offset, begin):
            there = lines[line - 1]  # pyrefly: ignore — what was parsed has an end
            lines[line - 1] = there[:at] + text.encode() + there[at:]  # pyrefly: ignore
    return b"".join(lines).decode()


def _shown(statements: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """What Python shows at a prompt: expressions, also those in loops, not those in functions."""
    for statement in statements:
        if isinstance(statement, ast.Expr) and not ast.unparse(statement).startswith("print("):
            yield statement.value
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "handlers", "cases", "orelse", "finalbody"):
                yield from _shown(getattr(statement, name, []))
