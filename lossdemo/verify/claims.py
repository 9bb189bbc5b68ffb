"""Reads the claims of a book out of its Markdown, and refuses what would not be verified.

A chapter is a Markdown file; each `##` heading in it is a claim. Importing this module imports no torch.
What another reader of the same page, GitHub or a terminal, could read differently is refused, not interpreted.
"""

from __future__ import annotations

import doctest
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import unquote

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

BASES = ("mathematics", "documented", "observed")
NEEDS = ("cuda", "processes")
LONGEST_TITLE = 72
WITHOUT_CLAIMS = "This page has no claims."  # a paragraph that says that a page is no chapter; README.md need not

_SHOWN = ("text", "console", "math", "toml", "mermaid")  # what a fence may be besides python: shown, not run
# Controls, formats, separators of lines that Python knows and Markdown does not, and what stands for a NUL.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd]"
)
_PROMPT = re.compile(r"(>>>|(&gt;){3})(\s|$)")
_ALMOST_HEADING = re.compile(r" {0,3}#{1,6}[^#\s]| {4,}#{1,6} ")
_HEADING = re.compile(r"#{1,6} \S(.*[^#\s])?")
_NOT_PLAIN = re.compile(r"\\|&#?\w+;|~~|:\w+:|  |\?$")  # marks in a title that not every reader reads alike
_ALMOST_LINK = re.compile(r"\]\(|\]\[")
_FOLD = re.compile(r"<details>(<summary>[^<>]+</summary>)?|<summary>[^<>]+</summary>|</details>")
_FIELDS = re.compile(r"(Basis|Since|Until|Needs|Symptoms|Source): (.+)")
_RELEASE = re.compile(r"([A-Za-z][\w.-]*) (\d+)\.(\d+)", re.ASCII)
_RELEASES = re.compile(r"^Releases: (.+(?:\n.+)*)", re.MULTILINE)
_WORD = {"Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Pc"}  # letters, marks, digits, _: Ruby's \p{Word}
_MARKDOWN = MarkdownIt("commonmark")
_BLOCKS = MarkdownIt("commonmark").disable("inline")  # three times as fast


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


class Release(NamedTuple):
    """A release of a package, as `torch 2.13`."""

    package: str
    version: tuple[int, int]

    @classmethod
    def read(cls, text: str) -> Release | None:
        """The release that the text names, None where it names none."""
        match = _RELEASE.fullmatch(text)
        return cls(match[1], (int(match[2]), int(match[3]))) if match else None

    def __str__(self) -> str:
        return f"{self.package} {self.version[0]}.{self.version[1]}"


class Heading(NamedTuple):
    """A title of any level (`h1`, `h2`, …), without the marks around code."""

    line: int
    level: str
    title: str


@dataclass(frozen=True)
class Claim:
    """One section of a chapter: a sentence that can be false, and the example that could refute it.

    `line` is the heading's, counted from 1; `start` and `end` are offsets into the page's text. The `lineno` of each
    example counts from 0 in the whole file. `preamble` is the chapter's code before its first claim. The claim is true
    of releases from `since` to `until`, both included.
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
    symptoms: tuple[str, ...]
    since: Release | None
    until: Release | None
    needs: Literal["cuda", "processes"] | None

    @property
    def verified(self) -> str:
        """What a verdict is of: the preamble's code, and the text. The verdict of another text says nothing of this."""
        return "\n".join([*(example.source for example in self.preamble), self.text])


class Fence(NamedTuple):
    """A fenced block of code; `first` is the line of the opening fence, counted from 0, `last` the line after it."""

    first: int
    last: int
    runs: bool
    examples: list[doctest.Example]


@dataclass
class Page:
    """One Markdown file of the book, and what is wrong with it. Lines count from 1."""

    path: Path
    text: str
    tokens: list[Token] = field(default_factory=list, repr=False)
    references: dict = field(default_factory=dict, repr=False)
    headings: list[Heading] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @cached_property
    def is_chapter(self) -> bool:
        """Whether the page has claims: not README.md, nor a page that says so in a paragraph before its first `##`."""
        if self.path.name == "README.md":
            return False
        for token, inline in zip(self.tokens, self.tokens[1:]):
            if token.type == "heading_open" and token.tag == "h2":
                break
            if token.type == "paragraph_open" and not token.level and inline.content == WITHOUT_CLAIMS:
                return False
        return True

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

    @cached_property
    def inlines(self) -> list[tuple[int, Token]]:
        """The line and the parsed text of each paragraph, heading and cell that can hold a link or HTML."""
        blocks = [token for token in self.tokens if token.type == "inline" and not {"[", "<"}.isdisjoint(token.content)]
        return [(_lines(token)[0] + 1, _inline(token.content, self.references)) for token in blocks]

    @cached_property
    def links(self) -> list[tuple[int, str]]:
        """The line and target of each link and picture."""
        links = []
        for line, inline in self.inlines:
            for child in inline.children or []:
                line += child.type in ("softbreak", "hardbreak")
                if child.type in ("link_open", "image"):
                    links.append((line, str(child.attrs["href" if child.type == "link_open" else "src"])))
        return links

    def refuse(self, line: int, message: str) -> None:
        """Note a problem at `line`, counted from 1."""
        self.problems.append(Problem(self.path, line, message))


class Book:
    """The pages of a directory, read once; titles and links are checked across all of them.

    Links may lead anywhere below `root`, by default the directory that the book is in.
    """

    def __init__(self, directory: Path, root: Path | None = None) -> None:
        self.directory = directory.resolve()
        self.root = (root or self.directory.parent).resolve()

    @cached_property
    def pages(self) -> dict[Path, Page]:
        """Every page by its path, not checked yet; the chapters in the order in which README.md links to them."""
        found = sorted(path for path in self.directory.rglob("*") if is_page(path, self.directory))
        pages = {path: read_page(path) for path in found}
        readme = pages.get(self.directory / "README.md")
        order = [self.directory / target.partition("#")[0] for _, target in readme.links] if readme else []
        return {path: pages[path] for path in [*order, *pages] if path in pages}

    @cached_property
    def releases(self) -> tuple[Release, ...]:
        """What README.md names as tried, in a paragraph `Releases: torch 2.13, 2.14`: oldest first for each package."""
        readme = self.pages.get(self.directory / "README.md")
        named = _RELEASES.search(readme.text) if readme else None
        package, releases = "", []
        for entry in " ".join(named[1].split()).rstrip(".").split(", ") if named else ():
            package, _, version = entry.rpartition(" ") if " " in entry else (package, "", entry)
            releases.append(Release.read(f"{package} {version}"))
        return tuple(sorted(filter(None, releases)))

    @cached_property
    def checked(self) -> dict[Path, Page]:
        """The pages, with all problems found."""
        readme = self.pages.get(self.directory / "README.md")
        linked = {unquote(target).partition("#")[0] for _, target in readme.links} if readme else None
        for path, page in self.pages.items():
            if path.parent != self.directory or path.suffix != ".md":
                page.refuse(1, f"chapters are files *.md in {self.directory.name}/ itself: move or rename this one")
            _refuse_unread(page)
            _refuse_broken_links(page, self)
            for claim in page.claims:
                _refuse_other_releases(page, claim, self.releases)
            if linked is not None and page.claims and path.name not in linked:
                page.refuse(1, "README.md beside it does not link to this chapter: add it to the list of chapters")
        _refuse_repeated_titles(self.pages)
        return self.pages

    def claims(self, path: Path) -> list[Claim]:
        """The claims of the page at `path`, in its order.

        Raises:
            Refused: if anything in the page would not be verified.
        """
        page = self.checked[path]
        if page.problems:
            raise Refused(sorted(page.problems, key=lambda problem: problem.line))
        return page.claims

    @property
    def ids(self) -> set[str]:
        """The ids of all claims, those of refused pages too."""
        return {claim.id for claim in self}

    def __iter__(self) -> Iterator[Claim]:
        """Every claim of the book, chapter by chapter, those of refused pages too."""
        for page in self.pages.values():
            yield from page.claims


def is_page(path: Path, directory: Path) -> bool:
    """Whether `path` is a Markdown file of the book in `directory`, however its ending is spelt, and not hidden."""
    hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
    return path.suffix.lower() in (".md", ".markdown") and not hidden and path.is_file()


@cache
def slug(title: str) -> str:
    """The anchor that GitHub gives a heading: lower case, blanks to hyphens, punctuation and symbols dropped."""
    kept = (c for c in title.strip().lower() if c in "- " or unicodedata.category(c) in _WORD)
    return "".join(kept).replace(" ", "-")


def read_page(path: Path) -> Page:
    """Read one Markdown file. What is wrong with it is in `problems`, not raised."""
    page = Page(path, "")
    try:
        page.text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        page.refuse(1, f"this is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8")
        return page
    except OSError as error:
        page.refuse(1, f"this cannot be read: {error.strerror}")
        return page
    page.tokens = _BLOCKS.parse(page.text, page.references)
    lines = page.text.split("\n")
    for token, inline in zip(page.tokens, page.tokens[1:]):
        if token.type == "heading_open":
            page.headings.append(_read_heading(page, token, inline, lines))
    fences = [_read_fence(page, token, lines) for token in page.tokens if token.type == "fence"]
    _refuse_lines(page, lines, fences)
    if page.is_chapter:
        _read_claims(page, fences)
    for token, inline in zip(page.tokens, page.tokens[1:]):
        is_field = token.type == "paragraph_open" and inline.content.startswith("Basis: ")
        if is_field and not page.is_chapter:
            page.refuse(
                _lines(token)[0] + 1, "this page has no claims, so nothing here is verified: move it to a chapter"
            )
    return page


def _inline(text: str, references: dict) -> Token:
    return _MARKDOWN.parseInline(text, {"references": dict(references.get("references", {}))})[0]


def _read_heading(page: Page, token: Token, inline: Token, lines: list[str]) -> Heading:
    line = _lines(token)[0]
    children = _inline(inline.content, page.references).children or []
    title = "".join(child.content for child in children)
    if token.level or not _HEADING.fullmatch(lines[line]):
        problem = "not every reader takes this for a heading: write it in one line, as `## Title`, at the margin"
        page.refuse(line + 1, problem)
    elif not {child.type for child in children} <= {"text", "code_inline"} or _NOT_PLAIN.search(inline.content):
        page.refuse(line + 1, "a title is plain text and `code`: no links, emphasis, entities, double blanks, question")
    return Heading(line + 1, token.tag, title)


def _read_fence(page: Page, token: Token, lines: list[str]) -> Fence:
    first, last = _lines(token)
    info = token.info
    if token.level or lines[first] != f"{token.markup}{info}":
        page.refuse(first + 1, "not every reader takes this for code: begin at the margin, with ``` and the language")
    if lines[last - 1].strip() != token.markup:
        page.refuse(first + 1, f"this fence is not closed as it was opened: close it with {token.markup}")
    if info not in ("python", *_SHOWN):
        message = f"```{info} is not run: write ```python, and nothing after it"
        page.refuse(first + 1, f"{message}, or one of {', '.join(_SHOWN)} for what is only shown")
    runs = info == "python" and page.is_chapter
    if runs and "\t" in token.content:
        page.refuse(first + 1, "a tab in this code would run as blanks: write blanks, or \\t in a string")
    return Fence(first, last, runs, _read_examples(page, token.content, first) if runs else [])


def _read_examples(page: Page, code: str, first: int) -> list[doctest.Example]:
    examples = []
    try:
        parts = doctest.DocTestParser().parse(code)
    except ValueError as error:
        line = re.match(r"line (\d+)", str(error))
        page.refuse(first + 1 + int(line[1] if line else 1), f"{error}: doctest cannot read this prompt")
        return []
    line = first + 1
    prompts = {first + 1 + number for number, text in enumerate(code.split("\n")) if text.startswith(">>>")}
    for part in parts:
        if isinstance(part, doctest.Example):
            part.lineno += first + 1
            line = part.lineno + part.source.count("\n") + part.want.count("\n")
            if part.options:
                page.refuse(part.lineno + 1, "a doctest directive weakens the comparison: state the claim without it")
            if part.exc_msg is not None:
                part.options[doctest.ELLIPSIS] = True
            examples.append(part)
            prompts.discard(part.lineno)
        elif part.strip():
            how = "start code with >>> , write an empty line of output as <BLANKLINE>, and prose outside the fence"
            stray = line + len(part) - len(part.lstrip("\n"))
            page.refuse(stray + 1, f"no prompt prints this, so it is not compared: {how}")
    for line in prompts:
        page.refuse(line + 1, "this prompt has no statement, so doctest drops it and what stands below: remove it")
    return examples


def _refuse_lines(page: Page, lines: list[str], fences: list[Fence]) -> None:
    """Refuse lines that are, or may be taken for, something else than their author meant."""
    run = {line for fence in fences if fence.runs for line in range(fence.first, fence.last)}
    fenced = {line for fence in fences for line in range(fence.first, fence.last)}
    how = "put it at the margin, in a ```python fence"
    if lines[0] == "---":
        page.refuse(1, "GitHub takes this for front matter: begin with the chapter's title")
    for number, line in enumerate(lines):
        strange = _INVISIBLE.search(line)
        if strange:
            page.refuse(number + 1, f"U+{ord(strange[0]):04X} cannot be seen: remove it, or write it as an escape")
        if number not in run and _PROMPT.search(line):
            in_others = "this page has no claims, so its prompts are not run: move them to a chapter"
            page.refuse(number + 1, f"this prompt is not run: {how}" if page.is_chapter else in_others)
        if number not in fenced and _ALMOST_HEADING.match(line):
            page.refuse(number + 1, "this is not a heading: begin at the margin, with a blank after the last #")


def _refuse_unread(page: Page) -> None:
    """Refuse what Markdown reads as something else than its author meant: indented code, HTML, links that are text."""
    opened = 0  # the line of a fold that is not closed yet
    for token in page.tokens:
        line = _lines(token)[0] + 1 if token.map else 0
        if token.type == "code_block":
            page.refuse(line, "indented code is not run: put it in a ```python fence")
        if token.type == "html_block":
            content = token.content.strip()
            if token.level or not all(map(_FOLD.fullmatch, content.split("\n"))):
                only = "of HTML only <details> and <summary> are read alike everywhere, with an empty line after"
                page.refuse(line, only)
            opening, closing = "<details>" in content, "</details>" in content
            if (opening and opened) or (closing and not opened) or (opening and closing):
                page.refuse(line, "folds are opened and closed in turn: <details><summary>…</summary>, then </details>")
            opened = line if opening else 0 if closing else opened
        if token.type == "heading_open" and opened:
            page.refuse(opened, "this fold holds a heading: close it with </details> before")
    if opened:
        page.refuse(opened, "this fold is not closed: end it with </details>")
    for line, inline in page.inlines:
        for child in inline.children or []:
            if child.type == "html_inline":
                page.refuse(line, f"{child.content} is HTML: write Markdown, and folds in lines of their own")
            if child.type == "text" and _ALMOST_LINK.search(child.content):
                page.refuse(line, f"{child.content.strip()!r} is not read as a link: define its target, without blanks")


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


def _read_claims(page: Page, fences: list[Fence]) -> None:
    titles, headings = ([heading for heading in page.headings if heading.level == level] for level in ("h1", "h2"))
    if not headings:
        page.refuse(1, "a chapter has claims: give each a ## heading")
    for heading in titles[1:]:
        page.refuse(heading.line, "a chapter has one title: write ## for a claim, ### for a part of it")
    starts = [0, *accumulate(len(line) + 1 for line in page.text.split("\n"))]
    first = headings[0].line if headings else len(starts)
    preamble = tuple(example for fence in fences if fence.first < first for example in fence.examples)
    last = _last_paragraphs(page.tokens)
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
                symptoms=tuple(entry.strip() for entry in fields.get("Symptoms", "").split(";") if entry.strip()),
                since=Release.read(fields.get("Since", "")),
                until=Release.read(fields.get("Until", "")),
                needs=fields.get("Needs"),  # pyrefly: ignore — another one is refused
            )
        )


def _refuse_unverified(page: Page, heading: Heading, fences: list[Fence]) -> None:
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
    """The last paragraph, at the line `where`: `Basis: … · Since: torch 2.13 · Symptoms: …; … · Source: …`."""
    fields: dict[str, str] = {}
    for entry in " ".join(last.split()).split(" · ") if last.startswith("Basis: ") else []:
        match = _FIELDS.fullmatch(entry)
        if not match or match[1] in fields:
            known = "Basis, Since, Until, Needs, Symptoms, Source"
            page.refuse(where, f"{entry!r} is not one of {known}, once each and followed by ': '")
        else:
            fields[match[1]] = match[2]
    if "Basis" not in fields:
        page.refuse(line, f"the claim has no basis: end it with the line 'Basis: {'|'.join(BASES)} · Source: …'")
    elif fields["Basis"] not in BASES:
        page.refuse(where, f"the basis {fields['Basis']!r} is not one of {', '.join(BASES)}")
    for name in {"Since", "Until"} & set(fields):
        if not Release.read(fields[name]):
            page.refuse(where, f"'{name}: {fields[name]}' is not a release: write it as '{name}: torch 2.13'")
    if fields.get("Needs", NEEDS[0]) not in NEEDS:
        page.refuse(where, f"'Needs: {fields['Needs']}' is unknown: it may be one of {', '.join(NEEDS)}")
    return fields


def _refuse_other_releases(page: Page, claim: Claim, named: tuple[Release, ...]) -> None:
    """A release that README.md does not name among the package's would keep the claim from ever running."""
    for release in (claim.since, claim.until):
        known = [other for other in named if release and other.package == release.package]
        if known and release not in known:
            page.refuse(claim.line, f"{release} is none of the releases in README.md: {', '.join(map(str, known))}")
    if claim.since and claim.until and claim.since.package == claim.until.package and claim.since > claim.until:
        page.refuse(claim.line, f"no release is both since {claim.since} and until {claim.until}")


def _refuse_repeated_titles(pages: dict[Path, Page]) -> None:
    """A claim's id is its heading's anchor, so no other claim and no other heading of its page may have it."""
    named: dict[str, list[tuple[Page, Heading]]] = defaultdict(list)
    for page in pages.values():
        for heading, anchor in zip(page.headings, page.anchors):
            for name in {anchor, slug(heading.title)}:
                named[name].append((page, heading))
    for page in pages.values():
        for claim in page.claims:
            for other, (line, level, _) in named[claim.id]:
                rival = other is page or (level == "h2" and other.claims)
                if rival and (other.path, line) != (claim.path, claim.line):
                    page.refuse(claim.line, f"{other.path.name}:{line} has the same title: each claim needs its own")


def _refuse_broken_links(page: Page, book: Book) -> None:
    @cache  # a page links to few files, many times
    def place(name: str) -> Path | None:
        path = (page.path.parent / name).resolve() if name else page.path
        found = os.path.exists(path) and path.is_relative_to(book.root) and not name.startswith("/")
        return path if found else None

    for line, target in page.links:
        if re.match(r"https?://\w|mailto:\w", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = place(name) if target else None
        if path is None:
            page.refuse(line, f"the link to {target!r} leads nowhere: no such file in {book.root.name}")
        elif anchor and path.suffix == ".md":
            known = book.pages.get(path) or read_page(path)
            if anchor not in known.anchors:
                page.refuse(line, f"the link to {target!r} leads nowhere: {path.name} has no such heading")
        elif anchor and (path.is_dir() or not re.fullmatch(r"L\d+(-L\d+)?", anchor)):
            page.refuse(line, f"the link to {target!r} leads nowhere: {path.name} has no headings")


def _lines(token: Token) -> tuple[int, int]:
    """First line and the line after the last, counted from 0."""
    assert token.map is not None, f"{token.type} is a block, and blocks have lines"
    return token.map[0], token.map[1]
