"""What the site and the badge say of verdicts, and how formulas are drawn, without a site."""

import re
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from records import FAILED, RECORD, run

from lossdemo.verify.claims import Book
from lossdemo.verify.verdicts import Record, Verdicts, checksum

DOCS = Path(__file__).parent.parent / "docs"
sys.path.append(str(DOCS))
import keep  # noqa: E402
from record import Kept, spans  # noqa: E402

CHAPTER = """\
# Ones

```python
>>> import torch
```

## One is one

```python
>>> torch.tensor(1.).item()
1.0
```

Basis: mathematics · Source: none
"""


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """A book of one claim."""
    (tmp_path / "spec").mkdir()
    (tmp_path / "spec" / "ones.md").write_text(CHAPTER, encoding="utf-8")
    return Book(tmp_path / "spec")


@pytest.fixture
def one(book: Book) -> Record:
    """The record of its claim as it stands."""
    [claim] = book
    return replace(RECORD, claim="one-is-one", checksum=checksum(claim.verified))


def test_alike_is_said_in_one_line(book: Book, one: Record) -> None:
    """Releases that are neighbours are a span; another device is a line of its own."""
    runs = [run(one, replace(one, device="cuda"), torch=f"2.{minor}.0") for minor in (11, 12, 13)]
    runs.append(
        run(replace(one, outcome="not run", reason="the claim holds until torch 2.13, this is 2.14.1"), torch="2.14.1")
    )
    assert Kept(book, runs, None).summary("one-is-one") == [
        ("passed", "torch 2.11 to 2.13 (cpu, float32)", ""),
        ("passed", "torch 2.11 to 2.13 (cuda, float32)", ""),
        ("not run", "torch 2.14 (cpu, float32)", "the claim holds until torch 2.13"),
    ]


def test_a_changed_text_is_unknown(book: Book, one: Record, tmp_path: Path) -> None:
    """As soon as text or preamble differ from what was run, nothing is said of it; nor of a claim not run."""
    proof = run(replace(one, killed=("wrong",)), prove=True)
    kept = Kept(book, [run(one)], proof)
    assert [state.outcome for state in kept.states("one-is-one")] == ["passed"]
    assert (kept.noticed, kept.noticing, kept.rewritten) == ({"one-is-one": ["wrong"]}, {"wrong": ["one-is-one"]}, [])
    for old, new in (("1.0\n", "1.0\n>>> 2\n2\n"), (">>> import torch", ">>> import torch as torch")):
        (tmp_path / "spec" / "ones.md").write_text(CHAPTER.replace(old, new), encoding="utf-8")
        kept = Kept(Book(tmp_path / "spec"), [run(one), run(replace(one, claim="another"), torch="2.14.0")], proof)
        assert kept.summary("one-is-one") == [
            ("unknown", "torch 2.13 (cpu, float32)", "its text has changed since"),
            ("unknown", "torch 2.14 (cpu, float32)", "it was not part of the run"),
        ]
        assert (kept.noticed, kept.rewritten, kept.outcomes) == ({}, ["one-is-one"], ["unknown"])


def test_what_docs_keeps_is_read(book: Book, one: Record, tmp_path: Path) -> None:
    """Runs in the order of their releases, without those with something replaced; the proof is none of them."""
    (tmp_path / "verdicts").mkdir()
    for name, changes in (("a", {"torch": "2.9.1"}), ("b", {}), ("c", {"replace": ("a=b",)})):
        run(one, **changes).write(tmp_path / "verdicts" / f"{name}.json")
    proof = run(replace(one, killed=("wrong",), survived=("other",), idle=("third",)), prove=True)
    keep.keep(proof, tmp_path / "proof.json")
    kept = Kept.read(book, tmp_path)
    assert [column.name for column in kept.columns] == ["torch 2.9, cpu, float32", "torch 2.13, cpu, float32"]
    assert kept.proof == replace(proof, records=(replace(one, killed=("wrong",)),))
    [(release, difference)] = kept.changes()
    assert (release, difference.old.torch) == ("2.13", "2.9.1")


def test_the_badge_counts_what_passed_and_never_failed(book: Book, one: Record) -> None:
    """A claim that failed on one release, or that ran on none, is not counted."""
    other, third = replace(one, claim="other"), replace(one, claim="third", outcome="not run")
    kept = Kept(book, [run(one, other, third), run(one, replace(other, **FAILED), torch="2.14.0")], None)
    assert "verified: torch 2.13 to 2.14 · 1 of 3 claims" in keep.badge(kept)


def test_readmes_badge_is_current() -> None:
    """`python docs/keep.py` writes it anew."""
    kept = Kept.read(Book(DOCS.parent / "spec"), DOCS)
    assert (DOCS / "verified.svg").read_text(encoding="utf-8") == keep.badge(kept)


def test_the_kept_proof_is_a_file_of_verdicts() -> None:
    """Of every claim, on a release that the verdicts have."""
    proof = Verdicts.read(DOCS / "proof.json")
    assert proof.prove
    assert not proof.replace
    assert f"torch-{proof.torch.partition('+')[0]}.json" in {path.name for path in (DOCS / "verdicts").glob("*.json")}


@pytest.mark.parametrize(
    ("some", "said"), [(["1"], "1"), (["1", "2"], "1 to 2"), (["4", "1", "2"], "1 to 2, 4"), (["1", "3"], "1, 3")]
)
def test_spans(some: list[str], said: str) -> None:
    """Neighbours are joined."""
    assert spans(some, ["1", "2", "3", "4"]) == said


@pytest.mark.parametrize("formula", [r"\nonsense{x}", r"\frac{a", r"\begin{nowhere} a \end{nowhere}"])
def test_a_formula_that_cannot_be_drawn_is_named(formula: str) -> None:
    """It fails the build."""
    maths = pytest.importorskip("maths", reason="no ziamath: pip install '.[site]'")
    with pytest.raises(maths.CannotDraw) as raised:
        maths.drawn(formula, True)
    assert formula in str(raised.value)


def test_a_drawn_formula_can_be_read() -> None:
    """It says what it is, has the text's color, and refers to each of its glyphs, which stand in the page's sheet."""
    maths = pytest.importorskip("maths", reason="no ziamath: pip install '.[site]'")
    svg, glyphs = maths.drawn(r"a < \text{is } \lVert 2.0315 b + c \rVert", True)
    assert r'role="img" aria-label="a &lt; \text{is } \lVert 2.0315 b + c \rVert"' in svg
    assert "black" not in svg
    assert set(re.findall(r'href="#([^"]+)"', svg)) <= set(glyphs)
    for name, glyph in glyphs.items():
        assert glyph.startswith(f'<symbol id="{name}"')
        assert glyph.count("<symbol") == 1
        assert glyph in maths.sheet(glyphs)
    assert svg.count("<use") == len("a<is||2.0315b+c||") - 2  # two bars are one glyph


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        (r"a, \qquad b", ["a,", "b"]),
        (r"\text{if \quad so} \quad b", [r"\text{if \quad so}", "b"]),
        (r"\begin{cases} 1 \quad x \end{cases} \qquad b", [r"\begin{cases} 1 \quad x \end{cases}", "b"]),
        (r"\left( a \quad b \right)", [r"\left( a \quad b \right)"]),
        (r"\{ a \quad b \}", [r"\{ a", r"b \}"]),
    ],
)
def test_a_wide_formula_is_broken_at_its_blanks(formula: str, parts: list[str]) -> None:
    """But not within braces or environments."""
    pages = pytest.importorskip("pages", reason="no Sphinx: pip install '.[site]'")
    assert pages.broken(formula) == parts
