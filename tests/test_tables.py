"""The tables that open the chapters: each cell is held against torch, or leads to a claim."""

import ast
import inspect
import re
import warnings
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import test_losses as losses
import torch
from markdown_it import MarkdownIt
from torch import Tensor, nn
from torch.nn.modules import loss as torch_losses

from lossdemo import closed_form
from lossdemo.verify.claims import Book

ROOT = Path(__file__).parent.parent
BOOK = Book(ROOT / "spec")
CLAIMS = {claim.id for claim in BOOK}
PINNED = re.findall(r"^torch==([\d.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[0]
COLUMNS = ["loss", "watch", "input, target", "target's dtype", "range", "arguments and defaults"]
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


class Row(NamedTuple):
    """One row of a table, its cells by their column's head."""

    chapter: str
    cells: dict[str, str]

    @property
    def classes(self) -> list[str]:
        """The losses that the row is about."""
        return re.findall(r"`(\w+Loss)`", self.cells["loss"])


def codes(cell: str) -> list[str]:
    """What stands in a cell as code."""
    return re.findall(r"`([^`]+)`", cell)


def rows() -> Iterator[Row]:
    """The rows of the tables of losses before the first claim of each chapter."""
    for page in BOOK.pages.values():
        if not page.claims:
            continue
        tokens = MarkdownIt("commonmark").enable("table").parse(page.text[: page.claims[0].start])
        table: list[list[str]] = []
        for token, inline in pairwise(tokens):
            if token.type == "tr_open":
                table.append([])
            if token.type in ("th_open", "td_open"):
                table[-1].append(inline.content)
        for cells in table[1:]:
            if table[0][0] == "loss":
                yield Row(page.path.name, dict(zip(table[0], cells)))


LISTED = [(name, row) for row in rows() for name in row.classes if FUNCTIONS[name] not in losses.LACKING]
REDUCTIONS = {name: row for name, row in LISTED if "`'none'` gives" in row.cells}
ROWS = {name: row for name, row in LISTED if name not in REDUCTIONS or row is not REDUCTIONS[name]}


def compute(expression: str, values: dict[str, Any]) -> Any:
    """The value of a cell's code, for these values."""
    return eval(expression, {**vars(np), **values})


def test_the_tables_have_every_loss_of_torch_once() -> None:
    """The book covers what torch exports; a loss that a new torch adds shows up here. NLLLoss2d is an old name."""
    exported = sorted(set(torch_losses.__all__) - {"NLLLoss2d"})
    assert sorted(name for name, row in LISTED if "`'none'` gives" not in row.cells) == exported
    assert sorted(REDUCTIONS) == exported
    assert sorted(name for name in FUNCTIONS if FUNCTIONS[name] not in losses.LACKING) == exported


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_complete(name: str) -> None:
    """Each row is about one loss, has every column, and something to watch, which is a claim."""
    row = ROWS[name]
    assert row.classes == [name]
    assert f"generated/torch.nn.{name}.html" in row.cells["loss"]
    assert list(row.cells) == COLUMNS
    assert all(row.cells[column] for column in COLUMNS[:-1])
    assert re.fullmatch(r"\[[^]]+\]\([^)]+\)", row.cells["watch"])
    for cell in row.cells.values():
        links = re.findall(r"\]\((?!https:)[^)#]*#([^)]+)\)", cell)
        assert {*links} <= CLAIMS
        assert cell != row.cells["watch"] or links


# --- shapes and dtypes ---

SIZES = {"N": 3, "C": 4, "D": 5, "T": 6, "S": 2, "d": 2, "d1": 2, "d2": 3}
DTYPES = {"float": torch.float32, "int64": torch.int64, "integer": torch.int64, "bool": torch.bool}


def operands(name: str, shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype | None) -> list[Tensor]:
    """Valid operands of a loss: the first ones of these shapes, the target of this dtype."""
    generator = torch.Generator().manual_seed(0)
    known = list(inspect.signature(getattr(nn, name).forward).parameters)[1:]
    made = []
    for position, kind in enumerate(known):
        shape = shapes[position] if position < len(shapes) else shapes[0]
        noise = torch.randn(shape, generator=generator)
        if name == "CTCLoss" and kind.endswith("lengths"):
            sizes = shapes[0][0] if kind == "input_lengths" else shapes[1][-1]
            made.append(torch.full((*shapes[1][:-1],), sizes))
        elif kind in ("target", "targets"):
            made.append(target(name, shapes, noise).to(dtype))
        elif name == "BCELoss":
            made.append(noise.sigmoid())
        elif name in ("KLDivLoss", "NLLLoss", "CTCLoss"):
            made.append(noise.log_softmax(min(1, noise.ndim - 1) if name != "CTCLoss" else -1))
        else:
            made.append(noise.exp() if kind == "var" else noise)
    return made


def target(name: str, shapes: tuple[tuple[int, ...], ...], noise: Tensor) -> Tensor:
    """A target that the loss takes, of the shape of the noise."""
    if name in ("CrossEntropyLoss", "NLLLoss", "LinearCrossEntropyLoss", "MultiMarginLoss"):
        of_classes = name != "MultiMarginLoss" and noise.ndim == len(shapes[0])
        return noise.softmax(min(1, noise.ndim - 1)) if of_classes else noise.abs().ceil().clamp(0, 2)
    if name == "MultiLabelMarginLoss":
        return torch.full_like(noise, -1).index_fill(-1, torch.tensor([0]), 1)
    if name in ("SoftMarginLoss", "MarginRankingLoss", "HingeEmbeddingLoss", "CosineEmbeddingLoss"):
        return torch.where(noise > 0, 1.0, -1.0)
    if name == "CTCLoss":
        return torch.arange(noise.numel()).reshape(noise.shape) % 2 + 1
    if name in ("MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "GaussianNLLLoss"):
        return noise
    return (noise > 0).float()


def takes(name: str, shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype | None) -> bool:
    """Whether the loss of such operands, and its gradient, are finite numbers, without a warning about sizes."""
    first, *rest = operands(name, shapes, dtype)
    first.requires_grad_()
    given = (shapes[0][-1], SIZES["C"]) if name == "LinearCrossEntropyLoss" else ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "reduction: 'mean' divides")
            loss = getattr(nn, name)(*given)(first, *rest)
            loss.backward()
    except (RuntimeError, ValueError, IndexError, UserWarning):
        return False
    return bool(loss.isfinite()) and not loss.ndim and bool(first.grad.isfinite().all())


@pytest.mark.parametrize("name", ROWS)
def test_shapes_and_dtypes_are_what_torch_takes(name: str) -> None:
    """Each shape is taken with one of the dtypes, and each dtype with one of the shapes."""
    cells = ROWS[name].cells
    shapes = [compute(f"({code},)" if code.count("(") == 1 else code, SIZES) for code in codes(cells["input, target"])]
    words = [DTYPES[word] for word in re.findall(r"\w+", cells["target's dtype"]) if word in DTYPES]
    has_target = any(kind.startswith("target") for kind in inspect.signature(getattr(nn, name).forward).parameters)
    assert shapes
    assert bool(words) == has_target
    taken = {(one, dtype) for one, dtype in product(shapes, words or [None]) if takes(name, one, dtype)}
    assert {one for one, _ in taken} == {*shapes}
    assert {dtype for _, dtype in taken} == {*(words or [None])}


@pytest.mark.parametrize("name", ROWS)
def test_arguments_and_defaults_are_the_modules(name: str) -> None:
    """All but the reduction, and where parameters are made, in the module's order: `in_features, bias=False`."""
    if torch.__version__.partition("+")[0] != PINNED:
        pytest.skip("another release of torch may have other arguments")
    call = ast.parse(f"f({', '.join(codes(ROWS[name].cells['arguments and defaults']))})", mode="eval").body
    assert isinstance(call, ast.Call)
    found = [(ast.unparse(one), inspect.Parameter.empty) for one in call.args]
    found += [(str(one.arg), ast.literal_eval(one.value)) for one in call.keywords]
    everyones = ("size_average", "reduce", "reduction", "device", "dtype")
    known = inspect.signature(getattr(nn, name)).parameters.values()
    assert found == [(one.name, one.default) for one in known if one.name not in everyones]


# --- ranges ---


def limits(row: Row) -> tuple[float, float]:
    """The ends of a range that is written as any, from `0`, or `0` to `2`."""
    bounds = re.fullmatch(r"any|from `([^`]+)`|`([^`]+)` to `([^`]+)`", row.cells["range"])
    assert bounds
    low, high = bounds[1] or bounds[2] or "-inf", bounds[3] or "inf"
    return compute(low, {"eps": 1e-6}), compute(high, {})


@pytest.mark.parametrize("name", ROWS)
def test_ranges_hold_and_are_tight(name: str) -> None:
    """Losses of valid inputs, small and large, lie in the range, and come near both of its ends."""
    row, loss = ROWS[name], FUNCTIONS[name]
    low, high = limits(row)
    random = np.random.default_rng(0)
    found = []
    for case in (case for case in losses.CASES.values() if case.loss == loss and not case.arguments):
        for scale in 20 * (1e-9, 0.1, 1.0, 10.0, 300.0):
            inputs = dict(case.operands)
            if loss == "poisson_nll_loss":
                inputs["target"] = scale * inputs["target"]
            for operand in inputs:
                if operand in ("target", "targets", "linear_weight") or inputs[operand].dtype.kind != "f":
                    continue
                noise = random.normal(size=inputs[operand].shape)
                inputs[operand] = scale * noise
                if loss == "binary_cross_entropy":
                    inputs[operand] = closed_form.sigmoid(noise * scale)
                elif operand == "var":
                    inputs[operand] = np.abs(noise) * min(scale, 1.0)
                elif operand == "log_probs" or (loss == "kl_div" and operand == "input"):
                    inputs[operand] = closed_form.log_softmax(scale * noise)
            if loss in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "gaussian_nll_loss"):
                inputs["input"] = inputs["target"] + inputs["input"]
            with np.errstate(over="ignore"):
                found.append(closed_form.LOSSES[loss](**inputs, reduction="none").value.ravel())
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    assert ((low - 1e-9 <= values) & (values <= high + 1e-9)).all()
    assert values.min() < (-10 if low == -np.inf else low + 0.02)
    assert values.max() > (150 if high == np.inf else 0.97 * high)


# --- reductions and modules ---


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
    assert tuple(none.shape) == compute(codes(row.cells["`'none'` gives"])[0], sizes)
    divisor = row.cells["`'mean'` divides by"]
    if "](" not in divisor:
        assert (total / mean).item() == pytest.approx(compute(codes(divisor)[0], sizes))
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
        assert (total / mean).item() == pytest.approx(compute(codes(row.cells["with `weight`"])[0], values))


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


OPTIMIZER = re.compile(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", re.MULTILINE)
OPTIMIZERS = dict(OPTIMIZER.findall((ROOT / "spec/more-optimizers.md").read_text()))


def test_every_optimizer_has_its_row() -> None:
    """The table of optimizers names those of this torch, and no others."""
    kinds = [kind for kind in vars(torch.optim).values() if isinstance(kind, type)]
    assert {kind.__name__ for kind in kinds if torch.optim.Optimizer in kind.__mro__[1:]} == {*OPTIMIZERS}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_have_the_defaults_of_their_row(name: str) -> None:
    """What a row of the table of optimizers says of an argument is torch's default."""
    defaults = getattr(torch.optim, name)([torch.zeros(1, 1)]).defaults
    said = re.findall(r"`(\w+)` (\([^)]*\)|[^,]+)", OPTIMIZERS[name])
    assert said or OPTIMIZERS[name] == "as Adam"
    for argument, value in said:
        assert defaults[argument] == ast.literal_eval(
            {"on": "True", "off": "False"}.get(value, value.replace("−", "-"))
        )
