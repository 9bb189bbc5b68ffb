"""Wrong optimizers, clipping, and gradient scaling."""

import torch
from torch import Tensor

from lossdemo.verify.mutant import Function, mutant, other_than, using


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
def adam_swaps_its_betas(original):
    """beta1 and beta2 mixed up."""

    def call(*args, beta1=0.9, beta2=0.999, **kwargs):
        return original(*args, beta1=beta2, beta2=beta1, **kwargs)

    return call


@mutant("torch.optim.adam.adam")
def adam_adds_eps_under_the_root(original):
    """The root of v + eps, as in RMSprop of other frameworks."""
    return using(original, eps=lambda eps: eps**0.5)


@mutant("torch.optim.adam.adam", when=lambda call: call["weight_decay"] != 0 and not call["decoupled_weight_decay"])
def adam_always_decouples_its_decay(original):
    """AdamW under the name of Adam."""
    return using(original, decoupled_weight_decay=True)


@mutant("torch.optim.adam.adam", when=lambda call: call["weight_decay"] != 0 and call["decoupled_weight_decay"])
def adamw_never_decouples_its_decay(original):
    """Adam under the name of AdamW."""
    return using(original, decoupled_weight_decay=False)


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


@mutant("torch.nn.utils.clip_grad_norm_")
def clip_norm_does_nothing(original):
    """The norm is only reported."""
    return using(original, max_norm=float("inf"))


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
