"""Wrong beliefs of those who write a loss of their own."""

import torch

from lossdemo.verify.mutant import Call, mutant, using


def _single(call: Call) -> bool:
    inputs = call["inputs"] if isinstance(call["inputs"], tuple) else (call["inputs"],)
    return any(torch.is_tensor(x) and x.dtype == torch.float32 for x in inputs)


@mutant("torch.autograd.gradcheck", when=_single)
def gradcheck_takes_float32(original):
    """The belief that it computes in double precision by itself."""

    def call(func, inputs, **arguments):
        inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        doubled = (x.double() if torch.is_tensor(x) and x.is_floating_point() else x for x in inputs)
        return original(func, tuple(doubled), **arguments)

    return call


@mutant("torch.autograd.function.FunctionCtx.save_for_backward")
def save_for_backward_copies(original):
    """The belief that what is saved is safe from later changes."""

    def call(self, *tensors):
        return original(self, *(x.clone() if torch.is_tensor(x) else x for x in tensors))

    return call


@mutant("torch.nn.functional.normalize")
def normalize_divides_by_the_sum(original):
    """The belief that it makes shares, as of a distribution."""
    return using(original, p=1.0)


@mutant("torch.Tensor.clamp", when=lambda call: call["args"][0].requires_grad and call.get("min") == 0)
def clamp_lets_the_gradient_through(original):
    """The straight-through estimator: what is cut off is still moved."""
    return lambda self, *args, **kwargs: self + (original(self.detach(), *args, **kwargs) - self.detach())


def _comes_to_zero(call: Call) -> bool:
    outputs = call["outputs"]
    return torch.is_tensor(outputs) and outputs.ndim == 0 and outputs.requires_grad and not outputs.item()


@mutant("torch.autograd.grad", when=_comes_to_zero)
def a_loss_of_zero_has_no_gradient(original):
    """The belief that at 0 there is nothing left to learn."""

    def call(*args, **kwargs):
        return tuple(None if slope is None else slope * 0 for slope in original(*args, **kwargs))

    return call


@mutant("torch.func.vmap", when=lambda call: call["in_dims"] == 0)
def vmap_maps_the_last_dimension(original):
    """The belief that the batch is last, as the columns of a table are."""
    return using(original, in_dims=-1)
