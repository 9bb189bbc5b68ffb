"""Wrong beliefs about several losses: what freezes, what a divergence takes, what a projection leaves."""

import torch

from lossdemo.verify.mutant import mutant, using


@mutant("torch.distributions.Normal.__init__")
def normal_takes_a_variance(original):
    """As it is written, N(μ, σ²)."""
    return using(original, scale=lambda scale: scale**0.5)


@mutant("torch.distributions.kl_divergence")
def kl_is_symmetric(original):
    """The belief that a divergence is a distance."""
    return lambda p, q: original(q, p)


@mutant("torch.nn.Module.requires_grad_", when=lambda call: not call["requires_grad"])
def a_frozen_module_stops_gradients(original):
    """The belief that nothing before a frozen discriminator can be trained."""

    def call(self, requires_grad=True):
        if not requires_grad:
            self.register_forward_hook(
                lambda module, inputs, output: output.detach() if torch.is_tensor(output) else None
            )
        return original(self, requires_grad)

    return call


@mutant("torch.nn.functional.cosine_similarity")
def cosine_similarity_is_a_product(original):
    """The belief that the gradients' lengths count."""
    return lambda x1, x2, dim=1, eps=1e-8: (x1 * x2).sum(dim)


@mutant("torch.Tensor.flatten", when=lambda call: call["args"][1:] == (1,))
def flatten_keeps_the_channels(original):
    """The belief that a sum over dimension 1 is one over all pixels."""
    return lambda self, *args: self if args == (1,) else original(self, *args)
