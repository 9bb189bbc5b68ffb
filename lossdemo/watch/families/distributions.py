"""KLDivLoss, PoissonNLLLoss and GaussianNLLLoss: what is given as logarithms, as a rate, as a variance."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from lossdemo.watch.definition import Bite, watch
from lossdemo.watch.families.regression import F, of_one_batch, paired, pairs_in_words
from lossdemo.watch.gradients import GRADIENTS, follow, is_turn, many, may_be_infinite, reached
from lossdemo.watch.graph import VIEWS, made_by, operation
from lossdemo.watch.seen import Seen, shape

KL, POISSON, GAUSSIAN = F + "kl_div", F + "poisson_nll_loss", F + "gaussian_nll_loss"
SILENT = (KL, POISSON, GAUSSIAN, F + "hinge_embedding_loss", F + "multilabel_soft_margin_loss")
LAYERS = frozenset(["Addmm", "Mm", "Convolution", "ConvolutionOverrideable", "Bmm", "Baddbmm", "Linear"])
BROADCASTS = "kldivloss-poissonnllloss-and-gaussiannllloss-broadcast-in-silence"


def _inputs(seen: Seen) -> tuple[Tensor, Tensor]:
    return seen["input"], seen["target"]


@watch(BROADCASTS, *SILENT)
def pairs_in_silence(seen: Seen) -> Bite | None:
    """Outputs (N, 1) and targets (N,). Pairs of as many dimensions, and one row or number for all, are meant."""
    input, target = _inputs(seen)
    if input.shape == target.shape:
        return None
    out = paired(input, target)
    return pairs_in_words(seen, out) if out and of_one_batch(input, target) else None


def _sums_to_1(probabilities: Tensor) -> set[int]:
    """The dimensions over which all entries sum to 1, up to the rounding of half precision."""
    if not probabilities.numel() or not probabilities.isfinite().all() or probabilities.min() < 0:
        return set()
    each = probabilities.double()
    dims = [dim for dim in range(each.ndim) if each.shape[dim] > 1]
    return {dim for dim in dims if bool(((each.sum(dim) - 1).abs() < 0.02).all())}


def _never_1(probabilities: Tensor, dim: int) -> bool:
    """Whether no row of them sums to 1."""
    return bool(((probabilities.double().sum(dim) - 1).abs() > 0.1).all())


@watch("summed-over-distributions-kldivloss-is-below-0-only-by-rounding", KL)
def kl_of_what_is_no_log_probability(seen: Seen) -> Bite | None:
    """`softmax` in place of `log_softmax` on the first argument, a layer's output as it is, or the wrong dimension.

    Rows that a mask has made zeros, or a model that is not normalized on purpose, are none.
    """
    input, target = _inputs(seen)
    if input.ndim == 0 or input.numel() < 2 or input.shape != target.shape or not input.isfinite().all():
        return None
    advice = f"{seen.about('input')} · pass z.log_softmax(1)"
    maker = made_by(input)
    if maker in ("Softmax", "Sigmoid") or _sums_to_1(input):
        if not seen["log_target"] and _sums_to_1(input) and not (target > 0).any():
            return None  # the two are swapped, which another watch says
        return Bite("KLDivLoss's input is probabilities, and it expects their logarithms", advice)
    wanted = _sums_to_1(target.exp() if seen["log_target"] else target)
    if not wanted:
        return None
    given = _sums_to_1(input.exp())
    if given and not given & wanted:
        what = f"KLDivLoss's input is a distribution over dimension {min(given)}, its target over {min(wanted)}"
        return Bite(what, f"{seen.about('input', 'target')} · take both softmaxes over the classes")
    if (maker in {*LAYERS, "LogSoftmax"} or input.max() > 0.05) and all(_never_1(input.exp(), dim) for dim in wanted):
        over = f"over dimension {min(wanted)}, over which the target is a distribution"
        what = f"KLDivLoss's input is no log-probability: {over}, its exponentials sum to 1 nowhere"
        return Bite(what, advice)
    return None


@watch("by-default-kldivloss-wants-log-probabilities-first-then-probabilities", KL, cheap=True)
def kl_target_in_the_other_form(seen: Seen) -> Bite | None:
    """Logarithms without `log_target=True`, or probabilities with it; logits count as logarithms.

    Single entries below 0 may be padding, which is taken out of unreduced losses.
    """
    input, target = _inputs(seen)
    if not target.numel() or not target.is_floating_point() or not (is_turn(seen) or may_be_infinite(seen)):
        return None
    if not seen["log_target"]:
        below = target < 0
        if not below.any() or target.isnan().any() or (seen.result.ndim and not (target <= 0).all()):
            return None
        what = f"{many(int(below.sum()), below.numel(), 'entries of the target')} below 0, as logarithms are"
        if made_by(input) not in ("LogSoftmax", "Log", "LogSigmoid") and _sums_to_1(input):
            return Bite(
                f"{what}, and the input is probabilities",
                "swap the two: the prediction's log_softmax comes first, the target second",
            )
        return Bite(f"{what}: their logarithm is NaN", f"{seen.about('target')} · pass log_target=True, or softmax")
    if made_by(target) == "Softmax" or _sums_to_1(target):
        return Bite("with log_target=True the target is probabilities", f"{seen.about('target')} · log_target=False")
    return None


@watch("the-mean-of-kldivloss-divides-by-the-classes-too-and-warns", KL, note=True)
def kl_divided_by_the_classes(seen: Seen) -> Bite | None:
    """`reduction='mean'`, the default. A weight beside it may have been tuned for it; a mean over (N,) is a mean."""
    input = seen["input"]
    if seen["reduction"] != "mean" or seen["size_average"] is not None or seen["reduce"] is not None or input.ndim < 2:
        return None
    rows = input.numel() // max(len(input), 1)
    return Bite(f"the mean divides by {rows} entries of each row as well", "pass reduction='batchmean'")


@watch("kldivlosss-batchmean-divides-by-the-inputs-first-dimension-alone", KL, note=True)
def batchmean_of_sequences(seen: Seen) -> Bite | None:
    """(N, T, C), summed over its positions, or (C,), divided by its classes. The first may be meant."""
    input = seen["input"]
    if seen["reduction"] != "batchmean" or input.ndim == 2 or not input.ndim:
        return None
    what = f"batchmean of {shape(input)} divides by {len(input)} alone"
    return Bite(what, "flatten to rows first: input.flatten(0, 1)" if input.ndim > 2 else "take reduction='sum'")


@watch("without-detach-kldivloss-draws-the-teacher-toward-its-student", KL, note=True)
def teacher_that_gets_a_gradient(seen: Seen) -> Bite | None:
    """A teacher's output that is not detached. Mutual learning, and a reverse KL, train the target on purpose."""
    input, target = _inputs(seen)
    if not target.requires_grad or not seen.result.requires_grad or (seen["log_target"] and not input.requires_grad):
        return None
    who = "gets a gradient as well" if input.requires_grad else "gets a gradient, and its input none"
    return Bite(f"the target of KLDivLoss {who}", f"{seen.about('target')} · target.detach()")


@watch(
    "by-default-a-0-in-kldivlosss-target-makes-the-targets-gradient-nan",
    KL,
    *GRADIENTS,
    cheap=True,
    steady=True,
    recalls=GRADIENTS,
)
def kl_trains_a_target_of_0(seen: Seen) -> Iterable[Bite] | None:
    """Mutual learning or a symmetric KL, where a softmax has rounded down to 0. One that is not trained is none."""
    if seen.moment in GRADIENTS:
        return reached(seen)
    target = seen["target"]
    if seen["log_target"] or not target.requires_grad or not is_turn(seen):
        return None
    zeros = target == 0
    if zeros.any():
        what = f"{many(int(zeros.sum()), zeros.numel(), 'entries of the target')} 0: the target's gradient is NaN"
        follow(seen, Bite(what, f"{seen.about('target')} · detach it, or pass log_softmax with log_target=True"))
    return None


@watch("if-both-sides-mask-a-class-by--inf-kldivloss-is-nan-but-still-trains", KL, cheap=True, steady=True)
def kl_of_a_class_that_both_mask(seen: Seen) -> Bite | None:
    """Logits filled with -inf on both sides. Losses of single elements, of which these are left out, are none."""
    input, target = _inputs(seen)
    if seen.result.ndim or not may_be_infinite(seen) or input.isnan().any() or target.isnan().any():
        return None
    both = input.isneginf() & (target.isneginf() if seen["log_target"] else target == 0)
    if not both.any():
        return None
    what = f"{many(int(both.sum()), both.numel(), 'entries')} -inf in the input and 0 in the target: the loss is NaN"
    return Bite(what, f"{seen.about('input', 'target')} · mask with -10000")


@watch("by-default-poissonnllloss-expects-the-logarithm-of-the-rate", POISSON)
def log_rate_that_is_a_rate(seen: Seen) -> Bite | None:
    """A model that ends in a softplus or an exponential. With `log_input=False` it is right.

    A parameter that is kept positive, times a number, may be an effect on the log-rate.
    """
    node = seen["input"].grad_fn
    if not seen["log_input"] or node is None:
        return None
    maker = made_by(seen["input"])
    if maker == "Add":  # softplus(z) + 1e-6
        parents = [parent for parent, _ in _maker(node).next_functions if parent is not None]
        maker = operation(parents[0]) if len(parents) == 1 else ""
    if maker not in ("Exp", "Softplus"):
        return None
    what = f"the log-rate comes out of {maker.lower()}, as a rate does: no rate is below 1"
    return Bite(what, f"{seen.about('input')} · leave {maker.lower()} out, or pass log_input=False")


def _maker(node: torch.autograd.graph.Node) -> torch.autograd.graph.Node:
    """The node that made a tensor, before views of it."""
    while operation(node) in VIEWS and node.next_functions and node.next_functions[0][0] is not None:
        node = node.next_functions[0][0]
    return node


@watch("by-default-poissonnllloss-expects-the-logarithm-of-the-rate", POISSON, note=True)
def log_rate_that_is_never_negative(seen: Seen) -> Bite | None:
    """A last ReLU or sigmoid. Where every count is well above 1 it can do."""
    maker = made_by(seen["input"])
    if seen["log_input"] and maker in ("Relu", "Sigmoid", "Abs", "Softmax"):
        return Bite(f"the log-rate comes out of {maker.lower()}: no rate is below 1", "end in a linear layer")
    return None


@watch("by-default-poissonnllloss-expects-the-logarithm-of-the-rate", POISSON)
def counts_without_a_rate(seen: Seen) -> Bite | None:
    """Standardized counts. Single ones below 0, as a background that is taken off leaves, may be meant."""
    target = seen["target"]
    if not target.numel() or not target.isfinite().all() or not (target < 0).any():
        return None
    mean, largest = float(target.double().mean()), float(target.abs().max())
    if mean > 1e-6 * largest:
        return None
    what = f"{many(int((target < 0).sum()), target.numel(), 'counts')} below 0, and their mean is {mean:.3g}"
    return Bite(f"{what}: no rate is that small", f"{seen.about('target')} · pass the counts themselves")


@watch("with-log_inputfalse-poissonnllloss-drives-a-rate-below--eps-down", POISSON, cheap=True, steady=True)
def rate_below_0(seen: Seen) -> Bite | None:
    """A linear layer's output as the rate."""
    if seen["log_input"] or not may_be_infinite(seen):
        return None
    below = seen["input"] < -seen["eps"]
    if not below.any():
        return None
    what = f"{many(int(below.sum()), below.numel(), 'rates')} below 0: the loss is NaN, and no step brings them back"
    return Bite(what, f"{seen.about('input')} · pass softplus(z), or log_input=True")


@watch("at-small-errors-gaussiannllloss-drives-a-variance-below-eps-negative", GAUSSIAN, before=True, cheap=True)
def variance_below_0(seen: Seen) -> Bite | None:
    """A variance that is predicted as it is, or its logarithm: the call stops."""
    var = seen["var"]
    if not isinstance(var, Tensor) or not var.numel() or not (var < 0).any():
        return None
    what = f"{many(int((var < 0).sum()), var.numel(), 'variances')} below 0, and refused"
    return Bite(what, f"{seen.about('var')} · predict the logarithm, and pass log_var.exp()")


@watch("at-small-errors-gaussiannllloss-drives-a-variance-below-eps-negative", GAUSSIAN)
def variance_on_its_way_below_0(seen: Seen) -> Bite | None:
    """A layer's output as the variance, below `eps` where the fit is good. Out of exp or softplus it stays above 0.

    A parameter may be put back after each step.
    """
    (input, target), var = _inputs(seen), seen["var"]
    if not isinstance(var, Tensor) or var.shape != input.shape or made_by(var) not in LAYERS:
        return None
    falls = (var < seen["eps"]) & ((input - target).square() < seen["eps"])
    if not falls.any():
        return None
    what = f"{many(int(falls.sum()), falls.numel(), 'variances')} below eps, and the gradient lowers them further"
    return Bite(what, f"{seen.about('var')} · predict the logarithm, and pass log_var.exp()")


@watch("gaussiannllloss-reads-a-flat-var-as-one-per-row-never-per-column", GAUSSIAN, note=True)
def flat_variance_of_a_square(seen: Seen) -> Bite | None:
    """As many variances as rows and as columns. One for each row may be meant."""
    input, var = seen["input"], seen["var"]
    if not isinstance(var, Tensor) or input.ndim != 2 or var.shape != input.shape[:1] or len(set(input.shape)) != 1:
        return None
    what = f"a variance {shape(var)} for outputs {shape(input)} is one for each row"
    return Bite(what, f"{seen.about('var')} · var[None] is one for each column")


@watch("in-float16-the-default-eps-saves-neither-poisson-nor-gaussian-nll", POISSON, GAUSSIAN)
def nll_beyond_float16(seen: Seen) -> Bite | None:
    """A model after `half()`: a rate or variance of 0, or a log-rate above 11. Autocast leaves these losses alone."""
    given = [one for one in (*_inputs(seen), seen.get("var")) if isinstance(one, Tensor)]
    result = seen.result
    if result.dtype != torch.float16 or not may_be_infinite(seen) or result.isfinite().all():
        return None
    if not all(bool(one.isfinite().all()) for one in given) or (seen.get("log_input") is False and given[0].min() < 0):
        return None
    kind = "NaN" if result.isnan().any() else "infinite"
    name = seen.moment.rpartition(".")[2]
    return Bite(f"{name} in float16 is {kind}, and its inputs are not", "compute it in float32: z.float(), y.float()")
