"""The pages written by hand: the loop of start.md learns; each sentence beside it, and each row of a table, is true."""

import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook

from lossdemo.verify.claims import read_page

SPEC = Path(__file__).parent.parent / "spec"
START = (SPEC / "start.md").read_text()
[LOOP] = re.findall(r"^```python\n(.*?)^```", START, re.DOTALL | re.MULTILINE)


class Run(NamedTuple):
    """What the loop printed in each epoch, and its names at the end."""

    loss: list[float]
    held_out: list[float]
    right: list[float]
    names: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters of the model at the end."""
        return self.names["model"].state_dict()

    def moved(self, start: "Run") -> set[str]:
        """The parameters that are not what they were in `start`, to the last bit."""
        return {name for name, p in self.parameters.items() if not torch.equal(p, start.parameters[name])}


pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def run(*edits: tuple[str, str]) -> Run:
    """Run the loop of start.md with its text edited: each pair is a part that stands there once, and another for it."""
    code = LOOP
    for part, other in edits:
        assert code.count(part) == 1, part
        code = code.replace(part, other)
    printed: list[str] = []
    names: dict[str, Any] = {"print": printed.append}
    with torch.random.fork_rng():
        exec(compile(code, "start.md", "exec"), names)
    numbers = [[float(number) for number in re.findall(r"[\d.]+(?=,|%)", line)] for line in printed]
    loss, held_out, right = zip(*numbers) if numbers else ((), (), ())
    return Run(list(loss), list(held_out), [percent / 100 for percent in right], names)


UNTRAINED, SHORT = ("range(20)", "range(0)"), ("range(20)", "range(2)")
FEW = ("torch.arange(1000), torch", "torch.arange(50), torch"), ("range(20)", "range(200)")
ON_TRAINING_SAMPLES = ("logits = model", "test = train; logits = model")
RAW = ("x = (x - x[train].mean(0)) / x[train].std(0)", "")
CLIP = "        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)  # (7) may be left out\n"
CLIP_HARD = CLIP.replace("1.0", "0.05")
BACKWARD = "        loss.backward()\n"
STEP = "        optimizer.step()  # (8)\n"
ZERO = "        optimizer.zero_grad()  # (6)\n"


def test_the_loop_is_about_thirty_lines_and_numbers_ten_mistakes() -> None:
    """The numbers in the code are those of the list below it, in order; no line is wider than GitHub shows."""
    assert len([line for line in LOOP.splitlines() if line]) <= 30
    assert max(map(len, LOOP.splitlines())) <= 100
    assert re.findall(r"# \((\d+)\)", LOOP) == re.findall(r"^(\d+)\. \*\*", START, re.MULTILINE)
    assert len(re.findall(r"^\d+\. \*\*[^*]+\*\*.*?\]\(\w+\.md#", START, re.MULTILINE | re.DOTALL)) == 10


def test_the_loop_learns() -> None:
    """Its first epoch is better than equal guesses; at the end the held-out loss is small and the accuracy high."""
    right = run()
    assert right.loss[0] < math.log(3)
    assert right.held_out[-1] < 0.3
    assert right.right[-1] > 0.9
    assert len(right.loss) == 20
    assert run(UNTRAINED).names["y"].unique().tolist() == [0, 1, 2]


def test_mistake_1_training_samples_flatter() -> None:
    """After 200 epochs on 50 samples the loss on them is under two thirds of that on new ones; 1000 flatter less."""
    own, new = run(*FEW, ON_TRAINING_SAMPLES).held_out[-1], run(*FEW).held_out[-1]
    assert own < new * 2 / 3
    assert new - own > run().held_out[-1] - run(ON_TRAINING_SAMPLES).held_out[-1]


def test_mistake_2_raw_inputs_learn_no_class() -> None:
    """The first epoch's loss is far above log 3, the last one is log 3 to a few hundredths: equal guesses, nearly."""
    raw = run(RAW)
    assert raw.loss[0] > 10
    assert raw.loss[-1] == pytest.approx(math.log(3), abs=0.05)
    assert raw.right[-1] < 0.5


def test_mistake_3_a_second_softmax_leaves_a_floor() -> None:
    """No epoch comes below log(1 + 2 / e), 0.55; the accuracy is as high as without."""
    twice = run(("nn.Linear(64, 3))", "nn.Linear(64, 3), nn.Softmax(1))"))
    assert min(twice.loss + twice.held_out) > math.log(1 + 2 / math.e) > 0.55
    assert twice.right[-1] == pytest.approx(run().right[-1], abs=0.05)


@pytest.mark.parametrize(
    "edit",
    [
        ("SGD(model.parameters()", "SGD(model[0].parameters()"),
        ("lr=0.5)", "lr=0.5); torch.manual_seed(0); model[3] = nn.Linear(64, 3)"),
    ],
)
def test_mistake_4_what_the_optimizer_does_not_have_stays(edit: tuple[str, str]) -> None:
    """A layer that is not the optimizer's keeps its values to the last bit, and the loss falls less."""
    partial = run(edit)
    assert partial.moved(run(edit, UNTRAINED)) == {"0.weight", "0.bias"}
    assert partial.loss[-1] > 2 * run().loss[-1]


def test_mistake_5_without_train_there_is_no_dropout() -> None:
    """From the second epoch on the training loss is lower than it should be."""
    off = run(("    model.train()  # (5)\n", ""))
    assert off.loss[0] == run().loss[0]
    assert all(without < right for without, right in zip(off.loss[1:], run().loss[1:]))


def test_mistakes_5_and_10_and_batch_normalization() -> None:
    """Its statistics follow 16 training batches an epoch: only the first without train(), one more without eval()."""
    normalized = ("nn.Linear(2, 64), nn.ReLU()", "nn.Linear(2, 64), nn.BatchNorm1d(64), nn.ReLU()"), SHORT
    followed = [
        run(*normalized, *edits).names["model"][1].num_batches_tracked.item()
        for edits in ([], [("    model.train()  # (5)\n", "")], [("    model.eval()  # (10)\n", "")])
    ]
    assert followed == [2 * 16, 16, 2 * 17]


def test_mistake_6_a_forgotten_zero_grad_is_fast_then_restless() -> None:
    """The first epoch is better, the last one worse; the loss goes up more often, and ends above its least."""
    forgotten = run((ZERO, ""))

    def rises(losses: list[float]) -> int:
        return sum(later > earlier for earlier, later in pairwise(losses))

    assert forgotten.loss[0] < run().loss[0]
    assert forgotten.loss[-1] > 1.2 * run().loss[-1]
    assert rises(forgotten.loss) >= rises(run().loss) + 4


@pytest.mark.parametrize("place", [(STEP, STEP + CLIP_HARD), (BACKWARD, CLIP_HARD + BACKWARD)])
def test_mistake_7_clipping_elsewhere_clips_nothing(place: tuple[str, str]) -> None:
    """However hard the clipping, the run is that without it, to the last bit; in its place it is another one."""
    without = run((CLIP, ""), SHORT)
    assert run((CLIP, ""), place, SHORT).moved(without) == set()
    assert run((CLIP, CLIP_HARD), SHORT).moved(without)


@pytest.mark.parametrize("edits", [((STEP, ""),), ((ZERO, ""), (BACKWARD, BACKWARD + ZERO))])
def test_mistake_8_nothing_moves(edits: tuple[tuple[str, str], ...]) -> None:
    """Without a step, or with gradients cleared before it, every parameter keeps its bits and the loss its value."""
    still = run(*edits, SHORT)
    assert still.moved(run(UNTRAINED)) == set()
    assert max(still.loss) - min(still.loss) < 0.05
    assert len(set(still.held_out)) == 1


def test_mistake_9_the_last_batch_is_smaller() -> None:
    """It has 40 samples, so the plain mean of the batches' losses is not the mean of the samples'."""
    exact = ("total / len(train):.2f", "(total / len(train)):.8f")
    means = ("loss.item() * len(batch)", "loss.item()"), ("total / len(train):.2f", "total / 16:.8f")
    assert len(run().names["batch"]) == 1000 % 64 == 40
    assert run(exact, SHORT).loss != run(*means, SHORT).loss
    assert run(*means, SHORT).moved(run(SHORT)) == set()


def test_mistake_9_without_item_the_total_keeps_every_graph() -> None:
    """The logits of all 16 batches of the epoch can be reached from it."""

    def functions(node: Any) -> Iterator[Any]:
        yield node
        for following, _ in node.next_functions:
            if following:
                yield from functions(following)

    total = run(("loss.item() * len(batch)", "loss * len(batch)"), SHORT).names["total"]
    assert sum(node.name().startswith("NllLoss") for node in functions(total.grad_fn)) == 16
    assert isinstance(run().names["total"], float)


def test_mistake_10_evaluation_with_dropout() -> None:
    """Without eval() the held-out loss is higher, and two evaluations differ; with it they agree."""
    noisy = run(("    model.eval()  # (10)\n", ""))
    model, x = noisy.names["model"], noisy.names["x"]
    assert sum(noisy.held_out[-5:]) > sum(run().held_out[-5:])
    assert not torch.equal(model(x), model(x))
    model = run().names["model"]
    assert torch.equal(model(x), model(x))


def test_mistake_10_without_no_grad_the_numbers_are_right() -> None:
    """What is printed is the same; the logits carry a graph."""
    graph = run(("with torch.no_grad():", "if True:"), SHORT)
    assert graph[:3] == run(SHORT)[:3]
    assert graph.names["logits"].grad_fn is not None
    assert run().names["logits"].grad_fn is None


def test_two_dimensional_predictions_against_one_dimensional_targets() -> None:
    """To MSE they are all pairs of the batch, and it warns."""
    with pytest.warns(UserWarning, match="target size"):
        pairs = F.mse_loss(torch.zeros(3, 1), torch.ones(3), reduction="none")
    assert pairs.shape == (3, 3)


def tables(page: str) -> list[list[list[str]]]:
    """The rows of each table of a page, cell by cell, without its head."""
    found = re.findall(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", (SPEC / page).read_text(), re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()] for table in found]


def read(cell: str) -> str:
    """A cell as it is read: without the marks of code and the targets of links."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", cell).replace("`", "")


ROWS = [row for table in tables("which-loss.md") for row in table]
SIZES = {"N": 6, "C": 3, "D": 4, "T": 7, "S": 2}
N, C, D, T, S = SIZES.values()
REAL = [1.0, 2.0, 2.5, 4.0, 5.0, 27.0]


class Case(NamedTuple):
    """What a row is tried on, and whether what has been learned is what the row says.

    The output that is trained is that of a last layer which sees nothing, or one of its own for each sample.
    """

    values: Any  # of the target, in order
    size: tuple[int, ...]  # of the trained output
    loss: Callable[[Tensor, Tensor], Tensor]  # of output and target
    learned: Callable[[Tensor, Tensor], bool]  # from the output once it is trained, and the target


def near(found: Tensor, expected: Tensor) -> bool:
    """Whether two results agree to a hundredth."""
    return torch.allclose(found.double(), expected.double(), atol=0.01)


def repeated(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss for one output that is every sample's."""
    return lambda output, y: loss(output.expand(N, *output.shape[1:]), y)


def pinball(prediction: Tensor, y: Tensor) -> Tensor:
    """The loss of the 0.7-quantile."""
    return torch.maximum(0.7 * (y - prediction), -0.3 * (y - prediction)).mean()


def frequencies(y: Tensor) -> Tensor:
    """The share of each class."""
    return F.one_hot(y, C).double().mean(0)


def distances(pair: Tensor) -> Tensor:
    """Between the two vectors of each pair."""
    return (pair[0] - pair[1]).norm(dim=1)


def ctc(output: Tensor, y: Tensor) -> Tensor:
    """CTC with all frames, and all labels of each target."""
    return nn.CTCLoss()(output.log_softmax(2), y, torch.full((N,), T), torch.full((N,), S))


def spelled(output: Tensor) -> list[list[int]]:
    """The labels of each sample's most likely path."""
    return [[label for label, _ in groupby(path) if label] for path in output.argmax(2).T.tolist()]


SIGNS = [1.0, -1.0, -1.0]
BCE = repeated(nn.BCEWithLogitsLoss())
SHARES = [0.0, 0.25, 1.0, 0.5, 1.0, 0.75]
CASES = {
    ("real", "the mean"): Case(REAL, (1, 1), repeated(nn.MSELoss()), lambda z, y: near(z, y.mean())),
    ("real", "the median"): Case(REAL, (1, 1), repeated(nn.L1Loss()), lambda z, _: 2.49 < z.item() < 4.01),
    ("real, with outliers", "a mean that far targets hardly move"): Case(
        REAL, (1, 1), repeated(nn.HuberLoss(delta=4)), lambda z, y: near(z, (y[:-1].sum() + 4)[None] / 5)
    ),
    ("real", "the 0.7-quantile"): Case(REAL, (1, 1), repeated(pinball), lambda z, y: near(z, y.quantile(0.8))),
    ("real", "mean and variance"): Case(
        [1.0, 2.0, 3.0, 4.0, 5.0, 3.0],
        (1, 2),
        repeated(lambda z, y: nn.GaussianNLLLoss()(z[:, :1], y, z[:, 1:].exp())),
        lambda z, y: near(z, torch.stack([y.mean(), y.var(correction=0).log()])),
    ),
    ("above 0, over magnitudes", "the geometric mean"): Case(
        REAL, (1, 1), repeated(lambda z, y: nn.MSELoss()(z, y.log())), lambda z, y: near(z.exp() ** N, y.prod())
    ),
    ("count", "the mean count"): Case(
        [0.0, 3.0, 1.0], (1, 1), repeated(nn.PoissonNLLLoss()), lambda z, y: near(z.exp(), y.mean())
    ),
    ("from 0 to 1", "the probability"): Case(SHARES, (1, 1), BCE, lambda z, y: near(z.sigmoid(), y.mean())),
    ("0 or 1", "the probability"): Case(
        [1.0, 0.0, 0.0], (1, 1), BCE, lambda z, _: near(z.sigmoid(), torch.tensor(1 / 3))
    ),
    ("−1 or 1", "the log-odds"): Case(
        SIGNS, (1, 1), repeated(nn.SoftMarginLoss()), lambda z, _: near(z, torch.tensor(math.log(1 / 2)))
    ),
    ("several of C, 0 or 1 each", "each one's probability"): Case(
        [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0], (1, C), BCE, lambda z, y: near(z.sigmoid(), y.mean(0))
    ),
    ("one of C", "each class's probability"): Case(
        [0, 1, 1, 2, 1, 2], (1, C), repeated(nn.CrossEntropyLoss()), lambda z, y: near(z.softmax(1), frequencies(y))
    ),
    ("a distribution over C", "that distribution"): Case(
        [0.5, 0.25, 0.25, 0.1, 0.8, 0.1],
        (1, C),
        repeated(nn.CrossEntropyLoss()),
        lambda z, y: near(z.softmax(1), y.mean(0)),
    ),
    ("a teacher's distribution", "that distribution"): Case(
        [0.5, 0.25, 0.25, 0.1, 0.8, 0.1],
        (1, C),
        repeated(lambda z, y: nn.KLDivLoss(reduction="batchmean")(z.log_softmax(1), y)),
        lambda z, y: near(z.softmax(1), y.mean(0)),
    ),
    ("one of C", "the class, without a probability"): Case(
        [0, 1, 1, 1, 1, 2], (1, C), repeated(nn.MultiMarginLoss()), lambda z, _: z.argmax().item() == 1
    ),
    ("several of C, as a list", "the true ones above the others"): Case(
        [2, 0, -1], (N, C), nn.MultiLabelMarginLoss(), lambda z, _: bool((z[:, [0, 2]] > z[:, 1:2] + 0.99).all())
    ),
    ("one of C in order", "how likely each class is exceeded"): Case(
        [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0], (1, C - 1), BCE, lambda z, y: near(z.sigmoid().sum(), y.sum(1).mean())
    ),
    ("which of two is better", "their order"): Case(
        SIGNS,
        (2, N),
        lambda z, y: nn.MarginRankingLoss(margin=1)(z[0], z[1], y),
        lambda z, y: bool((y * (z[0] - z[1]) > 0.99).all()),
    ),
    ("a pair: alike or not", "a direction"): Case(
        SIGNS,
        (2, N, D),
        lambda z, y: nn.CosineEmbeddingLoss()(z[0], z[1], y),
        lambda z, y: near(F.cosine_similarity(z[0], z[1]).clamp(min=0), (y > 0).double()),
    ),
    ("a pair: alike or not", "a distance"): Case(
        SIGNS,
        (2, N, D),
        lambda z, y: nn.HingeEmbeddingLoss()(distances(z), y),
        lambda z, y: bool(torch.where(y > 0, distances(z) < 0.05, distances(z) > 0.99).all()),
    ),
    ("a triplet", "a distance"): Case(
        None,
        (3, N, D),
        lambda z, _: nn.TripletMarginLoss()(*z),
        lambda z, _: bool((distances(z[:2]) + 0.99 < distances(z[::2])).all()),
    ),
    ("a class for each position", "each position's class"): Case(
        [0, 1, 1, 2, 0], (N, C, T), nn.CrossEntropyLoss(), lambda z, y: torch.equal(z.argmax(1), y)
    ),
    ("labels without alignment", "the labels in order"): Case(
        [1, 2, 2, 1, 2, 2], (T, N, C), ctc, lambda z, y: spelled(z) == y.tolist()
    ),
}


def target_of(cell: str, values: Any) -> Tensor:
    """A target of the shape and dtype that a cell names, with these values, repeated as often as needed."""
    sizes = re.search(r"\((.*?)\)", cell)
    if sizes is None:
        return torch.empty(0)
    shape = [SIZES[name] - int(less or 0) for name, less in re.findall(r"([NCDTS])(?: - (\d))?", sizes[1])]
    shape += [1] * (", 1" in sizes[1])
    dtype = torch.int64 if "int64" in cell else torch.get_default_dtype()
    return torch.tensor((values * math.prod(shape))[: math.prod(shape)], dtype=dtype).reshape(shape)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{read(row[0])}: {read(row[1])}")
def test_a_row_trains_to_what_it_says(row: list[str]) -> None:
    """The loss takes a target of the row's shape and dtype, and what is learned with it is what the row says."""
    case = CASES[read(row[0]), read(row[1])]
    y = target_of(read(row[4]), case.values)
    with register_module_forward_hook(lambda module, *_: called.add(type(module).__name__)):
        called: set[str] = set()
        case.loss(torch.randn(case.size), y)
    assert called == set(re.findall(r"\w+Loss", read(row[2])))
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(case.size, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([output], lr=0.3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, 300)
    for _ in range(300):
        optimizer.zero_grad()
        case.loss(output, y).backward()
        optimizer.step()
        schedule.step()
    assert case.learned(output.detach(), y)


def test_the_rows_are_all_and_each_cell_leads_on() -> None:
    """A case for each row; every cell but the target's kind has a link, and losses are torch's, each named once."""
    assert [(read(row[0]), read(row[1])) for row in ROWS] == list(CASES)
    for row in ROWS:
        assert all(re.search(r"\]\(\w+\.md#", cell) for cell in row[1:]), row
    named = set(re.findall(r"`(\w+Loss)`", (SPEC / "which-loss.md").read_text()))
    assert named == set(torch.nn.modules.loss.__all__) - {"NLLLoss2d"}


@pytest.mark.parametrize("page", ["start.md", "which-loss.md", "glossary.md", "README.md"])
def test_links_to_claims_lead_to_claims(page: str) -> None:
    """Where a page names a claim, the claim is there."""
    for _, target in read_page(SPEC / page).links:
        path, _, anchor = target.partition("#")
        assert not anchor or anchor in read_page(SPEC / path if path else SPEC / page).anchors, target


CHAPTERS = sorted(path for path in SPEC.glob("*.md") if read_page(path).is_chapter)
NO_SYMBOL = re.compile(  # functions by their usual names, signs of numbers, and what only sets the type
    "t?frac|sqrt|sum|log|exp|cos|max|min|cdot|times|q?quad|left|right|[Bb]ig[lr]?|[lg]e|ne|approx|hat|bar|dots|[lr][Vv]ert"
)


def symbols(formula: str) -> set[str]:
    """The letters and signs of a formula, without words and names of functions."""
    formula = re.sub(r"\\(text|mathrm|operatorname|begin|end)\s*\{[^}]*\}", " ", formula)
    found = {sign.removeprefix("\\") for sign in re.findall(r"\\[A-Za-z]+|[A-Za-z]", formula)}
    return {sign for sign in found if not NO_SYMBOL.fullmatch(sign)}


def formulas(text: str) -> list[str]:
    """What a page sets as mathematics, displayed or within a line."""
    displayed = re.findall(r"^```math\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    return displayed + re.findall(r"\$([^$\n]+(?:\n[^$\n]+)?)\$", prose)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_symbol_of_a_chapter_is_in_the_glossary(chapter: Path) -> None:
    """The sign stands in a row that holds everywhere, or names the chapter."""
    known = set()
    for signs, _, places in tables("glossary.md")[-1]:
        if places == "everywhere" or chapter.stem in places.split(", "):
            known |= {symbol for formula in formulas(signs) for symbol in symbols(formula)}
    assert {symbol for formula in formulas(chapter.read_text()) for symbol in symbols(formula)} <= known


def test_every_word_has_a_claim_and_words_are_in_order() -> None:
    """A reader who looks a word up finds it by the alphabet, and is led to a claim."""
    words, ours, _ = tables("glossary.md")
    names = [read(word).lower() for word, _ in words]
    assert names == sorted(names)
    for row in (*words, *ours):
        assert re.search(r"\]\((?!start)\w+\.md#", row[-1]), row[0]
