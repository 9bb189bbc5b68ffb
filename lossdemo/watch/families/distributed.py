"""Several processes: what DDP did not average, what no rank's gradient passes through, and samplers that repeat."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lossdemo.watch.definition import BACKWARD, END, STEP, Bite, watch
from lossdemo.watch.graph import leaves, nodes
from lossdemo.watch.place import Place
from lossdemo.watch.seen import Seen, shape

DDP = "torch.nn.parallel.DistributedDataParallel."
ROUNDS = 10
BY_HAND = "by hand"
COLLECTIVES = tuple(
    f"torch.distributed.{name}" for name in ("all_reduce", "all_gather_into_tensor", "reduce_scatter_tensor", "reduce")
)


class Wrapped:
    """A DDP module: its parameters, and what became of its last forward pass with a graph."""

    def __init__(self, module: Any) -> None:
        self.ref = weakref.ref(module)
        self.ids = {id(p) for p in module.parameters()}
        self.synced: bool | None = None  # whether it was to be averaged; None before it, and after a step
        self.rounds, self.backwards = 0, 0  # forward passes, and backwards that reached it since the last of them
        self.averaged = False  # whether any step came after an averaged one
        self.own: dict[Place, int] = {}  # steps with a rank's own gradient, by place


def _world() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def _wrapped(seen: Seen) -> Wrapped:
    module = seen["self"]
    known = seen.memory.get(id(module))
    if known is None or known.ref() is not module:
        known = seen.memory[id(module)] = Wrapped(module)
    return known


def _has_graph(result: Any) -> bool:
    if isinstance(result, Tensor):
        return result.requires_grad
    values = result.values() if isinstance(result, dict) else result if isinstance(result, (list, tuple)) else ()
    return any(_has_graph(value) for value in values)


@watch(
    "with-the-last-micro-batch-in-no_sync-too-ddps-ranks-can-step-apart",
    DDP + "forward",
    STEP,
    *COLLECTIVES,
    END,
    cheap=True,
    recalls=(STEP,),
)
def steps_with_a_gradient_of_its_own(seen: Seen) -> Iterable[Bite] | None:
    """The last forward pass before the step was inside `no_sync`. Gradients or weights reduced by hand are right.

    As weights may be averaged later, it is said when a step with averaged gradients follows, or at the end.
    """
    if BY_HAND in seen.memory or (seen.moment != END and _world() < 2):
        return None
    if seen.moment == END:
        return [bite for known in seen.memory.values() for bite in _apart(known)]
    if seen.moment in COLLECTIVES:
        tensor = seen.get("tensor")
        if not isinstance(tensor, Tensor) or tensor.numel() > 1 or (tensor.is_leaf and tensor.requires_grad):
            seen.memory[BY_HAND] = Wrapped(torch.nn.Module())
    elif seen.moment == STEP:
        held = {id(p) for group in seen["self"].param_groups for p in group["params"] if p.grad is not None}
        return [bite for known in seen.memory.values() if held & known.ids for bite in _step(known, seen.place)]
    elif _has_graph(seen.result):
        _wrapped(seen).synced = seen["self"].require_backward_grad_sync
    return None


def _step(known: Wrapped, place: Place) -> list[Bite]:
    if known.synced is False:
        known.own[place] = known.own.get(place, 0) + 1
    known.averaged |= known.synced is True
    known.synced = None
    bites = _apart(known) if known.averaged else []
    known.own = {} if known.averaged else known.own
    return bites


def _apart(known: Wrapped) -> list[Bite]:
    what = "the last forward pass before {} was inside no_sync: this rank stepped by its own gradients"
    advice = "the ranks' weights differ from then on · leave no_sync before the forward pass of the last micro-batch"
    return [
        Bite(what.format("a step" if number == 1 else f"{number} steps"), advice, place)
        for place, number in known.own.items()
    ]


@watch(
    "default-ddp-averages-gradients-in-the-first-backward-after-a-forward",
    DDP + "forward",
    BACKWARD,
    cheap=True,
    recalls=(BACKWARD,),
)
def goes_backward_twice_after_one_forward(seen: Seen) -> Bite | None:
    """Two losses after the forward passes, as on real and generated images. Within `no_sync` it is meant.

    Of a module the first ten rounds are looked at, and every twentieth, with all their backwards.
    """
    if seen.moment != BACKWARD:
        if _has_graph(seen.result):
            known = _wrapped(seen)
            known.rounds, known.backwards = known.rounds + 1, 0
            known.synced = seen["self"].require_backward_grad_sync
        return None
    every = [one for one in seen.memory.values() if one.synced and (one.rounds <= ROUNDS or one.rounds % 20 == 0)]
    if not every or _world() < 2 or seen.get("inputs") is not None:
        return None
    reached = {id(leaf) for root in _all(seen["tensors"]) for leaf in leaves(root)}
    for known in every:
        module = known.ref()
        if module is None or not reached & known.ids or module.static_graph:
            continue
        known.backwards += 1
        if known.backwards > 1:
            return Bite(
                f"backward number {known.backwards} since DDP's last forward pass adds this rank's own gradient",
                "it is not averaged over the ranks · add the losses and call backward once",
            )
    return None


def _all(tensors: Any) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else [one for one in tensors if isinstance(one, Tensor)]


@watch("no-gradient-passes-between-ranks-through-distall_reduce", "torch.distributed.all_reduce", BACKWARD)
def goes_backward_through_a_reduced_tensor(seen: Seen) -> Bite | None:
    """A loss reduced in place before `backward`. A copy that is reduced to be printed is right."""
    if seen.moment != BACKWARD:
        tensor = seen["tensor"]
        if tensor.requires_grad and tensor.grad_fn is not None and _world() > 1:
            seen.memory[id(tensor)] = (weakref.ref(tensor), seen.place)
        return None
    if not seen.memory:
        return None
    for root in _all(seen["tensors"]):
        visited = set(nodes(root))
        for ref, place in seen.memory.values():
            tensor = ref()
            if tensor is not None and tensor.grad_fn in visited:
                return Bite(
                    f"all_reduce wrote the sum of {_world()} ranks into {shape(tensor)} before this backward",
                    f"{place}: autograd does not see it · reduce loss.detach().clone()",
                    place,
                )
    return None


@watch("in-training-batchnorm-under-ddp-normalizes-by-its-own-ranks-batch", DDP + "__init__", note=True)
def wraps_batchnorm_for_each_rank(seen: Seen) -> Bite | None:
    """Small shards on each rank. With many samples on each it is meant."""
    norms = [one for one in seen["module"].modules() if isinstance(one, torch.nn.modules.batchnorm._BatchNorm)]
    norms = [one for one in norms if not isinstance(one, torch.nn.SyncBatchNorm) and one.training]
    if not norms or _world() < 2:
        return None
    return Bite(
        f"{len(norms)} BatchNorm layer{'s' * (len(norms) != 1)} under DDP: each of {_world()} ranks uses its own batch",
        "nn.SyncBatchNorm.convert_sync_batchnorm(model) before DDP, or GroupNorm",
    )


@watch(
    "a-shuffling-distributedsampler-repeats-its-order-without-set_epoch",
    "torch.utils.data.DistributedSampler.__iter__",
    cheap=True,
)
def repeats_the_order_of_an_epoch(seen: Seen) -> Bite | None:
    """No `set_epoch` in the loop over epochs. A first look at a batch elsewhere is none, nor is a sampler in order."""
    sampler = seen["self"]
    if not sampler.shuffle:
        return None
    key = (id(sampler), seen.place)
    ref, epoch, count = seen.memory.get(key, (lambda: None, None, 0))
    count = count + 1 if ref() is sampler and epoch == sampler.epoch else 1
    seen.memory[key] = (weakref.ref(sampler), sampler.epoch, count)
    if count < 2:
        return None
    return Bite(
        f"the sampler gives out the order of epoch {sampler.epoch} again, {count} times in all",
        "call sampler.set_epoch(epoch) before each epoch",
    )
