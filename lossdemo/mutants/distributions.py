"""Wrong losses between distributions."""

import torch
from torch import Tensor

from lossdemo.verify.mutant import mutant, other_than, reduced, swap, using


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
    return using(original, input=lambda p: p.abs().clamp(min=1e-12).log())


@mutant(
    "torch.nn.functional.kl_div",
    when=lambda call: call["reduction"] == "batchmean" and call["input"].ndim == 1,
)
def kl_div_knows_when_there_is_no_batch(original):
    """The divergence of a single distribution, as the name promises."""
    return using(original, reduction=swap({"batchmean": "sum"}))


@mutant("torch.nn.functional.kl_div", when=lambda call: not call["target"].is_floating_point())
def kl_div_takes_integer_targets(original):
    """One-hot rows cast for convenience."""
    return using(original, target=lambda target: target if target.is_floating_point() else target.float())


@mutant("torch.nn.functional.kl_div")
def kl_div_forgets_the_entropy(original):
    """Cross-entropy taken for the divergence: the gradient is the same."""

    def call(input, target, *_, reduction="mean", log_target=False, **__):
        losses = -(target.exp() if log_target else target) * input
        return losses.sum() / len(input) if reduction == "batchmean" else reduced(losses, reduction)

    return call


@mutant("torch.nn.functional.poisson_nll_loss", when=other_than(full=False))
def poisson_adds_the_exact_factorial(original):
    """log y! itself in place of Stirling's approximation."""

    def call(input, target, log_input=True, full=False, *_, eps=1e-8, reduction="mean", **__):
        losses = original(input, target, log_input, eps=eps, reduction="none")
        return reduced(losses + torch.lgamma(target + 1) if full else losses, reduction)

    return call


@mutant("torch.nn.functional.poisson_nll_loss", when=other_than(full=False))
def poisson_adds_stirling_to_every_count(original):
    """The approximation without the condition that the count is above 1."""

    def call(input, target, log_input=True, full=False, *_, eps=1e-8, reduction="mean", **__):
        losses = original(input, target, log_input, full, eps=eps, reduction="none")
        small = (target > 0) & (target <= 1) & full
        many = torch.where(small, target, 1.0)
        stirling = many * many.log() - many + (2 * torch.pi * many).log() / 2
        return reduced(losses + torch.where(small, stirling, 0.0), reduction)

    return call


@mutant("torch.nn.functional.poisson_nll_loss", when=lambda call: not call["log_input"])
def poisson_clamps_its_rate(original):
    """A rate kept from zero by a maximum, not by an addend."""

    def call(input, target, log_input=True, full=False, *_, eps=1e-8, reduction="mean", **__):
        rate = input if log_input else input.clamp(min=eps)
        losses = original(rate, target, log_input, full, eps=eps if log_input else 0.0, reduction="none")
        return reduced(losses, reduction)

    return call


@mutant("torch.nn.functional.gaussian_nll_loss")
def gaussian_takes_the_deviation(original):
    """The standard deviation taken for the variance."""
    return using(original, var=lambda var: var**2 if isinstance(var, Tensor) else var)


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


@mutant("torch.nn.functional.gaussian_nll_loss", when=lambda call: bool((torch.as_tensor(call["var"]) < 0).any()))
def gaussian_takes_negative_variance(original):
    """Validation gone."""
    return using(original, var=lambda var: var.abs() if isinstance(var, Tensor) else abs(var))
