"""Wrong beliefs about NaN: what stops it, what takes it away, what sees it."""

import math

import torch
from torch import Tensor

from lossdemo.verify.mutant import Call, mutant, then, using


def _recorded(call: Call) -> bool:
    return call["args"][0].requires_grad


def _floats(call: Call) -> bool:
    return call["args"][0].is_floating_point()


def _tamed(original):
    """The function, which passes on a gradient of zero where its own is not finite."""

    def call(self, *args, **kwargs):
        if not self.requires_grad:
            return original(self, *args, **kwargs)
        x = self.view_as(self)
        x.register_hook(lambda gradient: torch.where(gradient.isfinite(), gradient, 0.0))
        return original(x, *args, **kwargs)

    return call


@mutant("torch.Tensor.sqrt", when=_recorded)
def sqrt_has_a_finite_slope(original):
    """The belief that an element with a gradient of zero gives zero."""
    return _tamed(original)


@mutant("torch.Tensor.log", when=_recorded)
def log_has_a_finite_slope(original):
    """The belief that what is masked afterward does not matter."""
    return _tamed(original)


@mutant("torch.Tensor.norm", when=lambda call: call["dim"] is None and call["p"] in ("fro", 2))
def norm_is_the_root_of_the_squares(original):
    """The definition, as it stands in a book."""
    return lambda self, *args, **kwargs: self.square().sum().sqrt()


@mutant("torch.where", when=lambda call: len(call["args"]) > 1)
def where_multiplies_by_the_condition(original):
    """The belief of those who explain the gradient: a sum of both branches, one of them times zero."""
    return lambda condition, *branches: (
        condition * branches[0] + ~condition * branches[1] if branches else original(condition)
    )


@mutant("torch.Tensor.isfinite", when=_floats)
def isfinite_looks_for_nan(original):
    """The belief that infinity is no harm."""
    return lambda self: ~self.isnan()


@mutant("torch.Tensor.nan_to_num", when=_recorded)
def nan_to_num_cuts_the_graph(original):
    """The belief that what was replaced is forgotten."""
    return lambda self, *args, **kwargs: original(self.detach(), *args, **kwargs).requires_grad_()


@mutant("torch.nn.utils.clip_grad_norm_")
def clip_norm_reports_a_number(original):
    """NaN and infinity replaced in what is logged."""
    return then(original, Tensor.nan_to_num)


@mutant("torch.optim.Adam.step")
def adam_forgets_nan(original):
    """The belief that a good gradient heals the averages."""

    def call(self, *args, **kwargs):
        for state in self.state.values():
            for value in state.values():
                if torch.is_tensor(value):
                    value.nan_to_num_(0.0)
        return original(self, *args, **kwargs)

    return call


@mutant("torch.autograd.set_detect_anomaly.__init__")
def anomaly_mode_keeps_traces_alone(original):
    """The belief that it is there for errors, and not for NaN."""
    return using(original, check_nan=False)


@mutant("torch.nn.Linear.forward")
def linear_skips_nan(original):
    """The belief that a missing value counts for nothing."""
    return lambda self, x: original(self, x.nan_to_num(0.0))


@mutant("torch.nn.ReLU.forward")
def relu_layer_stops_nan(original):
    """Written as a condition: what is not above zero is zero."""
    return lambda self, z: torch.where(z > 0, z, 0.0)


@mutant("torch.Tensor.clamp", when=_floats)
def clamp_puts_nan_into_the_range(original):
    """The belief that afterward everything is between the limits."""
    return lambda self, *args, **kwargs: original(torch.where(self.isnan(), 0.0, self), *args, **kwargs)


@mutant("torch.Tensor.min", when=lambda call: _floats(call) and len(call["args"]) == 1)
def min_leaves_nan_out(original):
    """As a database does, or NumPy's nanmin."""
    return lambda self, **kwargs: original(torch.where(self.isnan(), math.inf, self), **kwargs)


@mutant("torch.fmin")
def fmin_is_minimum(original):
    """The belief that the two are one."""
    return lambda a, b: torch.minimum(a, b)


@mutant("torch.Tensor.nanmean")
def nanmean_counts_nan_as_zero(original):
    """The mean over all, with zeros for what is missing."""
    return lambda self, *args, **kwargs: self.nan_to_num(0.0).mean(*args, **kwargs)


@mutant("torch.Tensor.__gt__", when=_floats)
def nan_is_larger_than_all(original):
    """As it is sorted."""
    return lambda self, other: original(self, other) | self.isnan()
