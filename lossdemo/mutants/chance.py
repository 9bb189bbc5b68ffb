"""Wrong beliefs about what is drawn, and what the draw does."""

import torch

from lossdemo.verify.mutant import Call, mutant


def _drops(call: Call) -> bool:
    return call["training"] and call["p"] > 0


@mutant("torch.nn.functional.dropout", when=_drops)
def dropout_leaves_what_it_keeps(original):
    """As in the paper, where the weights are scaled in evaluation instead."""
    return lambda input, p=0.5, training=True, inplace=False: original(input, p, training) * (1 - p if training else 1)


@mutant("torch.nn.functional.dropout", when=_drops)
def dropout_is_noise_of_the_same_size(original):
    """The belief that inputs are shrunk by what is dropped on average, which is no noise at all."""
    return lambda input, p=0.5, training=True, inplace=False: input * (1 - p) if training else input


def _batches(call: Call) -> bool:
    return len(call["args"]) == 2 and isinstance(call["args"][1], tuple) and len(call["args"][1]) == 2


@mutant("torch.randint", when=_batches)
def randint_deals_without_replacement(original):
    """The belief that a random batch has no sample twice."""

    def call(*args, **kwargs):
        if not _batches(Call(args=args)):
            return original(*args, **kwargs)
        high, (rows, columns) = args
        return torch.rand(rows, max(high, columns)).argsort(dim=1)[:, :columns] % high

    return call


@mutant("torch.nn.Linear.reset_parameters", when=lambda call: call["self"].in_features == 1)
def linear_starts_without_chance(original):
    """The belief that a layer starts at what is best for its size."""

    def call(self):
        with torch.no_grad():
            self.weight.fill_(self.in_features**-0.5)
            if self.bias is not None:
                self.bias.zero_()

    return call
