"""What a script has done so far: its optimizers, backwards and steps. Nothing of it is kept alive."""

from __future__ import annotations

import gc
import weakref
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lossdemo.verify.mutant import Call
from lossdemo.watch.definition import BACKWARD, MADE, STEP, TRAIN
from lossdemo.watch.graph import leaves
from lossdemo.watch.place import Place

SCALER_STEP = "torch.amp.GradScaler.step"
SCHEDULE = "torch.optim.lr_scheduler.LRScheduler.step"
# The calls that are seen whatever watches there are.
OBSERVED = frozenset([BACKWARD, MADE, SCALER_STEP, SCHEDULE, STEP, TRAIN])
WALKED = 5  # backwards of each place whose graph is walked, before it is every N-th alone


class Optimizer:
    """What is known of an optimizer: where it was made, and its steps."""

    def __init__(self, optimizer: torch.optim.Optimizer, place: Place) -> None:
        self.ref, self.place, self.steps = weakref.ref(optimizer), place, 0
        self.id, self.kind = id(optimizer), type(optimizer).__name__

    def parameters(self) -> Iterator[Tensor]:
        """What it holds now; nothing where it is gone."""
        optimizer = self.ref()
        for group in optimizer.param_groups if optimizer is not None else ():
            yield from group["params"]


class Parameter:
    """What is known of a leaf tensor that backwards reach: how many of those whose graph was walked, and the last."""

    def __init__(self, tensor: Tensor) -> None:
        self.ref, self.reached, self.last = weakref.ref(tensor), 0, 0


class History:
    """The steps of a script, its optimizers, and the parameters that its losses reach.

    `shared` holds a dict by name, for watches that remember something together.
    """

    def __init__(self, every: int, *, is_complete: bool = False) -> None:
        self.every, self.steps, self.backwards = every, 0, 0
        self.last_backward: Place | None = None
        self.scaled: set[int] = set()  # the ids of optimizers that a GradScaler was asked to step
        self.optimizers: dict[int, Optimizer] = {}
        self.parameters: dict[int, Parameter] = {}
        self.told: set[str] = set()  # the claims that have been found, ignored ones as well
        self.shared: dict[str, dict[Any, Any]] = defaultdict(dict)
        # Modules and optimizers by id, as they are made; earlier ones are searched for where they are asked for.
        self.made: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.is_complete = is_complete
        self._walked: dict[Place, int] = defaultdict(int)
        self._names: dict[int, str] = {}

    def optimizer(self, optimizer: torch.optim.Optimizer, place: Place) -> Optimizer:
        """What is known of it, from now on if it was made before."""
        known = self.optimizers.get(id(optimizer))
        if known is None or known.ref() is not optimizer:
            known = self.optimizers[id(optimizer)] = Optimizer(optimizer, place)
        return known

    def is_setup(self, moment: str, call: Call) -> bool:
        """Whether a call is none of the script's: a scheduler makes its first step itself, when it is made."""
        return moment == SCHEDULE and getattr(call["self"], "_step_count", None) == 1

    def observe(self, moment: str, call: Call, place: Place) -> None:
        """Take in a call of one of OBSERVED that has returned."""
        if moment == MADE:
            self._walked.clear()  # another training begins, maybe at the same lines
            self.optimizer(call["self"], place)
        elif moment == STEP:
            self.optimizer(call["self"], place).steps += 1
            self.steps += 1
        elif moment == BACKWARD:
            self.last_backward = place
            self._backward(call, place)
        elif moment == SCALER_STEP:
            self.scaled.add(id(call["optimizer"]))

    def _backward(self, call: Call, place: Place) -> None:
        self.backwards += 1
        self._walked[place] += 1
        if self._walked[place] > WALKED and self._walked[place] % self.every:
            return
        tensors = call["tensors"]
        for loss in [tensors] if isinstance(tensors, Tensor) else tensors:
            for leaf in leaves(loss) if isinstance(loss, Tensor) else ():
                known = self.parameters.get(id(leaf))
                if known is None or known.ref() is not leaf:
                    known = self.parameters[id(leaf)] = Parameter(leaf)
                known.reached, known.last = known.reached + 1, self.backwards

    def alive(self, kind: type) -> list[Any]:
        """The modules, or the optimizers, that are alive and have been set up."""
        if not self.is_complete:
            self.is_complete = True
            for one in gc.get_objects():
                if issubclass(type(one), (nn.Module, torch.optim.Optimizer)):
                    self.made.setdefault(id(one), one)
        field = "_modules" if kind is nn.Module else "param_groups"
        return [one for one in self.made.values() if issubclass(type(one), kind) and field in one.__dict__]

    def modules(self) -> list[nn.Module]:
        """The modules that are alive and in no other one, the largest last."""
        every = self.alive(nn.Module)
        below = {id(child) for module in every for child in module._modules.values()}
        tops = [module for module in every if id(module) not in below]
        return sorted(tops, key=lambda module: sum(1 for _ in module.modules()))

    def name(self, tensor: Tensor) -> str:
        """The name that a module has for a parameter, as `0.weight` or `encoder.bias`, or its shape."""
        if id(tensor) not in self._names:
            self._names |= {id(p): name for module in self.modules() for name, p in _named(module)}
        return self._names.get(id(tensor)) or f"a tensor {tuple(tensor.shape)}"

    def names(self, tensors: list[Tensor], most: int = 3) -> str:
        """Some of their names, and how many more there are."""
        shown = ", ".join(self.name(tensor) for tensor in tensors[:most])
        return f"{shown} and {len(tensors) - most} more" if len(tensors) > most else shown


def _named(module: nn.Module) -> list[tuple[str, Tensor]]:
    return list(module.named_parameters(remove_duplicate=False))


MAKERS = ("__init__", "__setstate__")  # what makes a module or an optimizer, a copy and one that is read included
