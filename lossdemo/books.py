"""Which book the command reads, and what `list` and the shell's completion need of it. Importing this is cheap."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import click

if TYPE_CHECKING:
    from lossdemo.verify.claims import Claim, Page

PACKAGE = Path(__file__).parent
# Where pytest looks for its settings, in a directory and in those above it.
SETTINGS = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


class NoBook(click.UsageError):
    """There is no book to read; the message says why."""


class Unknown(click.UsageError):
    """A name that stands for no claim or for several; the message has those that may be meant."""


class Place(NamedTuple):
    """Where a book is: pytest's rootdir, the book's directory, and the file that names it, None for lossdemo's own."""

    root: Path
    directory: Path
    settings: Path | None

    @property
    def arguments(self) -> list[str]:
        """What pytest needs to collect this book: of a project all its settings, for lossdemo's own book nobody's."""
        arguments = ["--assert=plain", str(self.directory)]
        if self.settings:
            return ["-c", str(self.settings), "-p", "lossdemo", *arguments]
        own = ["-c", os.devnull, "--rootdir", str(self.root), "--disable-plugin-autoload", "--noconftest"]
        plugins = ["-p", "lossdemo.verify.plugin", "-p", "pytest_timeout", "-p", "no:cacheprovider"]
        settings = ["-o", f"claims={self.directory.name}", "-o", "mutants=lossdemo.mutants"]
        return [*own, *plugins, *settings, *arguments]


class Entry(NamedTuple):
    """What is kept of a claim; `chapter` is the file's name, `text` the whole section."""

    id: str
    chapter: str
    line: int
    title: str
    basis: str
    symptoms: list[str]
    text: str
    words: list[str]  # title, symptoms and text as the search has them

    @classmethod
    def of(cls, claim: Claim) -> Entry:
        """What is kept of this claim."""
        from lossdemo.search import words

        about = claim.title, [*claim.symptoms], claim.text
        title, symptoms, text = about
        return cls(claim.id, claim.path.name, claim.line, title, claim.basis, symptoms, text, words(*about))


def locate(start: Path | None = None) -> Place:
    """The book of the project around `start`, by default around the working directory; lossdemo's own elsewhere.

    A project has one if its settings for pytest name `claims`.

    Raises:
        NoBook: if a file of settings cannot be read, or what it names is not there.
    """
    start = start or Path.cwd()
    for file in (base / name for base in (start, *start.parents) for name in SETTINGS):
        settings = _read_settings(file) if file.is_file() else None
        if settings and settings.get("claims"):
            directory = file.parent / settings["claims"]
            if not directory.is_dir():
                raise NoBook(f"claims = {settings['claims']!r} in {file}: there is no directory {directory}")
            return Place(file.parent, directory, file)
        if settings is not None:
            break
    root = PACKAGE if (PACKAGE / "spec").is_dir() else PACKAGE.parent
    if not (root / "spec").is_dir():
        raise NoBook("the book is not beside the package: install lossdemo anew")
    return Place(root, root / "spec", None)


def _read_settings(file: Path) -> dict[str, Any] | None:
    """What a file sets for pytest, None where that is nothing, and pytest looks on."""
    import iniconfig  # pytest's own reader

    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".toml":
            import tomllib

            tables = tomllib.loads(text)
            if file.name != "pyproject.toml":
                return tables.get("pytest", {})
            settings = tables.get("tool", {}).get("pytest", {})
            return {**settings, **settings.get("ini_options", {})} or None
        sections = iniconfig.IniConfig(str(file), data=text)
    except (OSError, ValueError, iniconfig.ParseError) as error:
        raise NoBook(f"{file}: {error}") from None
    name = "tool:pytest" if file.name == "setup.cfg" else "pytest"
    if name in sections:
        return dict(sections[name].items())
    return {} if file.suffix == ".ini" and "pytest" in file.name else None


def read_entries(directory: Path) -> list[Entry]:
    """The claims of a book in its order, from the user's cache if nothing that they depend on has changed since."""
    pages = sorted(path for path in directory.rglob("*") if path.suffix.lower() in (".md", ".markdown"))
    readers = [PACKAGE / "verify" / "claims.py", PACKAGE / "search.py", Path(str(find_spec("markdown_it").origin))]  # pyrefly: ignore
    contents = {
        path: path.read_bytes() if os.access(path, os.R_OK) else b"" for path in (*readers, *pages) if path.is_file()
    }
    # Lengths and CRCs are enough to see an edit; importing hashlib takes longer than everything here.
    key = [[str(path), len(content), crc32(content)] for path, content in contents.items()]
    places = (os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("LOCALAPPDATA", ""), os.path.expanduser("~/.cache"))
    cache = Path(next(filter(os.path.isabs, places), os.devnull)) / "lossdemo"
    file = cache / f"{crc32(str(directory).encode()):08x}.json"
    try:
        kept = json.loads(file.read_bytes())
        if kept["key"] == key:
            return [Entry(*entry) for entry in kept["claims"]]
    except (OSError, ValueError, LookupError, TypeError):
        pass  # none yet, or not what was written
    from lossdemo.verify.claims import Book

    claims = [Entry.of(claim) for claim in Book(directory)]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"key": key, "claims": claims}))
        unfinished.replace(file)
    except OSError:
        pass  # it is read anew the next time
    return claims


def find_chapter(name: str, chapters: Collection[str]) -> str | None:
    """Which of these file names is meant by `outliers`, `OUTLIERS.md`, `spec/outliers.md`; None if none of them is."""
    wanted = Path(name).name.lower().removesuffix(".md")
    return next((chapter for chapter in chapters if chapter.lower().removesuffix(".md") == wanted), None)


def find(name: str, pages: dict[Path, Page]) -> Page | Claim:
    """Which chapter or claim of a book is meant; an id comes before a chapter.

    Raises:
        Unknown: if none is, or several are.
    """
    claims = {claim.id: claim for page in pages.values() for claim in page.claims}
    chapter = find_chapter(name, [path.name for path in pages])
    if chapter and name not in claims:
        return next(page for path, page in pages.items() if path.name == chapter)
    return claims[find_claim(name, claims)]


def find_claim(name: str, ids: Collection[str]) -> str:
    """Which of these ids is meant by a node id, a link, a title, or a part of one that no other has.

    Raises:
        Unknown: if none is, or several are.
    """
    from lossdemo.verify.claims import slug

    wanted = slug((name.partition("::")[2] or name.rpartition("#")[2]).partition("[")[0])
    if not wanted:
        raise Unknown(f"{name!r} names no claim: `lossdemo list WORDS` finds one")
    parts = [claim for claim in ids if wanted in claim]
    for meant in ([claim for claim in parts if claim == wanted], parts, [c for c in parts if c.startswith(wanted)]):
        if len(meant) == 1:
            return meant[0]
    near = sorted(parts or ids, key=lambda claim: _likeness(wanted, claim), reverse=True)[: 8 if parts else 4]
    problem = f"{len(parts)} claims have {name!r} in their id" if parts else f"no claim has {name!r} in its id"
    more = f"\n  and {len(parts) - 8} more: lossdemo list {name}" if len(parts) > 8 else ""
    more = more if parts else f"\nby what it says: lossdemo list {name}"
    raise Unknown("\n  ".join([f"{problem}; nearest:", *near]) + more)


def _likeness(wanted: str, claim: str) -> tuple[float, bool, float]:
    """How well the words that are wanted are found in an id, misspelt or not, and how much else there is in it."""
    from difflib import SequenceMatcher

    words = claim.split("-")
    found = [max(SequenceMatcher(None, word, other).ratio() for other in words) for word in wanted.split("-")]
    return round(sum(found), 2), claim.startswith(wanted), SequenceMatcher(None, wanted, claim).ratio()
