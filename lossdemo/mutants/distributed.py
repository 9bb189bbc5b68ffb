"""Wrong beliefs about several processes: what is exchanged, when, and what autograd knows of it."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch import distributed as dist

from lossdemo.verify.mutant import Call, Function, Make, mutant, using

_DDP = "torch.nn.parallel.DistributedDataParallel"


_ALL_REDUCE = dist.all_reduce  # as it is, also where a mutant stands in its place


def _summed(value: Tensor) -> Tensor:
    """The sum over the ranks."""
    total = value.detach().clone()
    _ALL_REDUCE(total)
    return total


def _hooked(hook: Callable[[Tensor], Tensor]) -> Make:
    """DDP that puts into `.grad` what `hook` makes of a rank's gradients."""

    def make(original: Function) -> Function:
        def call(self, *args, **kwargs):
            original(self, *args, **kwargs)

            def exchange(state, bucket):
                future = torch.futures.Future()
                future.set_result(hook(bucket.buffer()))
                return future

            self.register_comm_hook(None, exchange)

        return call

    return make


@mutant(f"{_DDP}.__init__")
def ddp_sums_gradients(original):
    """The belief that several processes make one large batch of summed losses."""
    return _hooked(_summed)(original)


@mutant(f"{_DDP}.__init__")
def ddp_exchanges_nothing(original):
    """The belief that `step` exchanges the gradients."""
    return _hooked(lambda gradients: gradients)(original)


@mutant(f"{_DDP}.__init__", when=lambda call: not call["find_unused_parameters"])
def ddp_finds_unused_parameters(original):
    """The belief that a parameter which is not used does no harm."""
    return using(original, find_unused_parameters=True)


@mutant(f"{_DDP}.__init__", when=lambda call: call["init_sync"])
def ddp_keeps_each_ranks_weights(original):
    """The belief that all ranks start from one seed, or have to."""
    return using(original, init_sync=False)


@mutant(f"{_DDP}.forward", when=lambda call: bool(call["inputs"]))
def ddp_weighs_ranks_by_their_samples(original):
    """The belief that DDP knows how many samples each rank has."""

    def call(self, *inputs, **kwargs):
        output = original(self, *inputs, **kwargs)
        own = torch.tensor(float(len(inputs[0])))
        factor = own * dist.get_world_size() / _summed(own)
        if output.requires_grad:
            output.register_hook(lambda gradient: gradient * factor)
        return output

    return call


@mutant(f"{_DDP}.no_sync")
def no_sync_does_nothing(original):
    """The belief that each `backward` exchanges gradients."""
    return lambda self: nullcontext()


@mutant("torch.distributed.all_reduce", when=lambda call: call["tensor"].is_floating_point())
def all_reduce_averages(original):
    """The belief that to reduce is to average, as DDP does."""

    def call(tensor, *args, **kwargs):
        original(tensor, *args, **kwargs)
        with torch.no_grad():
            tensor.div_(dist.get_world_size())

    return call


@mutant("torch.distributed.all_reduce", when=lambda call: call["tensor"].requires_grad)
def all_reduce_passes_gradients(original):
    """The belief that autograd knows of it, and sums the gradients too."""

    def call(tensor, *args, **kwargs):
        tensor.register_hook(_summed)
        return original(tensor, *args, **kwargs)

    return call


@mutant("torch.distributed.all_gather", when=lambda call: call["tensor"].requires_grad)
def all_gather_keeps_the_own_graph(original):
    """The belief that the rank's own part is the tensor that it gave."""

    def call(tensor_list, tensor, *args, **kwargs):
        original(tensor_list, tensor, *args, **kwargs)
        tensor_list[dist.get_rank()] = tensor

    return call


def _in_group(call: Call) -> bool:
    return dist.is_initialized()


@mutant("torch.nn.functional.batch_norm", when=lambda call: call["training"] and dist.is_initialized())
def batch_norm_sees_all_ranks(original):
    """The belief that DDP makes one batch of all shards."""

    def call(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
        if not (training and dist.is_initialized()):
            return original(input, running_mean, running_var, weight, bias, training, momentum, eps)
        dims = [0, *range(2, input.dim())]
        mean = _summed(input.mean(dims)) / dist.get_world_size()
        square = _summed(input.square().mean(dims)) / dist.get_world_size()
        return original(input, mean, square - mean.square(), weight, bias, False, momentum, eps)

    return call


@mutant("torch.nn.utils.clip_grad_norm_", when=_in_group)
def clip_norm_sees_all_ranks(original):
    """The belief that the norm is taken over all processes."""

    def call(parameters, max_norm, *args, **kwargs):
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        if not dist.is_initialized():
            return original(parameters, max_norm, *args, **kwargs)
        norm = _summed(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]).square()).sqrt()
        nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
        return norm

    return call


@mutant("torch.utils.data.DistributedSampler.__iter__")
def distributed_sampler_counts_epochs(original):
    """As a shuffling DataLoader gives each epoch another order."""

    def call(self):
        self.epoch += 1
        return original(self)

    return call


@mutant("torch.utils.data.DistributedSampler.__iter__", when=lambda call: not call["self"].drop_last)
def distributed_sampler_repeats_nothing(original):
    """The belief that each sample comes once."""

    def call(self):
        left = range(self.rank, len(self.dataset), self.num_replicas)
        return iter(list(original(self))[: len(left)])

    return call
