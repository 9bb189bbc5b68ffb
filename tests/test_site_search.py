"""The site's search in a real browser: what `lossdemo list` finds, in the same order, with the same lines."""

import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_search import INDEX, QUESTIONS

from lossdemo import search

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "docs"))
import search_data  # noqa: E402

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed, which drives the browser")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="there is no chromium to search in")]

# What the site's page of the search has of its own.
PAGE = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>Search</title>
<form action="search.html"><label>Question <input id="query" name="q" type="search"></label></form>
<p id="count" role="status"></p>
<ol id="results"></ol>
<script src="_static/claims.js" defer></script>
<script src="_static/search.js" defer></script>
"""
ANSWERS = """questions => {
  index ??= new Index();
  return questions.map(question => {
    const { found, guessed, isTyped } = index.search(question);
    const best = found.slice(0, 10).map(({ claim, look }) => [claim.id, look().line]);
    return [best, found.length, guessed, isTyped, index.heading(question, found)?.slice(0, 2) ?? null];
  });
}"""
ENTRIES = list(INDEX.entries.values())
PAGES = [(ROOT / "spec" / name).read_text(encoding="utf-8") for name in ("symptoms.md", "names.md")]


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    """Without windows."""
    with playwright.sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a folder with the page and what it loads."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "_static").mkdir()
    (folder / "search.html").write_text(PAGE)
    (folder / "_static" / "claims.js").write_text(search_data.script(ROOT / "spec"), encoding="utf-8")
    shutil.copy(ROOT / "docs" / "static" / "search.js", folder / "_static")
    return f"{folder.as_uri()}/search.html"


@pytest.fixture(scope="module")
def script(browser: playwright.Browser, address: str) -> playwright.Page:
    """The page, for its functions."""
    page = browser.new_page()
    page.goto(address)
    page.evaluate("index = undefined")
    return page


@pytest.fixture
def page(browser: playwright.Browser, address: str) -> Iterator[playwright.Page]:
    """The page, for its user; it says nothing in the console."""
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    yield page
    page.close()
    assert said == []


@cache
def answer(question: str) -> list:
    """What Python finds, as ANSWERS has it."""
    found, guessed, is_typed = INDEX.search(question)
    see = search.heading(*PAGES, question, found)
    best = [[hit.entry.id, hit.line] for hit in found[:10]]
    return [best, len(found), [list(pair) for pair in guessed.items()], is_typed, list(see) if see else None]


def differing(script: playwright.Page, questions: list[str]) -> list[tuple]:
    """Those of the questions that the page answers in another way, with both answers."""
    answers = script.evaluate(ANSWERS, questions)
    for *_, see in answers:
        if see:
            see[:] = [f"{see[0]}.md", see[1].replace("`", "") if see[0] == "names" else see[1]]
    pairs = zip(questions, answers, map(answer, questions))
    return [(question, theirs, ours) for question, theirs, ours in pairs if theirs != ours]


def test_the_index_is_that_of_sqlite(script: playwright.Page) -> None:
    """Each word of the book, stemmed, at its place."""
    ours = defaultdict(list)
    INDEX._db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS places USING fts5vocab(claims, instance)")
    for term, row, column, offset in INDEX._db.execute("SELECT * FROM places"):
        ours[term].append(((row - 1) * 3 + ["title", "symptoms", "text"].index(column)) * 2**16 + offset)
    assert script.evaluate("Object.fromEntries(new Index().terms)") == {term: sorted(at) for term, at in ours.items()}


WORDS = sorted({word for entry in ENTRIES for part in entry.words for word in part.split()})
ENDINGS = re.findall(
    r"\w+", "s es ies ed ing ings eed ational tional izer ization fulness ative alize icate ement ion ance y ll e"
)


def test_words_are_stemmed_as_sqlite_stems_them(script: playwright.Page) -> None:
    """Those of the book, with other endings, short ones and long ones, and letters beyond ASCII."""
    others = ["yyed", "syzygys", "tyed", "ßs", "λs", "a" * 64 + "s"]
    words = [*WORDS, *(word + ending for word in WORDS for ending in ENDINGS), *others]
    INDEX._db.execute(
        "CREATE VIRTUAL TABLE IF NOT EXISTS stems USING fts5(word, tokenize = \"porter ascii tokenchars '.-+'\")"
    )
    INDEX._db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS stemmed USING fts5vocab(stems, instance)")
    INDEX._db.executemany("INSERT INTO stems VALUES (?)", ([word] for word in words))
    ours = [term for (term,) in INDEX._db.execute("SELECT term FROM stemmed ORDER BY doc")]
    theirs = script.evaluate("words => words.map(stem)", words)
    assert [pair for pair in zip(words, theirs, ours, strict=True) if pair[1] != pair[2]] == []


def test_numbers_are_written_as_python_writes_them(script: playwright.Page) -> None:
    """With three digits, halves to the even one."""
    numbers = "0 -0 -0.0 1. 1.125 1.135 -1.125 2.675 0.00012345 0.0001 0.00009999 999 999.5 1e-400 1e400 1e5 6.25e-2"
    numbers = [*numbers.split(), "123456", "0.6931", "NaN", "inf", "Infinity", "100", "1e-8", "0.00000001", "10.05"]
    theirs = script.evaluate("numbers => numbers.map(number => words(number).join())", numbers)
    assert theirs == [f"{float(number) + 0:.3g}" for number in numbers]


def test_what_users_ask_is_answered_alike(script: playwright.Page) -> None:
    """Questions, errors, names, and what is next to nothing."""
    others = ["", "?", "the", "how do I", "qqqqqq", "huberr", "crossentropy gradeint", "-100", "\0", "a" * 80, "0.69"]
    torch = ["NEAR(huber outlier)", "F.cross_entropy", "torch.nn.BCEWithLogitsLoss", "lr", "learning rate", "σ", "ϖ é"]
    long = "\n".join(f'  File "/usr/lib/python3/thing{n}.py", line {n}, in call{n} loss' for n in range(140))
    questions = [line.partition(" -> ")[0] for line in QUESTIONS.splitlines()]
    assert differing(script, [*questions, *others, *torch, long]) == []


def test_symptoms_are_answered_alike(script: playwright.Page) -> None:
    """One of every fourth claim's: what Python finds for all of them is tested where Python is."""
    assert differing(script, [entry.symptoms[0] for entry in ENTRIES[::4] if entry.symptoms]) == []


def test_titles_are_answered_alike_in_pieces_and_misspelt(script: playwright.Page) -> None:
    """Every fifth without a letter in one of its words, or two of them exchanged, or without every third word."""
    questions = []
    for number, entry in enumerate(ENTRIES[::5]):
        words = entry.title.split()
        at = number % len(words)
        word, middle = words[at], len(words[at]) // 2
        exchanged = word[middle : middle + 2][::-1] + word[middle + 2 :]
        wrong = word[:middle] + (word[middle + 1 :] if number % 2 else exchanged)
        questions.append(" ".join([*words[:at], wrong, *words[at + 1 :]][number % 3 :: 1 + number % 2]))
    assert differing(script, questions) == []


ASKED = st.sampled_from([*WORDS, *re.findall(r"\S+", " ".join(entry.title for entry in ENTRIES))])
KNOWN = st.characters(exclude_categories=["Cs", "Cn"])  # to a newer browser what Python does not know may be a letter
TYPED = st.one_of(ASKED, ASKED, ASKED, st.floats(-3, 3).map("{:.2f}".format), st.text(KNOWN, max_size=6))


@settings(max_examples=40)
@given(st.lists(st.lists(TYPED, min_size=1, max_size=7).map(" ".join), min_size=5, max_size=5))
def test_any_text_is_answered_alike(script: playwright.Page, questions: list[str]) -> None:
    """In words of the book, in numbers, in any script."""
    assert differing(script, questions) == []


def results(page: playwright.Page, question: str) -> list[str]:
    """The titles found when this is typed."""
    page.fill("#query", question)
    page.wait_for_url(lambda url: url.endswith(f"?q={quote(question)}"))
    return page.locator("#results a").all_text_contents()


def test_what_is_typed_is_answered_with_links_and_marks(page: playwright.Page) -> None:
    """Ten, and the rest on demand; the number is read out."""
    found = INDEX.search("loss is nan").found
    assert results(page, "loss is nan") == [hit.entry.title.replace("`", "") for hit in found[:10]]
    first = page.locator("#results li").first
    assert first.locator("a").get_attribute("href") == f"{found[0].entry.chapter[:-3]}.html#{found[0].entry.id}"
    assert {"loss", "NaN"} & set(first.locator("mark").all_text_contents())
    assert page.locator("[role=status]").text_content() == f"10 best of {len(found)} of {len(ENTRIES)} claims."
    page.get_by_role("button", name=f"Show {len(found) - 10} more").press("Enter")
    assert page.locator("#results li").count() == len(found)
    assert page.evaluate("document.activeElement.textContent") == found[10].entry.title.replace("`", "")


def test_a_link_with_a_question_is_answered(page: playwright.Page, address: str) -> None:
    """As other pages' forms lead here."""
    page.goto(f"{address}?q=CrossEntropyLoss+%26+%3Cb%3E")
    assert page.input_value("#query") == "CrossEntropyLoss & <b>"
    page.locator("#results a").first.wait_for()
    assert page.get_by_text("See names").count() == 0
    page.goto(f"{address}?q=CrossEntropyLoss")
    see = page.locator("a", has_text="CrossEntropyLoss and cross_entropy")
    assert see.get_attribute("href") == "names.html#crossentropyloss-and-cross_entropy"


def test_what_cannot_be_answered_is_said(page: playwright.Page) -> None:
    """With what to do: nothing typed, a word that no claim has, one that is misspelt."""
    page.get_by_text("Type what you see, a name, a number or the text of an error.").wait_for()
    assert page.get_by_role("link", name="stuck at 0.693").get_attribute("href") == "?q=stuck%20at%200.693"
    assert results(page, "qqqqqq") == []
    assert "No claim has any of that." in page.locator("[role=status]").text_content()
    assert page.get_by_role("link", name="the symptoms").get_attribute("href") == "symptoms.html"
    assert results(page, "huberr")
    assert "No claim has “huberr”; nearest: huber." in page.locator("[role=status]").text_content()
