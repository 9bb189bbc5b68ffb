"""Wrong losses for sequences."""

import inspect
from typing import Any

import torch
from torch import Tensor

from lossdemo.verify.mutant import (
    Function,
    arguments,
    mutant,
    other_than,
    reduced,
    using,
)

# As they are, whatever is replaced while a mutant runs.
_log_softmax = torch.log_softmax


@mutant("torch.nn.functional.ctc_loss")
def ctc_ignores_input_lengths(original):
    """Padding read as frames."""

    def call(log_probs, targets, input_lengths, target_lengths, *args, **kwargs):
        full = torch.full_like(torch.as_tensor(input_lengths), log_probs.shape[0])
        return original(log_probs, targets, full, torch.as_tensor(target_lengths), *args, **kwargs)

    return call


@mutant("torch.nn.functional.ctc_loss")
def ctc_ignores_target_lengths(original):
    """Padding of the targets read as labels."""

    def call(log_probs, targets, input_lengths, target_lengths, *args, **kwargs):
        input_lengths, target_lengths = torch.as_tensor(input_lengths), torch.as_tensor(target_lengths)
        if targets.ndim == 2:
            target_lengths = torch.full_like(target_lengths, targets.shape[1])
        return original(log_probs, targets, input_lengths, target_lengths, *args, **kwargs)

    return call


@mutant("torch.nn.functional.ctc_loss")
def ctc_mean_ignores_target_lengths(original):
    """The mean over the batch, without dividing by the targets' lengths."""

    def call(*args, **kwargs):
        given = arguments(original, args, kwargs)
        return original(**given | {"reduction": "none"}).mean() if given["reduction"] == "mean" else original(**given)

    return call


def _ctc(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int, best: bool, skip: bool
) -> Tensor:
    """CTC by its recursion over (T, N, C): of the `best` path alone, or with equal labels free to `skip` the blank."""
    together = torch.amax if best else torch.logsumexp
    losses, start = [], 0
    for n, (frames, length) in enumerate(zip(torch.as_tensor(input_lengths), torch.as_tensor(target_lengths))):
        target = targets[n, :length] if targets.ndim == 2 else targets[start : start + length]
        start += int(length)
        labels = torch.full((2 * len(target) + 1,), blank, device=targets.device)
        labels[1::2] = target
        apart = torch.zeros(len(labels), dtype=torch.bool, device=targets.device)
        apart[3::2] = True if skip else target[1:] != target[:-1]
        position, nowhere = torch.arange(len(labels), device=targets.device), log_probs.new_full((2,), -1e30)
        score = torch.where(position < 2, log_probs[0, n, labels], -1e30)
        for t in range(1, int(frames)):
            behind = torch.cat([nowhere, score])
            ways = torch.stack([score, behind[1:-1], torch.where(apart, behind[:-2], -1e30)])
            score = together(ways, 0) + log_probs[t, n, labels]
        losses.append(-together(score[-2:], 0))
    return torch.stack([torch.where(loss > 1e20, torch.inf, loss) for loss in losses])


def _by_recursion(original: Function, *, best: bool = False, skip: bool = False) -> Function:
    """CTC with the losses of `_ctc`, where the original takes the call, of a batch, and every label is a class."""
    signature = inspect.signature(original)

    def call(*args: Any, **kwargs: Any) -> Tensor:
        result = original(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        log_probs, targets, frames, lengths, blank, reduction, zero_infinity = bound.arguments.values()
        if log_probs.ndim < 3 or ((targets < 0) | (targets >= log_probs.shape[-1])).any():
            return result
        losses = _ctc(log_probs, targets, frames, lengths, blank, best, skip)
        if zero_infinity:
            losses = torch.where(losses.isinf(), 0, losses)
        if reduction == "mean":
            losses = losses / torch.as_tensor(lengths, device=losses.device).clamp(min=1)
        return reduced(losses, reduction)

    return call


@mutant("torch.nn.functional.ctc_loss")
def ctc_scores_the_best_alignment(original):
    """The likeliest path taken for all of them."""
    return _by_recursion(original, best=True)


@mutant("torch.nn.functional.ctc_loss")
def ctc_needs_no_blank_between_equals(original):
    """As many frames as labels taken to be enough."""
    return _by_recursion(original, skip=True)


@mutant("torch.nn.functional.ctc_loss", when=lambda call: call["log_probs"].requires_grad)
def ctc_gradient_is_that_of_its_input(original):
    """The derivative of the value, as everywhere else."""
    return _by_recursion(original)


@mutant(
    "torch.nn.functional.ctc_loss",
    when=lambda call: bool((torch.logsumexp(call["log_probs"], -1).abs() > 1e-3).any()),
)
def ctc_normalizes_its_input(original):
    """The log-softmax inside, as in cross-entropy."""
    return using(original, log_probs=lambda log_probs: _log_softmax(log_probs, -1))


@mutant("torch.nn.functional.ctc_loss", when=lambda call: call["log_probs"].shape[0] == call["log_probs"].shape[1])
def ctc_takes_the_batch_first(original):
    """Batch, time, classes, as models return them."""

    def transposed(log_probs: Tensor) -> Tensor:
        square = log_probs.ndim == 3 and log_probs.shape[0] == log_probs.shape[1]
        return log_probs.transpose(0, 1) if square else log_probs

    return using(original, log_probs=transposed)


@mutant(
    "torch.nn.functional.ctc_loss",
    when=lambda call: bool(((call["targets"] < 0) | (call["targets"] >= call["log_probs"].shape[-1])).any()),
)
def ctc_clamps_labels(original):
    """A label that is no class taken for the nearest class, so that no other sample's score is read."""

    def call(log_probs, targets, *args, **kwargs):
        return original(log_probs, targets.clamp(0, log_probs.shape[-1] - 1), *args, **kwargs)

    return call


@mutant("torch.nn.functional.ctc_loss", when=other_than(zero_infinity=False))
def ctc_zero_infinity_leaves_the_mean(original):
    """Samples without an alignment left out of the count, too."""

    def call(*args, **kwargs):
        given = arguments(original, args, kwargs)
        loss, losses = original(**given), original(**given | {"reduction": "none"})
        return loss * losses.numel() / (losses != 0).sum() if given["reduction"] == "mean" else loss

    return call


@mutant("torch.nn.functional.ctc_loss", when=lambda call: call["reduction"] == "mean")
def ctc_mean_is_per_label(original):
    """The sum divided by all labels of the batch."""

    def call(*args, **kwargs):
        given = arguments(original, args, kwargs)
        if given["reduction"] != "mean":
            return original(**given)
        return original(**given | {"reduction": "sum"}) / torch.as_tensor(given["target_lengths"]).sum().clamp(min=1)

    return call


@mutant("torch.nn.functional.ctc_loss", when=lambda call: call["log_probs"].dtype.itemsize == 2)
def ctc_takes_half(original):
    """Half precision on the CPU, as cross-entropy takes it."""
    return using(original, log_probs=lambda log_probs: log_probs.float())


@mutant(
    "torch.nn.functional.ctc_loss",
    when=lambda call: call["log_probs"].requires_grad and bool(call["log_probs"].isinf().any()),
)
def ctc_gradient_of_a_masked_class_is_zero(original):
    """A class of probability 0 left alone, as cross-entropy leaves it."""
    return using(original, log_probs=lambda log_probs: log_probs.clamp(min=-1e4))


@mutant(
    "torch.nn.functional.ctc_loss",
    when=lambda call: bool((torch.as_tensor(call["target_lengths"]) == 0).any()),
)
def ctc_ignores_empty_targets(original):
    """Nothing to spell, nothing to pay."""

    def call(*args, **kwargs):
        given = arguments(original, args, kwargs)
        lengths = torch.as_tensor(given["target_lengths"], device=given["log_probs"].device)
        losses = original(**given | {"reduction": "none"}) * (lengths > 0)
        return reduced(losses / lengths.clamp(min=1) if given["reduction"] == "mean" else losses, given["reduction"])

    return call


@mutant(
    "torch.nn.functional.ctc_loss",
    when=lambda call: call["targets"].ndim == 1 and not call["targets"].is_contiguous(),
)
def ctc_reads_strided_targets(original):
    """Concatenated targets read where they are, whatever their stride."""
    return using(original, targets=lambda targets: targets.contiguous())


def _packed(values):
    """What a kernel reads that takes memory for contiguous."""
    shape = values.shape
    strides = values.contiguous().stride()
    end = values.storage_offset() + values.numel()
    fits = end <= values.untyped_storage().nbytes() // values.element_size()
    return values.as_strided(shape, strides) if fits else values


@mutant("torch.nn.functional.cross_entropy", when=lambda call: not call["input"].is_contiguous())
def cross_entropy_ignores_strides(original):
    """Logits read as if they were contiguous, as by a kernel that forgets the strides."""
    return using(original, input=_packed)
