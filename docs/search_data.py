"""What the site's search knows of the book, for `static/search.js`: the text of the claims, and Python's own tables."""

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

from lossdemo import search, terminal
from lossdemo.books import read_entries
from lossdemo.verify.claims import slug

# How JavaScript writes Python's classes of characters.
_CLASSES = {
    r"[^\W_]": r"[\p{L}\p{N}]",
    r"[^\W\d_]": r"[\p{L}\p{Nl}\p{No}]",
    r"[\w": r"[\p{L}\p{N}_",
    r"\w": r"[\p{L}\p{N}_]",
    r"\d": r"\p{Nd}",
}


def script(book: Path) -> str:
    """The script that sets `window.CLAIMS` to the data of the book in this directory; a script works from `file:`."""
    lines = json.dumps(data(book), ensure_ascii=False, separators=(",", ":")).replace('],["', '],\n["')
    return f"window.CLAIMS = {lines};\n"


def data(book: Path) -> dict[str, Any]:
    """Claims by chapter, headings to be pointed at, formulas as text, and the tables of lossdemo/search.py.

    A claim is its id, title, symptoms, for each symptom the headings of symptoms.md above it, by number, and its lines.
    """
    pages = {name: book / f"{name}.md" for name in ("symptoms", "names")}
    symptoms, names = (page.read_text(encoding="utf-8") if page.is_file() else "" for page in pages.values())
    titles, seen = search.headings(symptoms)[:-1], search.under(symptoms)
    chapters, lines = [], []
    for chapter, entries in groupby(read_entries(book), key=lambda entry: entry.chapter):
        claims = []
        for entry in entries:
            above = [
                [titles.index(title) for title, text in seen.get(entry.id, ()) if symptom in text]
                for symptom in entry.symptoms
            ]
            claims.append([entry.id, entry.title, entry.symptoms, above, search.pieces(entry.text)])
            lines += claims[-1][-1]
        title = search.headings((book / chapter).read_text(encoding="utf-8"), "#")[0]
        chapters.append([Path(chapter).stem, title, claims])
    formulas = {formula for line in lines for formula in re.findall(r"\$([^$]+)\$", line)}
    return {
        "tables": _tables(),
        "headings": [["symptoms", title, slug(title)] for title in titles]
        + [["names", title, slug(title)] for title in search.headings(names, "###")],
        "formulas": {formula: terminal.legible(f"${formula}$").strip("`") for formula in sorted(formulas)},
        "chapters": chapters,
    }


def _tables() -> dict[str, Any]:
    return {
        "aliases": search.ALIASES,
        "ignored": sorted(search.IGNORED),
        "spellings": [[_pattern(spelling), american] for spelling, american in search.SPELLINGS],
        "letters": {chr(typed): chr(meant) for typed, meant in search.LETTERS.items()},
        "raw": _pattern(search.RAW),
        "parts": _pattern(search.PARTS),
        "number": _pattern(search.NUMBER),
        "best": search.BEST,
        "longest": search.LONGEST,
        "weights": search.WEIGHTS,
    }


def _pattern(pattern: re.Pattern[str]) -> str:
    """A regular expression for JavaScript."""
    text = pattern.pattern
    for python, script in _CLASSES.items():
        text = text.replace(python, script)
    return text
