"""Reads the claims of the book out of its Markdown, and refuses what would not be verified.

A chapter is a Markdown file; each `##` heading in it is a claim. `README.md` and `sources.md` are pages without claims.
Importing this module does not import torch.
"""

from __future__ import annotations

import doctest
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import accumulate, pairwise, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from markdown_it.token import Token

BASES = ("mathematics", "documented", "observed")
LONGEST_TITLE = 72
WITHOUT_CLAIMS = ("README.md", "sources.md")

_SHOWN = ("text", "console", "math", "toml", "mermaid")  # what a fence may be besides python: shown, not run
_PROMPT = re.compile(r"(>>>|(&gt;){3})(\s|$)")
_ALMOST_HEADING = re.compile(r" {0,3}#{1,6}[^#\s]| {4,}#{1,6} ")
_ALMOST_LINK = re.compile(r"\]\(|\]\[")
_HTML = re.compile(r"</?(?!details\b|summary\b)[A-Za-z!]")
_FIELDS = re.compile(r"(Basis|Source|Since|Until|Needs): (.+)")
_WORD = {
    "Ll",
    "Lm",
    "Lo",
    "Lt",
    "Lu",
    "Mc",
    "Me",
    "Mn",
    "Nd",
    "Pc",
}  # letters, marks, digits and _, as in Ruby's \p{Word}
_FENCE = re.compile(r"^(```+|~~~+).*?^\1", re.DOTALL | re.MULTILINE)
_SINCE = re.compile(r"torch (\d+)\.(\d+)")


class Problem(NamedTuple):
    """Something in a page that would not be verified. `line` counts from 1."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Refused(Exception):
    """A page has problems; each is a line of the message, with file, line and what to do."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Heading(NamedTuple):
    """A title of any level (`h1`, `h2`, …), without the marks around code and emphasis."""

    line: int
    level: str
    title: str


@dataclass(frozen=True)
class Claim:
    """One section of a chapter: a sentence that can be false, and the example that could refute it.

    `line` is the heading's, counted from 1; `start` and `end` are offsets into the page's text. The `lineno` of each
    example counts from 0 in the whole file. `preamble` is the chapter's code before its first claim.
    """

    title: str
    id: str
    path: Path
    line: int
    start: int
    end: int
    text: str
    preamble: tuple[doctest.Example, ...]
    examples: tuple[doctest.Example, ...]
    basis: str
    source: str
    since: tuple[int, int] | None
    until: tuple[int, int] | None
    needs: Literal["cuda"] | None


@dataclass
class Page:
    """One Markdown file of the book, and what is wrong with it. Lines count from 1."""

    path: Path
    text: str
    headings: list[Heading] = field(default_factory=list)
    links: list[tuple[int, str]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @cached_property
    def anchors(self) -> list[str]:
        """What a link may name, in order, as GitHub makes it: a repeated title gets -1, then -2."""
        anchors: list[str] = []
        for heading in self.headings:
            anchor, count = slug(heading.title), 0
            while anchor in anchors:
                count += 1
                anchor = f"{slug(heading.title)}-{count}"
            anchors.append(anchor)
        return anchors

    def refuse(self, line: int, message: str) -> None:
        """Note a problem at `line`, counted from 1."""
        self.problems.append(Problem(self.path, line, message))


class Book:
    """The pages of a directory, read once; titles and links are checked across all of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()

    @cached_property
    def pages(self) -> dict[Path, Page]:
        """Every page by its path, the chapters in the order in which README.md links to them."""
        found = sorted(path for path in self.directory.rglob("*") if is_page(path))
        pages = {path: read_page(path) for path in found}
        for path in pages:
            if path.parent != self.directory or path.suffix != ".md":
                pages[path].refuse(
                    1, f"chapters are files *.md in {self.directory.name}/ itself: move or rename this one"
                )
        readme = pages.get(self.directory / "README.md")
        order = [self.directory / target.partition("#")[0] for _, target in readme.links] if readme else []
        pages = {path: pages[path] for path in [*order, *pages] if path in pages}
        _refuse_repeated_titles(pages)
        for page in pages.values():
            _refuse_broken_links(page, pages)
        return pages

    def claims(self, path: Path) -> list[Claim]:
        """The claims of the page at `path`, in its order.

        Raises:
            Refused: if anything in the page would not be verified.
        """
        page = self.pages[path]
        if page.problems:
            raise Refused(sorted(page.problems, key=lambda problem: problem.line))
        return page.claims

    @cached_property
    def ids(self) -> set[str]:
        """The ids of all claims, those of refused pages too."""
        return {claim.id for page in self.pages.values() for claim in page.claims}

    def __iter__(self) -> Iterator[Claim]:
        """Every claim of the book, chapter by chapter."""
        for path in self.pages:
            yield from self.claims(path)


class Entry(NamedTuple):
    """A claim as `index` finds it: where it stands, what it says, and what that rests on."""

    chapter: str
    line: int
    title: str
    id: str
    basis: str
    text: str


def index(directory: Path) -> Iterator[Entry]:
    """Every claim of a book that `Book` would not refuse, in its order, much faster: nothing is checked.

    Only headings and the lines `Basis: …` outside of fences are looked at.
    """
    order = re.findall(r"\]\((\w+\.md)\)", (directory / "README.md").read_text(encoding="utf-8-sig"))
    for name in dict.fromkeys(name for name in order if name not in WITHOUT_CLAIMS):
        text = (directory / name).read_text(encoding="utf-8-sig")
        outside = _FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence[0]), text)
        headings = [*re.finditer(r"^## +(.+?)(?: +#+)? *$", outside, re.MULTILINE)]
        for heading, after in zip_longest(headings, headings[1:]):
            title = re.sub(r"[`*]", "", heading[1])
            end = after.start() if after else len(text)
            basis = re.findall(r"^Basis: (\w+)", outside[heading.start() : end], re.MULTILINE)
            line = text.count("\n", 0, heading.start()) + 1
            yield Entry(name, line, title, slug(title), basis[-1] if basis else "", text[heading.start() : end])


def is_page(path: Path) -> bool:
    """Whether the name is that of a Markdown file, however it is spelt."""
    return path.suffix.lower() in (".md", ".markdown")


@cache
def slug(title: str) -> str:
    """The anchor that GitHub gives a heading: lower case, blanks to hyphens, punctuation and symbols dropped."""
    kept = (c for c in title.strip().lower() if c in "- " or unicodedata.category(c) in _WORD)
    return "".join(kept).replace(" ", "-")


def read_page(path: Path) -> Page:
    """Read one Markdown file. What is wrong with it is in `problems`, not raised."""
    try:
        page = Page(path, path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        page = Page(path, "")
        page.refuse(1, f"this is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8")
        return page
    from markdown_it import MarkdownIt  # here: `index` does without it, and starts in half the time

    tokens = MarkdownIt("commonmark").parse(page.text)
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            title = "".join(" " if child.type == "softbreak" else child.content for child in inline.children or [])
            page.headings.append(Heading(_lines(token)[0] + 1, token.tag, title))
    page.links = [link for token in tokens if token.type == "inline" for link in _links(token)]
    fences = [_read_fence(page, token) for token in tokens if token.type == "fence"]
    for token in tokens:
        _refuse_unread(page, token)
    _refuse_lines_outside(page, fences)
    if path.name not in WITHOUT_CLAIMS:
        _read_claims(page, fences, _last_paragraphs(tokens))
    return page


def _refuse_unread(page: Page, token: Token) -> None:
    """Refuse what Markdown reads as something else than its author meant: indented code, HTML, links that are text."""
    if token.type == "code_block":
        page.refuse(_lines(token)[0] + 1, "indented code is not run: put it in a ```python fence")
    if token.type == "html_block" and (_HTML.search(token.content) or "```" in token.content):
        message = (
            "GitHub shows only <details> alike everywhere, and after it an empty line ends the HTML: write Markdown"
        )
        page.refuse(_lines(token)[0] + 1, message)
    for child in token.children or []:
        line = _lines(token)[0] + 1
        if child.type == "html_inline" and _HTML.search(child.content):
            page.refuse(line, f"{child.content} is HTML: write Markdown")
        if child.type == "text" and _ALMOST_LINK.search(child.content):
            page.refuse(line, f"{child.content.strip()!r} is not read as a link: define its target, without blanks")


class _Fence(NamedTuple):
    first: int  # line of the opening ```, counted from 0
    last: int  # the line after the closing one
    runs: bool
    examples: list[doctest.Example]


def _read_fence(page: Page, token: Token) -> _Fence:
    first, last = _lines(token)
    info = token.info.strip()
    if info != "python":
        if info not in _SHOWN:
            message = f"```{info} is not run: write ```python, and nothing after it"
            page.refuse(first + 1, f"{message}, or one of {', '.join(_SHOWN)} for what is only shown")
        return _Fence(first, last, False, [])
    if page.path.name in WITHOUT_CLAIMS:
        page.refuse(first + 1, "this page has no claims, so its code is not run: move it to a chapter")
    examples = []
    try:
        parts = doctest.DocTestParser().parse(token.content)
    except ValueError as error:
        line = re.match(r"line (\d+)", str(error))
        page.refuse(first + 1 + int(line[1] if line else 1), f"{error}: doctest cannot read this prompt")
        return _Fence(first, last, True, [])
    line = first + 1
    prompts = {first + 1 + number for number, text in enumerate(token.content.split("\n")) if text.startswith(">>>")}
    for part in parts:
        if isinstance(part, doctest.Example):
            part.lineno += first + 1
            line = part.lineno + part.source.count("\n") + part.want.count("\n")
            examples.append(_checked(page, part))
            prompts.discard(part.lineno)
        elif part.strip():
            stray = line + len(part) - len(part.lstrip("\n"))
            page.refuse(
                stray + 1,
                "no prompt prints this, so it is not compared: start code with >>> , write an empty line of output"
                " as <BLANKLINE>, and prose outside the fence",
            )
    for line in prompts:
        page.refuse(line + 1, "this prompt has no statement, so doctest drops it and what stands below: remove it")
    return _Fence(first, last, True, examples)


def _checked(page: Page, example: doctest.Example) -> doctest.Example:
    if example.options:
        page.refuse(example.lineno + 1, "a doctest directive weakens the comparison: state the claim without it")
    if example.exc_msg is not None:
        example.options[doctest.ELLIPSIS] = True
    return example


def _refuse_lines_outside(page: Page, fences: list[_Fence]) -> None:
    run = {line for fence in fences if fence.runs for line in range(fence.first, fence.last)}
    fenced = {line for fence in fences for line in range(fence.first, fence.last)}
    for number, line in enumerate(page.text.split("\n")):
        if number not in run and _PROMPT.search(line):
            page.refuse(number + 1, "this prompt is not run: put it at the margin, in a ```python fence")
        if number not in fenced and _ALMOST_HEADING.match(line):
            page.refuse(number + 1, "this is not a heading: begin at the margin, with a blank after the last #")


def _last_paragraphs(tokens: list[Token]) -> dict[int, tuple[int, str]]:
    """For the line of each heading: line and text of the section's last block, if that is a paragraph."""
    last: dict[int, tuple[int, str]] = {}
    section = 0
    for token, inline in zip_longest(tokens, tokens[1:]):
        if token.type == "heading_open" and token.tag == "h2":
            section = _lines(token)[0] + 1
        elif token.level == 0 and token.map:
            last[section] = (token.map[0] + 1, inline.content if token.type == "paragraph_open" else "")
    return last


def _read_claims(page: Page, fences: list[_Fence], last: dict[int, tuple[int, str]]) -> None:
    headings = [heading for heading in page.headings if heading.level == "h2"]
    if not headings:
        page.refuse(1, "a chapter has claims: give each a ## heading")
    starts = [0, *accumulate(len(line) + 1 for line in page.text.split("\n"))]
    first = headings[0].line if headings else len(starts)
    preamble = tuple(example for fence in fences if fence.first < first for example in fence.examples)
    for heading, after in zip_longest(headings, headings[1:]):
        start = starts[heading.line - 1]
        end = starts[after.line - 1] if after else len(page.text)
        inside = [fence for fence in fences if start <= starts[fence.first] < end]
        fields = _read_fields(page, heading.line, *last.get(heading.line, (heading.line, "")))
        if len(re.findall(r"^Basis: ", page.text[start:end], re.MULTILINE)) > 1:
            page.refuse(heading.line, "two paragraphs begin with 'Basis: ': give each claim a ## heading of its own")
        _refuse_unverified(page, heading, inside)
        page.claims.append(
            Claim(
                title=heading.title,
                id=slug(heading.title),
                path=page.path,
                line=heading.line,
                start=start,
                end=end,
                text=page.text[start:end],
                preamble=preamble,
                examples=tuple(example for fence in inside for example in fence.examples),
                basis=fields.get("Basis", ""),
                source=fields.get("Source", ""),
                since=_since(fields.get("Since", "")),
                until=_since(fields.get("Until", "")),
                needs="cuda" if "Needs" in fields else None,
            )
        )


def _refuse_unverified(page: Page, heading: Heading, fences: list[_Fence]) -> None:
    line, _, title = heading
    if len(title) > LONGEST_TITLE:
        page.refuse(line, f"the title has {len(title)} characters, at most {LONGEST_TITLE} are allowed: shorten it")
    if not slug(title):
        page.refuse(line, "the title has no letters, so no link can name it: write a sentence")
    for fence in fences:
        if fence.runs and not fence.examples:
            page.refuse(fence.first + 1, "this code has no prompt, so it is not run: start each statement with >>> ")
    if not any(fence.examples for fence in fences):
        page.refuse(line, f"the claim {title!r} has no example: show it in a ```python fence with >>> prompts")
    elif not any(example.want for fence in fences for example in fence.examples):
        page.refuse(line, f"the example of {title!r} compares nothing: print something that the claim settles")


def _read_fields(page: Page, line: int, where: int, last: str) -> dict[str, str]:
    """The last paragraph, at the line `where`: `Basis: … · Source: … · Since: torch 2.13 · Needs: cuda`."""
    fields: dict[str, str] = {}
    for entry in " ".join(last.split()).split(" · ") if last.startswith("Basis: ") else []:
        match = _FIELDS.fullmatch(entry)
        if not match or match[1] in fields:
            page.refuse(where, f"{entry!r} is not one of Basis, Source, Since, Until, Needs, once each and followed by ': '")
        else:
            fields[match[1]] = match[2]
    if "Basis" not in fields:
        page.refuse(line, f"the claim has no basis: end it with the line 'Basis: {'|'.join(BASES)} · Source: …'")
    elif fields["Basis"] not in BASES:
        page.refuse(where, f"the basis {fields['Basis']!r} is not one of {', '.join(BASES)}")
    if "Since" in fields and not _since(fields["Since"]):
        page.refuse(where, f"'Since: {fields['Since']}' is not a release: write it as 'Since: torch 2.13'")
    if "Until" in fields and not _since(fields["Until"]):
        page.refuse(where, f"'Until: {fields['Until']}' is not a release: write it as 'Until: torch 2.13'")
    if fields.get("Needs", "cuda") != "cuda":
        page.refuse(where, f"'Needs: {fields['Needs']}' is unknown: only 'Needs: cuda' is")
    return fields


def _since(text: str) -> tuple[int, int] | None:
    match = _SINCE.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def _refuse_repeated_titles(pages: dict[Path, Page]) -> None:
    """A claim's id is its heading's anchor, so no other claim and no other heading of its page may have it."""
    named: dict[str, list[tuple[Page, Heading]]] = defaultdict(list)
    for page in pages.values():
        for heading in page.headings:
            named[slug(heading.title)].append((page, heading))
    for page in pages.values():
        for claim in page.claims:
            for other, (line, level, _) in named[claim.id]:
                rival = other is page or (level == "h2" and other.claims)
                if rival and (other.path, line) != (claim.path, claim.line):
                    message = f"{other.path.name}:{line} has the same title: each claim needs its own"
                    page.refuse(claim.line, message)


def _refuse_broken_links(page: Page, pages: dict[Path, Page]) -> None:
    for line, target in page.links:
        if re.match(r"https?://\w|mailto:\w", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        if not target or name.startswith("/") or not _exists(path):
            page.refuse(line, f"the link to {target!r} leads nowhere: no such file")
        elif anchor and path.suffix == ".md":
            known = pages.get(path) or read_page(path)
            if anchor not in known.anchors:
                page.refuse(line, f"the link to {target!r} leads nowhere: {path.name} has no such heading")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, say
        return False


def _links(inline: Token) -> Iterator[tuple[int, str]]:
    """The line, counted from 1, and target of each link and picture in a block of text."""
    line = _lines(inline)[0] + 1
    for child in inline.children or []:
        if child.type in ("softbreak", "hardbreak"):
            line += 1
        elif child.type in ("link_open", "image"):
            yield line, str(child.attrs["href" if child.type == "link_open" else "src"])


def _lines(token: Token) -> tuple[int, int]:
    """First line and the line after the last, counted from 0."""
    assert token.map is not None, f"{token.type} is a block, and blocks have lines"
    return token.map[0], token.map[1]
