"""What is generated: the pages are current, have everything, and say only what the claims do; errors can be found."""

import ast
import builtins
import inspect
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lossdemo import indexes
from lossdemo.books import read_entries
from lossdemo.search import Index
from lossdemo.verify import run as running
from lossdemo.verify.claims import Book, Claim
from lossdemo.verify.run import Failure, Setting

ROOT = Path(__file__).parent.parent
BOOK = Book(ROOT / "spec")
CLAIMS = {claim.id: claim for claim in BOOK}
PINNED = re.findall(r"^torch==([\d.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[0]


class Caught:
    """What the claims caught, printed as a traceback, or recorded as a warning, while the names were watched."""

    def __init__(self) -> None:
        self.errors: dict[str, dict[tuple[str, str], None]] = {}
        self.claim = ""

    def note(self, kind: str, text: str) -> None:
        """Note an error or a warning of the claim that runs."""
        self.errors.setdefault(self.claim, {})[kind, " ".join(text.split())] = None


class Noting(ast.NodeTransformer):
    """Tells what each `except` catches."""

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        """Put a call at the beginning of the handler."""
        self.generic_visit(node)
        node.body[:0] = ast.parse("__caught__()").body
        return node


def compile_noting(source: str, filename: str, mode: str, *flags: Any) -> Any:
    """As `compile`, for one statement, with what its handlers catch noted."""
    tree = ast.Interactive(Noting().visit(ast.parse(source)).body)
    return compile(ast.fix_missing_locations(tree), filename, mode, *flags)


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[str, Caught]]:
    """names.md, and what the claims showed of errors and warnings while they were run for it."""
    caught = Caught()
    with pytest.MonkeyPatch.context() as patch:
        enter, report = warnings.catch_warnings.__enter__, running._Runner.report_success
        logs: list[list[warnings.WarningMessage]] = []

        def run(claim: Claim, setting: Setting) -> Failure | None:
            caught.claim = claim.id
            logs.clear()
            failure = running.run(claim, setting)
            for warning in (warning for log in logs for warning in log):
                caught.note(warning.category.__name__, str(warning.message))
            if failure:  # of another release, or refuted, which is said where the book is run
                caught.errors.pop(claim.id, None)
            return failure

        def recorded(self: warnings.catch_warnings) -> list | None:
            log = enter(self)
            logs.extend([] if log is None else [log])
            return log

        def reported(self: Any, out: Any, test: Any, example: Any, got: str) -> None:
            report(self, out, test, example, got)
            if example.exc_msg is not None:
                _, *rest = re.split(r"^(?=\S)", got, flags=re.MULTILINE)[1:]
                kind, _, text = "".join(rest).partition(": ")
                caught.note(kind.rpartition(".")[2], text)

        def raised() -> None:
            error = __import__("sys").exception()
            caught.note(type(error).__name__, str(error))

        patch.setattr(builtins, "__caught__", raised, raising=False)
        patch.setattr(running, "_compile", compile_noting)
        patch.setattr(running._Runner, "report_success", reported)
        patch.setattr(warnings.catch_warnings, "__enter__", recorded)
        patch.setattr(indexes, "run", run)
        yield indexes.names(BOOK), caught


# --- names.md ---


def entries(page: str) -> dict[str, str]:
    """The text below each `###` heading of names.md."""
    parts = re.split(r"^###? (.+)\n", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def test_names_has_every_loss_optimizer_and_argument(watched: tuple[str, Caught]) -> None:
    """Module and function stand together; each argument has claims, or it is said that no claim passes it."""
    page, _ = watched
    found = entries(page)
    for loss in nn.modules.loss.__all__:
        (text,) = [text for heading, text in found.items() if f"`{loss}`" in heading]
        for argument in set(inspect.signature(getattr(nn, loss)).parameters) - {"args", "kwargs"}:
            assert re.search(rf"^- `{argument}`: |^- No claim passes .*`{argument}`", text, re.MULTILINE), (
                loss,
                argument,
            )
    for name, optimizer in vars(torch.optim).items():
        if inspect.isclass(optimizer) and issubclass(optimizer, torch.optim.Optimizer) and name != "Optimizer":
            assert f"`{name}`" in found or re.search(rf"^No claim calls .*`{name}`", page, re.MULTILINE), name
    tools = ("backward", "zero_grad", "step", "detach", "no_grad", "requires_grad_", "clip_grad_norm_", "autocast")
    for name in (*tools, "eval", "item", "param_groups", "add_param_group"):
        assert f"`{name}`" in found
        assert found[f"`{name}`"].count("\n- ") <= indexes.SHOWN + indexes.FOLDED
        assert f"[`{name}`](#{name})" in page.partition("\n## ")[0]


def test_names_links_to_claims_alone(watched: tuple[str, Caught]) -> None:
    """Each link leads to a claim of the book and has its title."""
    page, _ = watched
    links = re.findall(r"\[(.+?)\]\((\w[\w-]*\.md)#([^)]+)\)", page)
    assert len(links) > 500
    for title, chapter, claim in links:
        assert (chapter, title.replace("`", "")) == (CLAIMS[claim].path.name, CLAIMS[claim].title)


CHAPTER = """\
# Probe

Something.

```python
>>> import torch
>>> from torch import nn
>>> from torch.nn import functional as F
>>> x = torch.ones(2)
>>> before = nn.L1Loss(reduction="sum")
>>> def through(**arguments):
...     return F.mse_loss(x, x, **arguments)
```

## `MSELoss` by itself

```python
>>> nn.MSELoss()(x, x)
tensor(0.)
```

Basis: observed · Symptoms: -1e-8; a loss of 0

## The function, through a helper

```python
>>> through(weight=x, reduction="sum")
tensor(0.)
```

Basis: observed

## A group

```python
>>> optimizer = torch.optim.SGD([{"params": [x.clone().requires_grad_()], "momentum": 0.5}], 0.1)
>>> optimizer.zero_grad()
>>> optimizer.param_groups[0]["momentum"]
0.5
```

Basis: observed
"""


def book(directory: Path, text: str = CHAPTER) -> Book:
    """A book with one chapter between two others."""
    other = "# {0}\n\nWords.\n\n## {0} is one\n\n```python\n>>> 1\n1\n```\n\nBasis: observed\n"
    pages = {"a": other.format("A"), "probe": text, "b": other.format("B")}
    pages["README"] = (
        "# Book\n\n1. [A](a.md)\n2. [Probe](probe.md): see\n    more. Read [B](b.md) first.\n3. [B](b.md)\n"
    )
    pages |= dict.fromkeys(("which-loss", "start"), "# Other\n\nThis page has no claims.\n")
    for name, content in pages.items():
        (directory / f"{name}.md").write_text(content)
    (directory / "symptoms.toml").write_text((ROOT / "spec" / "symptoms.toml").read_text())
    return Book(directory)


def test_a_claim_counts_for_what_it_calls_and_passes_itself(tmp_path: Path) -> None:
    """Not for what torch calls and passes, nor for what the preamble does before it; groups and helpers count."""
    probe = book(tmp_path)
    names = indexes.catalogue(probe)
    indexes.watch(probe, names)
    calls = {
        name.names[0]: {claim: passed & {*name.arguments} for claim, passed in name.calls.items()} for name in names
    }
    mse = {"mseloss-by-itself": set(), "the-function-through-a-helper": {"weight", "reduction"}}
    assert calls["MSELoss"] == mse
    assert calls["L1Loss"] == {}
    assert calls["SGD"] == {"a-group": {"lr", "momentum"}}
    assert [*calls["zero_grad"]] == [*calls["param_groups"]] == ["a-group"]
    assert calls["add_param_group"] == {}
    assert calls["no_grad"] == {}


# --- symptoms.md ---


def test_symptoms_has_each_symptom_of_each_claim() -> None:
    """Word for word, on a line that links to the claim, and once; of a claim two at a time, the others in a fold."""
    lines = indexes.symptoms(BOOK).splitlines()
    for claim in BOOK:
        here = [line for line in lines if line.endswith(f"]({claim.path.name}#{claim.id})")]
        shown = [symptom for line in here for symptom in line.lstrip(" -\\").rpartition(": [")[0].split("; ")]
        assert sorted(shown) == sorted(symptom.lstrip("-") for symptom in claim.symptoms), claim.id
    outside = re.sub("<details>.*?</details>", "", "\n".join(lines), flags=re.DOTALL).splitlines()
    assert not [line for line in outside if line.partition(": [")[0].count("; ") >= indexes.TEXTS]


def test_each_heading_of_symptoms_has_claims() -> None:
    """None is empty, each says what to check first, and the list at the top leads to it."""
    page = indexes.symptoms(BOOK)
    for heading, text in zip(*[iter(re.split(r"^## (.+)\n", page, flags=re.MULTILINE)[1:])] * 2):
        first, *rest = text.strip().split("\n\n")
        assert first[0] not in "-1#", heading
        assert "](" in "".join(rest), heading
        assert f"- [{heading}](#{indexes.slug(heading)})" in page


def test_below_a_check_common_causes_come_first(tmp_path: Path) -> None:
    """Chapters on every loss come before those on single losses, and words that many symptoms have before rare ones."""
    probe = book(tmp_path)
    claim = "## {0} falls\n\n```python\n>>> 1\n1\n```\n\nBasis: observed · Symptoms: {1}\n"
    seen = [("One", "quark loss is NaN"), ("Two", "loss is NaN"), ("Three", "NaN; odd quark NaN; loss is NaN")]
    text = "\n".join(claim.format(*pair) for pair in seen)
    (tmp_path / "b.md").write_text(f"# B\n\nWords.\n\n{text}")
    (tmp_path / "a.md").write_text(f"# A\n\nWords.\n\n{claim.format('Four', 'rare NaN')}")
    (tmp_path / "README.md").write_text("# Book\n\n1. [A](a.md)\n\nOthers:\n\n2. [Probe](probe.md)\n3. [B](b.md)\n")
    probe = Book(tmp_path)
    assert indexes.general_chapters(probe) == {"a.md"}
    page = indexes.symptoms(probe).partition("## The loss, or a gradient, is NaN\n")[2].partition("\n## ")[0]
    assert re.findall(r"^- (.*?): \[", page, re.MULTILINE) == [
        "rare NaN",
        "NaN; loss is NaN",
        "loss is NaN",
        "quark loss is NaN",
        "odd quark NaN",
    ]
    assert page.index("<details><summary>More words for claims above: 1") < page.index("odd quark NaN")


def test_a_symptom_that_looks_like_a_list_is_none(tmp_path: Path) -> None:
    """A minus at its beginning is escaped."""
    assert "\n- \\-1e-8: [`MSELoss` by itself](probe.md#mseloss-by-itself)" in indexes.symptoms(book(tmp_path))


# --- the first lines of each chapter ---


def test_heads_name_neighbors_what_to_read_first_and_the_claims(tmp_path: Path) -> None:
    """In the order of README.md; nothing else of the chapter changes."""
    probe = book(tmp_path)
    text = indexes.headed(probe, probe.pages[tmp_path / "probe.md"])
    head = """\
# Probe

Previous: [A](a.md) · [The book](README.md) · Next: [B](b.md) · Read first: [B](b.md)

Something.

<details><summary>Claims of this chapter: 3</summary>

- [`MSELoss` by itself](#mseloss-by-itself)
- [The function, through a helper](#the-function-through-a-helper)
- [A group](#a-group)

</details>

```python
"""
    assert text == CHAPTER.replace("# Probe\n\nSomething.\n\n```python\n", head, 1)
    first, last = (indexes.headed(probe, probe.pages[tmp_path / name]).splitlines()[2] for name in ("a.md", "b.md"))
    assert (first, last) == (
        "[The book](README.md) · Next: [Probe](probe.md)",
        "Previous: [Probe](probe.md) · [The book](README.md)",
    )


def test_the_claims_stand_below_a_table_that_opens_a_chapter(tmp_path: Path) -> None:
    """So that the table is what a reader sees first; and there is one list, wherever it stood before."""
    table = "| loss |\n|---|\n| MSE |\n\n"
    for text in (CHAPTER, indexes.headed(probe := book(tmp_path), probe.pages[tmp_path / "probe.md"])):
        probe = book(tmp_path, text.replace("Something.\n\n", f"Something.\n\n{table}"))
        head = indexes.headed(probe, probe.pages[tmp_path / "probe.md"])
        assert f"Something.\n\n{table}<details><summary>Claims of this chapter: 3</summary>\n\n- [" in head
        assert head.count("<details>") == 1


def test_heads_are_made_anew_over_old_ones(tmp_path: Path) -> None:
    """Twice is as once, and an older head gives way, with claims and chapters that are no more."""
    probe = book(tmp_path)
    text = indexes.headed(probe, probe.pages[tmp_path / "probe.md"])
    again = book(tmp_path, text)
    assert not again.checked[tmp_path / "probe.md"].problems
    assert indexes.headed(again, again.pages[tmp_path / "probe.md"]) == text
    older = (
        text.replace("3</summary>", "2</summary>")
        .replace("- [A group](#a-group)\n", "")
        .replace("[A](a.md)", "[Z](z.md)")
    )
    older = older.replace(" · Next: [B](b.md)", "")
    again = book(tmp_path, older)
    assert indexes.headed(again, again.pages[tmp_path / "probe.md"]) == text


def test_a_chapter_begins_with_a_title_and_a_paragraph() -> None:
    """Then the head has its place."""
    for page in indexes.chapters(BOOK):
        title, *paragraphs = page.text.split("\n\n")
        assert title.startswith("# ")
        assert "\n" not in title
        assert not [text for text in paragraphs[:2] if re.match(r"[|`<#!-]", text)]


# --- everything ---


def test_the_generated_pages_are_current(watched: tuple[str, Caught]) -> None:
    """If not: make indexes. What claims call may be different in another release of torch."""
    found = {page.path: indexes.headed(BOOK, page) for page in indexes.chapters(BOOK)}
    found[BOOK.directory / "symptoms.md"] = indexes.symptoms(BOOK)
    if torch.__version__.partition("+")[0] == PINNED:
        found[BOOK.directory / "names.md"] = watched[0]
    stale = [path.name for path, text in found.items() if not path.exists() or path.read_text() != text]
    assert not stale, "run `make indexes`"


def test_writes_what_is_not_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each page that it writes is named; the second time there is none."""
    book(tmp_path)
    monkeypatch.setattr(indexes, "BOOK", tmp_path)
    indexes.main()
    written = capsys.readouterr().out.splitlines()
    assert written == [f"{name}.md written" for name in ("a", "probe", "b", "symptoms", "names")]
    assert not any(page.problems for page in Book(tmp_path).checked.values())
    indexes.main()
    assert not capsys.readouterr().out


def test_every_error_and_warning_is_found_by_its_text(watched: tuple[str, Caught]) -> None:
    """Whoever pastes what a claim shows finds, among the first three, a claim that shows it, or a like one."""
    shown = [(claim, text) for claim, found in watched[1].errors.items() for _, text in found]
    assert len(shown) > 50
    claims: dict[str, set[str]] = {}
    for claim, text in shown:
        claims.setdefault(alike(text), set()).add(claim)
    index = Index(read_entries(BOOK.directory))
    found = {text: {found.entry.id for found in index.search(text).found[:3]} for _, text in shown}
    assert not [f"{claim}: {text}" for claim, text in shown if not found[text] & claims[alike(text)]]


def alike(text: str) -> str:
    """The beginning of a text, without its numbers."""
    return re.sub(r"\d+(\.\d+)?", "0", text)[:60]
