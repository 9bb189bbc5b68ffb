"""Wrong beliefs about the other optimizers: what they divide by, what they remember, and what they take."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from lossdemo.verify.mutant import Function, mutant, then, using


def _held(optimizer: Optimizer) -> list[tuple[Tensor, Tensor]]:
    """Its parameters that have a gradient, each with it."""
    return [(p, p.grad) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def _with_gradients(original: Function, change) -> Function:
    """A step along other gradients, which are put back behind it."""

    def step(self: Optimizer, *args, **kwargs):
        kept = _held(self)
        for p, grad in kept:
            p.grad = change(self.state[p], grad)
        try:
            return original(self, *args, **kwargs)
        finally:
            for p, grad in kept:
                p.grad = grad

    return step


@mutant("torch.optim.NAdam.__init__")
def nadam_has_its_momentum_from_the_start(original):
    """The name taken at its word: Nesterov and Adam, and nothing else."""
    return using(original, momentum_decay=1e9)


@mutant("torch.optim.RAdam.step")
def radam_starts_with_signs(original):
    """The belief that it moves by the learning rate from the first step on, as Adam."""
    return _with_gradients(original, lambda state, grad: grad.sign() if state.get("step", 0) < 5 else grad)


@mutant("torch.optim.ASGD.__init__")
def asgd_does_not_decay(original):
    """The belief that it is SGD and an average beside it."""
    return using(original, lambd=0.0)


@mutant("torch.optim.Rprop.step")
def rprop_forgets_the_sign(original):
    """The belief that it is a sign step, and that the steps stay as long as they are."""

    def forget(state, grad):
        if "prev" in state:
            state["prev"].zero_()
        return grad

    return _with_gradients(original, forget)


@mutant("torch.optim.Muon.__init__")
def muon_leaves_out_what_is_no_matrix(original):
    """The belief that it sorts the parameters itself."""
    return using(original, params=lambda params: [p for p in params if p.ndim == 2] or [torch.zeros(1, 1)])


@mutant("torch.optim.Muon.__init__", when=lambda call: "weight_decay" in call.left_out)
def muon_does_not_decay(original):
    """As in Jordan's own code."""

    def call(self, params, *args, **kwargs):
        original(self, params, *args, **({} if len(args) > 1 else {"weight_decay": 0.0}) | kwargs)

    return call


@mutant("torch.optim.Muon.step")
def muon_keeps_the_gradients_size(original):
    """The belief that it turns the gradient, and nothing else."""

    def call(self, *args, **kwargs):
        before = [(p, p.detach().clone(), grad.norm()) for p, grad in _held(self)]
        result = original(self, *args, **kwargs)
        for p, was, size in before:
            p.data = was + (p.data - was) * size
        return result

    return call


@mutant("torch.optim.LBFGS.__init__", when=lambda call: call["line_search_fn"] is None)
def lbfgs_searches_along_its_steps(original):
    """As SciPy's."""
    return using(original, line_search_fn="strong_wolfe")


@mutant("torch.optim.LBFGS.__init__")
def lbfgs_has_no_tolerances(original):
    """The belief that it moves as long as there is a gradient."""
    return using(original, tolerance_grad=0.0, tolerance_change=0.0)


@mutant("torch.optim.RMSprop.step", when=lambda call: any(grad.is_sparse for _, grad in _held(call["self"])))
def rmsprop_takes_sparse_gradients(original):
    """The belief that it takes what Adagrad takes."""
    return _with_gradients(original, lambda _, grad: grad.to_dense() if grad.is_sparse else grad)


@mutant("torch.optim.SparseAdam.step", when=lambda call: any(not grad.is_sparse for _, grad in _held(call["self"])))
def sparse_adam_takes_dense_gradients(original):
    """The belief that it is Adam, and takes sparse ones as well."""
    return _with_gradients(original, lambda _, grad: grad if grad.is_sparse else grad.to_sparse(1))


@mutant("torch.Tensor.sign", when=lambda call: bool((call["args"][0] == 0).any()))
def the_sign_of_zero_is_one(original):
    """The belief that a sign step moves each entry."""
    return then(original, lambda signs: signs.masked_fill(signs == 0, 1.0))


@mutant("torch.nn.utils.get_total_norm", when=lambda call: len(list(call["tensors"])) > 1)
def total_norm_is_the_largest(original):
    """The norm of each parameter by itself."""
    return lambda tensors, *args, **kwargs: max(original([one], *args, **kwargs) for one in tensors)
