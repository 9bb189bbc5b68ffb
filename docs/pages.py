"""The extension of Sphinx that makes the book's site: what a claim shows of its verdicts, and the pages besides."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import search_data
from docutils import nodes
from maths import CannotDraw, drawn, sheet
from pygments.formatters import HtmlFormatter
from pygments.token import Token
from record import MEANING, Kept, in_words
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.highlighting import PygmentsBridge
from sphinx.writers.html5 import HTML5Translator

from lossdemo.script import script
from lossdemo.verify.claims import Book, Claim, slug
from lossdemo.verify.difference import DIRECTIONS
from lossdemo.watch import table

DOCS = Path(__file__).parent
SCRIPTS = ("documentation_options.js", "furo.js", "clipboard.min.js", "copybutton.js", "site.js")
_CHAPTER = re.compile(r"^\d+\. \[([^]]+)\]\((\w[\w-]*)\.md\): ((?:.+\n?)+?)(?=^\d+\. |\Z)", re.MULTILINE)
_MARKED = (Token.Keyword, Token.String, Token.Comment)
Pages = Iterator[tuple[str, dict[str, Any], str]]  # name, context, template


class Part(NamedTuple):
    """A part of the book: its name, and for each page its name, title, and what README.md says of it."""

    name: str
    pages: list[tuple[str, str, str]]


class Wrong(NamedTuple):
    """A mutant as the site shows it."""

    name: str
    target: str
    module: str
    doc: str


class Site:
    """What all pages draw on."""

    def __init__(self, app: Sphinx) -> None:
        self.app = app
        self.book = Book(Path(app.srcdir))
        self.kept = Kept.read(self.book, DOCS)
        self.claims = {claim.id: claim for claim in self.book}
        self.glyphs: dict[str, dict[str, str]] = {}  # of each page that is written

    @cached_property
    def parts(self) -> list[Part]:
        """The book's pages in README.md's order."""
        text = self.book.pages[self.book.directory / "README.md"].text
        before, _, after = text.partition("\n## Chapters\n")
        chapters = after.partition("\n## ")[0]
        parts = [Part("Find", [])]
        for block in re.split(r"\n\n+", before):
            parts[0].pages.extend((name, title, "") for title, name in _links(block))
        for block in re.split(r"\n\n+", chapters.strip()):
            items = _CHAPTER.findall(block)
            if items:
                parts[-1].pages.extend((name, title, _plain(said)) for title, name, said in items)
            elif block.endswith(":"):
                parts.append(Part(re.split("[,:]", block)[0], []))
            else:
                parts[0].pages.extend((name, title, "") for title, name in _links(block))
        known = {name for part in parts for name, _, _ in part.pages}
        rest = [path.stem for path in self.book.pages if path.stem not in {*known, "README"}]
        parts[0].pages.extend((name, self.title_of(name), "") for name in rest)
        return [part._replace(pages=list(dict.fromkeys(part.pages))) for part in parts if part.pages]

    @property
    def chapters(self) -> list[str]:
        """The names of the pages with claims, in the book's order."""
        return [path.stem for path, page in self.book.pages.items() if page.claims]

    def claims_of(self, chapter: str) -> list[Claim]:
        """The claims of the chapter with this name."""
        return self.book.pages[self.book.directory / f"{chapter}.md"].claims

    def title_of(self, page: str) -> str:
        """The heading of a page."""
        return self.book.pages[self.book.directory / f"{page}.md"].headings[0].title

    @cached_property
    def mutants(self) -> dict[str, Wrong]:
        """The wrong PyTorches by name. To make them imports torch, so they are kept until their source changes."""
        import lossdemo

        package = Path(lossdemo.__file__).parent
        sources = [*sorted((package / "mutants").rglob("*.py")), package / "verify" / "mutant.py"]
        key = _digest(sources)
        file = Path(self.app.doctreedir) / "mutants.json"
        kept = json.loads(file.read_text()) if file.exists() else {}
        if kept.get("key") != key:
            from lossdemo.verify.prove import load

            mutants = [(m.name, m.target, m.module, " ".join(m.doc.split())) for m in load(["lossdemo.mutants"])]
            kept = {"key": key, "mutants": mutants}
            file.write_text(json.dumps(kept))
        return {name: Wrong(name, *rest) for name, *rest in kept["mutants"]}

    @cached_property
    def watches(self) -> dict[str, list[table.Row]]:
        """What `lossdemo watch` sees of each claim, in the book's order."""
        rows = table.read()
        watches = {claim: [row for row in rows if row.claim == claim] for claim in self.claims}
        return {claim: several for claim, several in watches.items() if several}

    @property
    def unseen(self) -> list[str]:
        """The claims with symptoms that no watch sees."""
        return [claim.id for claim in table.unseen(self.book, table.read())]

    @property
    def noticed(self) -> list[str]:
        """The names of the mutants that a claim notices."""
        return [name for name in self.mutants if name in self.kept.noticing]

    def link(self, claim: str) -> str:
        """Where the claim with this id is, from any page."""
        return f"{self.claims[claim].path.stem}.html#{claim}"

    def titled(self, claim: str) -> str:
        """The title of the claim with this id as HTML."""
        return marked(self.claims[claim].text.partition("\n")[0].removeprefix("## "))

    def context(self) -> dict[str, Any]:
        """What every template may use."""
        return {"site": self, "kept": self.kept, "meaning": MEANING, "in_words": in_words, "marked": marked}


def _links(text: str) -> list[tuple[str, str]]:
    """Title and name of each page of the book that a text of Markdown links to."""
    return re.findall(r"\[([^]]+)\]\((\w[\w-]*)\.md\)", text)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text).split())


def marked(text: str) -> str:
    """Text as HTML, with what is in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _digest(files: list[Path]) -> str:
    content = hashlib.sha256()
    for file in files:
        content.update(file.name.encode() + file.read_bytes())
    return content.hexdigest()[:16]


class Plain(HtmlFormatter):
    """Code in which keywords, strings and comments are marked, and nothing else: less than half as long."""

    def _get_css_class(self, ttype: Any) -> str:
        return super()._get_css_class(ttype) if any(ttype in kind for kind in _MARKED) else ""


class Translator(HTML5Translator):
    """Sphinx's HTML, with formulas drawn and with less around words of code."""

    def visit_math(self, node: nodes.Element, math_env: str = "") -> None:
        """A formula in a line."""
        self.body.append(self._drawn(node.astext(), True))
        raise nodes.SkipNode

    def visit_math_block(self, node: nodes.Element, math_env: str = "") -> None:
        """A formula of its own; where it has wide blanks it may be broken on a narrow page."""
        formula = " ".join(node.astext().split())
        parts = [self._drawn(part, False) for part in broken(formula)]
        label = f' role="img" aria-label="{escape(formula)}"' if len(parts) > 1 else ""
        self.body.append(f'<div class="math"{label}>{"".join(parts)}</div>\n')
        raise nodes.SkipNode

    def _drawn(self, formula: str, inline: bool) -> str:
        try:
            svg, glyphs = drawn(formula, inline)
        except CannotDraw as error:
            raise ExtensionError(f"{self.builder.current_docname}: {error}") from error
        site(self.builder.app).glyphs.setdefault(self.builder.current_docname, {}).update(glyphs)
        return svg

    def visit_literal(self, node: nodes.Element) -> None:
        """Words of code."""
        self.body.append(f'<code class="literal">{escape(node.astext(), quote=False)}</code>')
        raise nodes.SkipNode

    def visit_inline(self, node: nodes.Element) -> None:
        """What has no look of its own, as the text of a link, gets no tag."""
        if not node["ids"]:
            return
        super().visit_inline(node)

    def depart_inline(self, node: nodes.Element) -> None:
        """As it was begun."""
        if node["ids"]:
            super().depart_inline(node)


def broken(formula: str) -> list[str]:
    r"""A formula in parts: at each \quad and \qquad that stands in no braces and no environment."""
    parts, depth, start = [], 0, 0
    for mark in re.finditer(r"\\(?:begin|left)\b|\\(?:end|right)\b|(?<!\\)[{}]|\\q?quad\b", formula):
        if mark[0].endswith("quad"):
            if depth == 0:
                parts.append(formula[start : mark.start()].strip())
                start = mark.end()
        else:
            depth += 1 if mark[0] in ("{", "\\begin", "\\left") else -1
    return [part for part in [*parts, formula[start:].strip()] if part]


def site(app: Sphinx) -> Site:
    """The site that `app` builds."""
    if not hasattr(app, "_site"):
        app._site = Site(app)  # pyrefly: ignore
    return app._site  # pyrefly: ignore


def _begin(app: Sphinx) -> None:
    app.builder.search = False  # the site has its own, which ranks as `lossdemo list` does


def _settle(app: Sphinx, config: Any) -> None:
    """All pages are written anew where what they show besides the book has changed."""
    config.kept = _digest([*sorted(path for path in DOCS.rglob("*.*") if path.suffix != ".pyc"), table.FILE])
    PygmentsBridge.html_formatter = Plain


def _order(app: Sphinx, name: str, source: list[str]) -> None:
    """Give README.md the tree of pages that Sphinx wants, from its own lists."""
    if name == app.config.root_doc:
        for part in site(app).parts:
            pages = "\n".join(page for page, _, _ in part.pages)
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {part.name}\n\n{pages}\n```\n"


def _read(app: Sphinx, document: nodes.document) -> None:
    """GitHub's anchors as the only ones, pictures with their captions, and nothing that the site's own frame says."""
    renamed = {}
    for section in document.findall(nodes.section):
        if section.get("slug"):
            renamed |= dict.fromkeys(section["ids"], section["slug"])
            section["ids"] = [section["slug"]]
    for link in document.findall(nodes.reference):
        if link.get("refid") in renamed:
            link["refid"] = renamed[link["refid"]]
    slugs = app.env.metadata[app.env.docname].get("myst_slugs", {})
    slugs.update({name: (line, name, text) for name, (line, _, text) in slugs.items()})
    for paragraph in [*document.findall(nodes.paragraph)]:
        if re.match(r"This page has no claims\.$|(Previous: .+ · )?The book · ", paragraph.astext()):
            paragraph.parent.remove(paragraph)
    for picture in [*document.findall(nodes.image)]:
        _caption(picture.parent)


def _caption(paragraph: nodes.Element) -> None:
    """Make a figure of a paragraph that is a picture, with the paragraph below it if that is all in italics."""
    below = paragraph.next_node(descend=False, siblings=True)
    said = below.children if isinstance(below, nodes.paragraph) else []
    if len(paragraph.children) == len(said) == 1 and isinstance(said[0], nodes.emphasis):
        below.parent.remove(below)
        name, caption = Path(paragraph[0]["uri"]).stem, nodes.caption("", "", *said[0].children)
        paragraph.replace_self(nodes.figure("", *paragraph.children, caption, ids=[f"figure-{name}"]))


def _resolve(app: Sphinx, document: nodes.document, name: str) -> None:
    """Say of each claim how it fares, and show the fields of its last paragraph as a list."""
    here = site(app)
    claims = {claim.id: claim for claim in here.claims.values() if claim.path.stem == name}
    if not claims:
        return
    for section in document.findall(nodes.section):
        claim = claims.get(section["ids"][0]) if section["ids"] else None
        if claim:
            _show(app, section, claim)
    notices = {claim: here.kept.noticed.get(claim, []) for claim in claims}
    names = sorted({wrong for several in notices.values() for wrong in several})
    docs = {wrong: marked(here.mutants[wrong].doc) if wrong in here.mutants else "" for wrong in names}
    scripts = {claim.id: script(claim, f"spec/{name}.md") for claim in claims.values()}
    _hold(app, name, {"docs": docs, "notices": notices, "scripts": scripts})


def _hold(app: Sphinx, name: str, data: dict[str, Any]) -> None:
    """Write what a page's folds show into a file of its own, which is loaded when one of them is opened."""
    folder = Path(app.outdir) / "claims"
    folder.mkdir(exist_ok=True)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    (folder / f"{name}.js").write_text(f"lossdemo.hold({text});\n", encoding="utf-8")


def _show(app: Sphinx, section: nodes.section, claim: Claim) -> None:
    def rendered(template: str) -> nodes.raw:
        html = app.builder.templates.render(template, {**site(app).context(), "claim": claim})  # pyrefly: ignore
        return nodes.raw("", html, format="html")

    section.insert(1, rendered("claim.html"))
    for paragraph in reversed([*section.findall(nodes.paragraph)]):
        if paragraph.astext().startswith("Basis: "):
            sources = paragraph.deepcopy()
            while sources.children and "Source: " not in sources.children[0].astext():
                sources.pop(0)
            if sources.children:
                sources[0] = nodes.Text(sources[0].astext().partition("Source: ")[2])
            end = nodes.raw("", "</dd></dl>", format="html")
            paragraph.replace_self([rendered("facts.html"), nodes.inline("", "", *sources.children), end])
            return


def _frame(app: Sphinx, name: str, template: str, context: dict[str, Any], document: nodes.document | None) -> None:
    """What each page has around its text."""
    context["master_doc"] = "index"  # where the brand leads
    context["script_files"] = [file for file in context["script_files"] if Path(str(file.filename)).name in SCRIPTS]
    context.update(site(app).context())
    if "body" in context:
        context["body"] += sheet(site(app).glyphs.get(name, {}))


def _collect(app: Sphinx) -> Pages:
    """The pages that are not the book's."""
    here = site(app)
    changes = list(here.kept.changes())
    titles = {claim: [here.link(claim), here.titled(claim)] for claim in here.claims}
    _hold(app, "mutants", {"claims": titles, "noticing": here.kept.noticing})
    (Path(app.outdir) / "_static" / "claims.js").write_text(search_data.script(here.book.directory), encoding="utf-8")
    yield "index", {"title": "lossdemo", "example": _example(app)}, "index.html"
    yield "matrix", {"title": "Verified where"}, "matrix.html"
    yield "mutants", {"title": "Wrong PyTorches"}, "mutants.html"
    yield "watches", {"title": "What a watch sees"}, "watches.html"
    yield "search", {"title": "Search"}, "search.html"
    for version, difference in changes:
        title = f"What changed in torch {version}"
        yield f"torch-{version}", {"title": title, "difference": difference, "directions": DIRECTIONS}, "release.html"


def _example(app: Sphinx) -> dict[str, str]:
    """The claim that the project's README.md shows, as its page has it."""
    here = site(app)
    readme = (here.book.root / "README.md").read_text(encoding="utf-8")
    title = re.search(r"^`{4,}markdown\n## (.+)$", readme, re.MULTILINE)
    claim = here.claims[slug(title[1].replace("`", ""))] if title else next(iter(here.claims.values()))
    page = claim.path.stem
    app.builder.current_docname = "index"  # pyrefly: ignore
    app.builder.secnumbers, app.builder.fignumbers = {}, {}  # pyrefly: ignore — unset where no page is written
    document = app.env.get_and_resolve_doctree(page, app.builder)
    section = next(node for node in document.findall(nodes.section) if claim.id in node["ids"])
    body = app.builder.render_partial(section)["fragment"]  # pyrefly: ignore
    body = re.sub(r"(</?)h1>", r"\1h3>", body).replace('href="#', f'href="{page}.html#')
    return {"body": body + sheet(here.glyphs.get("index", {})), "page": page, "title": here.title_of(page)}


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_config_value("kept", "", "env")
    app.set_translator("html", Translator)
    app.connect("config-inited", _settle)
    app.connect("builder-inited", _begin, priority=900)
    app.connect("source-read", _order)
    app.connect("doctree-read", _read, priority=1)
    app.connect("doctree-resolved", _resolve)
    app.connect("html-page-context", _frame, priority=900)
    app.connect("html-collect-pages", _collect)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": False}
