"""The tables that open the chapters: every cell is computed and held against torch, or leads to a claim."""

import re
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import test_losses as losses
import torch
from markdown_it import MarkdownIt
from scipy import optimize
from torch import nn
from torch.nn.modules import loss as torch_losses

from lossdemo import closed_form
from lossdemo.verify.claims import Book

BOOK = Book(Path(__file__).parent.parent / "spec")
CLAIMS = {claim.id for claim in BOOK}
FUNCTIONS = {
    **{f"{name}Loss": f"{name.lower()}_loss" for name in ("MSE", "L1", "Huber", "NLL", "CTC")},
    **{"SmoothL1Loss": "smooth_l1_loss", "BCELoss": "binary_cross_entropy", "KLDivLoss": "kl_div"},
    **{"BCEWithLogitsLoss": "binary_cross_entropy_with_logits", "CrossEntropyLoss": "cross_entropy"},
    **{"LinearCrossEntropyLoss": "linear_cross_entropy", "PoissonNLLLoss": "poisson_nll_loss"},
    **{"GaussianNLLLoss": "gaussian_nll_loss", "SoftMarginLoss": "soft_margin_loss"},
    **{"MultiLabelSoftMarginLoss": "multilabel_soft_margin_loss", "MultiMarginLoss": "multi_margin_loss"},
    **{"MultiLabelMarginLoss": "multilabel_margin_loss", "MarginRankingLoss": "margin_ranking_loss"},
    **{"HingeEmbeddingLoss": "hinge_embedding_loss", "CosineEmbeddingLoss": "cosine_embedding_loss"},
    **{"TripletMarginLoss": "triplet_margin_loss"},
    **{"TripletMarginWithDistanceLoss": "triplet_margin_with_distance_loss"},
}
NAMES = {"input": "x", "log_probs": "x", "target": "y", "targets": "y", "linear_weight": "W"}


class Row(NamedTuple):
    """One row of a table, its cells by their column's head, and the definitions in the paragraph below the table."""

    chapter: str
    cells: dict[str, str]
    definitions: dict[str, str]

    @property
    def names(self) -> set[str]:
        """Every name in the row's formulas, and in the definitions that they use."""
        names = set(re.findall(r"\w+", " ".join(self.cells.values())))
        for _ in self.definitions:
            names |= {word for name in names for word in re.findall(r"\w+", self.definitions.get(name, ""))}
        return names

    @property
    def classes(self) -> list[str]:
        """The losses that the row is about."""
        return re.findall(r"`(\w+Loss)`", self.cells["loss"])


def code(cell: str) -> str:
    """What a cell computes, empty if it computes nothing."""
    match = re.fullmatch(r"`([^`]+)`", cell)
    return match[1] if match else ""


def rows() -> Iterator[Row]:
    """The rows of the tables before the first claim of each chapter."""
    for page in BOOK.pages.values():
        if not page.claims:
            continue
        tokens = MarkdownIt("commonmark").enable("table").parse(page.text[: page.claims[0].start])
        texts = [token.content for token in tokens if token.type == "inline"]
        definitions = {name: value for text in texts for name, value in re.findall(r"`(\w+) = ([^`]+)`", text)}
        table: list[list[str]] = []
        for token, inline in pairwise(tokens):
            if token.type == "tr_open":
                table.append([])
            if token.type in ("th_open", "td_open"):
                table[-1].append(inline.content)
        for cells in table[1:]:
            yield Row(page.path.name, dict(zip(table[0], cells)), definitions)


LISTED = [(name, row) for row in rows() for name in row.classes if FUNCTIONS[name] not in losses.LACKING]
ROWS = {f"{row.chapter}: {name}": row for name, row in LISTED if "value" in row.cells}
REDUCTIONS = {name: row for name, row in LISTED if "`'none'` gives" in row.cells}
UNSPOKEN = ("one sample", "images", "probabilities", "in a row", "beta 0")  # cases of which the formulas do not speak


def speaks_of(row: Row, name: str) -> bool:
    """Whether a row is about the loss of a case, and its formulas have the case's arguments."""
    case = losses.CASES[name]
    arguments = {*case.arguments, *({"linear_bias"} & {*case.operands})}
    about = case.loss in (FUNCTIONS[loss] for loss in row.classes)
    return about and arguments <= row.names and not any(word in name for word in UNSPOKEN)


CASES = [(key, name) for key, row in ROWS.items() for name in losses.CASES if speaks_of(row, name)]
# What the formulas may call: NumPy's functions, Python's own sum and abs, and a few of the field's.
FORMULAS = {
    **vars(np),
    "sum": sum,
    "abs": abs,
    "max": np.maximum,
    "norm": np.linalg.norm,
    "cos": lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b),
    "sigmoid": closed_form.sigmoid,
    "softmax": lambda x: np.exp(closed_form.log_softmax(x)),
}


def compute(expression: str, row: Row, values: dict[str, Any]) -> Any:
    """The value of a formula of the table, for these values and the definitions on the page."""
    names = FORMULAS | values

    def evaluate(expression: str) -> Any:
        for name in re.findall(r"\w+", expression):
            if name in row.definitions:
                names[name] = evaluate(row.definitions[name])
        return eval(expression, names)

    return evaluate(expression)


def paths(case: losses.Case, n: int) -> list[tuple[int, ...]]:
    """Every path of a CTC sample that reads as its target, blanks left out and repeats merged."""
    frames, labels = case.operands["input_lengths"][n], case.operands["target_lengths"][n]
    blank = case.arguments.get("blank", 0)

    def reads(path: tuple[int, ...]) -> list[int]:
        return [label for i, label in enumerate(path) if label != blank and (i == 0 or label != path[i - 1])]

    target = case.operands["targets"][n, :labels].tolist()
    return [
        path for path in product(range(case.operands["log_probs"].shape[2]), repeat=frames) if reads(path) == target
    ]


def sample(case: losses.Case, n: int) -> dict[str, Any]:
    """The n-th sample of a case by the names of the table, with the arguments and their defaults."""
    defaults = {"delta": 1.0, "beta": 1.0, "eps": 1e-6, "p": 1}
    defaults["margin"] = 0.0 if case.loss in ("margin_ranking_loss", "cosine_embedding_loss") else 1.0
    values = defaults | case.arguments
    for name, operand in case.operands.items():
        if name == "linear_weight":
            values["W"] = operand
        elif name == "log_probs":
            frames = case.operands["input_lengths"][n]
            values |= {"x": operand[:frames, n], "paths": paths(case, n), "T": frames}
        else:
            values[NAMES.get(name, name)] = operand[n]
    x = values.get("x", np.zeros(1))
    values["C"] = np.shape(x)[-1] if np.ndim(x) else 1
    if case.loss == "linear_cross_entropy":
        values["C"] = len(values["W"])
    if case.loss == "multilabel_margin_loss":
        y = values["y"].tolist()
        values["y"] = y[: y.index(-1)] if -1 in y else y
    values["onehot"] = lambda index: np.eye(values["C"])[np.asarray(index)]
    return values


def test_the_tables_have_every_loss_of_torch_once() -> None:
    """The book covers what torch exports; a loss that a new torch adds shows up here. NLLLoss2d is an old name."""
    exported = sorted(set(torch_losses.__all__) - {"NLLLoss2d"})
    assert sorted(key.split(": ")[1] for key in ROWS) == exported
    assert sorted(REDUCTIONS) == exported
    assert sorted(name for name in FUNCTIONS if FUNCTIONS[name] not in losses.LACKING) == exported


@pytest.mark.parametrize("key", ROWS)
def test_rows_are_complete(key: str) -> None:
    """Each row has a formula, a gradient, a minimizer, a target, a range and something to watch, which is a claim."""
    row = ROWS[key]
    assert key in dict(CASES)
    assert list(row.cells) == ["loss", "value", "gradient", "minimizer", "target", "range", "watch"]
    assert all(code(row.cells[column]) for column in ("value", "gradient"))
    for cell in row.cells.values():
        links = [target for _, target in re.findall(r"\[([^]]+)\]\(([^)]+)\)", cell) if "https:" not in target]
        assert all(target.partition("#")[2] in CLAIMS for target in links)
        assert cell != row.cells["watch"] or links
    assert code(row.cells["minimizer"]) or "](" in row.cells["minimizer"]


def assert_formulas_hold(row: Row, case: losses.Case) -> None:
    """Value and gradient of the row are torch's, sample by sample."""
    operands = losses.tensors(case.operands, torch.float64)
    first = next(iter(operands.values())).requires_grad_()
    value = losses.compute(case, operands, "none", torch.float64)
    value.sum().backward()
    by_sample = first.grad.transpose(0, 1) if case.loss == "ctc_loss" else first.grad
    for n in range(len(value)):
        values = sample(case, n)
        formula = compute(code(row.cells["value"]), row, values)
        gradient = compute(code(row.cells["gradient"]), row, values)
        assert np.shape(formula) == tuple(value[n].shape)
        np.testing.assert_allclose(formula, value[n].detach(), rtol=1e-5, atol=1e-9)
        found = by_sample[n][: values["T"]] if case.loss == "ctc_loss" else by_sample[n]
        np.testing.assert_allclose(np.broadcast_to(gradient, found.shape), found, rtol=1e-5, atol=1e-9)


def wider(case: losses.Case) -> losses.Case:
    """A case with a fourth column, or class, so that no 3 in a formula passes for C."""

    def widened(name: str, values: Any) -> Any:
        if not isinstance(values, np.ndarray) or case.loss == "ctc_loss" or values.shape[-1:] != (3,):
            return values
        if case.loss == "linear_cross_entropy" and name != "weight":
            return np.vstack([values, values[:1] + 0.5]) if name == "linear_weight" else values
        if values.dtype.kind == "i":
            return np.column_stack([values, np.full(len(values), -1)])
        return np.concatenate([values, values[..., :1]], axis=-1)

    operands = {name: widened(name, values) for name, values in case.operands.items()}
    return losses.Case(case.loss, operands, {name: widened(name, value) for name, value in case.arguments.items()})


@pytest.mark.parametrize(("key", "name"), CASES)
def test_formulas_are_torchs_values_and_gradients(key: str, name: str) -> None:
    """What stands in the table is what torch computes for a sample: the loss, and its gradient in the first input."""
    assert_formulas_hold(ROWS[key], losses.CASES[name])
    assert_formulas_hold(ROWS[key], wider(losses.CASES[name]))


def at_the_kink(loss: str) -> losses.Case:
    """Two samples that meet a threshold, a margin or the target itself exactly, so that one slope must be chosen."""
    zero, one, axes = np.zeros((2, 1)), np.ones((2, 1)), np.array([[1.0, 0.0], [0.0, 2.0]])
    away = np.array([-1.0, -1.0])
    return {
        "l1_loss": losses.Case(loss, {"input": one, "target": one}),
        "huber_loss": losses.Case(loss, {"input": one, "target": zero}),
        "smooth_l1_loss": losses.Case(loss, {"input": one, "target": zero}),
        "margin_ranking_loss": losses.Case(loss, {"input1": one, "input2": one, "target": one}),
        "hinge_embedding_loss": losses.Case(loss, {"input": one, "target": -one}),
        "cosine_embedding_loss": losses.Case(loss, {"input1": axes, "input2": axes[::-1].copy(), "target": away}),
        "multi_margin_loss": losses.Case(loss, {"input": axes, "target": np.array([0, 1])}),
        "multilabel_margin_loss": losses.Case(loss, {"input": axes, "target": np.array([[0, -1], [1, -1]])}),
        "triplet_margin_loss": losses.Case(loss, {"anchor": zero, "positive": one, "negative": 2 * one}, {"eps": 0.0}),
        "triplet_margin_with_distance_loss": losses.Case(
            loss,
            {"anchor": zero, "positive": one, "negative": 2 * one},
            {"distance_function": (None, lambda a, b: (a - b).norm(dim=1))},
        ),
    }[loss]


KINKED = [key for key in ROWS if key.startswith(("ranking", "regression")) and "MSE" not in key]
CLAMPS = ("MarginRanking", "HingeEmbedding", "CosineEmbedding", "Triplet")  # their slopes at the kink are clamp's
OLD = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 14)


@pytest.mark.parametrize("key", KINKED)
def test_formulas_choose_torchs_slope_at_a_kink(key: str) -> None:
    """Where a loss has a kink the gradient in the table is the one that torch takes."""
    if OLD and key.removeprefix("ranking.md: ").startswith(CLAMPS):
        pytest.skip("until torch 2.13 clamp had another slope at its bound, and the book has claims on it")
    case = at_the_kink(FUNCTIONS[key.split(": ")[1]])
    assert_formulas_hold(ROWS[key], case)
    operands = losses.tensors(case.operands, torch.float64)
    real = [name for name, operand in operands.items() if operand.is_floating_point() and name != "target"]
    for name in real:
        operands[name].requires_grad_()
    losses.compute(case, operands, "sum", torch.float64).backward()
    if "distance_function" not in case.arguments:
        oracle = losses.oracle(case, operands, "sum").gradient
        for name in real:
            np.testing.assert_allclose(oracle[name], operands[name].grad, rtol=1e-9)


MINIMIZERS = [(key, name) for key, name in CASES if code(ROWS[key].cells["minimizer"])]


@pytest.mark.parametrize(("key", "name"), MINIMIZERS)
def test_minimizers_are_best(key: str, name: str) -> None:
    """No other constant input has a smaller mean loss over the targets than the one that the table gives."""
    case, row = losses.CASES[name], ROWS[key]
    y = case.operands["target"]
    y = y.ravel() if y.dtype.kind == "f" and case.loss not in ("multilabel_soft_margin_loss", "kl_div") else y
    shape = (len(y), 3) if y.dtype.kind == "i" else y.shape
    gaussian = case.loss == "gaussian_nll_loss"

    def mean_loss(constant: np.ndarray) -> float:
        constants = [np.broadcast_to(part, shape) for part in ([*constant] if gaussian else [constant])]
        arguments = losses.arrays(case.arguments)
        if case.loss == "nll_loss":
            constants = [closed_form.log_softmax(constants[0])]
        if case.loss == "kl_div":
            constants = [closed_form.log_softmax(constants[0])]
        return closed_form.LOSSES[case.loss](constants[0], y, *constants[1:], **arguments).value

    values = sample(case, 0) | {"y": y, "N": len(y), "var": np.var}
    expression = code(row.cells["minimizer"])
    if "==" in expression:
        found = optimize.minimize_scalar(mean_loss, bounds=(y.min(), y.max()), options={"xatol": 1e-12}).x
        left, right = expression.split(" == ")
        assert compute(left, row, values | {"c": found}) == pytest.approx(float(right), abs=1e-5)
        return
    best = np.asarray(compute(expression, row, values), dtype=float)
    wanted = (2,) if gaussian else () if y.ndim == 1 and y.dtype.kind == "f" else (shape[-1],)
    assert best.shape == wanted
    if case.loss in ("nll_loss", "kl_div", "cross_entropy"):
        assert np.exp(best).sum() == pytest.approx(1)
    for place, step in product(np.ndindex(best.shape), (-0.1, -0.01, 0.01, 0.1)):
        other = best.copy()
        other[place] += step
        assert mean_loss(best) <= mean_loss(other) + 1e-12


TARGETS = {
    "real": {"mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "gaussian_nll_loss"},
    "0 to 1": {"binary_cross_entropy", "binary_cross_entropy_with_logits", "multilabel_soft_margin_loss"},
    "-1 or 1": {"soft_margin_loss", "margin_ranking_loss", "hinge_embedding_loss", "cosine_embedding_loss"},
    "class index": {"nll_loss", "multi_margin_loss"},
    "class index or probabilities": {"cross_entropy", "linear_cross_entropy"},
    "probabilities": {"kl_div"},
    "0 or more": {"poisson_nll_loss"},
    "class indices, then -1": {"multilabel_margin_loss"},
    "none": {"triplet_margin_loss", "triplet_margin_with_distance_loss"},
    "labels, no blank": {"ctc_loss"},
}


@pytest.mark.parametrize("key", ROWS)
def test_targets_are_what_torch_takes(key: str) -> None:
    """The kind of target in the table is the kind that the oracle's cases give, and torch takes."""
    loss = FUNCTIONS[key.split(": ")[1]]
    assert loss in TARGETS[ROWS[key].cells["target"]]
    kinds = {
        "real": lambda y: y.dtype.kind == "f",
        "0 to 1": lambda y: y.dtype.kind == "f" and ((y >= 0) & (y <= 1)).all(),
        "-1 or 1": lambda y: set(np.unique(y)) == {-1, 1},
        "class index": lambda y: y.dtype.kind == "i",
        "class index or probabilities": lambda y: y.dtype.kind == "i" or np.allclose(y.sum(-1), 1),
        "probabilities": lambda y: y.dtype.kind == "f" and np.allclose(y.sum(-1), 1),
        "0 or more": lambda y: (y >= 0).all(),
        "class indices, then -1": lambda y: y.dtype.kind == "i" and (y == -1).any(),
        "labels, no blank": lambda y: y.dtype.kind == "i",
        "none": lambda y: y is None,
    }
    plain = next(case for case in losses.CASES.values() if case.loss == loss)
    assert kinds[ROWS[key].cells["target"]](plain.operands.get("target", plain.operands.get("targets")))


def limits(row: Row) -> tuple[float, float]:
    """The ends of a range that is written as any, from `0`, or `0` to `2`."""
    bounds = re.fullmatch(r"any|from `([^`]+)`|`([^`]+)` to `([^`]+)`", row.cells["range"])
    assert bounds
    low, high = bounds[1] or bounds[2] or "-inf", bounds[3] or "inf"
    return compute(low, row, {"eps": 1e-6}), compute(high, row, {})


@pytest.mark.parametrize("key", ROWS)
def test_ranges_hold_and_are_tight(key: str) -> None:
    """Losses of valid inputs, small and large, lie in the range, and come near both of its ends."""
    row, loss = ROWS[key], FUNCTIONS[key.split(": ")[1]]
    low, high = limits(row)
    random = np.random.default_rng(0)
    found = []
    for case in (case for case in losses.CASES.values() if case.loss == loss and not case.arguments):
        for scale in 20 * (1e-9, 0.1, 1.0, 10.0, 300.0):
            inputs = dict(case.operands)
            if loss == "poisson_nll_loss":
                inputs["target"] = scale * inputs["target"]
            for name in inputs:
                if name in ("target", "targets", "linear_weight") or inputs[name].dtype.kind != "f":
                    continue
                noise = random.normal(size=inputs[name].shape)
                inputs[name] = scale * noise
                if loss == "binary_cross_entropy":
                    inputs[name] = closed_form.sigmoid(noise * scale)
                elif name == "var":
                    inputs[name] = np.abs(noise) * min(scale, 1.0)
                elif name == "log_probs" or (loss == "kl_div" and name == "input"):
                    inputs[name] = closed_form.log_softmax(scale * noise)
            if loss in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "gaussian_nll_loss"):
                inputs["input"] = inputs["target"] + inputs["input"]
            with np.errstate(over="ignore"):
                found.append(closed_form.LOSSES[loss](**inputs, reduction="none").value.ravel())
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    assert ((low - 1e-9 <= values) & (values <= high + 1e-9)).all()
    assert values.min() < (-10 if low == -np.inf else low + 0.02)
    assert values.max() > (150 if high == np.inf else 0.97 * high)


def shapes(name: str) -> tuple[losses.Case, dict[str, int]]:
    """A plain case of a loss, and the sizes that the table on reductions speaks of."""
    case = wider(next(case for case in losses.CASES.values() if case.loss == FUNCTIONS[name] and not case.arguments))
    first = next(iter(case.operands.values()))
    return case, {"N": first.shape[1] if name == "CTCLoss" else len(first), "C": first.shape[-1]}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_have_the_shape_and_the_divisor_of_the_table(name: str) -> None:
    """The unreduced losses have the shape of the table, and the sum over the mean is its divisor, weighted or not."""
    row = REDUCTIONS[name]
    case, sizes = shapes(name)
    operands = losses.tensors(case.operands, torch.float64)
    none, total, mean = (losses.compute(case, operands, how, torch.float64) for how in ("none", "sum", "mean"))
    assert tuple(none.shape) == compute(code(row.cells["`'none'` gives"]), row, sizes)
    divisor = row.cells["`'mean'` divides by"]
    if code(divisor):
        assert (total / mean).item() == pytest.approx(compute(code(divisor), row, sizes))
    else:
        assert re.search(r"#([^)]+)\)", divisor)[1] in CLAIMS
    weighted = [
        case for case in losses.CASES.values() if case.loss == FUNCTIONS[name] and {*case.arguments} == {"weight"}
    ]
    assert bool(weighted) == bool(row.cells["with `weight`"])
    for case in map(wider, weighted[:1]):
        operands = losses.tensors(case.operands, torch.float64)
        total, mean = (losses.compute(case, operands, how, torch.float64) for how in ("sum", "mean"))
        values = {**sizes, "weight": case.arguments["weight"], "y": case.operands["target"]}
        assert (total / mean).item() == pytest.approx(compute(code(row.cells["with `weight`"]), row, values))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_modules_are_their_functions(name: str) -> None:
    """Each module calls its function with the arguments that it was made with, whatever they are."""
    if FUNCTIONS[name] in losses.LACKING:
        pytest.skip(f"this torch has no {name}")
    for case in (case for case in losses.CASES.values() if case.loss == FUNCTIONS[name]):
        operands, arguments = (
            losses.tensors(case.operands, torch.float64),
            losses.tensors(case.arguments, torch.float64),
        )
        if "weight" in arguments and name in ("MSELoss", "L1Loss", "HuberLoss"):
            continue  # their functions have it, the modules have not
        expected = losses.compute(case, operands, "sum", torch.float64)
        if name == "LinearCrossEntropyLoss":
            bias = operands.get("linear_bias")
            module = nn.LinearCrossEntropyLoss(
                3, 3, bias=bias is not None, dtype=torch.float64, reduction="sum", **arguments
            )
            state = {"weight": operands["linear_weight"]} | ({} if bias is None else {"bias": bias})
            module.linear.load_state_dict(state)
            inputs = operands["input"], operands["target"]
        else:
            module, inputs = getattr(nn, name)(reduction="sum", **arguments), tuple(operands.values())
        assert module(*inputs).item() == pytest.approx(expected.item())
