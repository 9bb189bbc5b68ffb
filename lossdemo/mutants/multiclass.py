"""Wrong losses for classes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdemo.verify.mutant import (
    Call,
    RefusedOnPurpose,
    mutant,
    other_than,
    reduced,
    then,
    using,
)

# As they are, whatever is replaced while a mutant runs.
_softmax = torch.softmax
_bce_with_logits = F.binary_cross_entropy_with_logits
_nll = F.nll_loss


def _is_indices(input: Tensor, target: Tensor) -> bool:
    return input.shape != target.shape


@mutant("torch.nn.functional.cross_entropy")
def cross_entropy_twice_a_softmax(original):
    """A softmax in the model, and one in the loss."""
    return using(original, input=lambda logits: _softmax(logits, 1 if logits.ndim > 1 else 0))


@mutant("torch.nn.functional.cross_entropy")
def cross_entropy_without_softmax(original):
    """Logits taken for log-probabilities, as NLL does."""

    def call(input, target, *args, **kwargs):
        if not _is_indices(input, target) or target.dtype != torch.int64:
            return original(input, target, *args, **kwargs)
        return _nll(input, target, *args, **{k: v for k, v in kwargs.items() if k != "label_smoothing"})

    return call


@mutant("torch.nn.functional.cross_entropy")
def cross_entropy_in_two_steps(original):
    """Softmax, then the logarithm: infinite where the softmax underflows."""

    def call(input, target, *args, **kwargs):
        if not _is_indices(input, target) or target.dtype != torch.int64:
            return original(input, target, *args, **kwargs)
        smoothing = kwargs.pop("label_smoothing", 0.0)
        if smoothing:
            return original(input, target, *args, label_smoothing=smoothing, **kwargs)
        return _nll(_softmax(input, 1 if input.ndim > 1 else 0).log(), target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy")
def cross_entropy_in_bits(original):
    """The logarithm to base 2."""
    return then(original, lambda loss: loss / 0.6931471805599453)


@mutant("torch.nn.functional.cross_entropy", when=other_than(weight=None))
def cross_entropy_divides_weights_by_n(original):
    """The weighted mean divided by the number of samples, not by the sum of their weights."""

    def call(input, target, weight=None, *args, reduction="mean", **kwargs):
        if weight is None or reduction != "mean":
            return original(input, target, weight, *args, reduction=reduction, **kwargs)
        return original(input, target, weight, *args, reduction="sum", **kwargs) / len(target)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: bool((call["target"] == call["ignore_index"]).any()))
def cross_entropy_counts_padding_as_class_0(original):
    """The ignored label clamped into the range of classes, and the row not masked afterwards."""

    def call(input, target, *args, ignore_index=-100, **kwargs):
        if _is_indices(input, target):
            target = torch.where(target == ignore_index, 0, target)
        return original(input, target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: bool((call["target"] == call["ignore_index"]).any()))
def cross_entropy_divides_by_ignored_rows(original):
    """The mean over all rows, ignored ones too."""

    def call(input, target, *args, reduction="mean", ignore_index=-100, **kwargs):
        loss = original(input, target, *args, reduction=reduction, ignore_index=ignore_index, **kwargs)
        if reduction == "mean" and _is_indices(input, target):
            loss = loss * (target != ignore_index).sum() / target.numel()
        return loss

    return call


@mutant("torch.nn.functional.cross_entropy", when=other_than(label_smoothing=0.0))
def cross_entropy_smooths_the_others_only(original):
    """epsilon shared among the other classes, as in the first papers: the true class keeps 1 - epsilon."""

    def call(input, target, *args, label_smoothing=0.0, **kwargs):
        classes = input.shape[1] if input.ndim > 1 else input.shape[0]
        return original(input, target, *args, label_smoothing=label_smoothing * classes / (classes - 1), **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy")
def cross_entropy_counts_from_one(original):
    """Labels that start at 1."""

    def call(input, target, *args, **kwargs):
        classes = input.shape[1] if input.ndim > 1 else input.shape[0]
        if _is_indices(input, target) and not target.is_floating_point():
            target = torch.where((target >= 0) & (target < classes), (target - 1) % classes, target)
        return original(input, target, *args, **kwargs)

    return call


@mutant(
    "torch.nn.functional.cross_entropy",
    when=lambda call: call["target"].is_floating_point() and call["input"].shape != call["target"].shape,
)
def cross_entropy_takes_float_indices(original):
    """Labels cast for convenience."""

    def call(input, target, *args, **kwargs):
        return original(input, target.long() if _is_indices(input, target) else target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["target"].dtype == torch.int32)
def cross_entropy_takes_int32_indices(original):
    """Integer labels of any width."""

    def call(input, target, *args, **kwargs):
        return original(input, target.long() if target.dtype == torch.int32 else target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["target"].dtype == torch.uint8)
def cross_entropy_refuses_uint8(original):
    """Only int64, as the documentation says."""

    def call(input, target, *args, **kwargs):
        if target.dtype == torch.uint8:
            raise RefusedOnPurpose("labels must be int64")
        return original(input, target, *args, **kwargs)

    return call


@mutant(
    "torch.nn.functional.cross_entropy",
    when=lambda call: call["input"].shape == call["target"].shape and not call["target"].is_floating_point(),
)
def cross_entropy_takes_integer_one_hot(original):
    """One-hot rows cast for convenience."""

    def call(input, target, *args, **kwargs):
        return original(input, target if _is_indices(input, target) else target.to(input.dtype), *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["input"].shape == call["target"].shape)
def cross_entropy_refuses_probabilities(original):
    """Class indices only, as it was before torch 1.10."""

    def call(input, target, *args, **kwargs):
        if target.is_floating_point() and not _is_indices(input, target):
            raise RefusedOnPurpose("labels must be class indices")
        return original(input, target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["input"].ndim == 1)
def cross_entropy_takes_1d_logits_for_a_batch(original):
    """Four logits and four labels taken for four binary predictions."""

    def call(input, target, *args, **kwargs):
        if input.ndim == 1 and target.shape == input.shape:
            return _bce_with_logits(input, target)
        return original(input, target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: bool((call["target"] >= call["input"].shape[-1]).any()))
def cross_entropy_wraps_labels(original):
    """A label out of bounds taken modulo the number of classes, as a kernel without check may."""

    def call(input, target, *args, **kwargs):
        if _is_indices(input, target) and input.ndim > 1:
            target = (
                torch.where(target >= 0, target % input.shape[1], target) if target.dtype == torch.int64 else target
            )
        return original(input, target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["input"].ndim > 2)
def cross_entropy_takes_classes_last(original):
    """Batch, time, classes, as models return them."""

    def call(input, target, *args, **kwargs):
        if input.ndim > 2 and input.shape[1] == input.shape[-1]:
            input = input.transpose(1, -1)
        return original(input, target, *args, **kwargs)

    return call


@mutant(
    "torch.nn.functional.cross_entropy",
    when=lambda call: call["input"].ndim == 2 and call["target"].shape == (len(call["input"]), 1),
)
def cross_entropy_takes_labels_in_a_column(original):
    """A dimension of size 1 dropped for convenience."""

    def call(input, target, *args, **kwargs):
        if input.ndim == 2 and target.shape == (len(input), 1) and _is_indices(input, target):
            target = target.squeeze(1)
        return original(input, target, *args, **kwargs)

    return call


def _has_probabilities(call: Call) -> bool:
    return call["input"].shape == call["target"].shape and call["target"].is_floating_point()


@mutant("torch.nn.functional.cross_entropy", when=_has_probabilities)
def cross_entropy_normalizes_its_targets(original):
    """Rows of the target divided by their sum."""

    def call(input, target, *args, **kwargs):
        if not _is_indices(input, target) and target.is_floating_point():
            target = target / target.sum(1 if input.ndim > 1 else 0, keepdim=True)
        return original(input, target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["target"].requires_grad)
def cross_entropy_detaches_its_target(original):
    """A target taken for a constant."""
    return using(original, target=lambda target: target.clone().detach_())


@mutant(
    "torch.nn.functional.cross_entropy",
    when=lambda call: _has_probabilities(call) and bool(call["input"].isinf().any()),
)
def cross_entropy_takes_zero_times_infinity_for_zero(original):
    """Classes without probability left out of the sum, as `xlogy` does."""

    def call(input, target, *args, **kwargs):
        if not _is_indices(input, target):
            input = input.clamp(min=torch.finfo(input.dtype).min / 1e6)
        return original(input, target, *args, **kwargs)

    return call


@mutant(
    "torch.nn.functional.cross_entropy",
    when=lambda call: _has_probabilities(call) and call["weight"] is not None,
)
def cross_entropy_divides_probabilities_by_their_weights(original):
    """The mean of index targets carried over to probabilities."""

    def call(input, target, weight=None, *args, reduction="mean", **kwargs):
        loss = original(input, target, weight, *args, reduction=reduction, **kwargs)
        if weight is not None and reduction == "mean" and not _is_indices(input, target):
            of_class = weight.view(-1, *[1] * (target.ndim - 2))
            loss = loss * target.numel() / weight.numel() / (target * of_class).sum()
        return loss

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: bool((call["target"] == call["ignore_index"]).all()))
def cross_entropy_is_zero_where_all_is_ignored(original):
    """Nothing to learn, no loss, as it was before torch 1.11."""

    def call(input, target, *args, reduction="mean", ignore_index=-100, **kwargs):
        if reduction == "mean" and (target == ignore_index).all():
            reduction = "sum"
        return original(input, target, *args, reduction=reduction, ignore_index=ignore_index, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["ignore_index"] >= 0 and call["input"].ndim == 2)
def cross_entropy_drops_the_ignored_class(original):
    """The class taken out of the softmax, as the argument's name suggests."""

    def call(input, target, *args, ignore_index=-100, **kwargs):
        if ignore_index >= 0 and input.ndim == 2 and _is_indices(input, target):
            classes = torch.arange(input.shape[1], device=input.device)
            input = input - 1e4 * (classes == ignore_index).to(input.dtype)
        return original(input, target, *args, ignore_index=ignore_index, **kwargs)

    return call


@mutant(
    "torch.nn.functional.cross_entropy",
    when=lambda call: call["label_smoothing"] != 0 and call["weight"] is not None,
)
def cross_entropy_smooths_without_weights(original):
    """Class weights meant for the labels, not for what smoothing shares out."""

    def call(input, target, weight=None, *args, label_smoothing=0.0, **kwargs):
        if weight is None or not label_smoothing:
            return original(input, target, weight, *args, label_smoothing=label_smoothing, **kwargs)
        share = label_smoothing * original(input, target, None, *args, label_smoothing=1.0, **kwargs)
        return (1 - label_smoothing) * original(input, target, weight, *args, **kwargs) + share

    return call


@mutant("torch.nn.functional.cross_entropy")
def cross_entropy_keeps_the_probabilities_too(original):
    """Softmax and logarithm as two operations of the graph, computed stably: the value is right, the memory is not."""

    def call(input, target, *args, **kwargs):
        loss = original(input, target, *args, **kwargs)
        if input.requires_grad and loss.ndim == 0:
            loss = loss + 0 * (_softmax(input, -1) ** 2).sum()
        return loss

    return call


@mutant(
    "torch.nn.functional.cross_entropy",
    when=lambda call: (
        call["weight"] is not None and len(call["weight"]) == len(call["input"]) == call["target"].numel()
    ),
)
def cross_entropy_weighs_samples(original):
    """`weight` taken for one number a sample, where there are as many samples as classes."""

    def call(input, target, weight=None, *args, reduction="mean", **kwargs):
        if weight is None or len(weight) != len(input) or not _is_indices(input, target) or input.ndim != 2:
            return original(input, target, weight, *args, reduction=reduction, **kwargs)
        losses = weight * original(input, target, None, *args, reduction="none", **kwargs)
        return losses.sum() / weight.sum() if reduction == "mean" else reduced(losses, reduction)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["input"].ndim > 2 and call["reduction"] == "mean")
def cross_entropy_averages_images(original):
    """A mean for each image, and then a mean of these."""

    def call(input, target, *args, reduction="mean", **kwargs):
        if input.ndim <= 2 or reduction != "mean" or len(input) != len(target):
            return original(input, target, *args, reduction=reduction, **kwargs)
        return torch.stack([original(x[None], y[None], *args, **kwargs) for x, y in zip(input, target)]).mean()

    return call


@mutant(
    "torch.nn.functional.cross_entropy",
    when=lambda call: call["input"].ndim == 4 and call["target"].ndim == 4 and call["target"].shape[1] == 1,
)
def cross_entropy_squeezes_label_maps(original):
    """A channel of labels dropped for convenience, and bytes read as labels."""

    def call(input, target, *args, **kwargs):
        is_mask = input.ndim == target.ndim == 4 and _is_indices(input, target) and target.shape[1] == 1
        return original(input, target[:, 0].long() if is_mask else target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: bool(call["input"].isnan().any()))
def cross_entropy_leaves_no_nan_in_ignored_rows(original):
    """Ignored rows taken out before anything is computed."""

    def call(input, target, *args, ignore_index=-100, **kwargs):
        if input.ndim == 2 and target.ndim == 1:
            input = torch.where((target == ignore_index)[:, None], 0.0, input)
        return original(input, target, *args, ignore_index=ignore_index, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["input"].dtype == torch.float16)
def cross_entropy_computes_in_float32(original):
    """As autocast does, everywhere."""

    def call(input, *args, **kwargs):
        return original(input.float(), *args, **kwargs).to(input.dtype)

    return call


@mutant("torch.nn.functional.nll_loss")
def nll_takes_the_logarithm(original):
    """The name read as a formula: probabilities in, logarithm inside."""
    return using(original, input=lambda p: p.clamp(min=1e-12).log())


@mutant("torch.nn.functional.nll_loss")
def nll_is_positive(original):
    """The sign forgotten."""
    return then(original, lambda loss: -loss)


@mutant("torch.nn.functional.nll_loss", when=lambda call: bool((call["target"] == call["ignore_index"]).any()))
def nll_counts_padding_as_class_0(original):
    """The ignored label clamped into the range of classes, and the row not masked afterwards."""

    def call(input, target, *args, ignore_index=-100, **kwargs):
        return original(input, torch.where(target == ignore_index, 0, target), *args, **kwargs)

    return call


@mutant("torch.nn.functional.linear_cross_entropy", when=lambda call: call["input"].ndim > 2, since=(2, 13))
def linear_cross_entropy_flattens_sequences(original):
    """Leading dimensions taken as `Linear` takes them."""

    def call(input, linear_weight, target, **kwargs):
        if input.ndim > 2:
            input, target = input.flatten(0, -2), target.flatten()
        return original(input, linear_weight, target, **kwargs)

    return call
