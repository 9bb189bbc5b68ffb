"""The search: what somebody types leads to the claim that answers it."""

import re
import sqlite3
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.modules import loss as losses

from lossdemo import search
from lossdemo.books import Entry
from lossdemo.search import Index, NoSearch
from lossdemo.verify.claims import Book

CLAIMS = list(Book(Path(__file__).parent.parent / "spec"))
INDEX = Index([Entry.of(claim) for claim in CLAIMS])


def ids(text: str, index: Index = INDEX) -> list[str]:
    """The ids of the claims found, best first."""
    return [found.entry.id for found in index.search(text).found]


def entry(title: str, text: str = "", *symptoms: str) -> Entry:
    """A claim of some other book."""
    text = f"## {title}\n\n{text}\n\nBasis: observed\n"
    name = title.lower().replace(" ", "-")
    return Entry(name, "x.md", 1, title, "observed", [*symptoms], text, search.words(title, symptoms, text))


# What somebody asks, and words of which the id of one of the first three has one.
QUESTIONS = """\
my weights are not updating after optimizer.step() -> zero_grad step-moves optimizer-moves
loss is nan after a few iterations -> nan curvature ctc
nan loss -> nan
loss stuck at 0.693 -> class-count 06931
my loss is 0.69 and does not go down -> class-count 06931 sigmoid
loss stays at 2.3026 for mnist -> class-count
my model predicts the mean for every input -> mean-of-all-targets dead-relu
loss does not decrease -> step zero_grad softmax curvature
should I apply softmax before CrossEntropyLoss? -> softmax
do I need sigmoid with BCEWithLogitsLoss -> sigmoid
negative nll loss -> nllloss
negative CTC loss -> ctcloss
ctc loss inf -> ctc
KLDivLoss negative values -> kldivloss
triplet loss stuck at margin -> coincide
BCELoss returns 100 -> cut-off-at-100
-100 -> ignore
how to ignore padding tokens in the loss -> ignore padding mask
class weights for unbalanced classes cross entropy -> class-weight
focal loss pytorch gamma -> focal
mse or mae for outliers -> outlier
difference between huber and smooth l1 -> smoothl1
RMSE sqrt nan gradient -> root
half precision mse overflow -> float16
zero_grad before or after backward -> zero_grad
what happens if I forgot optimizer.zero_grad() -> zero_grad
gradient clipping with amp scaler unscale_ -> unscale_
why is Adam's first step so large -> adam
difference between adam and adamw weight decay -> weight-decay adamw
learning rate too high loss explodes -> curvature explode momentum
UserWarning: size_average and reduce args will be deprecated, please use reduction='sum' instead. -> size_average
dead relu never recovers -> dead-relu
vanishing gradients sigmoid deep network -> sigmoid
standardise inputs before training -> standardiz
accuracy not differentiable -> accuracy
threshold 0 or 0.5 for logits -> the-threshold
perplexity from loss -> perplexity
how do I use pos_weight for an imbalanced data set -> pos_weight
RuntimeError: all elements of input should be between 0 and 1 -> bceloss
grad can be implicitly created only for scalar outputs -> backward
Expected target size [3, 4], got [3] -> n-c-t
ValueError: Using a target size (torch.Size([32])) that is different to the input size (torch.Size([32, 1])) -> n-1
maximise instead of minimise, gradient ascent -> maximize
lbfgs closure -> lbfgs
"""


@pytest.mark.parametrize("line", QUESTIONS.splitlines())
def test_a_question_finds_its_answer(line: str) -> None:
    """Among the first three, however it is put."""
    question, _, words = line.partition(" -> ")
    assert any(word in claim for claim in ids(question)[:3] for word in words.split())


def test_every_symptom_and_every_title_finds_its_claim() -> None:
    """Among the first three claims that have it; a title finds its own claim first."""
    owners = defaultdict(set)
    for claim in CLAIMS:
        assert ids(claim.title)[0] == claim.id
        for symptom in claim.symptoms:
            owners[symptom].add(claim.id)
    assert not [symptom for symptom, own in owners.items() if not own & set(ids(symptom)[:3])]


def test_every_error_that_the_book_shows_finds_its_claim() -> None:
    """By its whole text, with other numbers in its shapes."""
    owners = defaultdict(set)
    for claim in CLAIMS:
        for example in claim.examples:
            if example.exc_msg and "..." not in example.exc_msg:
                owners[re.sub(r"(?<=[\[(, ])[2-9](?=[\]), ])", "64", example.exc_msg)].add(claim.id)
    assert len(owners) > 20
    assert not [error for error, own in owners.items() if not own & set(ids(error)[:3])]


@pytest.mark.parametrize("module", [name for name in losses.__all__ if not name.endswith("2d")])
def test_a_module_and_its_function_find_the_same(module: str) -> None:
    """However they are spelt."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", module).lower()
    name = re.sub("(cross_entropy|with_logits)_loss", r"\1", name.replace("bce", "binary_cross_entropy"))
    assert ids(module)
    assert ids(module)[:3] == ids(f"F.{name}")[:3] == ids(f"torch.nn.{module}")[:3]
    assert set(ids(module)[:3]) <= set(ids(module.lower()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("standardise", "standardize"),
        ("minimiser", "minimizer"),
        ("normalisation", "normalization"),
        ("colour", "color"),
        ("modelling", "modeling"),
        ("center", "centre"),
        ("analyse", "analyze"),
        ("forgot", "forgotten"),
        ("0.6931", "0.693"),
        ("1e-8", "0.00000001"),
        ("doesn't move", "does not move"),
        ("cross-entropy", "cross entropy"),
        ("MSE", "mean squared error"),
        ("learning rate", "lr"),
        ("naïve", "naive"),
        ("σ", "ς"),
        ("NaN", "nan"),
    ],
)
def test_what_is_alike_finds_the_same(one: str, other: str) -> None:
    """In either direction."""
    for written, asked in ((one, other), (other, one)):
        index = Index([entry("Nothing"), entry(f"It is {written} here"), entry("Other")])
        assert ids(asked, index)[:1] == [f"it-is-{written}-here".lower().replace(" ", "-")]
        assert index.search(asked).found[0].complete


def test_a_number_with_a_point_finds_those_that_round_to_it() -> None:
    """With two digits at least: 0.1 is a learning rate, and not about 0.1."""
    texts = ("2.303", "2.31", "0.6931", "0.7", "0.1", "0.12", "-1.14", "23")
    index = Index([entry(f"It is {number} here", "", "x") for number in texts])
    for asked, found in (
        ("2.30", ["2.303"]),
        ("2.303", ["2.303"]),
        ("2.3", ["2.303", "2.31"]),
        ("0.69", ["0.6931"]),
        ("0.70", ["0.7"]),
        ("0.1", ["0.1"]),
        ("-1.1", ["-1.14"]),
        ("2", []),
    ):
        assert sorted(hit.entry.title.split()[2] for hit in index.search(asked).found) == found, asked


@pytest.mark.parametrize("asked", ["nan loss", "loss is nan", "the loss NaN?"])
def test_what_says_little_else_comes_first(asked: str) -> None:
    """In any order, and with words that say nothing."""
    rare = [entry(f"NaN loss of {word}", "", f"{word} loss is NaN with AMP") for word in ("CTC", "focal", "triplet")]
    assert ids(asked, Index([*rare, entry("A high rate diverges", "", "loss is NaN"), entry("Other")]))[0] == (
        "a-high-rate-diverges"
    )


SYMPTOMS = """\
# Symptoms

## The loss is NaN

1. Check:
   - loss is NaN; fit is NaN: [One](x.md#one)
   - sum is NaN: [Two](x.md#two)

## The training is slow

- slow start: [One](x.md#one)
- odd quark: [Two](x.md#two)

## Everything else

- lonely: [Two](x.md#two)
- quark: [Two](x.md#two)
"""
NAMES = "# Names\n\n## Losses\n\n### `HuberLoss` and `huber_loss`\n\n### `detach`\n"


@pytest.mark.parametrize(
    ("asked", "see"),
    [
        ("slow", ("symptoms.md", "The training is slow")),
        ("slow training", ("symptoms.md", "The training is slow")),
        ("is NaN", ("symptoms.md", "The loss is NaN")),
        ("fit NaN", ("symptoms.md", "The loss is NaN")),
        ("RuntimeError: odd quark", ("symptoms.md", "The training is slow")),
        ("quark", None),  # one symptom that says more is not enough
        ("lonely", None),
        ("huber", ("names.md", "HuberLoss and huber_loss")),
        ("detach", ("names.md", "detach")),
        ("?", None),
        ("0.5", None),
    ],
)
def test_a_page_that_has_what_was_asked_is_named(asked: str, see: tuple[str, str] | None) -> None:
    """With its heading, where that is clear; a book without such pages has none."""
    entries = [
        entry("One", "", "loss is NaN", "fit is NaN", "slow start"),
        entry("Two", "", "sum is NaN", "odd quark", "lonely"),
    ]
    found = Index(entries).search(asked).found
    assert search.heading(SYMPTOMS, NAMES, asked, found) == see
    assert search.heading("", "", asked, found) is None


def test_titles_count_more_than_symptoms_and_these_more_than_text() -> None:
    """And what stands together more than what stands apart."""
    others = [entry(f"Claim {number}", "Many other words stand here.") for number in range(9)]
    index = Index(
        [entry("One", "The gradient vanishes."), entry("Two", "", "gradient is odd"), entry("A gradient"), *others]
    )
    assert ids("gradient", index) == ["a-gradient", "two", "one"]
    apart, near = (
        entry("Apart", "Zero is here, and then a gradient."),
        entry("Near", "Here is a zero\ngradient, and then."),
    )
    assert ids("zero gradient", Index([apart, near, *others])) == ["near", "apart"]


def test_most_words_come_first_and_one_that_is_missing_loses_nothing() -> None:
    """A rare word counts more than one that many claims have."""
    index = Index([entry(f"The loss {word}") for word in ("grows", "falls", "falls slowly", "is xylophonic")])
    assert ids("xylophonic loss", index)[0] == "the-loss-is-xylophonic"
    assert ids("loss falls slowly today", index)[:2] == ["the-loss-falls-slowly", "the-loss-falls"]
    assert [found.complete for found in index.search("loss falls slowly").found][:2] == [True, False]


def test_the_line_that_matches_is_shown_with_its_words() -> None:
    """A title, a symptom, a sentence over two lines, a line of code: with where the words are, in any form."""
    prose = "First words. The loss is\nnever negative. Last [words](x.md#nan)."
    fold = "<details><summary>Fold</summary>\n\nA summary.\n\n```python\n>>> F.nll_loss(x, y)\n```\n\n</details>"
    text = f"{prose}\n\n{fold}"
    index = Index([entry("A title", text, "loss below zero"), entry("Other")])
    for asked, line, words in (
        ("titles", "A title", ["title"]),
        ("losses below zero", "loss below zero", ["loss", "below", "zero"]),
        ("negative loss", "The loss is never negative.", ["loss", "negative"]),
        ("NLLLoss", ">>> F.nll_loss(x, y)", ["nll_loss"]),
        ("last", "Last words.", ["Last"]),
        ("summary", "A summary.", ["summary"]),
    ):
        [found] = index.search(asked).found
        assert found.line == line
        assert [line[begin:end] for begin, end in found.spans(line)] == words
    assert ids("nan", index) == []


@pytest.mark.parametrize("text", ["", " ", "?", "()", "\0", "\udc80", "' \" `", "#!%&/()=+*~^°"])
def test_what_has_no_words_finds_nothing(text: str) -> None:
    """And is no error."""
    assert INDEX.search(text) == ([], {}, False)


@pytest.mark.parametrize("text", ["NEAR(huber outlier)", "near* NOT -huber^outlier", '"near huber: + {outlier}'])
def test_the_syntax_of_fts5_is_words(text: str) -> None:
    """A user's quotes, stars and operators mean nothing."""
    assert ids(text) == ids(re.sub(r"\W+", " ", text))


@given(st.text(st.characters(), max_size=80))
def test_any_text_can_be_looked_for(text: str) -> None:
    """In any script, with any control character."""
    for found in INDEX.search(text).found[:3]:
        assert found.line
        assert found.spans(found.line)


def test_a_very_long_text_is_looked_for_as_well() -> None:
    """A traceback of ten thousand characters, with the error at its end or beginning."""
    noise = "\n".join(
        f'  File "/usr/lib/python3/site-packages/some{n}/thing.py", line {n}, in call{n}' for n in range(140)
    )
    assert len(noise) > 10_000
    error = "RuntimeError: grad can be implicitly created only for scalar outputs"
    assert ids(f"{error}\n{noise}")[0] == ids(f"{noise}\n{error}")[0] == ids(error)[0]


def test_what_is_misspelt_is_guessed() -> None:
    """With what it was taken for; it is found as typed only if another word is."""
    found, guessed, is_typed = INDEX.search("huberr")
    assert "huber" in found[0].entry.id
    assert (guessed, is_typed) == ({"huberr": "huber"}, False)
    found, guessed, is_typed = INDEX.search("crossentropy gradeint")
    assert "gradient" in found[0].entry.text
    assert (guessed, is_typed) == ({"gradeint": "gradient"}, True)
    assert not found[0].complete
    assert INDEX.search("qqqqqq") == ([], {}, False)


def test_a_sqlite_without_fts5_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence."""

    class Connection:
        def execute(self, _: str) -> None:
            raise sqlite3.OperationalError("no such module: fts5")

    monkeypatch.setattr(sqlite3, "connect", lambda _: Connection())
    with pytest.raises(NoSearch, match="the search needs SQLite with FTS5, which this Python lacks: no such module"):
        Index([])
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    with pytest.raises(NoSearch, match="which this Python lacks: import of sqlite3 halted"):
        Index([])
