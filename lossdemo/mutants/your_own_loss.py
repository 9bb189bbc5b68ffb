"""Wrong beliefs of those who write a loss of their own."""

import torch

from lossdemo.verify.mutant import Call, mutant


def _single(call: Call) -> bool:
    inputs = call["inputs"]
    return (inputs[0] if isinstance(inputs, tuple | list) else inputs).dtype == torch.float32


@mutant("torch.autograd.gradcheck", when=_single)
def gradcheck_takes_float32(original):
    """The belief that it computes in double precision by itself."""

    def call(func, inputs, **arguments):
        inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        return original(func, tuple(x.detach().double().requires_grad_() for x in inputs), **arguments)

    return call


@mutant("torch.autograd.function.FunctionCtx.save_for_backward")
def save_for_backward_copies(original):
    """The belief that what is saved is safe from later changes."""

    def call(self, *tensors):
        return original(self, *(x.clone() if torch.is_tensor(x) else x for x in tensors))

    return call
