"""Wrong regression losses."""

from typing import Any

import torch
from torch import Tensor

from lossdemo.verify.mutant import (
    Call,
    Function,
    RefusedOnPurpose,
    mutant,
    other_than,
    reduced,
    then,
    using,
)


def _mean_of_weighted(original: Function, *args: Any, **kwargs: Any) -> Tensor:
    """The weighted losses divided by their number."""
    if kwargs.get("weight") is None or kwargs.get("reduction", "mean") != "mean":
        return original(*args, **kwargs)
    return original(*args, **{**kwargs, "reduction": "none"}).mean()


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
    return then(original, lambda loss: (loss + 1e-12).sqrt())


@mutant("torch.nn.functional.mse_loss")
def mse_is_absolute(original):
    """MAE and MSE mixed up."""
    return lambda input, target, *_, reduction="mean", **__: reduced((input - target).abs(), reduction)


@mutant("torch.nn.functional.mse_loss", when=lambda call: call["input"].shape != call["target"].shape)
def mse_broadcasts_in_silence(original):
    """The warning on shapes taken for noise."""
    return lambda input, target, *_, reduction="mean", **__: reduced((input - target) ** 2, reduction)


@mutant("torch.nn.functional.mse_loss", when=lambda call: isinstance(call["size_average"], str))
def mse_takes_its_reduction_third(original):
    """`mse_loss(input, target, 'sum')`, as huber_loss has it."""

    def call(input, target, size_average=None, *args, **kwargs):
        if isinstance(size_average, str):
            return original(input, target, reduction=size_average)
        return original(input, target, size_average, *args, **kwargs)

    return call


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
    return using(original, input=lambda tensor: tensor.float(), target=lambda tensor: tensor.float())


@mutant("torch.nn.functional.l1_loss", when=lambda call: call["input"].dtype in (torch.float16, torch.bfloat16))
def mae_computes_in_float32(original):
    """Autocast taken for granted."""
    return using(original, input=lambda tensor: tensor.float(), target=lambda tensor: tensor.float())


@mutant("torch.nn.functional.l1_loss")
def mae_is_squared(original):
    """MAE and MSE mixed up."""
    return lambda input, target, *_, reduction="mean", **__: reduced((input - target) ** 2, reduction)


@mutant("torch.nn.functional.l1_loss", when=lambda call: bool((call["input"] == call["target"]).any()))
def mae_pulls_at_zero(original):
    """A sign that is 1 at zero, as `2 * (x >= 0) - 1` gives it."""

    def call(input, target, *_, reduction="mean", **__):
        error = input - target
        return reduced(error * torch.where(error >= 0, 1.0, -1.0).to(error.dtype), reduction)

    return call


@mutant("torch.nn.functional.l1_loss")
def mae_gradient_is_the_error(original):
    """MSE's gradient under MAE's value."""

    def call(input, target, *_, reduction="mean", **__):
        error = input - target
        return reduced(error.abs().detach() + (error**2 - (error**2).detach()) / 2, reduction)

    return call


@mutant("torch.nn.functional.l1_loss", when=other_than(weight=None))
def mae_divides_weights_by_n(original):
    """The mean of the weighted losses, as in huber_loss."""
    return lambda *args, **kwargs: _mean_of_weighted(original, *args, **kwargs)


@mutant("torch.nn.functional.huber_loss", when=other_than(delta=1.0))
def huber_is_smooth_l1(original):
    """The two taken for one: SmoothL1 divides by beta."""
    return lambda input, target, reduction="mean", delta=1.0, weight=None: (
        original(input, target, reduction, delta) / delta
    )


@mutant("torch.nn.functional.huber_loss")
def huber_is_unbounded(original):
    """The linear branch forgotten."""
    return lambda input, target, reduction="mean", *_, **__: reduced((input - target) ** 2 / 2, reduction)


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
            return reduced((input - target).abs(), reduction)
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
def smooth_l1_is_huber(original):
    """The division by beta forgotten."""
    return lambda input, target, *_, reduction="mean", beta=1.0, **__: (
        original(input, target, reduction=reduction, beta=beta) * beta
    )


def _has_another_shape(call: Call) -> bool:
    return call["weight"] is not None and call["weight"].shape != call["input"].shape


def _broadcasting(original: Function) -> Function:
    """The weight, the input and the target taken to one shape."""

    def call(input, target, *args, weight=None, **kwargs):
        if weight is not None:
            input, target, weight = torch.broadcast_tensors(input, target, weight)
        return original(input, target, *args, weight=weight, **kwargs)

    return call


@mutant("torch.nn.functional.mse_loss", when=_has_another_shape)
def mse_broadcasts_its_weight(original):
    """A weight multiplied with the losses, as one would by hand."""
    return _broadcasting(original)


@mutant("torch.nn.functional.l1_loss", when=_has_another_shape)
def mae_broadcasts_its_weight(original):
    """A weight multiplied with the losses, as one would by hand."""
    return _broadcasting(original)


@mutant("torch.nn.functional.huber_loss", when=_has_another_shape)
def huber_broadcasts_its_weight(original):
    """A weight multiplied with the losses, as one would by hand."""
    return _broadcasting(original)
