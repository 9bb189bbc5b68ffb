"""Reading claims out of Markdown: what is found, and what is refused with file, line and what to do."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from lossdemo.verify.claims import Book, Refused, Release, slug

CHAPTER = """\
# Sums

```python
>>> x = 1
```

## One and one is two

Adding `x` to itself.

```python
>>> x + x
2
```

Basis: mathematics · Source: [Peano](https://example.org/peano)
"""


def book(directory: Path, **pages: str) -> Book:
    """A book of the given pages."""
    for name, text in pages.items():
        (directory / f"{name}.md").write_text(text, encoding="utf-8")
    return Book(directory)


def refusals(directory: Path, **pages: str) -> list[tuple[str, int, str]]:
    """File, line and message of each problem of the first page."""
    with pytest.raises(Refused) as refused:
        book(directory, **pages).claims(directory / f"{next(iter(pages))}.md")
    return [(problem.path.name, problem.line, problem.message) for problem in refused.value.problems]


def test_reads_a_claim(tmp_path: Path) -> None:
    """A claim has its heading's title, line and slug, the chapter's preamble, its examples and its last line."""
    (claim,) = book(tmp_path, sums=CHAPTER).claims(tmp_path / "sums.md")
    assert (claim.title, claim.id, claim.line) == ("One and one is two", "one-and-one-is-two", 7)
    assert [example.source for example in claim.preamble] == ["x = 1\n"]
    assert [(example.source, example.want, example.lineno) for example in claim.examples] == [("x + x\n", "2\n", 11)]
    assert (claim.basis, claim.source) == ("mathematics", "[Peano](https://example.org/peano)")
    assert (claim.since, claim.needs) == (None, None)
    assert CHAPTER[claim.start : claim.end] == claim.text
    assert claim.text.startswith("## One and one")


def test_reads_releases_needs_and_symptoms(tmp_path: Path) -> None:
    """The last line may say of which releases a claim is true, what it needs, and whom it helps."""
    fields = (
        "Basis: observed · Since: torch 2.12 · Until: torch 2.13 · Needs: processes\n· Symptoms: sum of 3; too large ·"
    )
    text = CHAPTER.replace("Basis: mathematics ·", fields)
    (claim,) = book(tmp_path, sums=text).claims(tmp_path / "sums.md")
    assert (claim.basis, claim.needs) == ("observed", "processes")
    assert (claim.since, claim.until) == (Release("torch", (2, 12)), Release("torch", (2, 13)))
    assert claim.symptoms == ("sum of 3", "too large")


def test_reads_the_releases_that_the_readme_names(tmp_path: Path) -> None:
    """`Releases:` in README.md names the releases that were tried; the name of a package holds until the next."""
    readme = "# R\n\nReleases: torch 2.13, 2.9,\n2.14, focal 0.2\n\n[sums](sums.md)\n"
    releases = book(tmp_path, README=readme, sums=CHAPTER).releases
    assert [str(release) for release in releases] == ["focal 0.2", "torch 2.9", "torch 2.13", "torch 2.14"]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("Since: torch 99.0", "torch 99.0 is none of the releases in README.md: torch 2.13, torch 2.14"),
        ("Until: torch 2.12", "torch 2.12 is none of the releases"),
        ("Since: torch 2.14 · Until: torch 2.13", "no release is both since torch 2.14 and until torch 2.13"),
        ("Since: torch ٢.١٣", "is not a release: write it as 'Since: torch 2.13'"),
    ],
)
def test_refuses_releases_on_which_a_claim_would_never_run(tmp_path: Path, field: str, message: str) -> None:
    """A release that README.md does not name, where it names others of the package, is refused."""
    readme = "# R\n\nReleases: torch 2.13, 2.14\n\n[sums](sums.md)\n"
    found = refusals(tmp_path, sums=CHAPTER.replace("· Source", f"· {field} · Source"), README=readme)
    assert message in "\n".join(text for *_, text in found)


def test_an_example_may_have_several_fences_and_a_subheading(tmp_path: Path) -> None:
    """All fences up to the next claim belong to a claim, also below a `###`."""
    more = "```python\n>>> y = 3\n```\n\n### Also\n\n~~~python\n>>> x + y\n4\n~~~\n\nBasis:"
    (claim,) = book(tmp_path, sums=CHAPTER.replace("Basis:", more)).claims(tmp_path / "sums.md")
    assert [example.source for example in claim.examples] == ["x + x\n", "y = 3\n", "x + y\n"]


def test_only_tracebacks_have_ellipsis(tmp_path: Path) -> None:
    """`...` is a wildcard in an expected exception alone."""
    text = CHAPTER.replace(
        "2\n```", "2\n>>> 1 / 0\nTraceback (most recent call last):\n  ...\nZeroDivisionError: ...\n```"
    )
    (claim,) = book(tmp_path, sums=text).claims(tmp_path / "sums.md")
    assert [bool(example.options) for example in claim.examples] == [False, True]


def test_chapters_come_in_the_order_of_the_readme(tmp_path: Path) -> None:
    """The README's links give the order; a chapter that it does not link to comes last, and is refused."""
    other = CHAPTER.replace("two", "three")
    third = CHAPTER.replace("two", "four")
    pages = book(tmp_path, README="[b](b.md) then [a](a.md)", a=CHAPTER, b=other, c=third)
    assert [path.stem for path in pages.pages] == ["b", "a", "README", "c"]
    assert [claim.path.stem for claim in pages] == ["b", "a", "c"]
    with pytest.raises(Refused, match=r"c\.md:1: README.md beside it does not link to this chapter"):
        pages.claims(tmp_path / "c.md")


def test_ignores_what_is_no_page(tmp_path: Path) -> None:
    """Locks of editors, hidden files, directories, pipes and links to nothing are no chapters."""
    for name in (".#sums.md", "gone.md"):
        (tmp_path / name).symlink_to("nothing")
    (tmp_path / "._sums.md").write_bytes(b"\xff")
    (tmp_path / "directory.md").mkdir()
    os.mkfifo(tmp_path / "pipe.md")
    pages = book(tmp_path, sums=CHAPTER)
    assert [path.name for path in pages.checked] == ["sums.md"]


@pytest.mark.parametrize(
    ("title", "anchor"),
    [
        ("MAE resists outliers in the targets better than MSE", "mae-resists-outliers-in-the-targets-better-than-mse"),
        ("zero_grad may stand first", "zero_grad-may-stand-first"),
        ("backward adds to .grad", "backward-adds-to-grad"),
        ("lr < 2/L, or not?", "lr--2l-or-not"),
        ("Größe × Maß: g²", "größe--maß-g"),
        ("  two  blanks ", "two--blanks"),
    ],
)
def test_slug_is_githubs(title: str, anchor: str) -> None:
    """A slug is lower case, with hyphens for blanks and no punctuation or symbols."""
    assert slug(title) == anchor


def test_code_marks_in_a_title_are_not_part_of_it(tmp_path: Path) -> None:
    """Code in a heading is read without its marks."""
    (claim,) = book(tmp_path, sums=CHAPTER.replace("One and", "`One` and")).claims(tmp_path / "sums.md")
    assert (claim.title, claim.id) == ("One and one is two", "one-and-one-is-two")


REFUSED = {
    "no example": ("```python\n>>> x + x\n2\n```", "", 7, "has no example: show it in a ```python fence"),
    "compares nothing": (">>> x + x\n2", ">>> y = x + x", 7, "compares nothing: print something"),
    "no basis": ("Basis: mathematics · Source: ", "See ", 7, "has no basis: end it with the line 'Basis:"),
    "text after the basis": ("/peano)\n", "/peano)\n\nOne more thing.\n", 7, "has no basis: end it"),
    "unknown basis": ("mathematics", "hearsay", 16, "'hearsay' is not one of mathematics, documented, observed"),
    "unknown field": ("· Source:", "· Author:", 16, "is not one of Basis, Since, Until, Needs, Symptoms, Source"),
    "unknown release": ("· Source:", "· Since: 2.13 · Source:", 16, "write it as 'Since: torch 2.13'"),
    "unknown need": ("· Source:", "· Needs: tpu · Source:", 16, "it may be one of cuda, processes"),
    "long title": ("One and one is two", "One " * 18 + "and", 7, "has 75 characters, at most 72 are allowed"),
    "no claims": ("## ", "", 1, "a chapter has claims"),
    "py fence": ("is two\n", "is two\n\n```py\nx = 1\n```\n", 9, "```py is not run: write ```python"),
    "pycon fence": ("is two\n", "is two\n\n```pycon\n```\n", 9, "```pycon is not run: write ```python"),
    "Python fence": ("is two\n", "is two\n\n~~~Python\nx = 1\n~~~\n", 9, "```Python is not run: write ```python"),
    "directive fence": ("is two\n", "is two\n\n```{python}\n```\n", 9, "```{python} is not run: write ```python"),
    "titled fence": ("is two\n", "is two\n\n```python title=a\n```\n", 9, "```python title=a is not run"),
    "python3 fence": ("is two\n", "is two\n\n```python3\n```\n", 9, "```python3 is not run: write ```python"),
    "indented prompt": ("is two\n", "is two\n\n    >>> 1\n    1\n", 9, "this prompt is not run: put it at the margin"),
    "quoted prompt": ("is two\n", "is two\n\n> >>> 1\n> 1\n", 9, "this prompt is not run: put it at the margin"),
    "prompt in text": ("is two\n", "is two\n\n```text\n>>> 1\n```\n", 10, "this prompt is not run"),
    "prompt in a comment": ("is two\n", "is two\n\n<!--\n>>> 1\n-->\n", 10, "this prompt is not run"),
    "code without prompt": ("is two\n", "is two\n\n```python\n1 == 2\n```\n", 10, "no prompt prints this"),
    "empty code": ("is two\n", "is two\n\n```python\n```\n", 9, "this code has no prompt, so it is not run"),
    "after a blank line": (">>> x + x\n2\n", ">>> x + x\n2\n\n3\n", 15, "no prompt prints this, so it is not compared"),
    "no blank after prompt": (">>> x + x", ">>>x + x", 12, "doctest cannot read this prompt"),
    "doctest directive": (">>> x + x", ">>> x + x    # doctest: +SKIP", 12, "a doctest directive weakens"),
    "unlabeled fence": ("is two\n", "is two\n\n```\nx = 1\n```\n", 9, "``` is not run: write ```python"),
    "unknown fence": ("is two\n", "is two\n\n```cython\nx = 1\n```\n", 9, "```cython is not run: write ```python"),
    "indented code": ("is two\n", "is two\n\n    x = 1\n", 9, "indented code is not run"),
    "fence inside HTML": ("is two\n", "is two\n\n<details>\n```python\n```\n</details>\n", 9, "an empty line after"),
    "raw HTML": ("is two\n", "is two\n\n<div>x</div>\n", 9, "of HTML only <details> and <summary>"),
    "heading under a fold's mark": ("Basis:", "<details>\n## Two\n\nBasis:", 16, "an empty line after"),
    "claim inside a fold": ("Adding", "<details>\n\n## Two\n\n</details>\n\nAdding", 9, "this fold holds a heading"),
    "fold left open": ("Basis:", "<details><summary>More</summary>\n\nBasis:", 16, "this fold is not closed"),
    "fold closed twice": ("Adding", "</details>\n\nAdding", 9, "folds are opened and closed in turn"),
    "fold in a fold": ("Adding", "<details>\n\n<details>\n\nAdding", 11, "folds are opened and closed in turn"),
    "fold in text": ("Adding", "Adding </details>\n", 9, "is HTML: write Markdown"),
    "heading by underline": ("Adding", "Two and two\n---\n\nAdding", 9, "not every reader takes this for a heading"),
    "heading off the margin": ("Adding", " ## Two\n\nAdding", 9, "not every reader takes this for a heading"),
    "heading with a tab": ("Adding", "##\tTwo\n\nAdding", 9, "not every reader takes this for a heading"),
    "heading with closing marks": ("One and one is two", "One ##", 7, "not every reader takes this for a heading"),
    "quoted heading": ("Adding", "> ## Two\n\nAdding", 9, "not every reader takes this for a heading"),
    "link in a title": ("One and", "[One](sums.md) and", 7, "a title is plain text"),
    "emphasis in a title": ("One and", "_One_ and", 7, "a title is plain text"),
    "struck title": ("One and", "~~One~~ and", 7, "a title is plain text"),
    "entity in a title": ("One and", "One &amp;", 7, "a title is plain text"),
    "escape in a title": ("One and", "One \\* and", 7, "a title is plain text"),
    "question": ("is two", "is two?", 7, "a title is plain text"),
    "second title": ("Basis:", "# Two\n\nBasis:", 16, "a chapter has one title"),
    "anchor of a subheading": ("Basis:", "### One and one is two\n\nBasis:", 7, "sums.md:16 has the same title"),
    "fence in a list": (
        "Adding",
        "1. x\n\n   ```text\n   y\n   ```\n\nAdding",
        11,
        "not every reader takes this for code",
    ),
    "fence not closed": ("Basis:", "```text\nBasis:", 16, "this fence is not closed as it was opened"),
    "tab in code": ("x + x\n", "x + (\t\tx)\n", 11, "a tab in this code would run as blanks"),
    "NUL": ("Adding", "Add\0ing", 9, "U+0000 cannot be seen"),
    "line separator": ("Adding", "Add\u2028ing", 9, "U+2028 cannot be seen"),
    "turned writing": ("x + x\n2", "x + x  # \u202e\n2", 12, "U+202E cannot be seen"),
    "front matter": ("# Sums", "---\na: b\n---\n\n# Sums", 1, "GitHub takes this for front matter"),
    "link out of the repository": ("Adding", "[see](../../../../etc/hostname)", 9, "leads nowhere: no such file in"),
    "anchor of a directory": ("Adding", "[see](.#x)", 9, "has no headings"),
    "HTML in text": ("Adding", "<b>Adding</b>", 9, "<b> is HTML: write Markdown"),
    "prompt in a list": ("is two\n", "is two\n\n1. >>> x + x\n", 9, "this prompt is not run"),
    "prompt in a table": ("is two\n", "is two\n\n| >>> x |\n", 9, "this prompt is not run"),
    "prompt as entities": ("is two\n", "is two\n\n&gt;&gt;&gt; x\n", 9, "this prompt is not run"),
    "prompt of a comment": ("2\n```", "2\n>>> # x\n5\n```", 14, "this prompt has no statement"),
    "bare prompt": ("2\n```", "2\n>>>\n5\n```", 14, "this prompt has no statement"),
    "heading without blank": ("Adding", "##Two and two\n\nAdding", 9, "this is not a heading"),
    "indented heading": ("Adding", "    ## Two and two\n\nAdding", 9, "this is not a heading"),
    "claim under a subheading": (
        "Basis:",
        "Basis: observed\n\n### More\n\nBasis:",
        7,
        "two paragraphs begin with 'Basis: '",
    ),
    "basis twice": ("· Source:", "· Basis: observed · Source:", 16, "once each and followed by ': '"),
    "basis in a fence": ("Basis:", "```text\nBasis:", 7, "has no basis: end it with the line"),
    "rule after the basis": ("/peano)\n", "/peano)\n\n---\n", 7, "has no basis: end it with the line"),
    "title without letters": ("One and one is two", "???", 7, "the title has no letters"),
    "same title": ("Basis:", "## One and `one` is two\n\nBasis:", 7, "sums.md:16 has the same title"),
    "link to no heading": ("Adding", "[see](#nothing)", 9, "'#nothing' leads nowhere: sums.md has no such heading"),
    "link to no file": ("Adding", "[see](nothing.md)", 9, "'nothing.md' leads nowhere: no such file"),
    "picture of nothing": ("Adding", "![see](no.svg)", 9, "'no.svg' leads nowhere: no such file"),
    "empty link": ("Adding", "and\n[see]()", 10, "'' leads nowhere"),
    "absolute link": ("Adding", "[see](/etc/hostname)", 9, "'/etc/hostname' leads nowhere"),
    "link to no host": ("Adding", "[see](https:)", 9, "'https:' leads nowhere"),
    "link with blanks": ("Adding", "[see](no where.md)", 9, "is not read as a link: define its target"),
    "undefined reference": ("Adding", "[see][nothing]", 9, "is not read as a link: define its target"),
    "long link": ("Adding", f"[see]({'x' * 300})", 9, "leads nowhere: no such file"),
    "reference to nothing": ("Adding", "[see][a]\n\n[a]: b.md\n\n", 9, "'b.md' leads nowhere: no such file"),
}


@pytest.mark.parametrize(("old", "new", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    """What would not be verified is refused, with its file and line and what to do."""
    assert old in CHAPTER
    found = refusals(tmp_path, sums=CHAPTER.replace(old, new, 1))
    assert any(file == "sums.md" and where == line and message in text for file, where, text in found), found


def test_refuses_the_title_of_another_chapter(tmp_path: Path) -> None:
    """Titles are unique in the whole book, whichever of its files is asked for."""
    assert refusals(tmp_path, sums=CHAPTER, more=CHAPTER) == [
        ("sums.md", 7, "more.md:7 has the same title: each claim needs its own")
    ]


def test_refuses_pages_that_are_not_directly_in_the_book(tmp_path: Path) -> None:
    """A chapter in a folder, or with another ending, is refused and not overlooked."""
    (tmp_path / "part").mkdir()
    for name in ("part/sums.md", "sums.MD", "sums.markdown"):
        (tmp_path / name).write_text(CHAPTER.replace("two", name))
        with pytest.raises(Refused, match=f"chapters are files \\*.md in {tmp_path.name}/ itself"):
            Book(tmp_path).claims(tmp_path / name)


def test_refuses_what_is_not_utf8_and_reads_the_rest(tmp_path: Path) -> None:
    """A page in another encoding is refused by itself, and other pages are read."""
    (tmp_path / "latin.md").write_bytes("# Grün".encode("latin-1"))
    pages = book(tmp_path, sums=CHAPTER)
    assert len(pages.claims(tmp_path / "sums.md")) == 1
    with pytest.raises(Refused, match=r"latin.md:1: this is not UTF-8 .*: save it as UTF-8"):
        pages.claims(tmp_path / "latin.md")


def test_reads_past_a_byte_order_mark_and_returns(tmp_path: Path) -> None:
    """Marks that editors leave do not move or hide a claim."""
    text = "\ufeff" + CHAPTER.replace("\n", "\r\n")
    (claim,) = book(tmp_path, sums=text).claims(tmp_path / "sums.md")
    assert (claim.line, claim.examples[0].lineno, len(claim.preamble)) == (7, 11, 1)


def test_a_page_may_say_that_it_has_no_claims(tmp_path: Path) -> None:
    """It may show code then, as README.md may; its headings are no claims."""
    page = "# Start\n\nThis page has no claims.\n\n## The loop\n\n```python\nprint(1)\n```\n"
    pages = book(tmp_path, start=page, README=page.replace("This page has no claims.", ""))
    assert [pages.claims(tmp_path / name) for name in ("start.md", "README.md")] == [[], []]


@pytest.mark.parametrize(
    "before",
    ["This page has no claims. Or has it?", "> This page has no claims.", "```text\nThis page has no claims.\n```"],
)
def test_a_chapter_that_nearly_says_that_it_has_no_claims_is_read(tmp_path: Path, before: str) -> None:
    """Word for word, in a paragraph of its own: nothing else keeps claims from being run."""
    text = CHAPTER.replace("# Sums\n", f"# Sums\n\n{before}\n", 1)
    assert before in text
    assert len(book(tmp_path, sums=text).claims(tmp_path / "sums.md")) == 1
    late = book(tmp_path, sums=CHAPTER.replace("\n\nBasis", "\n\nThis page has no claims.\n\nBasis", 1))
    assert len(late.claims(tmp_path / "sums.md")) == 1


@pytest.mark.parametrize(
    ("name", "first"), [("start", "# Start\n\nThis page has no claims.\n\n## S\n"), ("README", "# Book\n\n\n\n## S\n")]
)
@pytest.mark.parametrize("second", ["```python\n>>> 1\n1\n```", "```text\n>>> 1\n```", "Basis: observed · Source: me"])
def test_refuses_claims_in_a_page_without_claims(tmp_path: Path, name: str, first: str, second: str) -> None:
    """What looks like a claim would not be run there."""
    (refusal,) = refusals(tmp_path, **{name: f"{first}\n{second}\n"})
    assert refusal[0] == f"{name}.md"
    assert refusal[1] == (8 if ">>> 1\n1" in second or "text" in second else 7)
    assert "this page has no claims, so" in refusal[2]


def test_links_to_other_pages_resolve(tmp_path: Path) -> None:
    """Headings of other pages, repeated ones too, files beside the book and the web are fine to link to."""
    (tmp_path / "LICENSE").write_text("free")
    links = "[a](b.md#x) [b](b.md#x-1) [c](LICENSE) [d](https://example.org) [e](#sums) [f](mailto:a@example.org)"
    pages = book(tmp_path, sums=CHAPTER.replace("Adding", links), README="# R [sums](sums.md)", b="# X\n\n### X\n")
    assert len(pages.claims(tmp_path / "sums.md")) == 1


@pytest.mark.slow
def test_lists_claims_without_torch(tmp_path: Path) -> None:
    """A chapter's claims can be listed by a Python that never imports torch."""
    book(tmp_path, sums=CHAPTER)
    code = dedent(f"""
        import sys
        from pathlib import Path
        from lossdemo.verify.claims import Book
        print([claim.id for claim in Book(Path({str(tmp_path)!r}))], "torch" in sys.modules)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['one-and-one-is-two'] False\n"
