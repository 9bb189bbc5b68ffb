"""The book as a site: built once, and read in a real browser."""

from __future__ import annotations

import doctest
import filecmp
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

from lossdemo import books, search
from lossdemo.script import script
from lossdemo.verify.claims import Book, Claim
from lossdemo.verify.verdicts import Verdicts, checksum
from lossdemo.watch import table

ROOT = Path(__file__).parent.parent
BOOK = Book(ROOT / "spec")
CLAIMS = {claim.id: claim for claim in BOOK}
CHAPTERS = [path.stem for path, page in BOOK.pages.items() if page.claims]
KINDS = ("index", "README", "loss", "start", "which-loss", "glossary", "search", "torch-2.14")  # one page of each kind
INSTALL = "pip install --constraint constraints.txt --editable '.[site]'"
WIDTHS = (390, 820, 1280)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Served(NamedTuple):
    """A built site: its folder, and where it is served, below a path."""

    folder: Path
    url: str

    @property
    def pages(self) -> list[str]:
        """The files of all pages."""
        return sorted(path.name for path in self.folder.glob("*.html"))

    def text(self, page: str) -> str:
        """The HTML of a page."""
        return (self.folder / f"{page}.html").read_text(encoding="utf-8")


class Quiet(SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, *args: Any) -> None:
        """Nothing."""


def build(folder: Path, *pages: str) -> Path:
    """The site as `make site` builds it; with `pages` these alone, and what is made of all."""
    for name in ("sphinx", "myst_parser", "furo", "sphinx_copybutton", "ziamath"):
        pytest.importorskip(name, reason=f"no {name}: {INSTALL}")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", "-d", str(folder / "trees")]
    done = subprocess.run(
        [*command, "-b", "html", "spec", str(folder / "site"), *pages],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The site, built once, on a server below a path."""
    top = tmp_path_factory.mktemp("site")
    folder = build(top)
    (top / "below").mkdir()
    (top / "below" / "a-path").symlink_to(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(top / "below")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Served(folder, f"http://127.0.0.1:{server.server_port}/a-path/")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, as the system has it."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the browser needs playwright: pip install '.[site]'"
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("there is no browser: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """An empty page of a browser that has seen nothing yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


class Read(HTMLParser):
    """What a page links to, loads and names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.unnamed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what counts."""
        given = {name: value or "" for name, value in attrs}
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag in ("a", "use") and "href" in given else []
        self.loaded += [given[name] for name in ("src", "href") if tag in ("script", "img", "link") and name in given]
        if tag == "img" and not given.get("alt"):
            self.unnamed.append(given["src"])


def test_two_builds_are_equal(site: Served, tmp_path: Path) -> None:
    """Byte for byte, without a date or a path of the build: some chapters, and the pages that are made of all."""
    pages = [f"spec/{name}.md" for name in ("README", "loss", "which-loss", "sources")]
    other = build(tmp_path, *pages)
    files = sorted(path.relative_to(other).as_posix() for path in other.rglob("*") if path.is_file())
    assert {"index.html", "matrix.html", "mutants.html", "loss.html", "search.html"} < set(files)
    assert filecmp.cmpfiles(site.folder, other, files, shallow=False)[1:] == ([], [])


def test_every_claim_is_where_github_has_it(site: Served) -> None:
    """Each claim's link leads to its heading, here as there, and so does the anchor of every other heading."""
    for path, page in BOOK.pages.items():
        assert set(page.anchors) <= set(Read(site.text(path.stem)).ids), path


def test_links_lead_somewhere(site: Served) -> None:
    """Links within the site, with their anchors; names are given once a page; pictures have words."""
    read = {page.removesuffix(".html"): Read(site.text(page.removesuffix(".html"))) for page in site.pages}
    broken = []
    for name, page in read.items():
        assert len(page.ids) == len(set(page.ids)), name
        assert not page.unnamed, name
        for link in page.links:
            if not re.match(r"\w+:", link):
                target, _, anchor = link.partition("#")
                known = read.get(target.removesuffix(".html") or name)
                if known is None or (anchor and unquote(anchor) not in known.ids):
                    broken.append((name, link))
    assert not broken


def test_nothing_is_loaded_from_elsewhere(site: Served) -> None:
    """Pages and style sheets name no other host in what they load."""
    for page in site.pages:
        assert not [url for url in Read(site.text(page.removesuffix(".html"))).loaded if re.match(r"\w+:|//", url)], (
            page
        )
    for sheet in site.folder.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapters_are_light(site: Served, chapter: str) -> None:
    """A chapter with its figures has less than 400 kB."""
    text = site.text(chapter)
    figures = {url for url in Read(text).loaded if url.startswith("_images/")}
    assert len(text.encode()) + sum((site.folder / url).stat().st_size for url in figures) < 400_000


def test_every_page_in_a_browser(site: Served, browser: Any) -> None:
    """No error, no failed request and none to elsewhere, and nothing to be pushed sideways, on any page."""
    context = browser.new_context()
    tab, wrong = context.new_page(), []
    tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    aborted = "net::ERR_ABORTED"  # what a page had not asked for to its end when it was left
    tab.on("requestfailed", lambda request: wrong.append(request.url) if request.failure != aborted else None)
    tab.on("request", lambda request: wrong.append(request.url) if not request.url.startswith(site.url) else None)
    tab.on("response", lambda response: wrong.append(response.url) if response.status >= 400 else None)
    for page in site.pages:
        tab.goto(site.url + page)
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 900})
            wide = tab.evaluate("document.documentElement.scrollWidth")
            assert (page, wide, wrong) == (page, width, [])
    context.close()


def test_works_from_a_folder(site: Served, tab: Any) -> None:
    """Without a server: what folds show is loaded, too."""
    claim = next(iter(CLAIMS.values()))
    tab.goto(f"{(site.folder / f'{claim.path.stem}.html').as_uri()}#{claim.id}")
    tab.locator(f"[id='{claim.id}'] .script summary").click()
    assert tab.locator(f"[id='{claim.id}'] .script pre").inner_text().strip() == the_script(claim)


def the_script(claim: Claim) -> str:
    """What `lossdemo show ID --script` prints."""
    return script(claim, f"spec/{claim.path.name}").strip()


def test_the_front_page_shows_a_claim(site: Served, tab: Any) -> None:
    """In full, as its chapter has it, with links that lead there."""
    tab.goto(site.url)
    assert "Equal losses can have different gradients" in tab.locator(".example").inner_text()
    assert tab.locator(".example div.highlight-python pre").first.inner_text().startswith(">>> ")
    tab.locator(".example .headerlink").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/loss.html#equal-losses-can-have-different-gradients")


@pytest.mark.parametrize("place", ["#find", ".sidebar-search"])
@pytest.mark.parametrize(
    "question",
    ["loss is nan", "element 0 of tensors does not require grad and does not have a grad_fn", "clip_grad_norm_"],
)
def test_what_is_searched_for_is_reached(site: Served, tab: Any, question: str, place: str) -> None:
    """A symptom, an error's text and a function's name, typed on the front page, lead to a claim as `list` finds it."""
    first = search.Index(books.read_entries(BOOK.directory)).search(question).found[0].entry
    tab.goto(site.url)
    tab.locator(place).fill(question)
    tab.locator(place).press("Enter")
    tab.locator("#results a").first.click()
    tab.wait_for_url(f"**/{first.chapter.removesuffix('.md')}.html#{first.id}")
    assert tab.locator(f"[id='{first.id}'] > h2").is_visible()


def test_a_permalink_leads_to_its_claim(site: Served, tab: Any) -> None:
    """The mark behind a heading has the claim's id, and brings the heading into view."""
    claim = list(CLAIMS.values())[-1]
    tab.goto(f"{site.url}{claim.path.stem}.html")
    heading = tab.locator(f"[id='{claim.id}'] > h2")
    heading.hover()
    heading.locator(".headerlink").click()
    tab.wait_for_url(f"**#{claim.id}")
    tab.goto(f"{site.url}index.html")
    tab.goto(f"{site.url}{claim.path.stem}.html#{claim.id}")
    tab.wait_for_function("id => document.getElementById(id).getBoundingClientRect().top < 900", arg=claim.id)


def copied(tab: Any, block: Any) -> str:
    """What the button of a block of code puts on the clipboard."""
    block.hover()
    block.locator(".copybtn").click()
    return tab.evaluate("navigator.clipboard.readText()")


def test_code_is_copied_without_prompts_and_output(site: Served, tab: Any) -> None:
    """What is copied are a claim's statements; and the line that runs it, and its script, as they stand."""
    claim = CLAIMS["equal-losses-can-have-different-gradients"]
    tab.goto(f"{site.url}loss.html")
    section = tab.locator(f"[id='{claim.id}']")
    code = copied(tab, section.locator("div.highlight-python .highlight").first)
    shown = section.locator("div.highlight-python pre").first.inner_text()
    assert code.strip() == "".join(part.source for part in doctest.DocTestParser().get_examples(shown)).strip()
    assert code.strip() == "".join(example.source for example in claim.examples).strip()
    section.locator(".run summary").click()
    assert copied(tab, section.locator(".run .highlight")) == f'pytest "spec/loss.md::{claim.id}"'
    section.locator(".script summary").click()
    assert copied(tab, section.locator(".script .highlight")).strip() == the_script(claim)


def test_a_claim_says_what_it_notices(site: Served, tab: Any) -> None:
    """As many wrong PyTorches as the proof has, each with what it says of itself, and a link that opens its fold."""
    records = Verdicts.read(ROOT / "docs" / "proof.json").records
    current = {claim.id: checksum(claim.verified) for claim in BOOK}
    record = next((one for one in records if one.killed and one.checksum == current.get(one.claim)), None)
    if not record:
        pytest.skip("every claim has changed since docs/proof.json was written: make kept")
    first = record.killed[0]
    page = CLAIMS[record.claim].path.stem
    tab.goto(f"{site.url}{page}.html")
    fold = tab.locator(f"[id='{record.claim}'] .notices")
    assert fold.locator("summary").inner_text() == f"notices {len(record.killed)} wrong PyTorches"
    fold.locator("summary").click()
    fold.locator("li").first.wait_for()
    assert fold.locator("li a").all_inner_texts() == list(record.killed)
    assert fold.locator("li").first.inner_text().removeprefix(first).strip()
    fold.locator("li a").first.click()
    tab.wait_for_url(f"**/mutants.html#{first}")
    link = tab.locator(f"[id='{first}'][open] li a[href='{page}.html#{record.claim}']")
    link.click()
    tab.wait_for_url(f"**/{page}.html#{record.claim}")


def test_a_claim_says_that_a_watch_sees_it_and_what_the_watch_is(site: Served, tab: Any) -> None:
    """With a link to the watch, whose fold it opens: the lines of the book on which it fires, and the way back."""
    row = next(row for row in table.read() if row.claim in CLAIMS)
    page = CLAIMS[row.claim].path.stem
    tab.goto(f"{site.url}{page}.html")
    tab.locator(f"[id='{row.claim}'] .state a[href='watches.html#{row.name}']").click()
    fold = tab.locator(f"[id='{row.name}'][open]")
    fold.wait_for()
    assert set(fold.locator("li code").all_inner_texts()) >= set(row.fired[row.claim])
    fold.locator(f"a[href='{page}.html#{row.claim}']").first.click()
    tab.wait_for_url(f"**/{page}.html#{row.claim}")


def test_a_basis_says_what_it_means(site: Served, tab: Any) -> None:
    """Under the mouse, and on focus."""
    tab.goto(f"{site.url}loss.html")
    basis = tab.locator(".basis").first
    tip = basis.locator("[role=tooltip]")
    assert not tip.is_visible()
    basis.hover()
    assert tip.is_visible()
    tab.mouse.move(0, 0)
    basis.focus()
    assert tip.is_visible()


def test_the_theme_can_be_switched(site: Served, tab: Any) -> None:
    """Light and dark differ in paper and ink, and formulas have the ink's color."""
    tab.goto(f"{site.url}loss.html")
    seen = set()
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('.math svg')).fill"
    for _ in range(3):
        tab.locator(".theme-toggle-content .theme-toggle").click()
        seen.add(tuple(tab.evaluate(f"[{paper}, {ink}]")))
    assert len(seen) == 2
    assert all(paper != ink for paper, ink in seen)


def test_the_matrix_is_filtered(site: Served, tab: Any) -> None:
    """By chapter and basis: the rows that are left are the book's."""
    tab.goto(f"{site.url}matrix.html")
    rows = tab.locator("tr[data-basis]:visible")
    assert rows.count() == len(CLAIMS)
    tab.locator("[name=chapter]").select_option("outliers")
    tab.locator("[name=basis]").select_option("observed")
    wanted = [c for c in CLAIMS.values() if c.path.stem == "outliers" and c.basis == "observed"]
    assert rows.count() == len(wanted)
    assert tab.locator("form.filter [role=status]").inner_text() == f"{len(wanted)} of {len(CLAIMS)}"


def test_a_page_is_read_by_keyboard_alone(site: Served, tab: Any) -> None:
    """The first stop skips to the text; a fold is opened with Enter; on a narrow page the drawer of pages opens."""
    tab.goto(f"{site.url}loss.html")
    tab.keyboard.press("Tab")
    assert "Skip to content" in tab.evaluate("document.activeElement.innerText")
    summary = tab.locator(".notices summary").first
    summary.focus()
    tab.keyboard.press("Enter")
    tab.locator(".notices[open] li").first.wait_for()
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.locator(".nav-overlay-icon").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('.sidebar-tree a').getBoundingClientRect().left >= 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", [*KINDS, "matrix", "mutants", "watches", "symptoms"])
def test_nothing_shuts_anyone_out(site: Served, browser: Any, page: str, scheme: str) -> None:
    """Axe finds no violation of level serious or above on a page of each kind, with its first folds open."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=f"no axe: {INSTALL}")
    width = 390 if scheme == "dark" else 1280
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(f"{site.url}{page}.html")
    for fold in tab.locator("article details > summary:visible").all()[:5]:
        fold.click()
    # A long page is like its beginning, and axe takes a minute for a thousand rows.
    rest = "tbody:nth-of-type(n + 4), h1 ~ section ~ section"
    tab.evaluate("rest => document.querySelectorAll(rest).forEach(element => element.remove())", rest)
    found = axe.Axe().run(tab).response["violations"]
    context.close()
    bad = [(rule["id"], rule["nodes"][0]["html"]) for rule in found if rule["impact"] in ("serious", "critical")]
    assert not bad
