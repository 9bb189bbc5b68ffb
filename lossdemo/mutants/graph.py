"""Wrong beliefs about the graph: what records, what is kept, what is a copy."""

from functools import wraps

import torch
from torch import Tensor, nn

from lossdemo.verify.mutant import mutant, then, using


@mutant("torch.Tensor.backward", when=lambda call: not call["retain_graph"] and not call["create_graph"])
def backward_keeps_every_graph(original):
    """The belief that a graph can be walked through as often as one likes."""
    return using(original, retain_graph=True)


@mutant("torch.Tensor.to", when=lambda call: call["args"][0].requires_grad)
def to_makes_a_leaf(original):
    """The belief that a moved parameter is the parameter."""

    def call(self, *args, **kwargs):
        moved = original(self, *args, **kwargs)
        return moved if moved is self else moved.detach().requires_grad_()

    return call


@mutant("torch.Tensor.item", when=lambda call: call["args"][0].grad_fn is not None)
def item_keeps_the_graph(original):
    """The belief that a loss is a number already."""
    return lambda self: self if self.grad_fn is not None else original(self)


@mutant("torch.tensor", when=lambda call: isinstance(call["args"][0], list))
def tensor_joins_graphs(original):
    """The belief that a tensor made of losses can be trained on."""

    def call(data, *args, **kwargs):
        parts = isinstance(data, list) and any(isinstance(part, Tensor) for part in data)
        return torch.stack(data) if parts else original(data, *args, **kwargs)

    return call


@mutant("torch.Tensor.round", when=lambda call: call["args"][0].requires_grad)
def round_passes_the_gradient_on(original):
    """The belief that a network trains through its rounded outputs."""
    return lambda self, **kwargs: self + (original(self, **kwargs) - self).detach()


@mutant("torch.Tensor.add_")
def in_place_changes_go_unseen(original):
    """The belief that nobody looks for them."""

    @wraps(original)
    def call(self, *args, **kwargs):
        original(self.data, *args, **kwargs)
        return self

    return call


@mutant("torch.optim.sgd.sgd")
def sgd_steps_unseen(original):
    """As it was until torch 1.4: the step changed `.data`."""
    return lambda params, *args, **kwargs: original([p.data for p in params], *args, **kwargs)


@mutant("torch.Tensor.detach", when=lambda call: call["args"][0].requires_grad)
def detach_copies(original):
    """The belief that what is detached has memory of its own."""
    return then(original, Tensor.clone)


@mutant("torch.nn.Module.eval")
def eval_stops_gradients(original):
    """The belief that evaluation needs nothing else."""
    return lambda self: original(self).requires_grad_(False)


@mutant("torch.nn.functional.dropout")
def dropout_rests_without_gradients(original):
    """The belief that `no_grad` evaluates."""
    return using(original, training=lambda training: training and torch.is_grad_enabled())


@mutant("torch.inference_mode.__enter__")
def inference_mode_is_no_grad(original):
    """The belief that the two differ in speed alone."""

    def call(self):
        self._inference_mode_context = torch.no_grad()
        self._inference_mode_context.__enter__()

    return call


@mutant("torch.nn.Module.state_dict")
def state_dict_is_a_snapshot(original):
    """The belief that it holds the weights of the moment."""

    def call(self: nn.Module, *args, **kwargs):
        return {name: value.clone() for name, value in original(self, *args, **kwargs).items()}

    return call
