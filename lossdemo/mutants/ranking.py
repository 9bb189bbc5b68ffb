"""Wrong losses of ranking and margins."""

import torch
from torch.nn import functional as F

from lossdemo.verify.mutant import mutant, other_than, reduced, using


@mutant("torch.nn.functional.hinge_embedding_loss", when=lambda call: bool((call["target"] == 0).any()))
def hinge_embedding_takes_zero_for_minus_one(original):
    """0/1 labels accepted."""
    return using(original, target=lambda y: torch.where(y == 0, -1, y))


@mutant("torch.nn.functional.hinge_embedding_loss")
def hinge_embedding_is_the_svms(original):
    """The hinge of support vector machines, which the name suggests."""
    return lambda input, target, margin=1.0, *_, reduction="mean", **__: reduced(
        (margin - target * input).clamp(min=0), reduction
    )


@mutant("torch.nn.functional.margin_ranking_loss")
def margin_ranking_swaps_inputs(original):
    """The second one should rank higher for y = 1."""
    return using(original, target=lambda y: -y)


@mutant(
    "torch.nn.functional.margin_ranking_loss",
    when=lambda call: bool((call["target"] * (call["input1"] - call["input2"]) == call["margin"]).any()),
)
def margin_ranking_takes_the_other_slope_at_the_hinge(original):
    """Another release's: where the margin is met exactly torch 2.13 pulls in full and 2.14 not at all, both rightly."""

    def call(input1, input2, target, margin=0.0, *args, reduction="mean", **kwargs):
        original(input1, input2, target, margin, *args, reduction=reduction, **kwargs)  # what it refuses is refused
        short = margin - target * (input1 - input2)
        return reduced(F.relu(short) if _pulls_at_its_bound() else torch.where(short >= 0, short, 0), reduction)

    return call


def _pulls_at_its_bound() -> bool:
    """Whether clamp, of which torch makes the losses of pairs and triplets, has the slope 1 at its bound."""
    bound = torch.zeros((), requires_grad=True)
    return bool(torch.autograd.grad(bound.clamp(min=0), bound)[0])


@mutant("torch.nn.functional.margin_ranking_loss", when=lambda call: call["input1"].ndim != call["target"].ndim)
def margin_ranking_broadcasts(original):
    """Labels of another shape taken as in MSE."""
    return lambda input1, input2, target, *args, **kwargs: original(
        *torch.broadcast_tensors(input1, input2, target), *args, **kwargs
    )


@mutant("torch.nn.functional.multi_margin_loss", when=other_than(weight=None))
def multi_margin_divides_by_the_weights(original):
    """The weighted mean of cross-entropy carried over."""

    def call(input, target, *args, weight=None, reduction="mean", **kwargs):
        loss = original(input, target, *args, weight=weight, reduction=reduction, **kwargs)
        return loss * target.numel() / weight[target].sum() if weight is not None and reduction == "mean" else loss

    return call


@mutant("torch.nn.functional.multi_margin_loss")
def multi_margin_divides_by_the_wrong_classes(original):
    """The true class, which has no term, not counted."""

    def call(input, *args, **kwargs):
        return original(input, *args, **kwargs) * input.shape[-1] / (input.shape[-1] - 1)

    return call


@mutant("torch.nn.functional.multilabel_margin_loss")
def multilabel_margin_takes_one_hot(original):
    """A row of zeros and ones instead of indices ended by -1."""

    def call(input, target, *args, **kwargs):
        order = torch.where(target > 0, torch.arange(target.shape[-1], device=target.device), -1)
        return original(input, order.sort(-1, descending=True).values, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cosine_embedding_loss")
def cosine_embedding_flips_its_labels(original):
    """Similar and dissimilar mixed up."""
    return using(original, target=lambda y: -y)


@mutant("torch.nn.functional.cosine_embedding_loss", when=lambda call: bool((call["target"] == 0).any()))
def cosine_embedding_takes_zero_for_minus_one(original):
    """0/1 labels accepted."""
    return using(original, target=lambda y: torch.where(y == 0, -1, y))


@mutant("torch.nn.functional.cosine_embedding_loss", when=lambda call: not call["input1"].any(-1).all())
def cosine_embedding_has_no_pull_at_zero(original):
    """A zero vector left as it is by a guarded division."""

    def call(input1, *args, **kwargs):
        return original(torch.where(input1.any(-1, keepdim=True), input1, input1.detach()), *args, **kwargs)

    return call


@mutant("torch.nn.functional.triplet_margin_loss")
def triplet_ignores_eps(original):
    """The distance of the formula, which is 0 for equal vectors."""
    return using(original, eps=0.0)


@mutant("torch.nn.functional.triplet_margin_loss", when=lambda call: call["reduction"] == "mean")
def triplet_mean_leaves_out_the_satisfied(original):
    """The mean over the triplets that cost something, as libraries that mine triplets take it."""

    def call(*args, reduction="mean", **kwargs):
        if reduction != "mean":
            return original(*args, reduction=reduction, **kwargs)
        loss = original(*args, reduction="none", **kwargs)
        return loss.sum() / (loss > 0).sum().clamp(min=1)

    return call


@mutant("torch.nn.functional.triplet_margin_loss")
def triplet_squares_its_distances(original):
    """Squared distances, as in the paper on FaceNet."""

    def call(anchor, positive, negative, margin=1.0, *_, reduction="mean", **__):
        near, far = ((anchor - other).square().sum(-1) for other in (positive, negative))
        return reduced((near - far + margin).clamp(min=0), reduction)

    return call


@mutant("torch.nn.functional.triplet_margin_loss", when=lambda call: call["anchor"].ndim > 2)
def triplet_measures_along_dimension_1(original):
    """The embedding of a map in dimension 1, where cross-entropy has the classes."""

    def call(anchor, positive, negative, *args, **kwargs):
        return original(*(values.movedim(1, -1) for values in (anchor, positive, negative)), *args, **kwargs)

    return call


@mutant("torch.nn.functional.cosine_embedding_loss", when=lambda call: call["input1"].dtype == torch.float16)
def cosine_embedding_computes_in_float32(original):
    """Half precision in and out, with the range of float32 between."""
    return lambda input1, input2, *args, **kwargs: original(input1.float(), input2.float(), *args, **kwargs).half()


def _passes_nan_on(original):
    return lambda input, *args, **kwargs: original(input, *args, **kwargs) + 0 * input.sum()


@mutant("torch.nn.functional.multi_margin_loss", when=lambda call: bool(call["input"].isnan().any()))
def multi_margin_passes_nan_on(original):
    """NaN for a score of NaN, as other losses return it."""
    return _passes_nan_on(original)


@mutant("torch.nn.functional.multilabel_margin_loss", when=lambda call: bool(call["input"].isnan().any()))
def multilabel_margin_passes_nan_on(original):
    """NaN for a score of NaN, as other losses return it."""
    return _passes_nan_on(original)


def _of_nothing(original):
    def call(*args, reduction="mean", **kwargs):
        return reduced(original(*args, reduction="none", **kwargs), reduction)

    return call


@mutant("torch.nn.functional.multi_margin_loss", when=lambda call: not call["input"].numel())
def multi_margin_reduces_nothing(original):
    """The mean and the sum of no losses, as other losses return them."""
    return _of_nothing(original)


@mutant("torch.nn.functional.multilabel_margin_loss", when=lambda call: not call["input"].numel())
def multilabel_margin_reduces_nothing(original):
    """The mean and the sum of no losses, as other losses return them."""
    return _of_nothing(original)


def _takes_half(original):
    return lambda input, *args, **kwargs: original(input.float(), *args, **kwargs).to(input.dtype)


@mutant("torch.nn.functional.multi_margin_loss", when=lambda call: call["input"].dtype.itemsize == 2)
def multi_margin_takes_half(original):
    """Half precision on the CPU, as other losses take it."""
    return _takes_half(original)


@mutant("torch.nn.functional.multilabel_margin_loss", when=lambda call: call["input"].dtype.itemsize == 2)
def multilabel_margin_takes_half(original):
    """Half precision on the CPU, as other losses take it."""
    return _takes_half(original)
