"""Wrong beliefs about batches: what accumulates, what BatchNorm and dropout do with one."""

import torch
from torch import Tensor

from lossdemo.verify.mutant import Call, mutant, using

_batch_norm = torch.batch_norm  # as it is, whatever is replaced while a mutant runs


def _leaf_gradients(loss: Tensor) -> dict[Tensor, Tensor]:
    """The leaves that the loss reaches and that have a gradient, with a copy of it."""
    found, seen, todo = {}, set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            leaf = getattr(node, "variable", None)
            if leaf is not None and leaf.grad is not None:
                found[leaf] = leaf.grad.clone()
            todo.extend(later for later, _ in node.next_functions)
    return found


@mutant("torch.Tensor.backward", when=lambda call: bool(_leaf_gradients(call["self"])))
def backward_averages_with_what_is_there(original):
    """The belief that accumulated batches are averaged."""

    def call(self, *args, **kwargs):
        before = _leaf_gradients(self)
        original(self, *args, **kwargs)
        for leaf, grad in before.items():
            if leaf.grad is not None:
                leaf.grad.add_(grad).div_(2)

    return call


def _learns(call: Call) -> bool:
    return call["training"] and call["running_mean"] is not None


@mutant("torch.nn.functional.batch_norm", when=_learns)
def batch_norm_trains_on_its_averages(original):
    """The belief that the running averages are what training divides by."""

    def call(input, running_mean, running_var, *args, **kwargs):
        result = original(input, running_mean, running_var, *args, **kwargs)
        if running_mean is None:
            return result
        return using(original, training=False)(input, running_mean, running_var, *args, **kwargs)

    return call


@mutant("torch.nn.functional.batch_norm", when=_learns)
def batch_norm_keeps_the_biased_variance(original):
    """The belief that `eval` after one batch gives what training gave."""

    def call(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
        kept = None if running_var is None else running_var.clone()
        result = original(input, running_mean, running_var, weight, bias, training, momentum, eps)
        values = input.numel() // input.shape[1]
        if training and kept is not None:
            running_var.copy_((1 - momentum) * kept + (running_var - (1 - momentum) * kept) * (values - 1) / values)
        return result

    return call


@mutant(
    "torch.nn.functional.batch_norm",
    when=lambda call: call["training"] and call["input"].numel() == call["input"].shape[1],
)
def batch_norm_takes_a_single_row(original):
    """The belief that one row is centered, as others are."""

    def call(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
        return _batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, False)

    return call


@mutant("torch.optim.swa_utils.update_bn")
def update_bn_goes_on_from_the_old_averages(original):
    """The belief that it is one more epoch in training mode."""

    def call(loader, model, device=None):
        with torch.no_grad():
            for batch in loader:
                model(batch[0] if isinstance(batch, (list, tuple)) else batch)

    return call


@mutant("torch.nn.functional.dropout", when=lambda call: call["training"])
def dropout_scales_in_evaluation(original):
    """As the paper of 2014 has it: the weights are multiplied afterward."""

    def call(input, p=0.5, training=True, inplace=False):
        return original(input, p, training, inplace) * (1 - p if training else 1)

    return call


@mutant("torch.nn.functional.dropout", when=lambda call: "training" in call.left_out)
def dropout_function_knows_of_eval(original):
    """The belief that the function rests unless it is told to train."""
    return lambda input, p=0.5, training=False, inplace=False: original(input, p, training, inplace)
