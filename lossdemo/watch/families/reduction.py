"""How single losses become one number: constructors, empty batches, masks."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lossdemo.watch.definition import Bite, watch
from lossdemo.watch.families.regression import FOUR, F, overflow
from lossdemo.watch.gradients import (
    GRADIENTS,
    HOOKS,
    follow,
    is_turn,
    number,
    reached,
    roots,
    saved,
    size,
    top,
)
from lossdemo.watch.graph import operation
from lossdemo.watch.place import FRAME
from lossdemo.watch.seen import Seen, shape

# Functions with the two old arguments in front of `reduction`.
OLD = (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "kl_div",
    "soft_margin_loss",
    "multilabel_margin_loss",
    "poisson_nll_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "cosine_embedding_loss",
    "triplet_margin_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "multilabel_soft_margin_loss",
    "cross_entropy",
    "nll_loss",
    "multi_margin_loss",
)
NEW = ("huber_loss", "gaussian_nll_loss", "triplet_margin_with_distance_loss", "ctc_loss")
MADE = "torch.nn.modules.loss._Loss.__init__"
REDUCTIONS = ("none", "mean", "sum")


def _class(seen: Seen) -> type | None:
    """The torch class of the loss that the script makes; None for what one constructor calls in another."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != FRAME:
        frame = frame.f_back
    caller = frame.f_back if frame is not None else None
    if caller is None or caller.f_globals.get("__name__") == "torch.nn.modules.loss":
        return None
    return next((one for one in type(seen["self"]).__mro__ if one.__module__ == "torch.nn.modules.loss"), None)


def _callee(seen: Seen) -> str:
    """The name of what was called: MSELoss, mse_loss; "" for what one constructor calls in another."""
    if seen.moment != MADE:
        return seen.moment.rpartition(".")[2]
    made = _class(seen)
    return made.__name__ if made else ""


def _is_flag(value: Any) -> bool:
    """What `size_average` and `reduce` are meant to be."""
    return value is None or isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))


@watch("mselosssum-is-a-mean-because-size_average-comes-first", MADE, *(F + name for name in OLD))
def reduction_in_the_place_of_size_average(seen: Seen) -> Bite | None:
    """`MSELoss('sum')`. Under the three where a word in that place asks for what it would by name, it is the same."""
    for name in ("log_input", "blank", "margin") if seen.moment == MADE else ():
        if isinstance(seen.get(name), str) and _callee(seen):
            what = f"{_callee(seen)} was given {seen[name]!r} as {name}, and refuses it when it is called"
            return Bite(what, f"name the argument: reduction={seen[name]!r}")
    given = seen.get("size_average")
    if not isinstance(given, str) or not _callee(seen):
        return None
    became = seen["self"].reduction if seen.moment == MADE else _old(seen)
    if given == became:
        return None
    what = f"{_callee(seen)} was given {given!r} as size_average, and reduces by {became!r}"
    return Bite(what, f"name the argument: reduction={given!r}")


@watch("smoothl1loss01-leaves-beta-at-1-and-huberloss01-delta", MADE, *(F + n for n in (*OLD, "huber_loss")))
def threshold_in_another_place(seen: Seen) -> Bite | None:
    """`SmoothL1Loss(0.1)` or `HuberLoss(0.1)`, as one writes the only number that a loss has."""
    name = "size_average" if "size_average" in seen.call else "reduction"
    given = seen.get(name)
    if not isinstance(given, int | float) or _is_flag(given):
        return None
    callee = _callee(seen)
    if callee not in ("SmoothL1Loss", "smooth_l1_loss", "HuberLoss", "huber_loss"):
        return None
    threshold = "delta" if "uber" in callee else "beta"
    kept = getattr(seen["self"], threshold) if seen.moment == MADE else seen[threshold]
    return Bite(
        f"{callee} was given {given!r} as {name}: {threshold} is {kept!r}", f"name the argument: {threshold}={given!r}"
    )


@watch("an-unknown-reduction-is-refused-when-the-loss-is-called-not-before", MADE)
def unknown_reduction(seen: Seen) -> Bite | None:
    """A misspelt word, which the first call refuses. A class of somebody's own may know more words."""
    reduction = seen["self"].reduction
    known = (*REDUCTIONS, "elementwise_mean", *(["batchmean"] if type(seen["self"]) is torch.nn.KLDivLoss else []))
    if (
        reduction in known
        or isinstance(reduction, int | float)
        or type(seen["self"]).__module__ != "torch.nn.modules.loss"
    ):
        return None
    callee = _callee(seen)
    if not callee:
        return None
    return Bite(f"{callee} refuses the reduction {reduction!r} when it is called", f"one of {', '.join(known[:3])}")


@watch(
    "most-losses-still-accept-reductionelementwise_mean-and-warn",
    MADE,
    *(F + name for name in (*OLD, *NEW)),
    note=True,
)
def old_name_of_the_mean(seen: Seen) -> Bite | None:
    """Code of torch 0.4.1. It is a mean still."""
    if seen.get("reduction") == "elementwise_mean" and _callee(seen):
        return Bite("'elementwise_mean' is an old name of 'mean'", "write reduction='mean'")
    return None


def _old(seen: Seen) -> str:
    """What `size_average` and `reduce` come to."""
    average, on = (seen.get(name) for name in ("size_average", "reduce"))
    if on is not None and not on:
        return "none"
    return "mean" if average is None or average else "sum"


@watch("the-deprecated-size_average-and-reduce-overrule-reduction", MADE, *(F + name for name in OLD))
def reduction_that_is_overruled(seen: Seen) -> Bite | None:
    """`reduction` added to old code, beside what it replaces. Two that ask for the same are none."""
    average, on = (seen.get(name) for name in ("size_average", "reduce"))
    if (average is None and on is None) or not _is_flag(average) or not _is_flag(on):
        return None
    asked = seen.get("reduction")
    if "reduction" in getattr(seen.call, "left_out", ()) or asked == _old(seen) or not _callee(seen):
        return None
    old = ", ".join(f"{name}={seen[name]!r}" for name in ("size_average", "reduce") if seen[name] is not None)
    what = f"{_callee(seen)} reduces by {_old(seen)!r} for {old}, and ignores reduction={asked!r}"
    return Bite(what, f"leave {old} out")


MEANS = tuple(
    F + name
    for name in (
        "mse_loss",
        "l1_loss",
        "huber_loss",
        "smooth_l1_loss",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "cross_entropy",
        "nll_loss",
        "kl_div",
        "poisson_nll_loss",
        "gaussian_nll_loss",
        "soft_margin_loss",
        "hinge_embedding_loss",
        "margin_ranking_loss",
        "cosine_embedding_loss",
        "triplet_margin_loss",
        "multilabel_soft_margin_loss",
    )
)


def _is_empty(seen: Seen) -> bool:
    """Whether the mean of nothing was taken."""
    result = seen.result
    first = seen.get("input") if "input" in seen.call else next(iter(seen.call.values()), None)
    return isinstance(first, Tensor) and first.numel() == 0 and isinstance(result, Tensor) and result.ndim == 0


def _empty(seen: Seen) -> Bite | None:
    if not _is_empty(seen) or not seen.result.isnan():
        return None
    first = seen.get("input") if "input" in seen.call else next(iter(seen.call.values()))
    what = f"{_callee(seen)} is NaN, the mean over an empty batch: the input is {shape(first)}"
    return Bite(what, "leave such a batch out, or take reduction='sum' and divide by max(target.numel(), 1)")


@watch(
    "the-mean-of-mse-over-an-empty-batch-is-nan-and-its-gradient-zero",
    *MEANS,
    *GRADIENTS,
    cheap=True,
    steady=True,
    recalls=GRADIENTS,
)
def mean_of_nothing(seen: Seen) -> Iterable[Bite] | None:
    """A filter that leaves no sample of a batch, and the loss is trained on. A loss that is replaced is none."""
    if seen.moment in GRADIENTS:
        return reached(seen, nan=True)
    if _is_empty(seen):
        follow(seen, _empty(seen))
    return None


@watch("the-mean-of-mse-over-an-empty-batch-is-nan-and-its-gradient-zero", *MEANS, note=True)
def measured_mean_of_nothing(seen: Seen) -> Bite | None:
    """The same without a gradient, as in a validation. It is no mistake where the script looks at the number."""
    return _empty(seen) if _is_empty(seen) and not seen.result.requires_grad else None


@watch(
    "loss--masksum--masksum-has-nan-gradients-if-mask-is-all-zero",
    *GRADIENTS,
    HOOKS,
    before=True,
    cheap=True,
    steady=True,
)
def division_by_an_empty_mask(seen: Seen) -> Bite | None:
    """A batch whose mask keeps nothing. Where the entries are chosen by index, a loss that is replaced is none."""
    if seen.moment != HOOKS and not is_turn(seen) and not any(_is_nan(root) for root in roots(seen)):
        return None
    for node in top(seen):
        if operation(node) != "Div" or node.next_functions[0][0] is None:
            continue
        divisor = saved(node, "other")
        if divisor is None or size(node) != () or float(divisor):
            continue
        over = _divided(node.next_functions[0][0])
        if over or (over == 0 and any(root.isnan().any() for root in roots(seen))):
            nan = "loss and gradient are" if over else "the loss is"
            what = f"the sum of {over} losses is divided by 0: {nan} NaN or infinite"
            return Bite(what, "a mask that keeps nothing has the sum 0: divide by at least 1, mask.sum().clamp(min=1)")
    return None


def _is_nan(root: Tensor) -> bool:
    value = number(root)
    return value is not None and value != value


def _divided(node: Any) -> int | None:
    """Of how many entries the sum, mean or loss is that is divided; None for what is none of these."""
    if operation(node) in ("Sum", "Mean"):
        sizes = saved(node, "self_sym_sizes")
        return None if sizes is None else torch.Size(sizes).numel()
    given = saved(node, "self") if operation(node).endswith("Loss") else None
    return given.numel() if isinstance(given, Tensor) else None


@watch(
    "a-masked-mean-over-all-elements-scales-gradients-by-the-share-it-keeps", *GRADIENTS, HOOKS, before=True, note=True
)
def mean_over_what_a_mask_leaves_out(seen: Seen) -> Bite | None:
    """`(losses * mask).mean()` of a mask of zeros and ones. A mean over all that is meant looks the same."""
    for node in top(seen):
        if operation(node) != "Mean" or size(node) != ():
            continue
        times = node.next_functions[0][0]
        mask = saved(times, "other") if operation(times) == "Mul" else None
        mask = saved(times, "self") if mask is None and operation(times) == "Mul" else mask
        if mask is None or mask.numel() < 2 or mask.requires_grad or not _is_mask(mask):
            continue
        kept = int((mask != 0).sum())
        what = f"a mean over {mask.numel()} elements counts {mask.numel() - kept} that a mask sets to 0"
        return Bite(what, "divide by what the mask keeps: (losses * mask).sum() / mask.sum().clamp(min=1)")
    return None


def _is_mask(mask: Tensor) -> bool:
    """Whether it is of zeros and ones, both of which occur."""
    zeros = mask == 0
    return bool((zeros | (mask == 1)).all()) and bool(zeros.any()) and not bool(zeros.all())


@watch("in-float16-a-sum-of-losses-can-overflow-where-their-mean-is-finite", *FOUR)
def sum_beyond_float16(seen: Seen) -> Bite | None:
    """A model after `half()`, and a loss that is summed over a batch or an image."""
    error = overflow(seen)
    largest = 256 if seen.moment == FOUR[0] else float("inf")
    if error is None or error >= largest or seen.result.ndim:
        return None
    return Bite(
        f"a sum of {seen['input'].numel()} losses in float16 is infinite, and none of them is",
        f"{seen.about('input', 'target')} · compute it in float32: loss(prediction.float(), target.float())",
    )
