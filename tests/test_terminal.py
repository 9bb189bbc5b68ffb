"""Markdown and mathematics in a terminal."""

import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from lossdemo import terminal
from lossdemo.verify.claims import Book

CLAIMS = {claim.id: claim.text for claim in Book(Path(__file__).parent.parent / "spec")}


def text(part: str) -> str:
    """The claim with this part in its id."""
    return next(text for claim, text in CLAIMS.items() if part in claim)


def test_mathematics_is_legible() -> None:
    """Formulas are Unicode text, links within the book their words; code is as it stands."""
    formulas = r"""$L$ and $\hat y$, [there](loss.md#a), [far](https://example.org):

```math
L = \frac{1}{N} \sum_i (\hat y_i - y_i)^2
```

```math
L = \frac{1}{C} \sum_{i \ne y} \max(0, m - x_y + x_i)^p, \|g\|^2
```

```python
>>> prediction = torch.tensor([[1., 2.]])    # $L$
```
"""
    shown = terminal.legible(formulas)
    assert shown.startswith("`L` and `ŷ`, there, [far](https://example.org):")
    assert "L = (1) / (N) ∑_i (ŷ_i - y_i)^2" in shown
    assert "L = (1) / (C) ∑_(i ≠ y) max(0, m - x_y + x_i)^p, ‖g‖^2" in shown
    assert ">>> prediction = torch.tensor([[1., 2.]])    # $L$\n" in shown


@pytest.mark.parametrize("claim", CLAIMS)
def test_no_latex_is_left(claim: str) -> None:
    """In no claim of the book."""
    prose = terminal.legible(CLAIMS[claim]).split("```")[::2]
    assert not [part for part in prose if "$" in part or "\\frac" in part]


def test_prose_is_wrapped_and_code_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrapped line of code would be another example, and could not be pasted."""
    console = Console(width=40, force_terminal=True, color_system=None)
    code = ">>> print([loss(torch.tensor([1., 1., 1., error]), torch.zeros(4)).item() for error in (10., 100.)])"
    terminal.render(console, f"## A claim\n\n{10 * 'Some words of prose. '}\n\n```python\n{code}\n```\n")
    lines = capsys.readouterr().out.splitlines()
    assert f"  {code}" in lines
    assert max(len(line) for line in lines if "print(" not in line) <= 45


def test_one_claim_is_one_claim() -> None:
    """A number of one has a noun of one."""
    assert [terminal.count(number, "claim") for number in (0, 1, 2)] == ["0 claims", "1 claim", "2 claims"]


def test_what_was_found_is_marked_and_wrapped_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the id, which is copied; piped it is one line, and nothing is marked."""
    words = ("A title of some length", "an-id-that-is-longer-than-the-terminal-is-wide", "the long line that has it")
    terminal.result(*words, lambda part: [match.span() for match in re.finditer("length|long", part)])
    assert capsys.readouterr().out == f"{words[0]}\n    {words[1]}\n    {words[2]}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    terminal.result(*words, lambda part: [match.span() for match in re.finditer("length|long", part)])
    lines = capsys.readouterr().out.replace("\x1b[1m", "<").replace("\x1b[0m", ">").splitlines()
    assert lines == ["A title of some", "<length>", f"    {words[1]}", "    the <long> line", "    that has it"]
    terminal.result("A title", "id", "A title", lambda part: [])
    assert capsys.readouterr().out == "A title\n    id\n"
