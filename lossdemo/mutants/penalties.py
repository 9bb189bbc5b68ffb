"""Wrong beliefs about weight decay and penalties: what is decayed, and what a penalty pulls at."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from lossdemo.verify.mutant import Call, mutant, then, using


def _vectors(optimizer: Optimizer) -> list[tuple[Tensor, float]]:
    """Its biases and norm weights that are to be decayed, each with what the decay multiplies it by."""
    return [
        (p, 1 - group["lr"] * group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
        if p.ndim == 1 and p.grad is not None and group["weight_decay"] and len(group["params"]) > 1
    ]


@mutant("torch.optim.AdamW.step", when=lambda call: bool(_vectors(call["self"])))
def adamw_spares_biases_and_norms(original):
    """The belief that the optimizer knows them, as libraries around it do."""

    def call(self, *args, **kwargs):
        for p, factor in _vectors(self):
            p.data /= factor
        return original(self, *args, **kwargs)

    return call


@mutant("torch.nn.functional.softshrink")
def softshrink_keeps_what_is_large(original):
    """The hard threshold, which leaves the others as they are."""
    return lambda input, lambd=0.5: torch.where(input.abs() > lambd, input, 0.0)


@mutant("torch.linalg.vector_norm", when=lambda call: call["args"][0].requires_grad)
def vector_norm_is_squared(original):
    """The belief that the L2 norm is the L2 penalty."""
    return then(original, torch.square)


def _of_inputs(call: Call) -> bool:
    return not call["create_graph"] and isinstance(call["inputs"], Tensor) and call["outputs"].grad_fn is not None


@mutant("torch.autograd.grad", when=_of_inputs)
def grad_always_has_a_graph(original):
    """The belief that whatever is computed can be differentiated."""
    return using(original, create_graph=True)


@mutant("torch.nn.functional.batch_norm", when=lambda call: call["training"] and call["input"].requires_grad)
def batch_norm_takes_its_statistics_as_constants(original):
    """The belief that the mean and the spread are numbers, through which no gradient goes."""

    def call(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
        if training:
            original(input.detach(), running_mean, running_var, weight, bias, True, momentum, eps)
            others = [d for d in range(input.ndim) if d != 1]
            running_mean, running_var = input.detach().mean(others), input.detach().var(others, correction=0)
        return original(input, running_mean, running_var, weight, bias, False, momentum, eps)

    return call
