"""Each loss of torch against its closed form, over device, dtype, reduction and arguments."""

import inspect
import itertools
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize, special, stats
from scipy.spatial import distance
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import hinge_loss, log_loss, mean_absolute_error, mean_squared_error
from torch import Tensor
from torch.nn import functional as F

from lossdemo import closed_form, data
from lossdemo.verify.run import Setting

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A loss with its operands by name, and other arguments; arrays become tensors, of the dtype or int64."""

    loss: str
    operands: Arrays
    arguments: Arrays = field(default_factory=dict)


def _cases() -> dict[str, Case]:
    """Every loss with every argument: finite inputs that are not constant, away from kinks and saturation."""
    random = np.random.default_rng(23)
    real = random.normal(size=(6, 3))
    errors = random.choice([-1, 1], size=real.shape) * random.choice([0.25, 0.375, 0.75, 1.5, 2.5], size=real.shape)
    weights = random.choice([0.5, 1.0, 2.0], size=real.shape)
    some = random.uniform(0.1, 0.9, size=(6, 3))
    logits = random.normal(size=(6, 3))
    other = random.normal(size=(6, 3))
    yes = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]]) * 1.0
    sign = np.array([-1, -1, -1, 1, 1, -1]) * 1.0  # for pairs of which the first is let go
    labels = np.array([0, 2, 1, 1, 2, 2])  # unequally often, or zeros would be the best logits
    ignored = np.where(labels == 1, -100, labels)
    soft, softer = random.dirichlet(np.ones(3), size=(2, 6))
    images = random.normal(size=(2, 3, 4))  # (N, C, d)
    pixels = np.array([[0, 2, 1, 1], [2, 0, 0, 1]])
    counts = np.array([[0, 2, 3], [2, 5, 0], [4, 0, 2], [4, 0, 3], [3, 2, 2], [0, 6, 5]]) * 1.0
    of_class = np.array([1.0, 2.0, 0.5])
    frames = closed_form.log_softmax(random.normal(size=(5, 3, 4)))  # (T, N, C)
    plain = {"input": real, "target": real + errors}
    binary = {"input": logits, "target": yes}
    classes = {"input": logits, "target": labels}
    pair = {"input1": logits, "input2": other}
    triplet = {"anchor": logits, "positive": logits + errors, "negative": other}
    ctc = {
        "log_probs": frames,
        "targets": np.array([[1, 2, 2], [3, 1, 0], [2, 0, 0]]),
        "input_lengths": np.array([5, 4, 3]),
        "target_lengths": np.array([3, 2, 0]),
    }
    listed = np.array([[1, -1, 0], [0, 2, -1], [2, -1, -1], [1, 2, 0], [-1, 0, 1], [0, -1, 2]])
    indices = {"input": logits, "target": listed}
    log_p = closed_form.log_softmax(logits)
    linear = {"input": real, "linear_weight": other[:3], "target": labels}
    return {
        "mse": Case("mse_loss", plain),
        "mse, weight": Case("mse_loss", plain, {"weight": weights}),
        "l1": Case("l1_loss", plain),
        "l1, weight": Case("l1_loss", plain, {"weight": weights}),
        "huber": Case("huber_loss", plain),
        "huber, delta": Case("huber_loss", plain, {"delta": 0.5}),
        "huber, weight": Case("huber_loss", plain, {"weight": weights}),
        "smooth l1": Case("smooth_l1_loss", plain),
        "smooth l1, beta": Case("smooth_l1_loss", plain, {"beta": 0.5}),
        "smooth l1, beta 0": Case("smooth_l1_loss", plain, {"beta": 0.0}),
        "bce": Case("binary_cross_entropy", {"input": some, "target": yes}),
        "bce, soft": Case("binary_cross_entropy", {"input": some, "target": soft}),
        "bce, weight": Case("binary_cross_entropy", {"input": some, "target": yes}, {"weight": of_class}),
        "bce with logits": Case("binary_cross_entropy_with_logits", binary),
        "bce with logits, soft": Case("binary_cross_entropy_with_logits", binary | {"target": soft}),
        "bce with logits, weight": Case("binary_cross_entropy_with_logits", binary, {"weight": weights}),
        "bce with logits, pos_weight": Case("binary_cross_entropy_with_logits", binary, {"pos_weight": of_class}),
        "bce with logits, both": Case(
            "binary_cross_entropy_with_logits", binary, {"weight": weights, "pos_weight": of_class}
        ),
        "soft margin": Case("soft_margin_loss", {"input": logits, "target": 2 * yes - 1}),
        "multilabel soft margin": Case("multilabel_soft_margin_loss", binary),
        "multilabel soft margin, weight": Case("multilabel_soft_margin_loss", binary, {"weight": of_class}),
        "nll": Case("nll_loss", {"input": log_p, "target": labels}),
        "nll, one sample": Case("nll_loss", {"input": log_p[0], "target": np.asarray(labels[1])}),
        "nll, images": Case("nll_loss", {"input": images, "target": pixels}),
        "nll, weight": Case("nll_loss", {"input": log_p, "target": labels}, {"weight": of_class}),
        "nll, ignored": Case("nll_loss", {"input": log_p, "target": ignored}, {"weight": of_class}),
        "nll, ignore_index": Case("nll_loss", {"input": log_p, "target": labels}, {"ignore_index": 2}),
        "cross-entropy": Case("cross_entropy", classes),
        "cross-entropy, one sample": Case("cross_entropy", {"input": logits[0], "target": np.asarray(labels[1])}),
        "cross-entropy, images": Case("cross_entropy", {"input": images, "target": pixels}),
        "cross-entropy, weight": Case("cross_entropy", classes, {"weight": of_class}),
        "cross-entropy, ignored": Case("cross_entropy", classes | {"target": ignored}, {"weight": of_class}),
        "cross-entropy, ignore_index": Case("cross_entropy", classes, {"ignore_index": 2}),
        "cross-entropy, smoothing": Case("cross_entropy", classes, {"label_smoothing": 0.25}),
        "cross-entropy, all": Case(
            "cross_entropy", classes, {"weight": of_class, "ignore_index": 2, "label_smoothing": 0.25}
        ),
        "cross-entropy, probabilities": Case("cross_entropy", {"input": logits, "target": soft}),
        "cross-entropy, probabilities, one sample": Case("cross_entropy", {"input": logits[0], "target": soft[0]}),
        "cross-entropy, probabilities, images": Case(
            "cross_entropy", {"input": images, "target": closed_form.sigmoid(images[::-1])}, {"label_smoothing": 0.25}
        ),
        "cross-entropy, probabilities, all": Case(
            "cross_entropy", {"input": logits, "target": soft}, {"weight": of_class, "label_smoothing": 0.25}
        ),
        "linear cross-entropy": Case("linear_cross_entropy", linear),
        "linear cross-entropy, bias": Case("linear_cross_entropy", linear | {"linear_bias": other[3]}),
        "linear cross-entropy, weight": Case("linear_cross_entropy", linear, {"weight": of_class}),
        "linear cross-entropy, all": Case(
            "linear_cross_entropy", linear, {"weight": of_class, "ignore_index": 2, "label_smoothing": 0.25}
        ),
        "linear cross-entropy, probabilities": Case("linear_cross_entropy", linear | {"target": soft}),
        "kl": Case("kl_div", {"input": log_p - 1, "target": soft}),  # lowered, or the terms nearly cancel
        "kl, log_target": Case("kl_div", {"input": log_p - 1, "target": np.log(softer)}, {"log_target": True}),
        "poisson": Case("poisson_nll_loss", {"input": logits, "target": counts}),
        "poisson, full": Case("poisson_nll_loss", {"input": logits, "target": counts + 2}, {"full": True}),
        "poisson, rate": Case("poisson_nll_loss", {"input": some, "target": counts}, {"log_input": False}),
        "poisson, eps": Case("poisson_nll_loss", {"input": some, "target": counts}, {"log_input": False, "eps": 0.25}),
        "gaussian": Case("gaussian_nll_loss", plain | {"var": 2 * some}),
        "gaussian, full": Case("gaussian_nll_loss", plain | {"var": 2 * some}, {"full": True}),
        "gaussian, eps": Case("gaussian_nll_loss", plain | {"var": 2 * some}, {"eps": 1.0}),
        "margin ranking": Case("margin_ranking_loss", {"input1": real, "input2": other, "target": 2 * yes - 1}),
        "margin ranking, margin": Case(
            "margin_ranking_loss", {"input1": real, "input2": other, "target": 2 * yes - 1}, {"margin": 0.75}
        ),
        "hinge embedding": Case("hinge_embedding_loss", {"input": 2 * some, "target": 2 * yes - 1}),
        "hinge embedding, margin": Case(
            "hinge_embedding_loss", {"input": some, "target": 2 * yes - 1}, {"margin": 2.0}
        ),
        "cosine embedding": Case("cosine_embedding_loss", pair | {"target": sign}),
        "cosine embedding, margin": Case("cosine_embedding_loss", pair | {"target": sign}, {"margin": 0.75}),
        "multi margin": Case("multi_margin_loss", classes),
        "multi margin, p": Case("multi_margin_loss", classes, {"p": 2}),
        "multi margin, p and margin": Case("multi_margin_loss", classes, {"p": 2, "margin": 0.5}),
        "multi margin, margin": Case("multi_margin_loss", classes, {"margin": 0.5}),
        "multi margin, weight": Case("multi_margin_loss", classes, {"weight": of_class}),
        "multilabel margin": Case("multilabel_margin_loss", indices),
        "triplet": Case("triplet_margin_loss", triplet),
        "triplet, margin": Case("triplet_margin_loss", triplet, {"margin": 2.0}),
        "triplet, p": Case("triplet_margin_loss", triplet, {"p": 3.0}),
        "triplet, eps": Case("triplet_margin_loss", triplet, {"eps": 0.25}),
        "triplet, swap": Case("triplet_margin_loss", triplet, {"swap": True}),
        "triplet with distance": Case("triplet_margin_with_distance_loss", triplet),
        "triplet with distance, function": Case(
            "triplet_margin_with_distance_loss",
            triplet,
            {"distance_function": (_squares, lambda a, b: (a - b).square().sum(-1)), "margin": 2.0, "swap": True},
        ),
        "ctc": Case("ctc_loss", ctc),
        "ctc, targets in a row": Case(
            "ctc_loss", ctc | {"targets": np.array([1, 2, 3, 1, 2]), "target_lengths": np.array([2, 1, 2])}
        ),
        "ctc, blank": Case("ctc_loss", ctc | {"targets": np.array([[1, 2, 2], [0, 1, 0], [2, 0, 0]])}, {"blank": 3}),
        "ctc, zero_infinity": Case("ctc_loss", ctc | {"input_lengths": np.array([3, 4, 3])}, {"zero_infinity": True}),
    }


def _squares(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The squared distance and its gradients, as `closed_form` wants a distance."""
    return ((a - b) ** 2).sum(-1), 2 * (a - b), 2 * (b - a)


LACKING = {loss for loss in closed_form.LOSSES if not hasattr(F, loss)}  # LinearCrossEntropyLoss came with torch 2.13
CASES = {name: case for name, case in _cases().items() if case.loss not in LACKING}

cases = pytest.mark.parametrize("name", CASES)
dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
reduced_cases = pytest.mark.parametrize(
    ("name", "reduction"),
    [
        (name, reduction)
        for name, case in CASES.items()
        for reduction in ("none", "sum", "mean", *["batchmean"] * (case.loss == "kl_div"))
    ],
)
# Losses that the CPU has in float32 and float64 alone, and arguments of which torch knows no gradient.
NOT_IN_HALF = {"multi_margin_loss", "multilabel_margin_loss", "ctc_loss"}
NO_GRADIENT = {("soft_margin_loss", "target")}
ROUNDINGS = 4  # of the largest number that occurs; fewer than 2 were measured for any case and dtype
# What torch keeps the lengths of vectors from zero with, 1e-12 beside their squares: it is documented nowhere.
EXTRA = {"cosine_embedding_loss": 1e-11}


def tensors(values: Arrays, dtype: torch.dtype) -> Arrays:
    """Arrays as tensors: real numbers in the dtype, integers as they are. Of a pair the second is torch's."""
    return {
        name: torch.tensor(value, dtype=dtype if value.dtype.kind == "f" else torch.int64)
        if isinstance(value, np.ndarray)
        else value[1]
        if isinstance(value, tuple)
        else value
        for name, value in values.items()
    }


def arrays(values: Arrays) -> Arrays:
    """Tensors as the numbers that they hold, rounded as they are; of a pair the first is the oracle's."""
    return {
        name: (value.detach().double() if value.is_floating_point() else value).cpu().numpy()
        if isinstance(value, Tensor)
        else value[0]
        if isinstance(value, tuple)
        else value
        for name, value in values.items()
    }


def oracle(case: Case, operands: Arrays, reduction: str) -> closed_form.Result:
    """The closed form of a case, for these operands."""
    return closed_form.LOSSES[case.loss](**arrays(operands), **arrays(case.arguments), reduction=reduction)


def compute(case: Case, operands: Arrays, reduction: str, dtype: torch.dtype) -> Tensor:
    """Torch's value of a case, without the warning that KLDivLoss gives of its mean."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reduction: 'mean' divides")
        return getattr(F, case.loss)(**operands, **tensors(case.arguments, dtype), reduction=reduction)


def largest(case: Case, operands: Arrays) -> float:
    """The largest number that occurs: in the inputs, the single losses, or the single gradients; 1 if all are less."""
    unreduced = oracle(case, operands, "none")
    real = [values for values in arrays(operands).values() if values.dtype.kind == "f"]
    return max(1.0, *(float(np.abs(values).max()) for values in [*real, unreduced.value, *unreduced.gradient.values()]))


def assert_equal_but_for_rounding(actual: Tensor, truth: np.ndarray, scale: float, extra: float = 0.0) -> None:
    """Each number differs from the float64 truth by a few roundings of numbers as large as `scale`."""
    budget = ROUNDINGS * torch.finfo(actual.dtype).eps * scale + extra
    np.testing.assert_allclose(actual.detach().cpu().double().numpy(), truth, rtol=0, atol=budget)


def skip_unless_torch_has(case: Case, dtype: torch.dtype, device: str) -> None:
    """What the CPU lacks it refuses, and that is not run."""
    if device == "cpu" and case.loss in NOT_IN_HALF and dtype.itemsize == 2:
        with pytest.raises(NotImplementedError, match="not implemented for"):
            compute(case, tensors(case.operands, dtype), "mean", dtype)
        pytest.skip(f"torch has no {case.loss} for {dtype} on the CPU")


@dtypes
@reduced_cases
def test_value_is_the_closed_form(device: str, name: str, dtype: torch.dtype, reduction: str) -> None:
    """A loss has the value of its formula to a few roundings, and one and a half times it would be noticed."""
    case = CASES[name]
    skip_unless_torch_has(case, dtype, device)
    operands = tensors(case.operands, dtype)
    truth = oracle(case, operands, reduction).value
    actual = compute(case, operands, reduction, dtype)
    assert actual.shape == truth.shape
    assert actual.dtype == dtype
    terms = oracle(case, operands, "none").value.size if reduction == "sum" else 1
    budget = terms * largest(case, operands), EXTRA.get(case.loss, 0.0)
    assert_equal_but_for_rounding(actual, truth, *budget)
    with pytest.raises(AssertionError, match="Not equal"):
        assert_equal_but_for_rounding(1.5 * actual, truth, *budget)


@dtypes
@reduced_cases
def test_gradients_are_the_closed_forms(device: str, name: str, dtype: torch.dtype, reduction: str) -> None:
    """A loss has its formula's gradient for each argument, and one and a half times it would be noticed."""
    case = CASES[name]
    skip_unless_torch_has(case, dtype, device)
    operands = tensors(case.operands, dtype)
    truth, unreduced = oracle(case, operands, reduction), oracle(case, operands, "none")
    wanted = {
        {"logits": "log_probs"}.get(argument, argument): gradient for argument, gradient in truth.gradient.items()
    }
    wanted = {argument: gradient for argument, gradient in wanted.items() if argument in operands}
    for argument in wanted:
        if (case.loss, argument) not in NO_GRADIENT:
            operands[argument].requires_grad_()
    compute(case, operands, reduction, dtype).sum().backward()
    for argument, gradient in wanted.items():
        if (case.loss, argument) in NO_GRADIENT:
            continue
        key = "logits" if argument == "log_probs" else argument
        share = np.abs(gradient).max() / np.abs(unreduced.gradient[key]).max()
        budget = share * largest(case, operands), EXTRA.get(case.loss, 0.0)
        assert_equal_but_for_rounding(operands[argument].grad, gradient, *budget)
        with pytest.raises(AssertionError, match="Not equal"):
            assert_equal_but_for_rounding(1.5 * operands[argument].grad, gradient, *budget)


@pytest.mark.skipif("linear_cross_entropy" in LACKING, reason="LinearCrossEntropyLoss came with torch 2.13")
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("name", ["linear cross-entropy", "linear cross-entropy, bias", "linear cross-entropy, weight"])
def test_the_chunked_linear_cross_entropy_is_the_closed_form(device: str, name: str, reduction: str) -> None:
    """With options value and gradients are those without: chunks change the memory alone."""
    case = CASES[name]
    operands = tensors(case.operands, torch.float64)
    truth = oracle(case, operands, reduction)
    wanted = [argument for argument in truth.gradient if argument in operands]
    for argument in wanted:
        operands[argument].requires_grad_()
    options = torch.nn.LinearCrossEntropyOptions()
    arguments = {**operands, **tensors(case.arguments, torch.float64)}
    loss = F.linear_cross_entropy(**arguments, reduction=reduction, options=options)
    loss.backward()
    assert_equal_but_for_rounding(loss, truth.value, 6 * largest(case, operands))
    for argument in wanted:
        assert_equal_but_for_rounding(operands[argument].grad, truth.gradient[argument], 6 * largest(case, operands))


@pytest.mark.parametrize(("loss", "argument"), NO_GRADIENT)
def test_arguments_without_gradient_say_so(loss: str, argument: str) -> None:
    """What torch cannot differentiate it refuses, instead of leaving it out."""
    case = next(case for case in CASES.values() if case.loss == loss)
    operands = tensors(case.operands, torch.float64)
    operands[argument].requires_grad_()
    with pytest.raises(RuntimeError, match=f"not differentiable with respect to argument '{argument}'"):
        getattr(F, loss)(**operands)


def test_every_loss_and_argument_has_a_case() -> None:
    """No loss of torch, and no argument of one, is left out; those that only choose a reduction or memory are."""
    losses = {name for name in dir(F) if name.endswith(("_loss", "cross_entropy", "with_logits", "kl_div"))}
    losses = {name for name in losses if not name.startswith("_")}
    assert losses == set(closed_form.LOSSES) - LACKING == {case.loss for case in CASES.values()}
    for loss in losses:
        arguments = set(inspect.signature(getattr(F, loss)).parameters)
        tried = {name for case in CASES.values() if case.loss == loss for name in {**case.operands, **case.arguments}}
        assert arguments - tried <= {"reduction", "reduce", "size_average", "options"}


@cases
def test_inputs_are_telling(name: str) -> None:
    """Inputs are finite, losses and gradients differ from sample to sample, and no kink is near."""
    case = CASES[name]
    result = closed_form.LOSSES[case.loss](**case.operands, **arrays(case.arguments), reduction="none")
    assert np.isfinite(result.value).all()
    assert result.value.size == 1 or np.ptp(result.value) > 0.1
    random = np.random.default_rng(0)
    for _ in range(20):
        moved = {
            name: values * (1 + 0.02 * random.uniform(-1, 1, values.shape)) if values.dtype.kind == "f" else values
            for name, values in case.operands.items()
            if name != "target" or case.loss not in ("hinge_embedding_loss", "cosine_embedding_loss")
        }
        beside = closed_form.LOSSES[case.loss](**case.operands | moved, **arrays(case.arguments), reduction="none")
        for argument, gradient in result.gradient.items():
            assert np.ptp(gradient) > 0.1
            assert np.abs(beside.gradient[argument] - gradient).max() < 0.2 * np.abs(gradient).max()


# --- the oracle itself ---


@reduced_cases
def test_closed_gradients_are_the_slopes_of_closed_values(name: str, reduction: str) -> None:
    """A gradient of the oracle is what its value changes by when one number of an argument changes."""
    case = CASES[name]
    rest = {**arrays(case.arguments), "reduction": reduction}
    gradients = closed_form.LOSSES[case.loss](**case.operands, **rest).gradient
    if case.loss == "ctc_loss":
        del gradients["logits"]
    for argument in set(gradients) & set(case.operands):
        values = case.operands[argument]
        slope = np.zeros_like(values)
        for place in np.ndindex(values.shape):
            step = np.zeros_like(values)
            step[place] = 1e-6
            above, below = (
                closed_form.LOSSES[case.loss](**case.operands | {argument: moved}, **rest).value.sum()
                for moved in (values + step, values - step)
            )
            slope[place] = (above - below) / 2e-6
        if case.loss == "gaussian_nll_loss" and argument == "var":
            held = values > case.arguments.get("eps", 0)  # below eps the clamp holds the value, not the gradient
            slope, gradients["var"] = slope[held], gradients["var"][held]
        np.testing.assert_allclose(gradients[argument], slope, rtol=1e-6, atol=1e-7)


def test_ctc_sums_over_every_path_that_reads_as_the_target() -> None:
    """The forward recursion finds what enumerating all paths finds: value, and how often each class is passed."""
    random = np.random.default_rng(3)
    for target, blank in (([1, 2], 0), ([1, 1], 0), ([0, 2, 0], 1), ([], 0)):
        log_probs = closed_form.log_softmax(random.normal(size=(5, 1, 3)))
        total, passed = 0.0, np.zeros((5, 3))
        for path in itertools.product(range(3), repeat=5):
            if [label for label, _ in itertools.groupby(path) if label != blank] == target:
                probability = np.exp(log_probs[range(5), 0, path].sum())
                total += probability
                passed[range(5), path] += probability
        result = closed_form.ctc_loss(log_probs, [target], [5], [len(target)], blank, reduction="sum")
        assert result.value == pytest.approx(-np.log(total))
        np.testing.assert_allclose(-result.gradient["log_probs"][:, 0], passed / total)


def test_impossible_alignments_are_infinite_or_nothing() -> None:
    """Two frames do not hold two equal labels: the loss is infinite, or zero where that is asked for."""
    log_probs = closed_form.log_softmax(np.zeros((2, 1, 3)))
    result = closed_form.ctc_loss(log_probs, [[1, 1]], [2], [2])
    assert result.value == np.inf
    assert np.isnan(result.gradient["log_probs"]).all()
    result = closed_form.ctc_loss(log_probs, [[1, 1]], [2], [2], zero_infinity=True)
    assert result.value == 0
    assert not result.gradient["logits"].any()


def test_closed_forms_agree_with_scipy_and_scikit_learn() -> None:
    """The oracle has a second opinion wherever scipy or scikit-learn have the quantity."""
    same = pytest.approx

    def value(name: str, **arguments: Any) -> float:
        return closed_form.LOSSES[CASES[name].loss](**CASES[name].operands, **arguments).value

    x, y = CASES["mse"].operands.values()
    assert value("mse") == same(mean_squared_error(x, y))
    assert value("l1") == same(mean_absolute_error(x, y))
    assert value("huber", delta=0.5) == same(special.huber(0.5, x - y).mean())
    p, yes = CASES["bce"].operands.values()
    assert value("bce") == same(log_loss(yes.ravel(), p.ravel()))
    z, yes = CASES["bce with logits"].operands.values()
    assert value("bce with logits") == same(log_loss(yes.ravel(), special.expit(z).ravel()))
    assert value("soft margin") == same(log_loss(yes.ravel(), special.expit(z).ravel()))
    z, labels = CASES["cross-entropy"].operands.values()
    assert value("cross-entropy") == same(log_loss(labels, special.softmax(z, 1), labels=range(3)))
    assert value("nll") == same(log_loss(labels, special.softmax(z, 1), labels=range(3)))
    log_q, t = CASES["kl"].operands.values()
    assert value("kl", reduction="sum") == same(special.rel_entr(t, np.exp(log_q)).sum())
    rate, counts = CASES["poisson"].operands.values()
    log_factorial = special.gammaln(counts + 1).mean()
    assert value("poisson") + log_factorial == same(-stats.poisson.logpmf(counts, np.exp(rate)).mean())
    mean, y, var = CASES["gaussian"].operands.values()
    assert value("gaussian", full=True) == same(-stats.norm.logpdf(y, mean, np.sqrt(var)).mean())
    score, _, sign = CASES["margin ranking"].operands.values()
    ranked = closed_form.margin_ranking_loss(score, np.zeros_like(score), sign, margin=1.0).value
    assert ranked == same(hinge_loss(sign.ravel(), score.ravel()))
    a, b, sign = CASES["cosine embedding"].operands.values()
    apart = np.array([distance.cosine(*rows) for rows in zip(a, b)])
    assert value("cosine embedding") == same(np.where(sign == 1, apart, np.maximum(1 - apart, 0)).mean())
    a, p, n = CASES["triplet"].operands.values()
    near, far = ([distance.minkowski(*rows, p=3) for rows in zip(a, other)] for other in (p, n))
    assert value("triplet", p=3.0, eps=0.0) == same(np.maximum(np.subtract(near, far) + 1, 0).mean())


@pytest.mark.parametrize(
    ("loss", "arguments"),
    [
        ("mse_loss", {}),
        ("l1_loss", {}),
        ("huber_loss", {}),
        ("huber_loss", {"delta": 3.0}),
        ("smooth_l1_loss", {"beta": 3.0}),
        ("binary_cross_entropy", {}),
        ("binary_cross_entropy_with_logits", {}),
        ("binary_cross_entropy_with_logits", {"pos_weight": 4.0}),
        ("soft_margin_loss", {}),
        ("poisson_nll_loss", {}),
        ("poisson_nll_loss", {"log_input": False}),
    ],
)
def test_minimizers_are_where_scipy_finds_them(loss: str, arguments: Arrays) -> None:
    """No constant has a smaller mean loss than the minimizer."""
    targets = np.array([0, 1, 2, 2, 40.0])
    if "cross_entropy" in loss:
        targets = np.array([0, 1, 1, 0, 1.0])
    if loss == "soft_margin_loss":
        targets = np.array([-1, 1, 1, -1, 1.0])
    bounds = (1e-6, 1 - 1e-6) if loss == "binary_cross_entropy" else (1e-6, 50)
    found = optimize.minimize_scalar(
        lambda c: closed_form.LOSSES[loss](np.full(5, c), targets, **arguments).value,
        bounds=bounds,
        options={"xatol": 1e-9},
    )
    assert closed_form.MINIMIZERS[loss](targets, **arguments) == pytest.approx(found.x, abs=1e-4)


@pytest.mark.parametrize(
    ("loss", "targets", "arguments"),
    [
        ("cross_entropy", np.array([0, 1, 1, 2, 2, 2, 2, 2]), {}),
        ("cross_entropy", np.array([0, 1, 1, 2, 2, 2, 2, 2]), {"weight": np.array([1.0, 2.0, 5.0])}),
        ("cross_entropy", np.array([0, 0, 1]), {"weight": np.array([1.0, 9.0]), "label_smoothing": 0.2}),
        ("cross_entropy", np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), {}),
        ("multilabel_soft_margin_loss", np.array([[1, 0], [0, 0], [1, 1.0]]), {}),
        ("kl_div", np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), {}),
    ],
)
def test_rows_of_minimizers_leave_no_gradient(loss: str, targets: np.ndarray, arguments: Arrays) -> None:
    """At the best constant row the pulls of the samples cancel; those of KL among log-probabilities."""
    best = closed_form.MINIMIZERS[loss](targets, **arguments)
    pulls = closed_form.LOSSES[loss](np.tile(best, (len(targets), 1)), targets, **arguments).gradient["input"].sum(0)
    if loss == "kl_div":
        pulls = pulls - np.exp(best) * pulls.sum()  # through log_softmax
    np.testing.assert_allclose(pulls, 0, atol=1e-12)


def test_the_gaussians_minimizer_is_mean_and_variance() -> None:
    """Neither mean nor variance is pulled there."""
    targets = np.array([0.0, 1.0, 5.0])
    mean, variance = closed_form.MINIMIZERS["gaussian_nll_loss"](targets)
    gradient = closed_form.gaussian_nll_loss(np.full(3, mean), targets, np.full(3, variance)).gradient
    assert gradient["input"].sum() == pytest.approx(0)
    assert gradient["var"].sum() == pytest.approx(0)


def test_nlls_minimizer_is_that_of_cross_entropy() -> None:
    """Among log-probabilities nll_loss has the same best row."""
    labels = np.array([0, 1, 1])
    best = closed_form.MINIMIZERS["nll_loss"](labels)
    np.testing.assert_allclose(np.exp(best), [1 / 3, 2 / 3])


def test_bce_cuts_logarithms_off_at_minus_100() -> None:
    """The oracle has BCELoss's documented clamp."""
    assert closed_form.binary_cross_entropy([0.0, 1.0], [1.0, 0.0], reduction="none").value.tolist() == [100, 100]


def test_unknown_reductions_are_refused() -> None:
    """A misspelt reduction is not taken for another."""
    with pytest.raises(ValueError, match="'none', 'sum' or 'mean', not 'average'"):
        closed_form.mse_loss([1.0], [2.0], reduction="average")


def test_best_lines_are_those_of_a_linear_programme(setting: Setting) -> None:
    """Scikit-learn's exact quantile regression has the same MAE, and its slope lies between flattest and steepest."""
    for x, y in (data.telephone_calls(), data.line(30)):
        x, y = x.double().cpu().numpy(), y.double().cpu().numpy()
        programme = QuantileRegressor(quantile=0.5, alpha=0, solver="highs").fit(x, y.ravel())
        flattest, steepest = closed_form.least_absolute(x, y)
        for slope, intercept in (flattest, steepest):
            error = np.abs(slope * x + intercept - y).mean()
            assert error == pytest.approx(np.abs(programme.predict(x) - y.ravel()).mean(), rel=1e-5)
        assert flattest[0] - 1e-6 <= programme.coef_[0] <= steepest[0] + 1e-6


def test_no_line_through_a_single_x() -> None:
    """Points above each other have no best line, and the error says so."""
    with pytest.raises(ValueError, match="all x are equal: a line needs two different ones"):
        closed_form.least_absolute([1.0, 1.0], [2.0, 3.0])


def test_least_squares_has_no_gradient_left() -> None:
    """At the least-squares line the gradient of MSE is zero in every parameter."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(20, 3)), random.normal(size=(20, 1))
    design = np.column_stack([x, np.ones(20)])
    residual = design @ closed_form.least_squares(x, y) - y.ravel()
    np.testing.assert_allclose(design.T @ residual, 0, atol=1e-12)
