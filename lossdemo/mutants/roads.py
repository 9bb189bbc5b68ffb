"""Wrong beliefs about gradients taken otherwise: as functions, of gradients, with a forward pass twice, forward."""

import torch
from torch import Tensor

from lossdemo.verify.mutant import mutant, other_than, using


def _plain(parameters: dict[str, Tensor]) -> bool:
    """Whether they are no stand-ins, as within `grad` and `vmap`."""
    return not any(map(torch._C._functorch.is_functorch_wrapped_tensor, parameters.values()))


@mutant("torch.func.functional_call", when=lambda call: _plain(call["parameter_and_buffer_dicts"]))
def functional_call_loads_the_parameters(original):
    """The belief that it is `load_state_dict` and a call."""

    def call(module, parameters, *args, **kwargs):
        with torch.no_grad():
            for name, p in module.named_parameters() if _plain(parameters) else ():
                if name in parameters:
                    p.copy_(parameters[name])
        return original(module, parameters, *args, **kwargs)

    return call


@mutant("torch.func.functional_call")
def functional_call_uses_the_modules_own(original):
    """The belief that a module has its weights, whatever it is given."""
    return lambda module, parameters, *args, **kwargs: original(module, {}, *args, **kwargs)


@mutant("torch.func.grad")
def func_grad_sums_what_is_no_number(original):
    """As `backward` of other libraries."""

    def call(func, *args, **kwargs):
        return original(lambda *inner, **named: torch.as_tensor(func(*inner, **named)).sum(), *args, **kwargs)

    return call


@mutant("torch.func.vmap", when=lambda call: call["randomness"] == "error")
def vmap_draws_for_each(original):
    """The belief that each row has a dropout mask of its own."""
    return using(original, randomness="different")


@mutant("torch.func.vmap", when=lambda call: call["randomness"] == "different")
def vmap_draws_once(original):
    """The belief that a function is run once for all rows."""
    return using(original, randomness="same")


@mutant("torch.autograd.grad", when=lambda call: not call["create_graph"])
def autograd_grad_is_differentiable(original):
    """The belief that what comes of tensors that require gradients does so too."""
    return using(original, create_graph=True)


@mutant("torch.autograd.grad", when=other_than(create_graph=False))
def autograd_grad_is_constant(original):
    """The argument taken for `retain_graph`."""
    return using(original, create_graph=False, retain_graph=True)


@mutant("torch.autograd.functional.hvp")
def hessian_product_is_a_gradient(original):
    """v times the gradient, element by element."""

    def call(func, inputs, v=None, *args, **kwargs):
        value, gradient = torch.autograd.functional.vjp(func, inputs)
        return value, gradient * v

    return call


@mutant("torch.autograd.functional.hessian")
def hessian_is_the_square_of_the_gradient(original):
    """The Gauss-Newton matrix, or Fisher's."""

    def call(func, inputs, *args, **kwargs):
        gradient = torch.autograd.functional.vjp(func, inputs)[1]
        return torch.outer(gradient, gradient)

    return call


@mutant("torch.utils.checkpoint.checkpoint")
def checkpoint_keeps_everything(original):
    """The call without what it is for."""

    def call(function, *args, **kwargs):
        options = ("use_reentrant", "context_fn", "determinism_check", "debug", "early_stop", "preserve_rng_state")
        return function(*args, **{name: value for name, value in kwargs.items() if name not in options})

    return call


@mutant("torch.utils.checkpoint.checkpoint", when=lambda call: call["kwargs"].get("preserve_rng_state", True))
def checkpoint_draws_anew(original):
    """The belief that dropout has another mask at the second time."""
    return lambda *args, **kwargs: original(*args, **kwargs | {"preserve_rng_state": False})


@mutant("torch.utils.checkpoint.checkpoint", when=lambda call: call["use_reentrant"])
def checkpoint_is_never_reentrant(original):
    """The belief that both forms do the same."""
    return using(original, use_reentrant=False)


@mutant("torch.func.jvp")
def slope_is_per_unit_of_length(original):
    """A slope as on a map, whatever the direction's length."""

    def call(func, primals, tangents, *args, **kwargs):
        return original(func, primals, tuple(v / v.norm() for v in tangents), *args, **kwargs)

    return call


@mutant("torch.equal", when=lambda call: bool((call["args"][0] != call["args"][1]).any()))
def equal_is_close(original):
    """The belief that the same formula gives the same bits, or that these are not compared."""
    return lambda a, b: a.shape == b.shape and bool(torch.isclose(a, b, rtol=1e-3, atol=1e-6).all())
