"""The style of the book, where it can be counted: short examples, narrow code and tables, words to be found by."""

import re
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from markdown_it import MarkdownIt

from lossdemo.verify.claims import Book, Claim, Page

BOOK = Book(Path(__file__).parent.parent / "spec")
PAGES = list(BOOK.pages.values())
CHAPTERS = [page for page in PAGES if page.is_chapter]
FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def name(page: Page) -> str:
    """What a page is called in a test's id."""
    return page.path.name


def lines(claim: Claim) -> int:
    """How many lines the examples before the folds have, blank ones not counted."""
    shown = claim.text.partition("<details>")[0]
    return sum(bool(line.strip()) for block in FENCE.findall(shown) for line in block.splitlines())


@pytest.mark.parametrize("page", CHAPTERS, ids=name)
def test_examples_are_short(page: Page) -> None:
    """Half of a chapter's claims have at most ten lines of code and output before the fold; and each has some."""
    counts = {claim.id: lines(claim) for claim in page.claims}
    assert median(counts.values()) <= 10, sorted(counts.items(), key=lambda count: -count[1])
    assert all(counts.values()), [claim for claim, count in counts.items() if not count]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_code_fits_a_page_of_github(page: Page) -> None:
    """No line of code is longer than a hundred characters; what is printed may be, as the text of an error is."""
    blocks = [block.splitlines() for block in FENCE.findall(page.text)]
    code = [
        line for block in blocks for line in block if line.startswith((">>>", "...")) or not block[0].startswith(">>>")
    ]
    assert not [line for line in code if len(line) > 100]


def width(column: list[str]) -> int:
    """How wide a column must be in pixels: code breaks at blanks only, links are as wide as their text."""
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", cell).replace("`", "") for cell in column]
    return 26 + 8 * max(len(word) for text in texts for word in ["", *text.split()])


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_tables_fit_a_page_of_github(page: Page) -> None:
    """Each table is at most 820 pixels wide, so that its last column is not cut off."""
    rows: list[list[str]] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(page.text)
    for token, inline in pairwise(tokens):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(inline.content)
        elif token.type == "table_close":
            widths = [width([*column]) for column in zip(*rows)]
            assert sum(widths) <= 820, (rows[0], widths)


def test_claims_have_symptoms() -> None:
    """All but one in twenty can be found by what somebody sees or wants."""
    without = [claim.id for page in CHAPTERS for claim in page.claims if not claim.symptoms]
    assert len(without) <= sum(len(page.claims) for page in CHAPTERS) / 20, without


@pytest.mark.parametrize("page", CHAPTERS, ids=name)
def test_symptoms_are_what_somebody_would_type(page: Page) -> None:
    """None is repeated within a claim, or repeats its title."""
    for claim in page.claims:
        lower = [symptom.lower() for symptom in claim.symptoms]
        assert len({*lower, claim.title.lower()}) == len(lower) + 1, claim.id
