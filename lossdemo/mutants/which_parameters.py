"""Wrong beliefs about which parameters move: what freezes, what is found, what is remembered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lossdemo.verify.mutant import Call, Function, mutant, using


def _held(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


@contextmanager
def _without(gradients: list[Tensor]) -> Iterator[None]:
    """These parameters have no gradient for a while."""
    kept = [(p, p.grad) for p in gradients]
    for p, _ in kept:
        p.grad = None
    yield
    for p, grad in kept:
        p.grad = grad


def _passes_over(original: Function, which: Callable[[Optimizer], list[Tensor]]) -> Function:
    def step(self: Optimizer, *args, **kwargs):
        with _without(which(self)):
            return original(self, *args, **kwargs)

    return step


def _frozen(optimizer: Optimizer) -> list[Tensor]:
    return [p for p in _held(optimizer) if not p.requires_grad and p.grad is not None]


def _at_rest(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups if group["lr"] == 0 for p in group["params"] if p.grad is not None]


@mutant("torch.optim.SGD.step", when=lambda call: bool(_frozen(call["self"])))
def sgd_passes_over_the_frozen(original):
    """The belief that `requires_grad` speaks to the optimizer."""
    return _passes_over(original, _frozen)


@mutant("torch.optim.Adam.step", when=lambda call: bool(_frozen(call["self"])))
def adam_passes_over_the_frozen(original):
    """The belief that `requires_grad` speaks to the optimizer."""
    return _passes_over(original, _frozen)


@mutant("torch.optim.Adam.step", when=lambda call: bool(_at_rest(call["self"])))
def adam_passes_over_lr_zero(original):
    """The belief that a group with lr 0 is not worked on."""
    return _passes_over(original, _at_rest)


def _rows(optimizer: Optimizer) -> list[tuple[Tensor, Tensor]]:
    """The matrices, and which of their rows have no gradient but zeros."""
    grads = [(p, p.grad) for p in _held(optimizer) if p.dim() == 2 and p.grad is not None and not p.grad.is_sparse]
    return [(p, (grad == 0).all(dim=1)) for p, grad in grads]


@mutant("torch.optim.Adam.step", when=lambda call: any(bool(rows.any()) for _, rows in _rows(call["self"])))
def adam_leaves_rows_without_gradient(original):
    """The belief that rows which were not looked up stay."""

    def step(self, *args, **kwargs):
        kept = [(p, rows, p.detach()[rows].clone()) for p, rows in _rows(self)]
        result = original(self, *args, **kwargs)
        with torch.no_grad():
            for p, rows, before in kept:
                p[rows] = before
        return result

    return step


@mutant("torch.nn.Module.__setattr__", when=lambda call: call["name"] == "requires_grad")
def modules_have_a_switch(original):
    """The belief that a module freezes as a tensor does."""

    def call(self, name, value):
        if name == "requires_grad":
            self.requires_grad_(value)
        else:
            original(self, name, value)

    return call


def _listed(module: nn.Module) -> dict[str, nn.Module]:
    return {
        f"{name}.{place}": part
        for name, parts in vars(module).items()
        if isinstance(parts, list)
        for place, part in enumerate(parts)
        if isinstance(part, nn.Module)
    }


@mutant("torch.nn.Module.parameters", when=lambda call: bool(_listed(call["self"])))
def lists_are_searched(original):
    """The belief that a layer is found wherever it is."""

    def call(self, recurse=True):
        yield from original(self, recurse)
        for part in _listed(self).values():
            yield from original(part, recurse)

    return call


def _all_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters(recurse=False))
    return bool(parameters) and not any(p.requires_grad for p in parameters)


@mutant("torch.nn.Module.train", when=lambda call: call["mode"] and any(map(_all_frozen, call["self"].modules())))
def train_leaves_the_frozen(original):
    """The belief that a frozen part stays in `eval`."""

    def call(self, mode=True):
        kept = [(part, part.training) for part in self.modules() if _all_frozen(part)]
        original(self, mode)
        for part, training in kept:
            part.training = training if mode else False
        return self

    return call


@mutant(
    "torch.nn.functional.batch_norm",
    when=lambda call: call["training"] and call["weight"] is not None and not call["weight"].requires_grad,
)
def batch_norm_freezes_its_statistics(original):
    """The belief that frozen weights freeze the layer."""

    def frozen(weight: Tensor | None) -> bool:
        return weight is not None and not weight.requires_grad

    def call(input, running_mean, running_var, weight=None, *args, **kwargs):
        if frozen(weight):
            running_mean, running_var = (s if s is None else s.clone() for s in (running_mean, running_var))
        return original(input, running_mean, running_var, weight, *args, **kwargs)

    return call


@mutant("torch.optim.swa_utils.AveragedModel.update_parameters")
def averages_start_from_the_weights_at_the_beginning(original):
    """The belief that the first call averages too."""

    def call(self, model):
        if self.n_averaged == 0:
            self.n_averaged += 1
        original(self, model)

    return call


@mutant("torch.optim.swa_utils.AveragedModel.update_parameters", when=lambda call: not call["self"].use_buffers)
def averages_leave_buffers_behind(original):
    """As it was before torch 2.0."""

    def call(self, model):
        kept = [buffer.clone() for buffer in self.module.buffers()]
        original(self, model)
        for buffer, before in zip(self.module.buffers(), kept):
            buffer.copy_(before)

    return call


@mutant("torch.optim.Optimizer.load_state_dict", when=lambda call: bool(call["state_dict"]["state"]))
def load_state_dict_drops_the_averages(original):
    """The belief that the hyper-parameters are the state."""
    return lambda self, state_dict: original(self, {**state_dict, "state": {}})


def _named(call: Call) -> bool:
    groups = [*call["self"].param_groups, *call["state_dict"]["param_groups"]]
    return all("param_names" in group for group in groups)


@mutant("torch.optim.Optimizer.load_state_dict", when=_named)
def load_state_dict_goes_by_names(original):
    """The belief that names which were given are used."""

    def call(self, state_dict):
        if _named(Call(self=self, state_dict=state_dict)):
            order = [name for group in state_dict["param_groups"] for name in group["param_names"]]
            own = [name for group in self.param_groups for name in group["param_names"]]
            state = {own.index(order[place]): value for place, value in state_dict["state"].items()}
            state_dict = {**state_dict, "state": state}
        original(self, state_dict)

    return call


@mutant("torch.nn.Module.load_state_dict", when=lambda call: call["assign"])
def load_state_dict_never_assigns(original):
    """The belief that loading keeps the parameters."""
    return using(original, assign=False)
