"""Finds claims by what somebody types: words, names of torch, numbers, whole texts of errors.

SQLite's FTS5 stems, finds and ranks. What it gets is already alike: `_words` spells a word in the American way, takes a
name apart, and puts the whole of it behind its parts. The site's search, docs/static/search.js, ranks in the same way.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from lossdemo.books import Entry

# What torch and its users say in two ways. What can be derived is, as `cross_entropy` from `CrossEntropyLoss`.
ALIASES = [("bce", "binary cross entropy"), ("ce", "cross entropy"), ("nll", "negative log likelihood")]
ALIASES += [("mse", "mean squared error"), ("mae", "mean absolute error"), ("mae", "l1"), ("kl", "kullback leibler")]
ALIASES += [("lr", "learning rate"), ("inf", "infinite"), ("inf", "infinity")]
_LONG = {name for pair in ALIASES for name in pair if " " in name}
# Words that say nothing of what a question is about.
IGNORED = frozenset(
    re.findall(
        r"\w+",
        """
        a about after all also am an and any anyone are as at be because been but by can could did do does doing f for
        from get gets getting give gives giving got had happen happened happens has have hello help hi how i if in
        into is it its just know like me my nn of on or our please problem pytorch really seem seems should so some
        something than that the their them then there these they this to too torch try trying up us use used using
        very want was we were what when where which while who why will with without would you your
        """,
    )
)
# What stemming does not make alike. It may be wrong of a word, as it is so on both sides.
SPELLINGS = (
    (re.compile(r"(?<=\w{3})is(?=(e|ed|er|ers|es|ing|ation|ations)$)"), "iz"),
    (re.compile(r"(?<=\w{2})yse(?=[drs]?$)"), "yze"),
    (re.compile(r"(?<=\w{2})our(?=(s|ed|ing|al|ally|able|hood)?$)"), "or"),
    (re.compile(r"(?<=\w{2})tre(?=[sd]?$)"), "ter"),
    (re.compile(r"^forgot(ten)?$"), "forget"),
    (re.compile(r"^froze(n?)$"), "freeze"),
    (re.compile(r"^(rose|risen)$"), "rise"),
    (re.compile(r"^(fell|fallen)$"), "fall"),
)
RAW = re.compile(
    r"(?<![\w.])(?:(?<![)\]])-)?[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?(?!\w)"  # a number, with its sign
    r"|[^\W_](?:\w|-(?=[^\W\d_]))*(?:['’]t(?!\w))?"
)
LETTERS = str.maketrans("µſςϐϑϕϖϰϱϵ", "μsσβθφπκρε")  # what is the same letter, for who types it
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?|nan|inf|infinity", re.IGNORECASE | re.ASCII)
_SIGNED = re.compile("-?[0-9]")  # how a number begins that is none but NaN and infinity
PARTS = re.compile(r"[A-Z]?[a-z]+\d*|[A-Z]+\d*(?![a-z])|[^\W_]+")
WEIGHTS = (4, 3, 0.1)  # of title, symptoms and text, tuned on questions as users ask them
BEST = 50  # claims of which titles and symptoms are looked at as a whole
LONGEST = 300  # words that are looked up; of a longer text the first and the last, where an error's message stands


class NoSearch(click.UsageError):
    """This Python has no SQLite, or one that cannot search."""


@cache
def _words(raw: str) -> tuple[str, ...]:
    """A word as the index has it: its parts, and behind several of them the whole of the name, without `Loss`."""
    if NUMBER.fullmatch(raw):
        return (f"{float(raw) + 0:.3g}",)  # 0.6931 as 0.693, -0.0 as 0
    raw = re.sub(r"[^\w'’-]", "", unicodedata.normalize("NFD", raw))  # without accents
    parts = [part.lower().translate(LETTERS) for part in PARTS.findall(re.sub("n['’]t$", "_not", raw))]
    for spelling, american in SPELLINGS:
        parts = [spelling.sub(american, part) for part in parts]
    whole = "".join(parts)
    whole = whole.removesuffix("loss") if len(whole) > 5 else whole
    return (*parts, whole) if [whole] != parts else (whole,)


def _indexed(lines: Sequence[str]) -> str:
    """Lines as the index has them, with a blank between what comes from two words, and none within."""
    return "\n".join(" ".join("\t".join(_words(raw)) for raw in RAW.findall(line)) for line in lines)


def _names(line: str) -> list[str]:
    """The words of a line; numbers count as one, and exceptions as none, since the same error has others elsewhere."""
    names = [group.rpartition("\t")[2] for group in line.split(" ")]
    return ["0" if _SIGNED.match(name) else name for name in names if not name.endswith(("error", "warning"))]


def _about(line: str) -> set[str]:
    """What a line is about: its words without the endings that FTS5 leaves out of account, too."""
    names = {group.rpartition("\t")[2] for group in line.split(" ")} - IGNORED - {""}
    return {re.sub(r"(?<=\w{3})(?:ing|ed|es|s|e)$", "", name) for name in names}


def words(title: str, symptoms: Sequence[str], text: str) -> list[str]:
    """What the index has of a claim. It takes longer than to search, and is kept."""
    return [_indexed([title]), _indexed(symptoms), _indexed(pieces(text))]


def pieces(text: str) -> list[str]:
    """A section in what can be shown alone: sentences, lines of code, rows; without its heading and last paragraph."""
    shown: list[str] = []
    prose: list[str] = []
    fenced = False
    for line in [*text.splitlines()[1:], ""]:
        fence = line.startswith(("```", "~~~"))
        if not (fenced or fence) and line.strip() and not line.startswith(("|", "#", "<")):
            prose.append(line.strip())
            continue
        is_shown = line.strip() and not fence and (fenced or not line.startswith("<"))
        joined = re.sub(r"\]\([^)]*\)|!?\[(?=[^]]+\]\()", "", " ".join(prose))  # no targets of links
        if not joined.startswith("Basis: "):
            shown += [piece for piece in re.split(r"(?<=[.!?:]) (?=[A-Z`$])", joined) if piece]
        shown += [line.strip()] if is_shown else []
        prose, fenced = [], fenced != fence
    return shown


class _Word(NamedTuple):
    """A word of a question, or several that are one name: as typed, and in all the ways in which it may be written."""

    typed: str
    ways: tuple[str, ...]

    @property
    def is_number(self) -> bool:
        return bool(_SIGNED.match(self.ways[0]))

    @property
    def query(self) -> str:
        """For FTS5: in quotes, where nothing is its syntax."""
        return " OR ".join(f'"{way}"' for way in self.ways)

    def rounded(self, numbers: Iterable[str]) -> _Word:
        """With those of these numbers that round to it, as 0.693 does to 0.69, if it has two digits and a point."""
        digits = re.fullmatch(r"-?0*(\d*)\.(0*(\d+))", self.typed)
        if not digits or len(digits[1] + (digits[2] if digits[1] else digits[3])) < 2:
            return self
        off = 0.5000001 * 10 ** -len(digits[2])
        near = [number for number in numbers if abs(float(number) - float(self.typed)) <= off]
        return self._replace(ways=tuple(dict.fromkeys([*self.ways, *near])))


def _asked(text: str) -> list[_Word]:
    """The words of a question, each once; those that say nothing only where there are no others."""
    typed = RAW.findall(text)
    typed = typed if len(typed) <= LONGEST else [*typed[: LONGEST // 2], *typed[-LONGEST // 2 :]]
    found: dict[tuple[str, ...], _Word] = {}
    while typed:
        number = next((n for n in (4, 3, 2) if _phrase(typed[:n]) in _LONG), 1)
        ways = [_phrase(typed[:number]).removesuffix(" loss"), *(_words(typed[0])[-1:] if number == 1 else ())]
        for one, other in (*ALIASES, *ALIASES):
            for old, new in ((one, other), (other, one)):
                others = [f" {way} ".replace(f" {old} ", f" {new} ").strip() for way in ways]
                ways += [way for way in others if way not in ways]
        word = _Word(" ".join(typed[:number]), tuple(dict.fromkeys([*ways, *(way.replace(" ", "") for way in ways)])))
        found.setdefault(word.ways, word)
        typed = typed[number:]
    return [word for word in found.values() if word.ways[0] not in IGNORED] or [*found.values()]


def _phrase(raws: list[str]) -> str:
    """The parts of these words, without the wholes."""
    return " ".join(part for raw in raws for part in _words(raw)[:-1] or _words(raw))


@dataclass
class Found:
    """A claim that was found. It is `complete` where it has every word that was asked for; numbers may differ."""

    entry: Entry
    complete: bool
    _look: Callable[[Entry], tuple[str, set[str]]] = field(repr=False)

    @cached_property
    def _best(self) -> tuple[str, set[str]]:
        return self._look(self.entry)

    @property
    def line(self) -> str:
        """The title, symptom, sentence or line of code that has most of what was asked for."""
        return self._best[0]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where words that were asked for begin and end in a text of the claim."""
        return [raw.span() for raw in RAW.finditer(text) if "\t".join(_words(raw[0])) in self._best[1]]


class Answer(NamedTuple):
    """What was found, best first.

    `guessed` has words that no claim has, each with the word that was taken for it; `is_typed` says whether any claim
    has a word as it was typed.
    """

    found: list[Found]
    guessed: dict[str, str]
    is_typed: bool


class Index:
    """The claims of a book, in memory.

    Raises:
        NoSearch: if this Python has no SQLite with FTS5.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = dict(enumerate(entries, 1))
        columns = "title, symptoms, text, tokenize = \"porter ascii tokenchars '.-+'\""
        try:
            import sqlite3

            self._db = sqlite3.connect(":memory:")
            self._db.execute(f"CREATE VIRTUAL TABLE claims USING fts5({columns})")
        except Exception as error:  # there is no such module of Python, or of SQLite
            raise NoSearch(f"the search needs SQLite with FTS5, which this Python lacks: {error}") from None
        self._db.executemany("INSERT INTO claims VALUES (?, ?, ?)", (entry.words for entry in entries))

    def search(self, text: str) -> Answer:
        """The claims with most of what the text is about.

        A claim's rank grows with FTS5's bm25, in which rare words count more, and titles and symptoms more than text;
        with words that stand near each other as they were typed; with the share of the words that it has; and where its
        title or a symptom says little else. The claim with just this symptom, or this error with other numbers, is the
        first.
        """
        asked = {word: self._match(word.query) for word in (word.rounded(self._numbers) for word in _asked(text))}
        is_typed = any(asked.values())
        guessed = self._guessed([word for word, rows in asked.items() if not rows], 0.8 if is_typed else 0.75)
        asked |= {word: self._match(f'"{near}"') for word, near in guessed.items()}
        # The same error has others elsewhere: shapes and values, and `RuntimeError` before it or not.
        elsewhere = [word for word in asked if word.is_number or word.typed.endswith(("Error", "Warning"))]
        others = elsewhere if len(asked) > 4 else []
        weights, scores, shares = {}, Counter(), Counter()
        for word, rows in asked.items():
            weight = 0.3 if word in others else 1
            rarity = weights[word] = weight * log((len(self.entries) + 1) / (len(rows) + 0.5))
            scores.update({row: weight * score for row, score in rows.items()})
            shares.update(dict.fromkeys(rows, rarity))
        for one, other in pairwise(asked):
            if asked[one] and asked[other]:
                scores.update(self._match(f'NEAR("{one.ways[0]}" "{other.ways[0]}", 3)'))
        line = _indexed([" ".join(text.split())])
        just, said = _names(line), _about(line) if len(asked) > 1 else set()
        enough = max(shares.values(), default=0) / 4
        rank: dict[int, Any] = {row: scores[row] * share for row, share in shares.items() if share >= enough}
        for row in sorted(rank, key=rank.__getitem__, reverse=True)[:BEST]:
            title, symptoms, _ = self.entries[row].words
            lines = [title, *symptoms.split("\n")]
            near = [_about(line) for line in lines if any(word in line for word in said)]
            alike = max((len(said & other) / len(said | other) for other in near), default=0)
            rank[row] *= 3 if just and just in map(_names, lines) else 1 + alike
        must = [() if word in guessed else rows for word, rows in asked.items() if word not in others]
        queries = {f'"{guessed[word]}"' if word in guessed else word.query: weights[word] for word in asked}
        found = [
            Found(self.entries[row], all(row in rows for rows in must), partial(self._look, row, queries))
            for row in sorted(rank, key=rank.__getitem__, reverse=True)
        ]
        return Answer(found, {word.typed: near for word, near in guessed.items()}, is_typed)

    @cached_property
    def _numbers(self) -> list[str]:
        self._db.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(claims, row)")
        terms = self._db.execute("SELECT term FROM terms WHERE term < ':'")
        return [term for (term,) in terms if NUMBER.fullmatch(term)]

    def _match(self, query: str) -> dict[int, float]:
        """Rows and their scores."""
        scored = "SELECT rowid, -bm25(claims, ?, ?, ?) FROM claims WHERE claims MATCH ?"
        return dict(self._db.execute(scored, (*WEIGHTS, query)))

    def _guessed(self, unknown: list[_Word], likeness: float) -> dict[_Word, str]:
        """What a few words that no claim has may have been meant to be."""
        words = [word for word in unknown if 3 < len(word.typed) < 50 and not word.is_number][:5]
        if not words:
            return {}
        from difflib import get_close_matches

        known = {word for entry in self.entries.values() for part in entry.words for word in part.split()} - IGNORED
        near = {word: get_close_matches(word.ways[-1], known, 1, likeness) for word in words}
        return {word: matches[0] for word, matches in near.items() if matches}

    def _look(self, row: int, queries: dict[str, float], entry: Entry) -> tuple[str, set[str]]:
        """The line of a claim that most of these queries find, rare ones above all, and the words, as indexed."""
        blocks = [[entry.title], entry.symptoms, pieces(entry.text)]
        lines = [line for block in blocks for line in block]
        weights, words = [0.0] * len(lines), set()
        columns = ", ".join(f"highlight(claims, {number}, '\1', '\2')" for number in range(3))
        for query, weight in queries.items():
            sql = f"SELECT {columns} FROM claims WHERE claims MATCH ? AND rowid = ?"
            for marked in self._db.execute(sql, (query, row)):
                text = "\n".join(column for column, block in zip(marked, blocks) if block)
                text = re.sub("\1[^\2]*", lambda match: re.sub("([ \n])", "\\1\1", match[0]), text)
                for number, line in enumerate(text.split("\n")):
                    weights[number] += weight if "\1" in line else 0
                    words |= {re.sub("[\1\2]", "", group) for group in line.split(" ") if "\1" in group}
        best = [number for number, weight in enumerate(weights) if weight == max(weights)]
        said = [number for number in best if number <= len(entry.symptoms)] if best[0] else []
        return lines[min(said, key=lambda number: len(lines[number]), default=best[0])], words


def headings(page: str, level: str = "##") -> list[str]:
    """The headings of this level, in Markdown; of a page of symptoms the last is for what fits no other."""
    return re.findall(rf"^{level} (.+)$", page, re.MULTILINE)


def under(symptoms: str) -> dict[str, list[tuple[str, str]]]:
    """For each claim on the page of symptoms its headings, but for the last, and its lines with its symptoms there."""
    seen, title = defaultdict(list), ""
    for line in symptoms.rpartition("\n## ")[0].splitlines():
        title = line[3:] if line.startswith("## ") else title
        text, _, claim = line.rstrip(")").rpartition("#")
        seen[claim].append((title, text))
    return seen


def heading(symptoms: str, names: str, text: str, found: Sequence[Found]) -> tuple[str, str] | None:
    """Where a book's pages of symptoms and names, given by their text, have what was asked, and the heading there.

    It is the one heading of the symptoms with all words of the question, or the name that is asked for, or the heading
    with most of the symptoms that have all words, or are among them: with over a third, and with two or just what was
    asked. None if there is none. The last heading is for what fits no other.
    """
    said = {word for word in _about(_indexed([text])) if not re.match(r"-?[0-9]|.*(error|warning)$", word)}
    titles = headings(symptoms)[:-1]
    fits = [title for title in titles if said <= _about(_indexed([title]))]
    if said and len(fits) == 1:
        return "symptoms.md", fits[0]
    if RAW.fullmatch(text):
        for title in headings(names, "###"):
            if any(_words(name)[-1] == _words(text)[-1] for name in re.findall("`([^`]+)`", title)):
                return "names.md", title.replace("`", "")
    if not said:
        return None
    votes: dict[str, list[float]] = {title: [] for title in ["", *titles]}
    seen = under(symptoms) if titles else {}
    for entry in (hit.entry for hit in found[:BEST]):
        for symptom, line in zip(entry.symptoms, entry.words[1].split("\n")):
            about = _about(line) if any(word in line for word in said) else set()
            if said <= about or (about <= said and len(about) > 1):
                for title in [title for title, text in seen.get(entry.id, ()) if symptom in text]:
                    votes[title].append(len(said & about) / len(said | about))
    best = max(votes, key=lambda title: sum(votes[title]))
    is_clear = sum(votes[best]) > sum(map(sum, votes.values())) / 3 and (len(votes[best]) > 1 or max(votes[best]) == 1)
    return ("symptoms.md", best) if is_clear else None
