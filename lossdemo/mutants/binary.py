"""Wrong losses for binary targets."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdemo.verify.mutant import RefusedOnPurpose, mutant, other_than, reduced, using

# As they are, whatever is replaced while a mutant runs.
_sigmoid = torch.sigmoid
_bce = F.binary_cross_entropy
_bce_with_logits = F.binary_cross_entropy_with_logits


@mutant(
    "torch.nn.functional.binary_cross_entropy",
    when=lambda call: bool(((call["input"] == 0) | (call["input"] == 1)).any()),
)
def bce_without_clamp(original):
    """The formula as it stands in books, with log 0."""

    def call(input, target, weight=None, *_, reduction="mean", **__):
        if not ((input >= 0) & (input <= 1)).all() or not ((target >= 0) & (target <= 1)).all():
            return original(input, target, weight, reduction=reduction)
        return reduced(-(torch.xlogy(target, input) + torch.xlogy(1 - target, 1 - input)), reduction)

    return call


@mutant("torch.nn.functional.binary_cross_entropy")
def bce_takes_logits(original):
    """BCELoss and BCEWithLogitsLoss mixed up."""
    return lambda input, target, weight=None, *_, reduction="mean", **__: _bce_with_logits(
        input, target, weight, reduction=reduction
    )


@mutant(
    "torch.nn.functional.binary_cross_entropy",
    when=lambda call: (
        bool(((call["input"] - 0.5).abs() <= 0.5).logical_not().any()) or bool((call["target"] > 1).any())
    ),
)
def bce_clips_what_is_no_probability(original):
    """Validation replaced by clamping, as in other frameworks."""

    def call(input, target, weight=None, *_, reduction="mean", **__):
        input = torch.where(input.isnan(), 0.5, input).clamp(1e-7, 1 - 1e-7)
        return original(input, target.clamp(0, 1), weight, reduction=reduction)

    return call


@mutant("torch.nn.functional.binary_cross_entropy")
def bce_ignores_negatives(original):
    """Only the term with y log p, as for one-hot targets."""

    def call(input, target, weight=None, *_, reduction="mean", **__):
        if not ((input >= 0) & (input <= 1)).all() or not ((target >= 0) & (target <= 1)).all():
            return original(input, target, weight, reduction=reduction)
        return reduced(-target * input.log().clamp(min=-100), reduction)

    return call


@mutant("torch.nn.functional.binary_cross_entropy", when=lambda call: call["input"].dtype != call["target"].dtype)
def bce_casts_its_targets(original):
    """Labels of any dtype taken, as MSE takes them."""

    def call(input, target, *args, **kwargs):
        return original(input, target.to(input.dtype), *args, **kwargs)

    return call


@mutant("torch.nn.functional.binary_cross_entropy", when=lambda call: call["input"].shape != call["target"].shape)
def bce_broadcasts(original):
    """Targets of another shape taken as in MSE."""

    def call(input, target, *args, **kwargs):
        return original(*torch.broadcast_tensors(input, target), *args, **kwargs)

    return call


def _bce_of_any_target(p: Tensor, target: Tensor, reduction: str) -> Tensor:
    """BCELoss without its check of the targets."""
    yes, no = _bce(p, torch.ones_like(p), reduction="none"), _bce(p, torch.zeros_like(p), reduction="none")
    return reduced(target * yes + (1 - target) * no, reduction)


@mutant("torch.nn.functional.binary_cross_entropy_with_logits")
def bce_with_logits_takes_probabilities(original):
    """The sigmoid forgotten."""

    def call(input, target, *_, reduction="mean", **__):
        if target.shape != input.shape:
            return original(input, target, reduction=reduction)
        return _bce_of_any_target(input.clamp(0, 1), target, reduction)

    return call


@mutant("torch.nn.functional.binary_cross_entropy_with_logits")
def bce_with_logits_twice_a_sigmoid(original):
    """A sigmoid in the model, and one in the loss."""
    return using(original, input=_sigmoid)


@mutant("torch.nn.functional.binary_cross_entropy_with_logits")
def bce_with_logits_in_two_steps(original):
    """Sigmoid and logarithm one after the other, which saturates."""

    def call(input, target, *_, reduction="mean", **__):
        if target.shape != input.shape:
            return original(input, target, reduction=reduction)
        return _bce_of_any_target(_sigmoid(input), target, reduction)

    return call


@mutant("torch.nn.functional.binary_cross_entropy_with_logits", when=other_than(pos_weight=None))
def bce_with_logits_weighs_negatives(original):
    """pos_weight put on the other term."""

    def call(input, target, weight=None, *_, reduction="mean", pos_weight=None, **__):
        if pos_weight is None:
            return original(input, target, weight, reduction=reduction)
        return original(-input, 1 - target, weight, reduction=reduction, pos_weight=pos_weight)

    return call


@mutant(
    "torch.nn.functional.binary_cross_entropy_with_logits",
    when=lambda call: call["input"].shape != call["target"].shape,
)
def bce_with_logits_broadcasts(original):
    """Targets of another shape taken as in MSE."""
    return lambda input, target, *args, **kwargs: original(*torch.broadcast_tensors(input, target), *args, **kwargs)


@mutant(
    "torch.nn.functional.binary_cross_entropy_with_logits",
    when=lambda call: call["pos_weight"] is not None and call["pos_weight"].ndim == 1 and call["input"].ndim > 2,
)
def bce_with_logits_weighs_channels(original):
    """One weight a class taken to run along the classes."""
    return using(original, pos_weight=lambda weight: weight if weight is None else weight.view(-1, 1, 1))


@mutant(
    "torch.nn.functional.binary_cross_entropy_with_logits",
    when=lambda call: bool(((call["target"] < 0) | (call["target"] > 1)).any()),
)
def bce_with_logits_refuses_what_is_no_probability(original):
    """BCELoss's check of the targets carried over."""

    def call(input, target, *args, **kwargs):
        if ((target < 0) | (target > 1)).any():
            raise RefusedOnPurpose("all elements of target should be between 0 and 1")
        return original(input, target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.binary_cross_entropy_with_logits", when=lambda call: bool(call["input"].isinf().any()))
def bce_with_logits_knows_infinity(original):
    """The limit of the formula, which is 0 where the answer is right."""
    return using(original, input=lambda z: z.clamp(-1e30, 1e30))


@mutant("torch.nn.functional.soft_margin_loss")
def soft_margin_takes_zero_for_minus_one(original):
    """0/1 labels accepted."""
    return using(original, target=lambda y: torch.where(y == 0, -1, y))


@mutant("torch.nn.functional.soft_margin_loss")
def soft_margin_does_not_overflow(original):
    """A stable softplus, as it should be."""
    return lambda input, target, *_, reduction="mean", **__: reduced(F.softplus(-target * input), reduction)


@mutant("torch.nn.functional.multilabel_soft_margin_loss", when=other_than(weight=None))
def multilabel_soft_margin_divides_by_weights(original):
    """Cross-entropy's weighted mean carried over."""

    def call(input, target, weight=None, *args, **kwargs):
        loss = original(input, target, weight, *args, **kwargs)
        return loss if weight is None else loss / weight.mean()

    return call


@mutant("torch.nn.functional.multilabel_soft_margin_loss", when=lambda call: bool((call["target"] == -1).any()))
def multilabel_soft_margin_skips_padding(original):
    """A label of -1 left out, as MultiLabelMarginLoss does."""

    def call(input, target, weight=None, *_, reduction="mean", **__):
        losses = _bce_with_logits(input, target.clamp(min=0), weight, reduction="none")
        return reduced((losses * (target != -1)).mean(-1), reduction)

    return call


@mutant("torch.nn.functional.multilabel_soft_margin_loss")
def multilabel_soft_margin_sums_classes(original):
    """The mean over classes forgotten."""

    def call(input, *args, **kwargs):
        return original(input, *args, **kwargs) * input.shape[-1]

    return call


@mutant("torch.nn.functional.binary_cross_entropy_with_logits", when=lambda call: bool(call["target"].isnan().any()))
def bce_with_logits_skips_nan(original):
    """A missing label taken for none, as pandas does."""

    def call(input, target, *args, reduction="mean", **kwargs):
        losses = original(input, target.nan_to_num(), *args, reduction="none", **kwargs)
        losses = torch.where(target.isnan(), 0, losses)
        return losses if reduction == "none" else losses.sum() / (1 if reduction == "sum" else (~target.isnan()).sum())

    return call


@mutant(
    "torch.nn.functional.binary_cross_entropy_with_logits",
    when=lambda call: call["weight"] is not None and call["weight"].shape != call["input"].shape,
)
def bce_with_logits_drops_weights_that_do_not_fit(original):
    """A module's weights for each sample taken to be skipped in the last, smaller batch."""

    def call(input, target, weight=None, *args, **kwargs):
        fits = weight is None or weight.shape == input.shape
        return original(input, target, weight if fits else None, *args, **kwargs)

    return call
