"""Wrong ways from a loss to its gradients."""

import torch
from torch import Tensor

from lossdemo.verify.mutant import mutant, other_than


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
            if leaf.is_leaf and gradient is not None:
                leaf.grad = gradient.clone() if leaf.grad is None else leaf.grad + gradient
        return gradients

    return call


@mutant("torch.Tensor.retain_grad")
def retain_grad_forgets(original):
    """Gradients of computed tensors thrown away all the same."""
    return lambda self: None


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
