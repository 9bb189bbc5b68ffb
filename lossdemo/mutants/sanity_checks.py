"""Wrong beliefs of those who check a training: what a baseline is, and what depends on what."""

import torch

from lossdemo.verify.mutant import Call, mutant, then, using


def _alike(call: Call) -> bool:
    """Rows of logits that are all the same, and say something."""
    logits = call["input"]
    return logits.dim() == 2 and len(logits) > 1 and bool((logits == logits[:1]).all() and (logits != 0).any())


@mutant("torch.nn.functional.cross_entropy", when=_alike)
def knowing_nothing_costs_log_c(original):
    """The belief that a model which ignores its inputs is at the logarithm of the number of classes."""

    def call(input, *args, **kwargs):
        return original(torch.zeros_like(input) if _alike(Call(input=input)) else input, *args, **kwargs)

    return call


def _turned(call: Call) -> bool:
    """A transposed matrix, reshaped to what it was before."""
    matrix, *shape = call["args"]
    return matrix.dim() == 2 and not matrix.is_contiguous() and tuple(shape) == tuple(matrix.t().shape)


@mutant("torch.Tensor.reshape", when=_turned)
def reshape_turns_back(original):
    """The belief that dimensions are brought into order by naming their sizes."""
    return lambda self, *shape: self.t() if _turned(Call(args=(self, *shape))) else original(self, *shape)


@mutant("torch.nn.functional.batch_norm", when=lambda call: call["training"] and call["running_mean"] is not None)
def batch_norm_keeps_rows_apart(original):
    """The belief that each row is normalized by itself, as in evaluation."""
    return using(original, training=False)


@mutant("torch.nn.functional.dropout", when=lambda call: call["training"] and call["p"] > 0)
def dropout_changes_no_loss(original):
    """The belief that dropout, right on average, leaves the loss where it is."""
    return using(original, training=False)


@mutant("torch.Tensor.bincount")
def bincount_counts_what_is_there(original):
    """The belief that classes without a sample are left out."""
    return then(original, lambda counts: counts[counts > 0])


@mutant("torch.Tensor.mean", when=lambda call: call["args"][0].numel() == 0)
def mean_of_nothing_is_zero(original):
    """The belief that a class which does not occur has a recall of 0."""
    return lambda self, *args, **kwargs: original(self, *args, **kwargs).nan_to_num(0.0)


@mutant("torch.randperm")
def shuffles_draw_with_replacement(original):
    """The belief that a shuffle is any random choice of as many rows."""
    return lambda n, **kwargs: torch.randint(n, (n,), **kwargs)
