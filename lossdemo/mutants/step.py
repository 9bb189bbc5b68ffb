"""Wrong optimizers, clipping, and gradient scaling."""

from collections.abc import Callable

import torch
from torch import Tensor

from lossdemo.verify.mutant import Call, Function, Make, mutant, other_than, using


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


@mutant("torch.optim.Optimizer.load_state_dict")
def load_state_dict_keeps_the_groups(original):
    """The belief that arguments win over what was saved."""

    def call(self, state_dict):
        kept = [{name: value for name, value in group.items() if name != "params"} for group in self.param_groups]
        original(self, state_dict)
        for group, values in zip(self.param_groups, kept):
            group.update(values)

    return call


@mutant("torch.optim.adam.adam", when=lambda call: bool(call["fused"]))
def adam_fused_halves_its_rate(original):
    """A kernel with half the rate."""
    return using(original, lr=lambda lr: lr / 2)


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
        grads = [weight_decay * p.sign() + g for p, g in zip(params, grads)]
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
    """The normalizer lost: descent along the gradient."""

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
def rmsprop_adds_eps_under_the_root(original):
    """The root of v + eps, as in TensorFlow."""
    return using(original, eps=lambda eps: eps**0.5)


@mutant("torch.optim.rmsprop.rmsprop", when=lambda call: call["momentum"] != 0)
def rmsprop_sums_gradients(original):
    """Momentum of the gradients, and the division behind it."""

    def call(params, grads, square_avgs, grad_avgs, momentum_buffer_list, *args, momentum=0.0, **kwargs):
        if momentum:
            for velocity, g in zip(momentum_buffer_list, grads):
                velocity.mul_(momentum).add_(g)
            grads = momentum_buffer_list
        return original(params, grads, square_avgs, grad_avgs, momentum_buffer_list, *args, momentum=0.0, **kwargs)

    return call


@mutant("torch.optim.adagrad.adagrad")
def adagrad_adds_eps_under_the_root(original):
    """The root of the sum and eps, as in TensorFlow."""
    return using(original, eps=lambda eps: eps**0.5)


@mutant("torch.optim.adagrad.adagrad", when=other_than(lr_decay=0))
def adagrad_decays_its_first_rate(original):
    """The steps counted from 1."""

    def call(params, grads, state_sums, state_steps, *args, **kwargs):
        late = [step + 1 for step in state_steps]
        original(params, grads, state_sums, late, *args, **kwargs)
        for step in state_steps:
            step += 1

    return call


def _decayed(factor: Callable[[float, float], float], *, before: bool = True) -> Make:
    """AdamW with another decay, before its step or behind it."""

    def make(original: Function) -> Function:
        def call(params, *args, lr=1e-3, weight_decay=0.0, decoupled_weight_decay=False, **kwargs):
            decoupled = decoupled_weight_decay and weight_decay != 0
            rest = 0.0 if decoupled else weight_decay
            for p in params if decoupled and before else ():
                p.mul_(factor(lr, weight_decay))
            original(params, *args, lr=lr, weight_decay=rest, decoupled_weight_decay=decoupled_weight_decay, **kwargs)
            for p in params if decoupled and not before else ():
                p.mul_(factor(lr, weight_decay))

        return call

    return make


def _decouples(call: Call) -> bool:
    return call["weight_decay"] != 0 and call["decoupled_weight_decay"]


@mutant("torch.optim.adam.adam", when=_decouples)
def adamw_decays_apart_from_its_rate(original):
    """The paper's decay, which has a factor of its own."""
    return _decayed(lambda lr, decay: 1 - decay)(original)


@mutant("torch.optim.adam.adam", when=_decouples)
def adamw_decays_after_its_step(original):
    """The two lines in the other order."""
    return _decayed(lambda lr, decay: 1 - lr * decay, before=False)(original)


@mutant("torch.optim.adam.adam", when=lambda call: call["amsgrad"])
def amsgrad_corrects_before_it_compares(original):
    """The largest of the corrected averages, as in optax."""

    def call(params, grads, averages, squares, largest, steps, *args, beta2=0.999, **kwargs):
        for v, g, top, step in zip(squares, grads, largest, steps):
            late = 1 - beta2 ** (step.item() + 1)
            corrected = (beta2 * v + (1 - beta2) * g**2) / late
            top.copy_(torch.maximum(top / (1 - beta2 ** max(step.item(), 1)), corrected) * late)
        return original(params, grads, averages, squares, largest, steps, *args, beta2=beta2, **kwargs)

    return call


@mutant("torch.nn.utils.clip_grad_norm_", when=other_than(error_if_nonfinite=False))
def clip_norm_never_refuses(original):
    """A fused kernel that does not look at the norm."""
    return using(original, error_if_nonfinite=False)


@mutant("torch.nn.utils.clip_grad_norm_", when=other_than(norm_type=2.0))
def clip_norm_is_euclidean(original):
    """A fused kernel for the default."""
    return using(original, norm_type=2.0)


def _rescaled(factor: Callable[[Tensor, float], Tensor]) -> Make:
    """Clipping with another factor than max_norm / (norm + 1e-6), where that is below 1."""

    def make(original: Function) -> Function:
        def call(parameters, max_norm, *args, **kwargs):
            parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
            kept = [(p.grad, p.grad.clone()) for p in parameters if p.grad is not None]
            norm = original(parameters, max_norm, *args, **kwargs)
            for grad, before in kept:
                grad.copy_(before * factor(norm, max_norm))
            return norm

        return call

    return make


@mutant("torch.nn.utils.clip_grad_norm_")
def clip_norm_clips_exactly(original):
    """Nothing added to the norm."""
    return _rescaled(lambda norm, max_norm: (max_norm / norm).clamp(max=1))(original)


@mutant("torch.nn.utils.clip_grad_norm_")
def clip_norm_normalizes(original):
    """Short gradients lengthened to the norm as well."""
    return _rescaled(lambda norm, max_norm: max_norm / (norm + 1e-6))(original)


@mutant("torch.nn.utils.clip_grad_norm_")
def clip_norm_does_nothing(original):
    """The norm is only reported."""
    return using(original, max_norm=float("inf"))


@mutant("torch.nn.utils.clip_grad_norm_")
def clip_norm_each_by_itself(original):
    """Each parameter clipped to the norm, not all together."""

    def call(parameters, *args, **kwargs):
        each = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        if not each:
            return original(parameters, *args, **kwargs)
        return torch.stack([original([p], *args, **kwargs) for p in each]).norm()

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


@mutant("torch.nn.utils.clip_grad_value_")
def clip_value_cuts_above_alone(original):
    """The lower bound forgotten."""

    def call(parameters, clip_value, *args, **kwargs):
        for p in [parameters] if isinstance(parameters, Tensor) else parameters:
            if p.grad is not None:
                p.grad.clamp_(max=clip_value)

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


@mutant("torch.amp.GradScaler.update")
def scaler_never_grows(original):
    """A scale that can fall only."""

    def call(self, new_scale=None):
        before = self._scale.clone()
        original(self, new_scale)
        self._scale.clamp_(max=before)

    return call


@mutant("torch.amp.GradScaler._unscale_grads_")
def scaler_unscales_float16_too(original):
    """Halves divided as they are."""
    return using(original, allow_fp16=True)


@mutant("torch.autocast.__init__")
def autocast_casts_nothing(original):
    """The context without effect."""
    return using(original, enabled=False)
