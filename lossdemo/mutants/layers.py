"""Wrong activations and layers."""

from collections.abc import Callable

import torch

from lossdemo.verify.mutant import Call, Function, Make, mutant, using

_sigmoid = torch.sigmoid  # as it is, whatever is replaced while a mutant runs


@mutant("torch.sigmoid")
def sigmoid_is_twice_as_steep(original):
    """tanh's argument, left over."""
    return lambda z, *args, **kwargs: original(2 * z, *args, **kwargs)


@mutant("torch.Tensor.sigmoid")
def sigmoid_method_is_hard(original):
    """The piecewise linear one of a mobile backend."""
    return lambda z: (z / 6 + 0.5).clamp(0, 1)


@mutant("torch.nn.Sigmoid.forward")
def sigmoid_layer_is_hard(original):
    """The piecewise linear one of a mobile backend."""
    return lambda self, z: (z / 6 + 0.5).clamp(0, 1)


@mutant("torch.Tensor.softmax")
def softmax_method_over_the_batch(original):
    """The wrong dimension."""
    return lambda z, dim, *args, **kwargs: original(z, 0 if z.ndim > 1 and dim != 0 else dim, *args, **kwargs)


@mutant("torch.Tensor.log_softmax")
def log_softmax_is_not_normalised(original):
    """The subtraction of the maximum taken for the whole."""
    return lambda z, dim, *args, **kwargs: z - z.amax(dim, keepdim=True)


@mutant("torch.nn.functional.softmax")
def softmax_has_a_sigmoids_derivative(original):
    """p (1 - p) for each class by itself, without what the others lose."""

    def call(input, *args, **kwargs):
        p = original(input, *args, **kwargs).detach()
        return p + p * (1 - p) * (input - input.detach())

    return call


@mutant("torch.nn.functional.log_softmax")
def log_softmax_has_a_sigmoids_derivative(original):
    """1 - p for each class by itself, without what the others lose."""

    def call(input, *args, **kwargs):
        log_p = original(input, *args, **kwargs).detach()
        return log_p + (1 - log_p.exp()) * (input - input.detach())

    return call


@mutant("torch.nn.functional.logsigmoid")
def logsigmoid_in_two_steps(original):
    """The logarithm of a sigmoid that has rounded to 0."""
    return lambda input: _sigmoid(input).log()


@mutant("torch.nn.functional.logsigmoid")
def logsigmoid_changes_sides_at_one(original):
    """The formula for negative logits used up to 1, where its slope is another."""

    def call(input):
        wrong = (input >= 0) & (input < 1)
        return original(input).where(~wrong, original(input).detach() + _sigmoid(input) - _sigmoid(input).detach())

    return call


@mutant("torch.tanh")
def tanh_keeps_a_slope(original):
    """A leak, so that nothing saturates."""
    return lambda z: original(z) + 1e-3 * z


@mutant("torch.nn.Tanh.forward")
def tanh_layer_is_linear(original):
    """The activation lost in an export."""
    return lambda self, z: z * 1.0


@mutant("torch.relu", when=lambda call: not (call["args"][0] > 0).any())
def relu_is_disconnected_below_zero(original):
    """Where it is off, the input is cut out of the graph: no gradient instead of a zero one."""
    return lambda z: original(z) if (z > 0).any() else torch.zeros_like(z).requires_grad_()


@mutant("torch.nn.ReLU.forward")
def relu_layer_leaks(original):
    """LeakyReLU under the name of ReLU."""
    return lambda self, z: torch.where(z > 0, z, 0.01 * z)


@mutant("torch.nn.Linear.forward")
def linear_moves_its_weights(original):
    """A layer that renormalizes itself in forward."""

    def call(self, x):
        self.weight.data.mul_(1 + 1e-3)
        return original(self, x)

    return call


@mutant("torch.nn.Linear.forward")
def linear_forgets_its_bias(original):
    """A fused matmul without the addition."""
    return lambda self, x: torch.matmul(x, self.weight.T)


@mutant("torch.nn.Linear.forward")
def linear_cuts_the_graph(original):
    """An inference kernel used for training."""
    return lambda self, x: original(self, x.detach())


@mutant("torch.nn.BatchNorm1d.forward")
def batch_norm_does_not_look(original):
    """The running statistics never updated."""

    def call(self, x):
        mean, var = self.running_mean.clone(), self.running_var.clone()
        out = original(self, x)
        self.running_mean, self.running_var = mean, var
        return out

    return call


@mutant("torch.nn.BatchNorm1d.forward")
def batch_norm_looks_in_evaluation_too(original):
    """train() and eval() mixed up."""

    def call(self, x):
        training, self.training = self.training, True
        try:
            return original(self, x)
        finally:
            self.training = training

    return call


@mutant("torch.nn.BatchNorm1d.forward")
def batch_norm_takes_the_other_momentum(original):
    """Keras's momentum, which is 1 less ours."""

    def call(self, x):
        momentum, self.momentum = self.momentum, 1 - self.momentum
        try:
            return original(self, x)
        finally:
            self.momentum = momentum

    return call


def _redrawn(redraw: Callable[[torch.nn.Linear], object]) -> Make:
    """A linear layer with other parameters at the start."""

    def make(original: Function) -> Function:
        def call(self):
            original(self)
            with torch.no_grad():
                redraw(self)

        return call

    return make


@mutant("torch.nn.Linear.reset_parameters")
def linear_starts_with_weights_twice_as_large(original):
    """2 / sqrt(D)."""
    return _redrawn(lambda layer: layer.weight.mul_(2))(original)


@mutant("torch.nn.Linear.reset_parameters")
def linear_starts_by_fan_out(original):
    """1 / sqrt(outputs), from a weight that is stored the other way round."""
    return _redrawn(lambda layer: layer.weight.mul_((layer.in_features / layer.out_features) ** 0.5))(original)


@mutant("torch.nn.Linear.reset_parameters")
def linear_starts_normal(original):
    """Numbers of the same variance from a normal distribution."""
    return _redrawn(lambda layer: layer.weight.normal_(std=(3 * layer.in_features) ** -0.5))(original)


@mutant("torch.nn.Linear.reset_parameters")
def linear_starts_positive(original):
    """Uniform from zero."""
    return _redrawn(lambda layer: layer.weight.abs_())(original)


@mutant("torch.nn.Linear.reset_parameters", when=lambda call: call["self"].bias is not None)
def linear_starts_without_bias(original):
    """A bias of zero, as in Keras."""
    return _redrawn(lambda layer: layer.bias is None or layer.bias.zero_())(original)


@mutant("torch.nn.functional.softmax", when=lambda call: call["dim"] is None)
def softmax_takes_the_last_dimension(original):
    """The classes, wherever they stand in a tensor of three dimensions; no warning."""
    return using(original, dim=lambda dim: -1 if dim is None else dim)


@mutant("torch.nn.functional.log_softmax", when=lambda call: call["dim"] is None)
def log_softmax_takes_the_last_dimension(original):
    """The classes, wherever they stand in a tensor of three dimensions; no warning."""
    return using(original, dim=lambda dim: -1 if dim is None else dim)


@mutant("torch.nn.Softmax.forward")
def softmax_layer_over_the_batch(original):
    """The wrong dimension."""
    return lambda self, z: z.softmax(0)


@mutant("torch.nn.LogSoftmax.forward")
def log_softmax_layer_over_the_batch(original):
    """The wrong dimension."""
    return lambda self, z: z.log_softmax(0)


class _Mixing(torch.autograd.Function):
    """The tensor that was computed from z, with a gradient of its own."""

    @staticmethod
    def forward(ctx, z, computed, backward):
        ctx.computed, ctx.change = computed, backward
        return computed.clone()

    @staticmethod
    def backward(ctx, *grads):
        return ctx.change(ctx.computed, grads[0]), None, None


def _is_batch(call: Call) -> bool:
    return call["args"][0].numel() > call["args"][0].shape[-1]


@mutant("torch.Tensor.softmax", when=_is_batch)
def softmax_mixes_rows_in_backward(original):
    """A sum without its dimension."""

    def call(z, *args, **kwargs):
        return _Mixing.apply(z, original(z, *args, **kwargs).detach(), lambda p, grad: p * (grad - (p * grad).sum()))

    return call


@mutant("torch.Tensor.log_softmax", when=_is_batch)
def log_softmax_mixes_rows_in_backward(original):
    """A sum without its dimension."""

    def call(z, *args, **kwargs):
        return _Mixing.apply(z, original(z, *args, **kwargs).detach(), lambda log_p, g: g - log_p.exp() * g.sum())

    return call


@mutant("torch.nn.PairwiseDistance.forward")
def distance_layer_adds_nothing(original):
    """The root of the sum of squares, as in the formula."""
    return lambda self, x, y: (x - y).norm(dim=-1)


@mutant("torch.nn.CosineSimilarity.forward")
def similarity_layer_is_a_distance(original):
    """1 less the similarity, as in SciPy."""
    return lambda self, x, y: 1 - original(self, x, y)


@mutant("torch.nn.Embedding.forward")
def embedding_ignores_max_norm(original):
    """A lookup, and nothing else."""
    return lambda self, index: self.weight[index]
