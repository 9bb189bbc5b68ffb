"""Wrong beliefs about what is drawn, and what the draw does."""

import torch

from lossdemo.verify.mutant import Call, mutant


def _drops(call: Call) -> bool:
    return call["training"] and call["p"] > 0


@mutant("torch.nn.functional.dropout", when=_drops)
def dropout_leaves_what_it_keeps(original):
    """As in the paper, where the weights are scaled in evaluation instead."""
    return lambda input, p=0.5, training=True, *args: original(input, p, training, *args) * (1 - p if training else 1)


@mutant("torch.nn.functional.dropout", when=_drops)
def dropout_is_noise_of_the_same_size(original):
    """The belief that inputs are shrunk by what is dropped on average, which is no noise at all."""
    return lambda input, p=0.5, training=True, *args: input * (1 - p) if training else input


@mutant("torch.randint", when=lambda call: len(call["args"]) == 2 and len(call["args"][1]) == 2)
def randint_deals_without_replacement(original):
    """The belief that a random batch has no sample twice."""

    def call(high, size, **kwargs):
        if not isinstance(size, tuple) or len(size) != 2:
            return original(high, size, **kwargs)
        return torch.rand(size[0], max(high, size[1])).argsort(dim=1)[:, : size[1]] % high

    return call


@mutant("torch.nn.Linear.reset_parameters")
def linear_starts_without_chance(original):
    """The belief that a layer starts at what is best for its size."""

    def call(self):
        with torch.no_grad():
            self.weight.fill_(self.in_features**-0.5)
            if self.bias is not None:
                self.bias.zero_()

    return call
