"""What is generated of the book: symptoms.md, names.md, and the first lines of each chapter.

`python -m lossdemo.indexes` writes it anew, and touches nothing else. The order of the chapters is README.md's, the
headings of symptoms.md and what to check first are from symptoms.toml; all else comes from the claims: their titles,
their Symptoms, and what they call while they run.
"""

import inspect
import re
import sys
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_stack

import torch
from torch import nn
from torch.optim import Optimizer

from lossdemo.processes import watching
from lossdemo.verify import prove
from lossdemo.verify.claims import WITHOUT_CLAIMS, Book, Claim, Page, slug
from lossdemo.verify.items import not_run_because
from lossdemo.verify.patch import Function, locate, located, watched
from lossdemo.verify.run import Setting, run

BOOK = Path(__file__).parent.parent / "spec"


def _title(claim: Claim) -> str:
    """The title with its marks."""
    return claim.text.partition("\n")[0].removeprefix("## ")


def link(claim: Claim, page: str = "") -> str:
    """A link to a claim by its title, from the page of this name."""
    return f"[{_title(claim)}]({'' if claim.path.name == page else claim.path.name}#{claim.id})"


# --- the first lines of each chapter ---

_NEIGHBORS = re.compile(r"^(?:Previous: .* · )?\[The book\]\(README\.md\)(?: · .*)?\n\n", re.MULTILINE)
_CONTENTS = re.compile(r"^<details><summary>Claims of this chapter: \d+</summary>\n\n(?:- .*\n)*\n</details>\n\n", re.M)


def chapters(book: Book) -> list[Page]:
    """The pages that have claims, in the order of README.md."""
    return [page for page in book.pages.values() if page.is_chapter]


def first_read(book: Book) -> dict[str, list[str]]:
    """For each chapter those to read first: the links in its entry of README.md's list that come after its own."""
    readme = book.pages[book.directory / "README.md"].text
    entries = re.findall(r"^\d+\. .+(?:\n +.+)*", readme, re.MULTILINE)
    links = [re.findall(r"\]\((\w[\w-]*\.md)\)", entry) for entry in entries]
    return {chapter: others for chapter, *others in filter(None, links)}


def general_chapters(book: Book) -> set[str]:
    """The names of README.md's first list of chapters, which are about every loss."""
    listed = re.search(r"(?:^\d+\. .+\n(?: +.+\n)*)+", book.pages[book.directory / "README.md"].text, re.MULTILINE)
    return {*re.findall(r"^\d+\. .*?\]\((\w[\w-]*\.md)\)", listed[0] if listed else "", re.MULTILINE)}


def headed(book: Book, page: Page) -> str:
    """A chapter with its neighbors below its title; below its first paragraph, and a table there, its claims."""
    order = chapters(book)
    place = order.index(page)
    needed = [book.pages[book.directory / name] for name in first_read(book).get(page.path.name, [])]
    groups = [("Previous", order[:place][-1:]), ("Next", order[place + 1 :][:1]), ("Read first", needed)]
    parts = [f"{word}: {', '.join(f'[{p.headings[0].title}]({p.path.name})' for p in p)}" for word, p in groups if p]
    parts.insert(place > 0, "[The book](README.md)")
    contents = "\n".join(f"- {link(claim, page.path.name)}" for claim in page.claims)
    text = _CONTENTS.sub("", _NEIGHBORS.sub("", page.text, count=1), count=1)
    title, paragraph, rest = text.split("\n\n", 2)
    table, rest = rest.split("\n\n", 1) if rest.startswith("|") else ("", rest)
    fold = _fold("Claims of this chapter", len(page.claims), contents)
    return "\n\n".join([title, " · ".join(parts), paragraph, *filter(None, [table]), *fold, rest])


# --- symptoms.md ---

TEXTS = 2  # of a claim's symptoms below a heading, that are not folded


@dataclass
class Seen:
    """A claim below a heading of symptoms.md, with its symptoms there, those first that most claims could have."""

    claim: Claim
    symptoms: list[str]

    def line(self, first: int = 0, last: int | None = None) -> str:
        """What is seen, and a link; what begins with a mark of a list is no list."""
        shown = self.symptoms[first:last]
        return f"- {chr(92) if shown[0][0] in '-+*#>' else ''}{'; '.join(shown)}: {link(self.claim)}"

    @property
    def text(self) -> str:
        """What a check is looked for in."""
        return f"{'; '.join(self.symptoms)}: {_title(self.claim)}"


def symptoms(book: Book) -> str:
    """Every symptom of every claim once, below the first heading of symptoms.toml that it fits; others by chapter.

    Below a heading a claim stands at the first check that its title, or its symptoms there, fit; there the claims of
    README.md's first chapters come before those on single losses, and common words before rare ones. Of more than two
    symptoms of a claim the others are folded, at the end of the heading.
    """
    contents = tomllib.loads((book.directory / "symptoms.toml").read_text(encoding="utf-8"))
    common = Counter(word for claim in book for word in {*_plain(" ".join(claim.symptoms))})
    general = general_chapters(book)

    def seen(entries: list[tuple[Claim, str]]) -> list[Seen]:
        found: dict[Claim, list[str]] = defaultdict(list)
        for claim, symptom in entries:
            found[claim].append(symptom)
        rank = {symptom: min((common[word] for word in _plain(symptom)), default=0) for _, symptom in entries}
        each = [Seen(claim, sorted(texts, key=rank.__getitem__, reverse=True)) for claim, texts in found.items()]
        return sorted(each, key=lambda one: (one.claim.path.name not in general, -rank[one.symptoms[0]]))

    rest = [(claim, symptom) for claim in book for symptom in claim.symptoms]
    parts = []
    for see in contents["see"]:
        fits = re.compile(see["symptom"], re.IGNORECASE).search
        here = seen([entry for entry in rest if fits(entry[1])])
        rest = [entry for entry in rest if not fits(entry[1])]
        left, checks = here, []
        texts = None if see.get("folded") else TEXTS
        for check in see["check"]:
            chosen = [one for one in left if re.search(check["claim"], one.text, re.IGNORECASE)]
            left = [one for one in left if one not in chosen]
            lines = [one.line(0, texts) for one in chosen]
            checks.append("\n   ".join([f"{len(checks) + 1}. {check['say']}", *lines]))
        also = "\n".join(one.line(0, texts) for one in left)
        shown = [*checks, *filter(None, ["Also:" if left and checks else "", also])]
        more = "\n".join(one.line(TEXTS) for one in here if len(one.symptoms) > TEXTS)
        if see.get("folded"):
            shown = _fold("Claims", len(here), "\n\n".join(shown))
        elif more:
            shown += _fold("More words for claims above", more.count("\n") + 1, more)
        parts += [f"## {see['heading']}", see["first"], *shown]
    parts += [f"## {contents['rest']['heading']}", contents["rest"]["first"]]
    for page in chapters(book):
        here = seen([entry for entry in rest if entry[0].path == page.path])
        parts += _fold(page.headings[0].title, len(here), "\n".join(one.line() for one in here))
    headings = [see["heading"] for see in (*contents["see"], contents["rest"])]
    overview = "\n".join(f"- [{heading}](#{slug(heading)})" for heading in headings)
    return "\n\n".join(["# Symptoms", contents["about"], WITHOUT_CLAIMS, overview, *parts]) + "\n"


def _plain(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]{2,}", text.lower())


def _fold(what: str, number: int, text: str) -> list[str]:
    return [f"<details><summary>{what}: {number}</summary>", text, "</details>"] if number else []


# --- names.md ---

LOSSES, OPTIMIZERS, LAYERS, GRADIENTS = "Losses", "Optimizers", "Layers and functions", "Gradients and steps"
ABOUT_NAMES = """\
What torch calls its losses, optimizers and functions, with the claims that call each: first the claims about it, then
for each argument claims that pass it, and the others folded or counted. A claim stands here because it makes the call,
not because it mentions the name."""
REDUCTIONS = ("none", "mean", "sum")
SHOWN = 8  # claims about a name, and about an argument, that are not folded
FOLDED = 30  # other claims that call it and are listed; of tools that more claims call they are counted
ALSO = {"l1_loss": "MAE", "kl_div": "KL"}  # what titles call a loss, beside its names and their stems
_PLACES = ("", "nn.", "nn.functional.", "nn.utils.", "nn.Module.", "Tensor.", "autograd.", "func.", "amp.", "optim.")
_PLACES += ("optim.Optimizer.", "optim.lr_scheduler.", "utils.data.", "utils.checkpoint.", "distributed.")
# What beginners ask about, and neither a mutant nor a title names.
ASKED = ("nn.Module.eval", "nn.Module.train", "Tensor.item", "optim.Optimizer.add_param_group")
ATTRIBUTES = ("param_groups",)  # in names.md for what claims write, as nobody calls them


@dataclass
class Name:
    """Something of torch, by its names as a module and as a function.

    `targets` are the functions that are watched, `arguments` what it can be told, `calls` the claims that call one of
    the targets, with the arguments that they pass.
    """

    kind: str
    names: list[str]
    targets: list[str]
    arguments: list[str] = field(default_factory=list)
    calls: dict[str, set[str]] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """All its names."""
        return " and ".join(f"`{each}`" for each in self.names)

    def is_in(self, text: str) -> bool:
        """Whether a text speaks of it, also as "Huber" or "cross-entropy"."""
        words = {*self.names, *(ALSO[name] for name in self.names if name in ALSO)}
        if self.kind == LOSSES:
            words |= {name.removesuffix("Loss") for name in self.names} | {self.names[-1].replace("_", "-")}
        return any(re.search(rf"(?<![\w-]){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in words)


def catalogue(book: Book) -> list[Name]:
    """Every loss and optimizer of torch, and every other function that a mutant breaks or that a title names."""
    losses: dict[str, list[str]] = defaultdict(list)
    for name in nn.modules.loss.__all__:
        losses[re.findall(r"F\.(\w+)\(", inspect.getsource(getattr(nn, name).forward))[0]].append(name)
    found = []
    for function, modules in losses.items():
        targets = [f"torch.nn.functional.{function}", *(f"torch.nn.{name}.__init__" for name in modules)]
        found.append(Name(LOSSES, [*modules, function], targets, _arguments(*targets)))
    for name, it in sorted(vars(torch.optim).items()):
        if inspect.isclass(it) and issubclass(it, Optimizer) and it is not Optimizer:
            target = f"torch.optim.{name}.__init__"
            found.append(Name(OPTIMIZERS, [name], [target], _arguments(target)))
    others: dict[str, Name] = {}
    named = {target for name in found for target in name.targets}
    words = {word for claim in book for word in re.findall(r"`([A-Za-z_.]+)(?:\(.*?\))?`", _title(claim))} - {
        *REDUCTIONS
    }
    words -= {one for target in named for one in inspect.signature(located(target)).parameters}
    broken = {mutant.target for mutant in prove.load(["lossdemo.mutants"]) if prove.exists(mutant.target)}
    titled = {f"torch.{place}{word}" for word in words for place in _PLACES}
    for target in sorted(broken | titled | {f"torch.{name}" for name in ASKED}):
        other = _other(target)
        if other and not named & {*other.targets}:
            known = others.setdefault(other.names[0].replace("_", "").lower(), other)
            known.names = sorted({*known.names, *other.names})
            known.targets = sorted({*known.targets, *other.targets})
            known.kind = max(known.kind, other.kind)
    return [*found, *others.values(), *(Name(GRADIENTS, [attribute], []) for attribute in ATTRIBUTES)]


def _other(target: str) -> Name | None:
    """The name of what is at a dotted path: a layer or class by its own, a method by its own; None if there is none."""
    if not prove.exists(target):
        return None
    owner, name = locate(target)
    it = getattr(owner, name)
    if inspect.isclass(it):
        owner, name, target = it, "__init__", f"{target}.__init__"
    if not inspect.isclass(owner):
        if owner.__name__.startswith("torch.optim."):  # what a step is made of, and nobody calls
            return None
        return Name(LAYERS if owner in (torch, nn.functional) else GRADIENTS, [name], [target])
    if issubclass(owner, Optimizer) and name != "__init__":
        every = [f"torch.optim.{o}.{name}" for o in vars(torch.optim) if prove.exists(f"torch.optim.{o}.{name}")]
        return Name(GRADIENTS, [name], every)
    if owner in (torch.Tensor, nn.Module):
        return Name(GRADIENTS, [name], [target])
    if name in ("__init__", "__enter__", "forward"):
        kind = LAYERS if issubclass(owner, nn.Module) else GRADIENTS
        return Name(kind, [owner.__name__], [f"{target.rpartition('.')[0]}.__init__"])
    return Name(GRADIENTS, [f"{owner.__name__}.{name}"], [target])


def _arguments(*targets: str) -> list[str]:
    """What the functions can be told, operands left out: what a function has no default for, and what is optimized."""
    found: dict[str, None] = {}
    for target in targets:
        for one in inspect.signature(located(target)).parameters.values():
            is_operand = one.default is one.empty and not target.endswith("__init__")
            is_rest = one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
            if not is_operand and not is_rest and one.name not in ("self", "params"):
                found[one.name] = None
    return [*found]


def watch(book: Book, names: list[Name]) -> None:
    """Run every claim, and note in `names` which claims call what, and the arguments that they pass themselves.

    A claim of another release of torch is run as far as it goes here. What torch calls by itself is not noted, nor what
    the chapter's preamble calls before its claims.
    """
    prove.compile_forward_mode()
    owners = {target: name for name in names for target in name.targets}
    for name in names:
        if name.kind == OPTIMIZERS:  # the first one of a class wraps the `step` of the class
            located(f"torch.optim.{name.names[0]}")([torch.zeros(1, 1, requires_grad=True)])
        elif not name.targets:
            code = {claim.id: "".join(example.source for example in claim.examples) for claim in book}
            name.calls |= {claim: set() for claim in code if f".{name.names[0]}" in code[claim]}

    def take(seen: list[dict[str, set[str]]]) -> None:  # by a process that a claim forked
        for name, calls in zip(names, seen):
            for caller, passed in calls.items():
                name.calls.setdefault(caller, set()).update(passed)

    for claim in book:
        if claim.needs and not_run_because(claim, Setting()):
            continue

        def note(target: str, function: Function, args: tuple, kwargs: dict, claim: Claim = claim) -> None:
            if not args[1:] and not kwargs and claim.id in owners[target].calls:  # nothing new, often
                return
            here = sys._getframe(1).f_code  # again where a class's function is watched that another inherits
            frames = (frame for frame, _ in walk_stack(sys._getframe(2)) if frame.f_code is not here)
            caller = next(frames)
            if str(caller.f_globals.get("__name__")).partition(".")[0] == "torch":
                return
            files = [frame.f_code.co_filename for frame in (caller, *frames)]
            examples = [file for file in files if file.startswith("<doctest ")]
            if examples and int(examples[-1].rpartition("[")[2].rstrip("]>")) >= len(claim.preamble):
                owners[target].calls.setdefault(claim.id, set()).update(_passed(function, args, kwargs))

        with watched(owners, note), watching(lambda: [name.calls for name in names], take):
            run(claim, Setting())


def _passed(function: Function, args: tuple, kwargs: dict) -> set[str]:
    """The arguments that a call gives, those of groups of parameters too."""
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):  # a call that is refused, a function without a signature
        return {*kwargs}
    groups = given["params"] if isinstance(given.get("params"), list) else []
    return {*given, *kwargs, *(key for group in groups if isinstance(group, dict) for key in group)}


def names(book: Book) -> str:
    """Every loss and optimizer, their arguments, and other functions, each with the claims that call it."""
    found = catalogue(book)
    watch(book, found)
    claims = {claim.id: claim for claim in book}
    overview, parts = [], []
    for kind in (LOSSES, OPTIMIZERS, LAYERS, GRADIENTS):
        here = sorted((name for name in found if name.kind == kind), key=lambda name: name.names[0].lower())
        links = [f"[`{name.names[0]}`](#{slug(name.heading)})" for name in here if name.calls]
        overview.append(f"- {kind}: {', '.join(links)}")
        parts.append(f"## {kind}")
        for name in here:
            parts += _entry(name, claims) if name.calls else []
        silent = ", ".join(f"`{name.names[0]}`" for name in here if not name.calls)
        parts += [f"No claim calls {silent}."] if silent and kind in (LOSSES, OPTIMIZERS) else []
    return "\n\n".join(["# Names", ABOUT_NAMES, WITHOUT_CLAIMS, "\n".join(overview), *parts]) + "\n"


def _entry(name: Name, claims: dict[str, Claim]) -> list[str]:
    """The claims about a name, some for each argument, and in a fold the others that call it, with what they pass.

    A claim is about a tool, as `detach`, that its title, a symptom or its first paragraph names.
    """
    callers = [claims[claim] for claim in claims if claim in name.calls]
    about = [claim for claim in callers if name.is_in(claim.title)]
    home = Counter(claim.path for claim in about)
    about.sort(key=lambda claim: -home[claim.path])  # the chapter that says most about it first
    is_tool = name.kind not in (LOSSES, OPTIMIZERS)
    if is_tool or not about:
        about += [claim for claim in callers if claim not in about and name.is_in(str(claim.symptoms))]
    if is_tool:
        code = {claim: " ".join(re.findall("`[^`]+`", claim.text.split("\n\n")[1])) for claim in callers}
        about += [claim for claim in callers if claim not in about and name.is_in(code[claim])]
    lines, unused = [f"- {link(claim)}" for claim in about[:SHOWN]], []
    for argument in name.arguments:
        passing = [claim for claim in callers if argument in name.calls[claim.id]]
        word = re.compile(rf"(?<!\w){argument.replace('_', '[_ -]')}(?!\w)", re.IGNORECASE)
        chosen = [claim for claim in passing if word.search(claim.title) or word.search(str(claim.symptoms))][:SHOWN]
        chosen = chosen or [claim for claim in passing if claim in about][:2] or passing[:1]
        if chosen:
            lines.append(f"- `{argument}`: {' · '.join(map(link, chosen))}")
        else:
            unused.append(f"`{argument}`")
    lines += [f"- No claim passes {', '.join(unused)}."] if unused else []
    shown = "\n".join(lines)
    rest = [claim for claim in callers if f"#{claim.id})" not in shown]
    passed = [", ".join(f"`{it}`" for it in name.arguments if it in name.calls[claim.id]) for claim in rest]
    others = "\n".join(f"- {link(claim)}{f' with {these}' if these else ''}" for claim, these in zip(rest, passed))
    if len(rest) > (FOLDED if is_tool else len(claims) / 4):
        end = [f"{len(rest)} {'other ' * bool(shown)}claims call it."]
    else:
        end = _fold("Other claims that call it", len(rest), others) if shown or len(rest) > SHOWN else [others]
    return [f"### {name.heading}", *filter(None, [shown]), *end]


# --- all of them ---


def main() -> None:
    """Write the text of every page of which something is generated, where it is not as it should be."""
    book = Book(BOOK)
    heads = {page.path: headed(book, page) for page in chapters(book)}
    indexes = {book.directory / "symptoms.md": symptoms(book), book.directory / "names.md": names(book)}
    for path, text in (heads | indexes).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path.name} written")


if __name__ == "__main__":
    main()
