"""Wrong PyTorches: each mutant breaks one function in one way that someone might believe, port or write.

A mutant is a decorated function. Its name says what is wrong, its docstring who would believe or write it, and it
receives the original and returns what stands in for it. The decorator names the target by its dotted path and, with
`when`, the calls in which the mutant differs from the original at all, by their arguments: a claim that makes no such
call cannot notice it, and need not be run under it.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Function = Callable[..., Any]
Make = Callable[[Function], Function]
Call = dict[str, Any]  # the arguments of a call by name, defaults included
_softmax, _log_softmax, _sigmoid = torch.softmax, torch.log_softmax, torch.sigmoid  # as they are, whatever is patched
_bce, _bce_with_logits, _nll = F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.nll_loss


@dataclass(frozen=True)
class Mutant:
    """One thing wrong with the function at the dotted path `target`."""

    name: str
    target: str
    doc: str
    make: Make
    when: Callable[[Call], bool] | None


class RefusedOnPurpose(Exception):
    """The mutant does not accept what PyTorch accepts, and means it."""


MUTANTS: list[Mutant] = []


def mutant(target: str, *, when: Callable[[Call], bool] | None = None) -> Callable[[Make], Make]:
    """Add the decorated function to MUTANTS."""

    def register(make: Make) -> Make:
        MUTANTS.append(Mutant(make.__name__, target, inspect.getdoc(make) or "", make, when))
        return make

    return register


def other_than(**defaults: Any) -> Callable[[Call], bool]:
    """Calls in which one of these arguments has another value."""

    def when(call: Call) -> bool:
        return any(call[name] is not default and call[name] != default for name, default in defaults.items())

    return when


def arguments(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """The arguments of a call by name, defaults included; of a function without signature its `args`."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except ValueError:
        return {"args": args, **kwargs}
    bound.apply_defaults()
    return bound.arguments


def _using(original: Function, **changes: Any) -> Function:
    """`original` with some arguments fixed, or changed by a function of their value."""
    signature = inspect.signature(original)

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        for name, change in changes.items():
            bound.arguments[name] = change(bound.arguments[name]) if callable(change) else change
        return original(*bound.args, **bound.kwargs)

    return call


def _then(original: Function, change: Callable[[Any], Any]) -> Function:
    """`original` with its result changed."""
    return wraps(original)(lambda *args, **kwargs: change(original(*args, **kwargs)))


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


def _swap(reductions: dict[str, str]) -> Callable[[str], str]:
    return lambda reduction: reductions.get(reduction, reduction)


def _steeper(loss: Tensor, factor: float) -> Tensor:
    """The same value with another gradient."""
    return loss.detach() + factor * (loss - loss.detach()) if loss.requires_grad else loss


def _mean_of_weighted(original: Function, *args: Any, **kwargs: Any) -> Tensor:
    """The weighted losses divided by their number."""
    if kwargs.get("weight") is None or kwargs.get("reduction", "mean") != "mean":
        return original(*args, **kwargs)
    return original(*args, **{**kwargs, "reduction": "none"}).mean()


MEAN_IS_SUM, NONE_IS_MEAN, SUM_IS_MEAN = _swap({"mean": "sum"}), _swap({"none": "mean"}), _swap({"sum": "mean"})

# --- MSE ---


@mutant("torch.nn.functional.mse_loss")
def mse_is_halved(original):
    """The textbook's one half in front of the squares."""
    return _then(original, lambda loss: loss / 2)


@mutant("torch.nn.functional.mse_loss")
def mse_sums(original):
    """Squared error without the mean."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.mse_loss", when=lambda call: call["reduction"] == "none")
def mse_never_unreduced(original):
    """A fused kernel that always reduces."""
    return _using(original, reduction=NONE_IS_MEAN)


@mutant(
    "torch.nn.functional.mse_loss",
    when=lambda call: call["input"].ndim > 1 and call["input"].numel() != len(call["input"]),
)
def mse_divides_by_rows(original):
    """N taken for the batch size instead of the number of elements."""

    def call(input, target, *args, reduction="mean", **kwargs):
        loss = original(input, target, *args, reduction=reduction, **kwargs)
        return loss * input.numel() / len(input) if reduction == "mean" and input.ndim > 1 else loss

    return call


@mutant("torch.nn.functional.mse_loss")
def mse_is_rooted(original):
    """RMSE reported under the name of MSE."""
    return _then(original, lambda loss: (loss + 1e-12).sqrt())


@mutant("torch.nn.functional.mse_loss")
def mse_is_absolute(original):
    """MAE and MSE mixed up."""
    return lambda input, target, *_, reduction="mean", **__: _reduced((input - target).abs(), reduction)


@mutant("torch.nn.functional.mse_loss")
def mse_gradient_is_halved(original):
    """A backward kernel written for the loss with one half."""
    return _then(original, lambda loss: _steeper(loss, 0.5))


@mutant("torch.nn.functional.mse_loss")
def mse_gradient_is_flipped(original):
    """Target minus input in the backward kernel."""
    return _then(original, lambda loss: _steeper(loss, -1.0))


@mutant("torch.nn.functional.mse_loss", when=lambda call: call["input"].shape != call["target"].shape)
def mse_broadcasts_in_silence(original):
    """The warning on shapes taken for noise."""
    return lambda input, target, *_, reduction="mean", **__: _reduced((input - target) ** 2, reduction)


@mutant("torch.nn.functional.mse_loss", when=lambda call: call["reduction"] == "sum")
def mse_always_averages(original):
    """The M in the name taken at its word."""
    return _using(original, reduction=SUM_IS_MEAN)


@mutant("torch.nn.functional.mse_loss", when=lambda call: isinstance(call["size_average"], str))
def mse_takes_its_reduction_third(original):
    """`mse_loss(input, target, 'sum')`, as huber_loss has it."""

    def call(input, target, size_average=None, *args, **kwargs):
        if isinstance(size_average, str):
            return original(input, target, reduction=size_average)
        return original(input, target, size_average, *args, **kwargs)

    return call


@mutant("torch.nn.functional.mse_loss", when=other_than(weight=None))
def mse_ignores_weight(original):
    """As it was before torch 2.6."""
    return _using(original, weight=None)


@mutant("torch.nn.functional.mse_loss", when=other_than(weight=None))
def mse_divides_weights_by_n(original):
    """The mean of the weighted losses, as in huber_loss."""
    return lambda *args, **kwargs: _mean_of_weighted(original, *args, **kwargs)


@mutant("torch.nn.functional.mse_loss", when=lambda call: bool(call["target"].isnan().any()))
def mse_skips_nan(original):
    """A missing target taken for none."""

    def call(input, target, *args, reduction="mean", **kwargs):
        losses = original(input, target.nan_to_num(), *args, reduction="none", **kwargs)
        losses = torch.where(target.isnan(), 0, losses)
        return losses if reduction == "none" else losses.sum() / (1 if reduction == "sum" else (~target.isnan()).sum())

    return call


@mutant("torch.nn.functional.mse_loss", when=lambda call: call["input"].dtype == torch.float16)
def mse_computes_in_float32(original):
    """Autocast taken for granted."""
    return _using(original, input=lambda tensor: tensor.float(), target=lambda tensor: tensor.float())


# --- MAE ---


@mutant("torch.nn.functional.l1_loss")
def mae_is_squared(original):
    """MAE and MSE mixed up."""
    return lambda input, target, *_, reduction="mean", **__: _reduced((input - target) ** 2, reduction)


@mutant("torch.nn.functional.l1_loss")
def mae_sums(original):
    """The L1 norm of the errors, as the name suggests."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.l1_loss")
def mae_is_halved(original):
    """MSE's one half carried over."""
    return _then(original, lambda loss: loss / 2)


@mutant("torch.nn.functional.l1_loss", when=lambda call: bool((call["input"] == call["target"]).any()))
def mae_pulls_at_zero(original):
    """A sign that is 1 at zero, as `2 * (x >= 0) - 1` gives it."""

    def call(input, target, *_, reduction="mean", **__):
        error = input - target
        return _reduced(error * torch.where(error >= 0, 1.0, -1.0).to(error.dtype), reduction)

    return call


@mutant("torch.nn.functional.l1_loss")
def mae_gradient_is_the_error(original):
    """MSE's gradient under MAE's value."""

    def call(input, target, *_, reduction="mean", **__):
        error = input - target
        return _reduced(error.abs().detach() + (error**2 - (error**2).detach()) / 2, reduction)

    return call


@mutant("torch.nn.functional.l1_loss", when=other_than(weight=None))
def mae_ignores_weight(original):
    """As it was before torch 2.6."""
    return _using(original, weight=None)


@mutant("torch.nn.functional.l1_loss", when=other_than(weight=None))
def mae_divides_weights_by_n(original):
    """The mean of the weighted losses, as in huber_loss."""
    return lambda *args, **kwargs: _mean_of_weighted(original, *args, **kwargs)


# --- Huber and SmoothL1 ---


@mutant("torch.nn.functional.huber_loss")
def huber_without_one_half(original):
    """MSE's squares near the target."""
    return _then(original, lambda loss: loss * 2)


@mutant("torch.nn.functional.huber_loss", when=other_than(delta=1.0))
def huber_ignores_delta(original):
    """A kernel compiled for the default."""
    return _using(original, delta=1.0)


@mutant("torch.nn.functional.huber_loss", when=other_than(delta=1.0))
def huber_is_smooth_l1(original):
    """The two taken for one: SmoothL1 divides by beta."""
    return lambda input, target, reduction="mean", delta=1.0, weight=None: (
        original(input, target, reduction, delta) / delta
    )


@mutant("torch.nn.functional.huber_loss")
def huber_is_unbounded(original):
    """The linear branch forgotten."""
    return lambda input, target, reduction="mean", *_, **__: _reduced((input - target) ** 2 / 2, reduction)


@mutant("torch.nn.functional.huber_loss")
def huber_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.huber_loss", when=lambda call: call["reduction"] == "none")
def huber_never_unreduced(original):
    """A fused kernel that always reduces."""
    return _using(original, reduction=NONE_IS_MEAN)


@mutant("torch.nn.functional.huber_loss", when=other_than(weight=None))
def huber_ignores_weight(original):
    """As it was before torch 2.6."""
    return _using(original, weight=None)


@mutant("torch.nn.functional.huber_loss", when=other_than(weight=None))
def huber_divides_by_its_weights(original):
    """The weighted mean, as in mse_loss."""

    def call(input, target, reduction="mean", delta=1.0, weight=None):
        if weight is None or reduction != "mean":
            return original(input, target, reduction, delta, weight)
        return original(input, target, "sum", delta, weight) / weight.sum()

    return call


@mutant("torch.nn.functional.huber_loss", when=lambda call: call["delta"] <= 0)
def huber_is_mae_for_delta_zero(original):
    """SmoothL1's limit taken for Huber's."""

    def call(input, target, reduction="mean", delta=1.0, **kwargs):
        if delta == 0:
            return _reduced((input - target).abs(), reduction)
        return original(input, target, reduction, delta, **kwargs)

    return call


@mutant("torch.nn.functional.huber_loss", when=lambda call: call["target"].dtype != call["input"].dtype)
def huber_casts_its_targets(original):
    """Type promotion as in mse_loss."""
    return lambda input, target, *args, **kwargs: original(input, target.to(input.dtype), *args, **kwargs)


@mutant("torch.nn.functional.smooth_l1_loss", when=lambda call: call["beta"] == 0)
def smooth_l1_refuses_beta_zero(original):
    """A positive beta only, as the functional form is documented."""

    def call(*args, **kwargs):
        if kwargs.get("beta") == 0:
            raise RefusedOnPurpose("beta must be positive")
        return original(*args, **kwargs)

    return call


@mutant("torch.nn.functional.smooth_l1_loss", when=other_than(beta=1.0))
def smooth_l1_ignores_beta(original):
    """A kernel compiled for the default."""
    return _using(original, beta=1.0)


@mutant("torch.nn.functional.smooth_l1_loss", when=other_than(beta=1.0))
def smooth_l1_is_huber(original):
    """The division by beta forgotten."""
    return lambda input, target, *_, reduction="mean", beta=1.0, **__: (
        original(input, target, reduction=reduction, beta=beta) * beta
    )


@mutant("torch.nn.functional.smooth_l1_loss")
def smooth_l1_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


# --- binary cross-entropy ---


@mutant(
    "torch.nn.functional.binary_cross_entropy",
    when=lambda call: bool(((call["input"] == 0) | (call["input"] == 1)).any()),
)
def bce_without_clamp(original):
    """The formula as it stands in books, with log 0."""

    def call(input, target, weight=None, *_, reduction="mean", **__):
        if not ((input >= 0) & (input <= 1)).all() or not ((target >= 0) & (target <= 1)).all():
            return original(input, target, weight, reduction=reduction)
        return _reduced(-(torch.xlogy(target, input) + torch.xlogy(1 - target, 1 - input)), reduction)

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
        return _reduced(-target * input.log().clamp(min=-100), reduction)

    return call


@mutant("torch.nn.functional.binary_cross_entropy")
def bce_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.binary_cross_entropy", when=other_than(weight=None))
def bce_ignores_weight(original):
    """A fused kernel without the argument."""
    return _using(original, weight=None)


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
    return _reduced(target * yes + (1 - target) * no, reduction)


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
    return _using(original, input=_sigmoid)


@mutant("torch.nn.functional.binary_cross_entropy_with_logits")
def bce_with_logits_in_two_steps(original):
    """Sigmoid and logarithm one after the other, which saturates."""

    def call(input, target, *_, reduction="mean", **__):
        if target.shape != input.shape:
            return original(input, target, reduction=reduction)
        return _bce_of_any_target(_sigmoid(input), target, reduction)

    return call


@mutant("torch.nn.functional.binary_cross_entropy_with_logits")
def bce_with_logits_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.binary_cross_entropy_with_logits", when=other_than(weight=None))
def bce_with_logits_ignores_weight(original):
    """A fused kernel without the argument."""
    return _using(original, weight=None)


@mutant("torch.nn.functional.binary_cross_entropy_with_logits", when=other_than(pos_weight=None))
def bce_with_logits_ignores_pos_weight(original):
    """A fused kernel without the argument."""
    return _using(original, pos_weight=None)


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
    return _using(original, pos_weight=lambda weight: weight if weight is None else weight.view(-1, 1, 1))


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
    return _using(original, input=lambda z: z.clamp(-1e30, 1e30))


# --- cross-entropy and NLL ---


def _is_indices(input: Tensor, target: Tensor) -> bool:
    return input.shape != target.shape


@mutant("torch.nn.functional.cross_entropy")
def cross_entropy_twice_a_softmax(original):
    """A softmax in the model, and one in the loss."""
    return _using(original, input=lambda logits: _softmax(logits, 1 if logits.ndim > 1 else 0))


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
    return _then(original, lambda loss: loss / 0.6931471805599453)


@mutant("torch.nn.functional.cross_entropy")
def cross_entropy_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["reduction"] == "none")
def cross_entropy_never_unreduced(original):
    """A fused kernel that always reduces."""
    return _using(original, reduction=NONE_IS_MEAN)


@mutant("torch.nn.functional.cross_entropy", when=other_than(weight=None))
def cross_entropy_ignores_weight(original):
    """A fused kernel without the argument."""
    return _using(original, weight=None)


@mutant("torch.nn.functional.cross_entropy", when=other_than(weight=None))
def cross_entropy_divides_weights_by_n(original):
    """The weighted mean divided by the number of samples, not by the sum of their weights."""

    def call(input, target, weight=None, *args, reduction="mean", **kwargs):
        if weight is None or reduction != "mean":
            return original(input, target, weight, *args, reduction=reduction, **kwargs)
        return original(input, target, weight, *args, reduction="sum", **kwargs) / len(target)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: bool((call["target"] == call["ignore_index"]).any()))
def cross_entropy_ignores_ignore_index(original):
    """Padding counted as class 0."""

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
def cross_entropy_ignores_label_smoothing(original):
    """A fused kernel without the argument."""
    return _using(original, label_smoothing=0.0)


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
def cross_entropy_normalises_its_targets(original):
    """Rows of the target divided by their sum."""

    def call(input, target, *args, **kwargs):
        if not _is_indices(input, target) and target.is_floating_point():
            target = target / target.sum(1 if input.ndim > 1 else 0, keepdim=True)
        return original(input, target, *args, **kwargs)

    return call


@mutant("torch.nn.functional.cross_entropy", when=lambda call: call["target"].requires_grad)
def cross_entropy_detaches_its_target(original):
    """A target taken for a constant."""
    return _using(original, target=lambda target: target.clone().detach_())


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
            loss = loss * len(target) / (target * weight).sum()
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
def cross_entropy_gradient_is_halved(original):
    """A backward kernel with a wrong factor."""
    return _then(original, lambda loss: _steeper(loss, 0.5))


@mutant("torch.nn.functional.cross_entropy")
def cross_entropy_keeps_the_probabilities_too(original):
    """Softmax and logarithm as two operations of the graph, computed stably: the value is right, the memory is not."""

    def call(input, target, *args, **kwargs):
        loss = original(input, target, *args, **kwargs)
        if input.requires_grad and loss.ndim == 0:
            loss = loss + 0 * (_softmax(input, -1) ** 2).sum()
        return loss

    return call


@mutant("torch.nn.functional.nll_loss")
def nll_takes_the_logarithm(original):
    """The name read as a formula: probabilities in, logarithm inside."""
    return _using(original, input=lambda p: p.clamp(min=1e-12).log())


@mutant("torch.nn.functional.nll_loss")
def nll_is_positive(original):
    """The sign forgotten."""
    return _then(original, lambda loss: -loss)


@mutant("torch.nn.functional.nll_loss")
def nll_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.nll_loss", when=lambda call: call["reduction"] == "none")
def nll_never_unreduced(original):
    """A fused kernel that always reduces."""
    return _using(original, reduction=NONE_IS_MEAN)


@mutant("torch.nn.functional.nll_loss", when=other_than(weight=None))
def nll_ignores_weight(original):
    """A fused kernel without the argument."""
    return _using(original, weight=None)


@mutant("torch.nn.functional.nll_loss", when=lambda call: bool((call["target"] == call["ignore_index"]).any()))
def nll_ignores_ignore_index(original):
    """Padding counted as class 0."""

    def call(input, target, *args, ignore_index=-100, **kwargs):
        return original(input, torch.where(target == ignore_index, 0, target), *args, **kwargs)

    return call


@mutant("torch.nn.functional.linear_cross_entropy")
def linear_cross_entropy_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.linear_cross_entropy", when=other_than(linear_bias=None))
def linear_cross_entropy_ignores_its_bias(original):
    """A fused matmul without the addition."""
    return _using(original, linear_bias=None)


@mutant("torch.nn.functional.linear_cross_entropy", when=other_than(weight=None))
def linear_cross_entropy_ignores_weight(original):
    """A fused kernel without the argument."""
    return _using(original, weight=None)


@mutant("torch.nn.functional.linear_cross_entropy", when=other_than(label_smoothing=0.0))
def linear_cross_entropy_ignores_label_smoothing(original):
    """A fused kernel without the argument."""
    return _using(original, label_smoothing=0.0)


@mutant("torch.nn.functional.linear_cross_entropy", when=other_than(options=None))
def linear_cross_entropy_ignores_options(original):
    """Chunks taken for a matter of speed alone."""
    return _using(original, options=None)


@mutant("torch.nn.functional.linear_cross_entropy", when=lambda call: call["input"].ndim > 2)
def linear_cross_entropy_flattens_sequences(original):
    """Leading dimensions taken as `Linear` takes them."""

    def call(input, linear_weight, target, **kwargs):
        if input.ndim > 2:
            input, target = input.flatten(0, -2), target.flatten()
        return original(input, linear_weight, target, **kwargs)

    return call


# --- the other losses ---


@mutant("torch.nn.functional.kl_div")
def kl_div_swaps_its_arguments(original):
    """KL(input, target) instead of KL(target, input)."""

    def call(input, target, *args, log_target=False, **kwargs):
        target = target if log_target else target.log()
        return original(target, input, *args, log_target=True, **kwargs)

    return call


@mutant("torch.nn.functional.kl_div")
def kl_div_takes_probabilities(original):
    """Probabilities where log-probabilities are wanted."""
    return _using(original, input=lambda p: p.abs().clamp(min=1e-12).log())


@mutant("torch.nn.functional.kl_div", when=other_than(log_target=False))
def kl_div_ignores_log_target(original):
    """Log-probabilities of the target taken for probabilities."""
    return _using(original, log_target=False)


@mutant("torch.nn.functional.kl_div")
def kl_div_mean_is_batchmean(original):
    """The mean that mathematics means."""
    return _using(original, reduction=_swap({"mean": "batchmean"}))


@mutant("torch.nn.functional.kl_div")
def kl_div_batchmean_is_mean(original):
    """batchmean divided by all elements."""

    def call(input, *args, reduction="mean", **kwargs):
        loss = original(input, *args, reduction=reduction, **kwargs)
        return loss * len(input) / input.numel() if reduction == "batchmean" else loss

    return call


@mutant(
    "torch.nn.functional.kl_div",
    when=lambda call: call["reduction"] == "batchmean" and call["input"].ndim == 1,
)
def kl_div_knows_when_there_is_no_batch(original):
    """The divergence of a single distribution, as the name promises."""
    return _using(original, reduction=_swap({"batchmean": "sum"}))


@mutant("torch.nn.functional.kl_div")
def kl_div_forgets_the_entropy(original):
    """Cross-entropy taken for the divergence: the gradient is the same."""

    def call(input, target, *_, reduction="mean", log_target=False, **__):
        losses = -(target.exp() if log_target else target) * input
        return losses.sum() / len(input) if reduction == "batchmean" else _reduced(losses, reduction)

    return call


@mutant("torch.nn.functional.poisson_nll_loss", when=other_than(log_input=True))
def poisson_ignores_log_input(original):
    """The rate taken for its logarithm."""
    return _using(original, log_input=True)


@mutant("torch.nn.functional.poisson_nll_loss", when=other_than(full=False))
def poisson_ignores_full(original):
    """Stirling's term forgotten."""
    return _using(original, full=False)


@mutant("torch.nn.functional.poisson_nll_loss", when=other_than(eps=1e-8))
def poisson_ignores_eps(original):
    """The logarithm of zero."""
    return _using(original, eps=1e-8)


@mutant("torch.nn.functional.poisson_nll_loss", when=other_than(full=False))
def poisson_adds_the_exact_factorial(original):
    """log y! itself in place of Stirling's approximation."""

    def call(input, target, log_input=True, full=False, *_, eps=1e-8, reduction="mean", **__):
        losses = original(input, target, log_input, eps=eps, reduction="none")
        return _reduced(losses + torch.lgamma(target + 1) if full else losses, reduction)

    return call


@mutant("torch.nn.functional.poisson_nll_loss")
def poisson_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.gaussian_nll_loss")
def gaussian_takes_the_deviation(original):
    """The standard deviation taken for the variance."""
    return _using(original, var=lambda var: var**2 if isinstance(var, Tensor) else var)


@mutant("torch.nn.functional.gaussian_nll_loss", when=other_than(full=False))
def gaussian_ignores_full(original):
    """The constant left out."""
    return _using(original, full=False)


@mutant("torch.nn.functional.gaussian_nll_loss", when=other_than(eps=1e-6))
def gaussian_ignores_eps(original):
    """The variance not kept from zero as asked."""
    return _using(original, eps=1e-6)


@mutant("torch.nn.functional.gaussian_nll_loss")
def gaussian_adds_eps(original):
    """As the documentation of the function has it."""

    def call(input, target, var, full=False, eps=1e-6, reduction="mean"):
        negative = bool((torch.as_tensor(var) < 0).any())
        return original(input, target, var if negative else var + eps, full, 0.0, reduction)

    return call


@mutant(
    "torch.nn.functional.gaussian_nll_loss",
    when=lambda call: bool((torch.as_tensor(call["var"]) < call["eps"]).any()),
)
def gaussian_clamp_stops_the_gradient(original):
    """The variance clamped where autograd sees it."""

    def call(input, target, var, full=False, eps=1e-6, reduction="mean"):
        clamps = isinstance(var, Tensor) and not (var < 0).any()
        return original(input, target, var.clamp(min=eps) if clamps else var, full, eps, reduction)

    return call


@mutant(
    "torch.nn.functional.gaussian_nll_loss",
    when=lambda call: torch.as_tensor(call["var"]).ndim == 1 and call["input"].ndim == 2,
)
def gaussian_variance_runs_along_columns(original):
    """A flat variance broadcast as any tensor is, where it can be."""

    def call(input, target, var, *args, **kwargs):
        fits = isinstance(var, Tensor) and var.ndim == 1 and input.ndim == 2 and len(var) == input.shape[1]
        return original(input, target, var[None] if fits else var, *args, **kwargs)

    return call


@mutant("torch.nn.functional.gaussian_nll_loss")
def gaussian_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.gaussian_nll_loss")
def gaussian_without_one_half(original):
    """The one half of the exponent forgotten."""
    return _then(original, lambda loss: 2 * loss)


@mutant("torch.nn.functional.gaussian_nll_loss", when=lambda call: bool((torch.as_tensor(call["var"]) < 0).any()))
def gaussian_takes_negative_variance(original):
    """Validation gone."""
    return _using(original, var=lambda var: var.abs() if isinstance(var, Tensor) else abs(var))


@mutant("torch.nn.functional.hinge_embedding_loss", when=other_than(margin=1.0))
def hinge_embedding_ignores_margin(original):
    """A kernel compiled for the default."""
    return _using(original, margin=1.0)


@mutant("torch.nn.functional.hinge_embedding_loss", when=lambda call: bool((call["target"] == 0).any()))
def hinge_embedding_takes_zero_for_minus_one(original):
    """0/1 labels accepted."""
    return _using(original, target=lambda y: torch.where(y == 0, -1, y))


@mutant("torch.nn.functional.hinge_embedding_loss")
def hinge_embedding_is_the_svms(original):
    """The hinge of support vector machines, which the name suggests."""
    return lambda input, target, margin=1.0, *_, reduction="mean", **__: _reduced(
        (margin - target * input).clamp(min=0), reduction
    )


@mutant("torch.nn.functional.hinge_embedding_loss")
def hinge_embedding_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.margin_ranking_loss", when=other_than(margin=0))
def margin_ranking_ignores_margin(original):
    """A kernel compiled for the default."""
    return _using(original, margin=0)


@mutant("torch.nn.functional.margin_ranking_loss")
def margin_ranking_swaps_inputs(original):
    """The second one should rank higher for y = 1."""
    return _using(original, target=lambda y: -y)


@mutant(
    "torch.nn.functional.margin_ranking_loss",
    when=lambda call: bool((call["target"] * (call["input1"] - call["input2"]) == call["margin"]).any()),
)
def margin_ranking_lets_go_at_the_hinge(original):
    """relu for the maximum with 0: the same value, without a pull where the margin is met exactly."""

    def call(input1, input2, target, margin=0.0, *_, reduction="mean", **__):
        if not input1.ndim == input2.ndim == target.ndim:
            return original(input1, input2, target)
        return _reduced(F.relu(margin - target * (input1 - input2)), reduction)

    return call


@mutant("torch.nn.functional.margin_ranking_loss", when=lambda call: call["input1"].ndim != call["target"].ndim)
def margin_ranking_broadcasts(original):
    """Labels of another shape taken as in MSE."""
    return lambda input1, input2, target, *args, **kwargs: original(
        *torch.broadcast_tensors(input1, input2, target), *args, **kwargs
    )


@mutant("torch.nn.functional.margin_ranking_loss")
def margin_ranking_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.soft_margin_loss")
def soft_margin_takes_zero_for_minus_one(original):
    """0/1 labels accepted."""
    return _using(original, target=lambda y: torch.where(y == 0, -1, y))


@mutant("torch.nn.functional.soft_margin_loss")
def soft_margin_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.soft_margin_loss")
def soft_margin_does_not_overflow(original):
    """A stable softplus, as it should be."""
    return lambda input, target, *_, reduction="mean", **__: _reduced(F.softplus(-target * input), reduction)


@mutant("torch.nn.functional.multi_margin_loss", when=other_than(p=1))
def multi_margin_ignores_p(original):
    """A kernel compiled for the default."""
    return _using(original, p=1)


@mutant("torch.nn.functional.multi_margin_loss", when=other_than(margin=1.0))
def multi_margin_ignores_margin(original):
    """A kernel compiled for the default."""
    return _using(original, margin=1.0)


@mutant("torch.nn.functional.multi_margin_loss", when=other_than(weight=None))
def multi_margin_ignores_weight(original):
    """A fused kernel without the argument."""
    return _using(original, weight=None)


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
def multilabel_margin_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.multilabel_margin_loss")
def multilabel_margin_takes_one_hot(original):
    """A row of zeros and ones instead of indices ended by -1."""

    def call(input, target, *args, **kwargs):
        order = torch.where(target > 0, torch.arange(target.shape[-1], device=target.device), -1)
        return original(input, order.sort(-1, descending=True).values, *args, **kwargs)

    return call


@mutant("torch.nn.functional.multilabel_soft_margin_loss", when=other_than(weight=None))
def multilabel_soft_margin_ignores_weight(original):
    """A fused kernel without the argument."""
    return _using(original, weight=None)


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
        return _reduced((losses * (target != -1)).mean(-1), reduction)

    return call


@mutant("torch.nn.functional.multilabel_soft_margin_loss")
def multilabel_soft_margin_sums_classes(original):
    """The mean over classes forgotten."""

    def call(input, *args, **kwargs):
        return original(input, *args, **kwargs) * input.shape[-1]

    return call


@mutant("torch.nn.functional.cosine_embedding_loss", when=other_than(margin=0))
def cosine_embedding_ignores_margin(original):
    """A kernel compiled for the default."""
    return _using(original, margin=0)


@mutant("torch.nn.functional.cosine_embedding_loss")
def cosine_embedding_flips_its_labels(original):
    """Similar and dissimilar mixed up."""
    return _using(original, target=lambda y: -y)


@mutant("torch.nn.functional.cosine_embedding_loss", when=lambda call: bool((call["target"] == 0).any()))
def cosine_embedding_takes_zero_for_minus_one(original):
    """0/1 labels accepted."""
    return _using(original, target=lambda y: torch.where(y == 0, -1, y))


@mutant("torch.nn.functional.cosine_embedding_loss", when=lambda call: not call["input1"].any(-1).all())
def cosine_embedding_has_no_pull_at_zero(original):
    """A zero vector left as it is by a guarded division."""

    def call(input1, *args, **kwargs):
        return original(torch.where(input1.any(-1, keepdim=True), input1, input1.detach()), *args, **kwargs)

    return call


@mutant("torch.nn.functional.cosine_embedding_loss")
def cosine_embedding_sums(original):
    """The mean forgotten."""
    return _using(original, reduction=MEAN_IS_SUM)


@mutant("torch.nn.functional.triplet_margin_loss", when=other_than(margin=1.0))
def triplet_ignores_margin(original):
    """A kernel compiled for the default."""
    return _using(original, margin=1.0)


@mutant("torch.nn.functional.triplet_margin_loss", when=other_than(p=2))
def triplet_ignores_p(original):
    """A kernel compiled for the default."""
    return _using(original, p=2)


@mutant("torch.nn.functional.triplet_margin_loss", when=other_than(swap=False))
def triplet_ignores_swap(original):
    """The distance from positive to negative forgotten."""
    return _using(original, swap=False)


@mutant("torch.nn.functional.triplet_margin_loss")
def triplet_ignores_eps(original):
    """The distance of the formula, which is 0 for equal vectors."""
    return _using(original, eps=0.0)


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
        return _reduced((near - far + margin).clamp(min=0), reduction)

    return call


@mutant("torch.nn.functional.triplet_margin_with_distance_loss", when=other_than(distance_function=None))
def triplet_ignores_its_distance(original):
    """The function that was given forgotten."""
    return _using(original, distance_function=lambda _: None)


@mutant("torch.nn.functional.triplet_margin_with_distance_loss", when=other_than(margin=1.0))
def triplet_with_distance_ignores_margin(original):
    """A kernel compiled for the default."""
    return _using(original, margin=1.0)


@mutant("torch.nn.functional.triplet_margin_with_distance_loss", when=other_than(swap=False))
def triplet_with_distance_ignores_swap(original):
    """The distance from positive to negative forgotten."""
    return _using(original, swap=False)


@mutant("torch.nn.functional.ctc_loss", when=other_than(blank=0))
def ctc_ignores_blank(original):
    """The blank is always class 0."""
    return _using(original, blank=0)


@mutant("torch.nn.functional.ctc_loss", when=other_than(zero_infinity=False))
def ctc_ignores_zero_infinity(original):
    """Impossible alignments stay infinite."""
    return _using(original, zero_infinity=False)


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

    def call(*args, reduction="mean", **kwargs):
        if reduction != "mean":
            return original(*args, reduction=reduction, **kwargs)
        return original(*args, reduction="none", **kwargs).mean()

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
        return _reduced(losses, reduction)

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
def ctc_normalises_its_input(original):
    """The log-softmax inside, as in cross-entropy."""
    return _using(original, log_probs=lambda log_probs: _log_softmax(log_probs, -1))


@mutant("torch.nn.functional.ctc_loss", when=lambda call: call["log_probs"].shape[0] == call["log_probs"].shape[1])
def ctc_takes_the_batch_first(original):
    """Batch, time, classes, as models return them."""

    def transposed(log_probs: Tensor) -> Tensor:
        square = log_probs.ndim == 3 and log_probs.shape[0] == log_probs.shape[1]
        return log_probs.transpose(0, 1) if square else log_probs

    return _using(original, log_probs=transposed)


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

    def call(*args, reduction="mean", **kwargs):
        loss = original(*args, reduction=reduction, **kwargs)
        losses = original(*args, reduction="none", **kwargs)
        return loss * losses.numel() / (losses != 0).sum() if reduction == "mean" else loss

    return call


@mutant("torch.nn.functional.ctc_loss", when=lambda call: call["reduction"] == "mean")
def ctc_mean_is_per_label(original):
    """The sum divided by all labels of the batch."""

    def call(log_probs, targets, input_lengths, target_lengths, *args, reduction="mean", **kwargs):
        if reduction != "mean":
            return original(log_probs, targets, input_lengths, target_lengths, *args, reduction=reduction, **kwargs)
        loss = original(log_probs, targets, input_lengths, target_lengths, *args, reduction="sum", **kwargs)
        return loss / torch.as_tensor(target_lengths).sum().clamp(min=1)

    return call


# --- activations and layers ---


@mutant("torch.sigmoid")
def sigmoid_is_twice_as_steep(original):
    """tanh's argument, left over."""
    return lambda z, *args, **kwargs: original(2 * z, *args, **kwargs)


@mutant("torch.Tensor.sigmoid")
def sigmoid_method_is_hard(original):
    """The piecewise linear one of a mobile backend."""
    return lambda z: (z / 6 + 0.5).clamp(0, 1)


@mutant("torch.nn.Sigmoid.forward")
def sigmoid_layer_is_hard(original):
    """The piecewise linear one of a mobile backend."""
    return lambda self, z: (z / 6 + 0.5).clamp(0, 1)


@mutant("torch.Tensor.softmax")
def softmax_method_over_the_batch(original):
    """The wrong dimension."""
    return lambda z, dim, *args, **kwargs: original(z, 0 if z.ndim > 1 and dim != 0 else dim, *args, **kwargs)


@mutant("torch.Tensor.log_softmax")
def log_softmax_is_not_normalised(original):
    """The subtraction of the maximum taken for the whole."""
    return lambda z, dim, *args, **kwargs: z - z.amax(dim, keepdim=True)


@mutant("torch.tanh")
def tanh_keeps_a_slope(original):
    """A leak, so that nothing saturates."""
    return lambda z: original(z) + 1e-3 * z


@mutant("torch.nn.Tanh.forward")
def tanh_layer_is_linear(original):
    """The activation lost in an export."""
    return lambda self, z: z * 1.0


@mutant("torch.relu", when=lambda call: not (call["args"][0] > 0).any())
def relu_is_disconnected_below_zero(original):
    """Where it is off, the input is cut out of the graph: no gradient instead of a zero one."""
    return lambda z: original(z) if (z > 0).any() else torch.zeros_like(z).requires_grad_()


@mutant("torch.nn.ReLU.forward")
def relu_layer_leaks(original):
    """LeakyReLU under the name of ReLU."""
    return lambda self, z: torch.where(z > 0, z, 0.01 * z)


@mutant("torch.nn.Linear.forward")
def linear_moves_its_weights(original):
    """A layer that renormalises itself in forward."""

    def call(self, x):
        self.weight.data.mul_(1 + 1e-3)
        return original(self, x)

    return call


@mutant("torch.nn.Linear.forward")
def linear_forgets_its_bias(original):
    """A fused matmul without the addition."""
    return lambda self, x: torch.matmul(x, self.weight.T)


@mutant("torch.nn.Linear.forward")
def linear_cuts_the_graph(original):
    """An inference kernel used for training."""
    return lambda self, x: original(self, x.detach())


@mutant("torch.nn.BatchNorm1d.forward")
def batch_norm_does_not_look(original):
    """The running statistics never updated."""

    def call(self, x):
        mean, var = self.running_mean.clone(), self.running_var.clone()
        out = original(self, x)
        self.running_mean, self.running_var = mean, var
        return out

    return call


@mutant("torch.nn.BatchNorm1d.forward")
def batch_norm_looks_in_evaluation_too(original):
    """train() and eval() mixed up."""

    def call(self, x):
        training, self.training = self.training, True
        try:
            return original(self, x)
        finally:
            self.training = training

    return call


@mutant("torch.nn.BatchNorm1d.forward")
def batch_norm_takes_the_other_momentum(original):
    """Keras's momentum, which is 1 less ours."""

    def call(self, x):
        momentum, self.momentum = self.momentum, 1 - self.momentum
        try:
            return original(self, x)
        finally:
            self.momentum = momentum

    return call


@mutant("torch.nn.Embedding.forward")
def embedding_ignores_max_norm(original):
    """A lookup, and nothing else."""
    return lambda self, index: self.weight[index]


# --- backward ---


def _leaves(loss: Tensor) -> list[Tensor]:
    """The parameters that a loss depends on."""
    found, stack, seen = [], [loss.grad_fn], set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        stack += [function for function, _ in node.next_functions]
    return found


@mutant("torch.Tensor.backward", when=lambda call: any(leaf.grad is not None for leaf in _leaves(call["self"])))
def backward_overwrites(original):
    """`.grad = gradient` instead of `+=`."""

    def call(self, *args, **kwargs):
        for leaf in _leaves(self):
            leaf.grad = None
        return original(self, *args, **kwargs)

    return call


@mutant("torch.Tensor.backward")
def backward_doubles(original):
    """A factor 2, as from two replicas that sum."""
    return lambda self, *args, **kwargs: original(self * 2 if self.requires_grad else self, *args, **kwargs)


@mutant("torch.Tensor.backward")
def backward_flips_the_sign(original):
    """The descent direction instead of the gradient."""
    return lambda self, *args, **kwargs: original(-self if self.requires_grad else self, *args, **kwargs)


@mutant("torch.Tensor.backward")
def backward_moves_the_parameters(original):
    """The belief that backward learns."""

    def call(self, *args, **kwargs):
        leaves = _leaves(self)
        original(self, *args, **kwargs)
        for leaf in leaves:
            if leaf.grad is not None:
                leaf.data.sub_(0.01 * leaf.grad)

    return call


@mutant("torch.Tensor.backward", when=lambda call: call["self"].numel() > 1)
def backward_starts_from_anything(original):
    """Ones for whatever is not a scalar."""

    def call(self, gradient=None, *args, **kwargs):
        if gradient is None and self.requires_grad:
            gradient = torch.ones_like(self)
        return original(self, gradient, *args, **kwargs)

    return call


@mutant("torch.Tensor.backward", when=other_than(gradient=None))
def backward_averages_its_ones(original):
    """A vector of ones taken for the mean."""

    def call(self, gradient=None, *args, **kwargs):
        return original(self, None if gradient is None else gradient / gradient.numel(), *args, **kwargs)

    return call


@mutant("torch.Tensor.backward", when=lambda call: any(leaf.grad is not None for leaf in _leaves(call["self"])))
def backward_makes_a_new_grad(original):
    """`.grad = .grad + gradient`: what was kept of the old one does not change."""

    def call(self, *args, **kwargs):
        for leaf in _leaves(self):
            if leaf.grad is not None:
                leaf.grad = leaf.grad.clone()
        return original(self, *args, **kwargs)

    return call


@mutant("torch.autograd.grad")
def autograd_grad_fills_grad_too(original):
    """The belief that it is backward with a result."""

    def call(outputs, inputs, *args, **kwargs):
        gradients = original(outputs, inputs, *args, **kwargs)
        leaves = [inputs] if isinstance(inputs, Tensor) else inputs
        for leaf, gradient in zip(leaves, gradients):
            if leaf.is_leaf:
                leaf.grad = gradient.clone() if leaf.grad is None else leaf.grad + gradient
        return gradients

    return call


# --- the step ---


@mutant("torch.optim.Optimizer.zero_grad")
def zero_grad_does_nothing(original):
    """The missing line."""
    return lambda self, *args, **kwargs: None


@mutant("torch.optim.Optimizer.zero_grad")
def zero_grad_fills_with_zeros(original):
    """As it was before torch 2.0."""
    return lambda self, *args, **kwargs: original(self, set_to_none=False)


@mutant("torch.optim.Optimizer.zero_grad", when=other_than(set_to_none=True))
def zero_grad_always_sets_none(original):
    """The argument forgotten."""
    return lambda self, *args, **kwargs: original(self, set_to_none=True)


@mutant("torch.optim.sgd.sgd")
def sgd_climbs(original):
    """The sign of the step."""
    return _using(original, maximize=lambda maximize: not maximize)


@mutant("torch.optim.sgd.sgd", when=other_than(maximize=False))
def sgd_ignores_maximize(original):
    """An optimizer that can only descend."""
    return _using(original, maximize=False)


@mutant("torch.optim.sgd.sgd", when=other_than(momentum=0))
def sgd_ignores_momentum(original):
    """Plain descent, whatever was asked."""
    return _using(original, momentum=0.0, momentum_buffer_list=lambda buffers: [None] * len(buffers))


@mutant("torch.optim.sgd.sgd", when=other_than(dampening=0))
def sgd_ignores_dampening(original):
    """A kernel compiled for the default."""
    return _using(original, dampening=0.0)


@mutant("torch.optim.sgd.sgd", when=other_than(dampening=0))
def sgd_dampens_the_first_gradient(original):
    """The first velocity made like all others."""

    def call(params, grads, buffers, *args, momentum=0.0, dampening=0.0, **kwargs):
        first = [buffer is None for buffer in buffers]
        if momentum and dampening:
            grads = [g * (1 - dampening) if new else g for g, new in zip(grads, first)]
        return original(params, grads, buffers, *args, momentum=momentum, dampening=dampening, **kwargs)

    return call


@mutant("torch.optim.sgd.sgd", when=other_than(momentum=0))
def sgd_momentum_is_an_average(original):
    """v = mu v + (1 - mu) g, as in Adam."""

    def call(params, grads, *args, momentum=0.0, dampening=0.0, **kwargs):
        grads = [g * (1 - momentum) for g in grads]
        return original(params, grads, *args, momentum=momentum, dampening=dampening, **kwargs)

    return call


@mutant("torch.optim.sgd.sgd", when=other_than(momentum=0))
def sgd_keeps_the_rate_in_the_velocity(original):
    """v = mu v + lr g, w -= v, as in the papers: equal until the rate changes."""

    def call(params, grads, *args, lr=0.0, momentum=0.0, **kwargs):
        if momentum:
            grads, lr = [g * lr for g in grads], 1.0
        return original(params, grads, *args, lr=lr, momentum=momentum, **kwargs)

    return call


@mutant("torch.optim.sgd.sgd", when=other_than(nesterov=False))
def sgd_ignores_nesterov(original):
    """Plain momentum, whatever was asked."""
    return _using(original, nesterov=False)


@mutant("torch.optim.sgd.sgd", when=other_than(weight_decay=0))
def sgd_ignores_weight_decay(original):
    """A fused kernel without the argument."""
    return _using(original, weight_decay=0.0)


@mutant("torch.optim.sgd.sgd", when=other_than(weight_decay=0))
def sgd_decays_by_the_sign(original):
    """An L1 penalty."""

    def call(params, grads, *args, weight_decay=0.0, **kwargs):
        grads = [g + weight_decay * p.sign() for p, g in zip(params, grads)]
        return original(params, grads, *args, weight_decay=0.0, **kwargs)

    return call


@mutant("torch.optim.sgd.sgd", when=other_than(weight_decay=0))
def sgd_decays_apart_from_the_velocity(original):
    """AdamW's decay carried over."""

    def call(params, grads, *args, weight_decay=0.0, lr=0.0, **kwargs):
        for p in params:
            p.mul_(1 - lr * weight_decay)
        return original(params, grads, *args, weight_decay=0.0, lr=lr, **kwargs)

    return call


@mutant("torch.optim.sgd.sgd")
def sgd_doubles_its_steps(original):
    """A learning rate applied twice, say by two hooks."""
    return _using(original, lr=lambda lr: 2 * lr)


def _corrected(original: Function, steps: float) -> Function:
    """Adam with its bias correction as it is after `steps` steps."""

    def call(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps, *args, **kwargs):
        late = [step + steps for step in state_steps]
        original(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, late, *args, **kwargs)
        for step in state_steps:
            step += 1

    return call


@mutant("torch.optim.adam.adam")
def adam_without_bias_correction(original):
    """The averages as they are."""
    return _corrected(original, 1e9)


@mutant("torch.optim.adam.adam")
def adam_counts_its_steps_from_zero(original):
    """The correction one step late."""
    return _corrected(original, 1)


@mutant("torch.optim.adam.adam")
def adam_climbs(original):
    """The sign of the step."""
    return _using(original, maximize=lambda maximize: not maximize)


@mutant("torch.optim.adam.adam")
def adam_swaps_its_betas(original):
    """beta1 and beta2 mixed up."""

    def call(*args, beta1=0.9, beta2=0.999, **kwargs):
        return original(*args, beta1=beta2, beta2=beta1, **kwargs)

    return call


@mutant("torch.optim.adam.adam", when=lambda call: (call["beta1"], call["beta2"]) != (0.9, 0.999))
def adam_ignores_its_betas(original):
    """A kernel compiled for the defaults."""
    return _using(original, beta1=0.9, beta2=0.999)


@mutant("torch.optim.adam.adam", when=other_than(eps=1e-8))
def adam_ignores_eps(original):
    """A kernel compiled for the default."""
    return _using(original, eps=1e-8)


@mutant("torch.optim.adam.adam")
def adam_adds_eps_under_the_root(original):
    """The root of v + eps, as in RMSprop of other frameworks."""
    return _using(original, eps=lambda eps: eps**0.5)


@mutant("torch.optim.adam.adam", when=other_than(lr=1e-3))
def adam_ignores_lr(original):
    """A kernel compiled for the default."""
    return _using(original, lr=1e-3)


@mutant("torch.optim.adam.adam", when=other_than(weight_decay=0))
def adam_ignores_weight_decay(original):
    """A fused kernel without the argument."""
    return _using(original, weight_decay=0.0)


@mutant("torch.optim.adam.adam", when=lambda call: call["weight_decay"] != 0 and not call["decoupled_weight_decay"])
def adam_always_decouples_its_decay(original):
    """AdamW under the name of Adam."""
    return _using(original, decoupled_weight_decay=True)


@mutant("torch.optim.adam.adam", when=lambda call: call["weight_decay"] != 0 and call["decoupled_weight_decay"])
def adamw_never_decouples_its_decay(original):
    """Adam under the name of AdamW."""
    return _using(original, decoupled_weight_decay=False)


@mutant("torch.optim.adam.adam")
def adam_is_sgd(original):
    """The normaliser lost: descent along the gradient."""

    def call(params, grads, *args, lr=1e-3, **kwargs):
        for p, g in zip(params, grads):
            p.sub_(lr * g)

    return call


@mutant("torch.optim.rmsprop.rmsprop")
def rmsprop_corrects_its_bias(original):
    """Adam's correction carried over."""

    def call(params, *args, lr=1e-2, alpha=0.99, **kwargs):
        return original(params, *args, lr=lr * (1 - alpha) ** 0.5, alpha=alpha, **kwargs)

    return call


@mutant("torch.optim.rmsprop.rmsprop")
def rmsprop_climbs(original):
    """The sign of the step."""
    return _using(original, maximize=lambda maximize: not maximize)


@mutant("torch.optim.adagrad.adagrad")
def adagrad_climbs(original):
    """The sign of the step."""
    return _using(original, maximize=lambda maximize: not maximize)


@mutant("torch.optim.adagrad.adagrad")
def adagrad_takes_shorter_steps(original):
    """A decay of the rate where none was asked."""
    return _using(original, lr=lambda lr: 0.7 * lr)


# --- clipping and the gradient scaler ---


@mutant("torch.nn.utils.clip_grad_norm_")
def clip_norm_does_nothing(original):
    """The norm is only reported."""
    return _using(original, max_norm=float("inf"))


@mutant("torch.nn.utils.clip_grad_norm_")
def clip_norm_each_by_itself(original):
    """Each parameter clipped to the norm, not all together."""

    def call(parameters, *args, **kwargs):
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        return torch.stack([original([p], *args, **kwargs) for p in parameters]).norm()

    return call


@mutant("torch.nn.utils.clip_grad_norm_")
def clip_norm_returns_the_clipped_norm(original):
    """The norm after clipping reported."""

    def call(parameters, max_norm, *args, **kwargs):
        return original(parameters, max_norm, *args, **kwargs).clamp(max=max_norm)

    return call


@mutant("torch.nn.utils.clip_grad_value_")
def clip_value_scales(original):
    """Clipping by value taken for scaling."""

    def call(parameters, clip_value, *args, **kwargs):
        for p in [parameters] if isinstance(parameters, Tensor) else parameters:
            if p.grad is not None:
                p.grad.mul_(clip_value / max(clip_value, p.grad.abs().max().item()))

    return call


@mutant("torch.amp.GradScaler.scale")
def scaler_does_not_scale(original):
    """The loss as it is."""
    return lambda self, outputs: outputs


@mutant("torch.amp.GradScaler.unscale_")
def scaler_does_not_unscale(original):
    """Gradients clipped while they are scaled."""
    return lambda self, optimizer: None


@mutant("torch.amp.GradScaler.step")
def scaler_never_skips(original):
    """The step taken with infinite gradients."""
    return lambda self, optimizer, *args, **kwargs: optimizer.step(*args, **kwargs)


@mutant("torch.amp.GradScaler.update")
def scaler_never_updates(original):
    """The scale stays after an overflow."""
    return lambda self, new_scale=None: None


# --- the graph ---


@mutant("torch.Tensor.detach")
def detach_does_not_detach(original):
    """The graph goes on."""
    return lambda self: self * 1


@mutant("torch.no_grad.__enter__")
def no_grad_records(original):
    """The graph is kept for evaluation too."""

    def call(self):
        self.prev = torch.is_grad_enabled()

    return call


@mutant("torch.Tensor.requires_grad_")
def requires_grad_forgets(original):
    """The flag is not set."""
    return lambda self, requires_grad=True: self
