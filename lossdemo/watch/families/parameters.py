"""Which parameters are moved: held by no optimizer, by another one or by two, frozen and still moved, restored."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lossdemo.watch.definition import END, STEP, Bite, record, watch
from lossdemo.watch.history import History, Optimizer
from lossdemo.watch.place import Place
from lossdemo.watch.seen import Seen, shape
from lossdemo.watch.windows import ledger

CENSUSES = 6  # how often in a run all modules are looked through
MOVED = "a-check-after-step-says-why-a-parameter-did-not-move"
# The claims of findings that say why parameters with gradients are in no optimizer.
UNHELD = frozenset(
    [
        "after-model--deepcopymodel-an-older-optimizer-holds-the-old-weights",
        "an-optimizer-moves-and-clears-only-the-parameters-it-was-given",
        "layers-held-by-a-python-list-alone-are-not-in-a-modules-parameters",
        "linearcrossentropyloss-owns-parameters-that-the-optimizer-needs",
    ]
)
MADE_ANEW = "torchtensor-of-losses-drops-their-graph-and-torchstack-keeps-it"
SCORED = ("cross_entropy", "nll_loss")
LOSSES = tuple(
    f"torch.nn.functional.{name}"
    for name in (*SCORED, "mse_loss", "l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
)
FIRST = 5  # steps whose gradients are looked at, before it is one in so many alone
CONTAINERS = (list, tuple, dict, set)


class Census:
    """The modules that are alive: by id of a parameter where it is registered, and where it stands unregistered.

    `hidden` are the parameters of layers in a module's plain list or dict, with that module and the attribute;
    `named` the modules with an attribute `requires_grad` that is False, with their parameters. Nothing is kept alive:
    numbers and names alone stay.
    """

    def __init__(self, history: History) -> None:
        self.roots: list[dict[int, torch.Size]] = []  # of each module that is in no other one its parameters
        self.frozen: dict[int, Any] = {}  # weak references to what requires no gradient
        self.hidden: dict[int, tuple[str, str, set[int]]] = {}
        self.named: list[tuple[str, list[int]]] = []
        self.owned: dict[int, str] = {}  # of a loss that owns parameters
        self.held: set[int] = set()
        self.plain: set[int] = set()  # tensors that require a gradient, and are attributes of a module
        for optimizer in history.alive(torch.optim.Optimizer):
            self.held |= {id(p) for group in optimizer.param_groups for p in group["params"]}
        modules = history.alive(nn.Module)
        below = {id(child) for module in modules for child in module._modules.values()}
        for module in modules:
            self._look_at(module, id(module) not in below)

    def _look_at(self, module: nn.Module, is_root: bool) -> None:
        kind = type(module).__name__
        if is_root:
            self.roots.append({id(p): p.shape for p in module.parameters()})
            self.frozen |= {id(p): weakref.ref(p) for p in module.parameters() if not p.requires_grad}
        if module.__dict__.get("requires_grad") is False:
            self.named.append((kind, [id(p) for p in module.parameters()]))
        if kind == "LinearCrossEntropyLoss":
            self.owned |= {id(p): kind for p in module.parameters()}
        for name, value in module.__dict__.items():
            if type(value) is Tensor and value.requires_grad and value.is_leaf:
                self.plain.add(id(value))
            if type(value) in CONTAINERS and not name.startswith("_"):
                layers = _modules_in(value)
                if len(layers) > 1:
                    own = {id(p) for p in module.parameters()}
                    inside = [p for layer in layers for p in layer.parameters()]
                    self.hidden |= {id(p): (kind, name, own) for p in inside if id(p) not in own}


def _modules_in(value: Any) -> list[nn.Module]:
    """The modules in a container that registers none, and in containers in it."""
    found: list[nn.Module] = []
    for one in value.values() if type(value) is dict else value:
        if issubclass(type(one), nn.Module):
            found.append(one)
        elif type(one) in CONTAINERS and len(one) < 100:
            found += [inner for inner in (one.values() if type(one) is dict else one) if isinstance(inner, nn.Module)]
    return found


def _held(seen: Seen) -> set[int]:
    """The ids of what any known optimizer holds."""
    return {id(p) for optimizer in seen.history.optimizers.values() for p in optimizer.parameters()}


def _unheld(seen: Seen) -> list[Tensor]:
    """The leaves with a gradient from a backward that no known optimizer holds."""
    if "unheld" not in seen.found:
        held = _held(seen)
        leaves = (known.ref() for key, known in seen.history.parameters.items() if key not in held)
        seen.found["unheld"] = [p for p in leaves if p is not None and p.requires_grad and p.grad is not None]
    return seen.found["unheld"]


def _census(seen: Seen, unheld: Iterable[Tensor]) -> Census | None:
    """The modules alive, searched for anew where other leaves than before are held by nobody."""
    shared = seen.history.shared["census"]
    key = (seen.history.steps, frozenset(id(p) for p in unheld))
    if key[1] == shared.get("unheld") and shared.get("last") is not None:
        return shared["last"]
    if shared.get("count", 0) >= CENSUSES:
        return None
    shared["count"] = shared.get("count", 0) + 1
    shared["unheld"], shared["last"] = key[1], Census(seen.history)
    return shared["last"]


def _first_census(seen: Seen, known: Optimizer) -> Census | None:
    """The modules alive at the first step of an optimizer that was looked at; of two optimizers, not of more."""
    first = seen.history.shared["first census"]
    if known not in first:
        first[known] = Census(seen.history) if len(first) < 2 else None
    return first[known]


class Told(NamedTuple):
    """What is said at the end, unless a later step shows otherwise."""

    bite: Bite
    names: tuple[str, ...] = ()
    since: int = 0  # backwards before it was seen
    held: tuple[int, ...] = ()  # ids of what must not be reached by a later one


def _known(seen: Seen) -> Optimizer:
    return seen.history.optimizer(seen["self"], seen.place)


def _at_end(seen: Seen) -> Iterator[Bite]:
    for told in seen.memory.values():
        if told is not None and not any(_last(seen, id) > told.since for id in told.held):
            yield told.bite


def _last(seen: Seen, id: int) -> int:
    known = seen.history.parameters.get(id)
    return known.last if known else 0


def _count(number: int, one: str) -> str:
    return f"{number} {one}{'s' * (number != 1)}"


@watch("after-model--deepcopymodel-an-older-optimizer-holds-the-old-weights", STEP, END)
def steps_with_the_optimizer_of_another_copy(seen: Seen) -> Iterable[Bite] | None:
    """A model copied, or made a second time, after its optimizer. Gradients given by hand to what is held are right.

    No step of the optimizer found a gradient, and as many tensors of the same shapes have gradients and no optimizer.
    """
    if seen.moment == END:
        return list(_at_end(seen))
    known = _known(seen)
    if known in seen.memory and seen.memory[known] is None:
        return None
    held = [p for p in known.parameters() if p.requires_grad]
    is_reached = any(id(p) in seen.history.parameters for p in held)  # and cleared before the step
    if not held or is_reached or any(p.grad is not None for p in known.parameters()):
        seen.memory[known] = None
        return None
    if ledger(seen.history).window(seen["self"], seen.place).reached:  # a gradient was there, and has been cleared
        return None
    unheld = _unheld(seen)
    if not unheld or not _is_copy(seen, held, unheld):
        return None
    latest = max(seen.history.parameters[id(p)].last for p in unheld)
    moved = [p for p in unheld if seen.history.parameters[id(p)].last == latest]
    what = (
        f"{_count(len(held), 'parameter')} of the {known.kind} made here got no gradient at any step, while"
        f" {len(moved)} that no optimizer holds did, of a model with the same shapes"
    )
    advice = f"not moved: {seen.history.names(moved)} · make the optimizer after the model is copied or made anew"
    ids = tuple(id(p) for p in held)
    seen.memory[known] = Told(Bite(what, advice, known.place), since=seen.history.backwards, held=ids)
    return None


def _is_copy(seen: Seen, held: list[Tensor], unheld: list[Tensor]) -> bool:
    wanted = Counter(p.shape for p in held)
    if not wanted - Counter(p.shape for p in unheld):
        return True
    census = _census(seen, unheld)
    if census is None or any(id(p) in census.held for p in unheld):
        return False
    ids = {id(p) for p in unheld}
    twins = [root for root in census.roots if ids & root.keys() and not census.held & root.keys()]
    return any(not wanted - Counter(root.values()) and ids <= root.keys() for root in twins)


@watch("an-optimizer-moves-and-clears-only-the-parameters-it-was-given", STEP, END)
def trains_layers_that_came_after_the_optimizer(seen: Seen) -> Iterable[Bite] | None:
    """A layer replaced or unfrozen after the optimizer was made. A part that was never given to one may be meant.

    The optimizer holds parameters of that model, and either others that are in no module any more, or the layer was
    frozen when the optimizer stepped first.
    """
    if seen.moment == END:
        return list(_at_end(seen))
    known = _known(seen)
    first, held = _first_census(seen, known), list(known.parameters())
    unheld: list[Tensor] = [p for p in _unheld(seen) if isinstance(p, nn.Parameter)]
    census = _census(seen, _unheld(seen)) if unheld else None
    if census is None:
        return None
    ids = {id(p) for p in held}
    roots = [root for root in census.roots if ids & root.keys()]
    new = [p for p in unheld if id(p) not in census.held and any(id(p) in root for root in roots)]
    registered = {id for root in census.roots for id in root}
    gone = [p for p in held if p.grad is None and isinstance(p, nn.Parameter) and id(p) not in registered]
    if new and gone and any(p.grad is not None for p in held):
        what = f"{_count(len(gone), 'parameter')} of the {known.kind} made here are in no module any more, and"
        what += f" {_count(len(new), 'parameter')} in their place with gradients are in no optimizer"
    else:
        new = [p for p in new if first is not None and id(p) in first.frozen and first.frozen[id(p)]() is p]
        what = f"{_count(len(new), 'parameter')} were unfrozen after the {known.kind} had been made, and get gradients"
        what += ", but no optimizer holds them"
    if new:
        advice = f"not moved: {seen.history.names(new)} · make the optimizer last, or call add_param_group"
        seen.memory[known] = Told(Bite(what, advice, known.place))
    return None


@watch("layers-held-by-a-python-list-alone-are-not-in-a-modules-parameters", STEP, END)
def trains_layers_in_a_plain_list(seen: Seen) -> Iterable[Bite] | None:
    """Several layers in a list or dict of a module whose other parameters are trained. Hidden frozen ones are right."""
    if seen.moment == END:
        return list(_at_end(seen))
    known = _known(seen)
    seen.memory[known] = None
    unheld = _unheld(seen)
    census = _census(seen, unheld) if unheld else None
    if census is None:
        return None
    held = {id(p) for p in known.parameters()}
    lost = [p for p in unheld if id(p) in census.hidden and id(p) not in census.held]
    lost = [p for p in lost if held & census.hidden[id(p)][2]]
    if lost:
        kind, name, _ = census.hidden[id(lost[0])]
        what = f"no optimizer holds {_count(len(lost), 'parameter')} with gradients, of the layers in {kind}.{name}"
        advice = (
            f"`{name}` is a plain list or dict, and parameters() does not yield its layers · make it an nn.ModuleList"
        )
        seen.memory[known] = Told(Bite(what, f"{advice} or nn.ModuleDict", known.place))
    return None


@watch("linearcrossentropyloss-owns-parameters-that-the-optimizer-needs", STEP, END)
def leaves_the_layer_of_a_loss_out(seen: Seen) -> Iterable[Bite] | None:
    """An optimizer of the model's parameters alone. A layer that is shared with the model, or frozen, is right."""
    if seen.moment == END:
        return list(_at_end(seen))
    known = _known(seen)
    seen.memory[known] = None
    unheld = _unheld(seen)
    census = _census(seen, unheld) if unheld else None
    lost = [p for p in unheld if census and id(p) in census.owned and id(p) not in census.held]
    if lost and any(p.grad is not None for p in known.parameters()):
        what = f"no optimizer holds {_count(len(lost), 'parameter')} of LinearCrossEntropyLoss, with gradients"
        advice = "the last layer keeps its first values · give the optimizer criterion.parameters() as well"
        seen.memory[known] = Told(Bite(what, advice, known.place))
    return None


@watch(MOVED, STEP, END, note=True)
def leaves_parameters_with_gradients_unheld(seen: Seen) -> Iterable[Bite] | None:
    """A part of the model that was forgotten, or a tensor in it that is no `nn.Parameter`.

    A head that is warmed up alone, with a backbone that was not frozen, may be meant.
    """
    if seen.moment == END:
        return [] if UNHELD & seen.history.told else list(_at_end(seen))
    unheld = _unheld(seen)
    if not all(isinstance(p, nn.Parameter) for p in unheld):
        census = _census(seen, unheld)
        unheld = [p for p in unheld if isinstance(p, nn.Parameter) or (census and id(p) in census.plain)]
    known, last = _known(seen), seen.history.parameters
    seen.memory[known] = None
    walked = [last[id(p)].last for p in known.parameters() if _was_trained(seen, p)]
    unheld = [p for p in unheld if walked and last[id(p)].last >= max(walked)]  # by the same backward as what is held
    if unheld:
        what = f"no optimizer holds {_count(len(unheld), 'parameter')} with gradients"
        advice = f"not moved: {seen.history.names(unheld)} · give them to the optimizer, or freeze them"
        seen.memory[known] = Told(Bite(what, advice, seen.place))
    return None


@watch(MOVED, STEP, END, note=True)
def trains_on_gradients_of_zero(seen: Seen) -> Iterable[Bite] | None:
    """A dead or saturated layer, or one at its minimum; a mask that is meant may leave a gradient of zero, too."""
    if seen.moment == END:
        if seen.history.told - {MOVED}:  # what was told already says why
            return None
        return [
            Bite(
                f"the gradient of {name} is 0 in each of its {shape} entries at all {count} steps that were looked at",
                "a dead ReLU, a saturated unit, rounding or a factor of 0 may stand behind it",
                place,
            )
            for known, (name, shape, count, place) in seen.memory.items()
            if known and count > 1
        ]
    for p in _known(seen).parameters():
        key = id(p)
        if p.grad is None or p.grad.is_sparse or seen.memory.get((key,)) or not _was_trained(seen, p):
            continue
        if p.grad.any():
            seen.memory[(key,)] = ("", "", 0, seen.place)
            seen.memory.pop(key, None)
        else:
            known = seen.memory.get(key)
            name = known[0] if known else seen.history.name(p)
            seen.memory[key] = (name, shape(p), (known[2] if known else 0) + 1, seen.place)
    return None


class _Gradients:
    """Of an optimizer: how many of its steps were looked at, and which parameters had a gradient at one of them."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.ref, self.steps, self.place = weakref.ref(optimizer), 0, Place("", 0)
        self.kind = type(optimizer).__name__
        self.had: set[int] = set()
        self.never: set[int] = set()  # those that had none so far, though they require one
        self.names = ""
        self.is_alone = True  # no other optimizer has found a gradient since its first step
        self.backwards = self.losses = -1  # before its first step

    def take_in(self, seen: Seen) -> list[Tensor]:
        """What has a gradient now; what never had one is returned."""
        held = [p for group in seen["self"].param_groups for p in group["params"]]
        self.had |= {id(p) for p in held if p.grad is not None or _was_trained(seen, p)}  # one can be cleared
        return [p for p in held if id(p) not in self.had and p.requires_grad]


def _gradients(seen: Seen) -> dict[int, _Gradients]:
    return seen.history.shared["gradients at steps"]


def _is_looked_at(seen: Seen) -> bool:
    return seen.count < FIRST or seen.count % seen.history.every == 0


@record(STEP, before=True)
def a_step_finds_gradients(seen: Seen) -> None:
    """Which parameters have one; at the first steps, and at some later ones."""
    if _is_looked_at(seen):
        known = _gradients(seen).get(id(seen["self"]))
        if known is None or known.ref() is not seen["self"]:
            known = _gradients(seen)[id(seen["self"])] = _Gradients(seen["self"])
            known.backwards = seen.history.backwards - 1
            known.losses = seen.history.shared["losses"].get("recorded", 0) - 1
        known.take_in(seen)
        if known.had:
            for other in _gradients(seen).values():
                other.is_alone &= other is known


@record(STEP)
def a_step_leaves_gradients(seen: Seen) -> None:
    """Those that a closure has computed in the step are among them."""
    known = _gradients(seen).get(id(seen["self"]))
    if known is not None and _is_looked_at(seen):
        never = known.take_in(seen)
        known.steps, known.place = known.steps + 1, seen.place
        if known.never != {id(p) for p in never}:
            known.never, known.names = {id(p) for p in never}, seen.history.names(never)


@record(*LOSSES, "torch.autograd.grad", steady=True)
def a_loss_is_computed(seen: Seen) -> None:
    """How many losses have a graph, and whether a gradient is taken otherwise than by backward."""
    shared = seen.history.shared["losses"]
    if seen.moment == "torch.autograd.grad":
        shared["grad"] = 1
    elif isinstance(seen.result, Tensor) and seen.result.requires_grad and seen.result.ndim == 0:
        shared["recorded"] = shared.get("recorded", 0) + 1


@watch(MOVED, END)
def steps_that_never_find_a_gradient(seen: Seen) -> list[Bite] | None:
    """A loop without `backward`, or a model cut off by `.data`, `detach` or NumPy before a loss made to require one.

    It is none where another optimizer finds gradients meanwhile; steps that only move a schedule on have no loss.
    """
    losses, bites = seen.history.shared["losses"], []
    if losses.get("grad") or {MADE_ANEW, *UNHELD} & seen.history.told:
        return None
    last = seen.history.last_backward
    for known in _gradients(seen).values():
        backwards = seen.history.backwards - known.backwards
        if known.had or not known.never or not known.is_alone or known.steps < 3:
            continue
        if seen.history.backwards and backwards > 2:
            what = f"no step found a gradient: {backwards} backwards gave none to the {known.kind}'s parameters"
            advice = "the model is cut off from the loss: leave out .data, detach, item, NumPy and requires_grad_()"
            bites.append(Bite(what, advice, last))
        elif not seen.history.backwards and losses.get("recorded", 0) - known.losses > 2:
            what = "no step found a gradient, and nothing moved: backward was never called"
            bites.append(Bite(what, "call loss.backward() before the step", known.place))
    return bites


@watch(MOVED, END, note=True)
def parameters_that_never_get_a_gradient(seen: Seen) -> list[Bite] | None:
    """A layer that `forward` does not use, or one behind `detach` or `no_grad`. A part that waits is meant."""
    if seen.history.told - {MOVED}:
        return None
    bites = []
    for known in _gradients(seen).values():
        if known.steps > 1 and known.had and known.never:
            number = _count(len(known.never), "parameter")
            what = f"{number} in the optimizer had no gradient at any step that was looked at"
            advice = f"{known.names} · the loss does not use them, or detach or no_grad cuts them off"
            bites.append(Bite(what, advice, known.place))
    return bites


def _moves(seen: Seen) -> Iterator[tuple[Tensor, Tensor, dict[str, Any]]]:
    """What a step of an optimizer moves: parameters, their gradients, and their groups, where the rate is not 0."""
    for group in seen["self"].param_groups:
        if group.get("lr", 1) != 0:
            for p in group["params"]:
                if p.grad is not None and not p.grad.is_sparse:
                    yield p, p.grad, group


def _was_trained(seen: Seen, p: Tensor) -> bool:
    known = seen.history.parameters.get(id(p))
    return known is not None and known.ref() is p


@watch("step-moves-a-frozen-parameter-by-the-gradient-that-it-still-has", STEP)
def steps_again_with_the_gradient_of_what_is_frozen(seen: Seen) -> Bite | None:
    """Frozen after `backward`, and never cleared. A gradient given by hand, or used once, is right."""
    moved = []
    for p, gradient, _ in _moves(seen):
        if not p.requires_grad and _was_trained(seen, p):
            known = seen.memory.get(id(p))
            if known is not None and known[0]() is gradient and known[1] == gradient._version and gradient.any():
                moved.append(p)
            seen.memory[id(p)] = weakref.ref(gradient), gradient._version
        else:
            seen.memory.pop(id(p), None)
    if not moved:
        return None
    return Bite(
        f"the step moves {_count(len(moved), 'frozen parameter')} by the gradient of an earlier step",
        f"{seen.history.names(moved)} · call zero_grad after requires_grad_(False), or set p.grad = None",
    )


@watch("adams-momentum-still-moves-a-frozen-parameter-with-a-gradient-of-zero", STEP)
def moves_what_is_frozen_by_its_momentum(seen: Seen) -> Bite | None:
    """Frozen, and cleared with `set_to_none=False`. What has no gradient, or was never moved before, stays."""
    moved, state = [], seen["self"].state
    for p, gradient, group in _moves(seen):
        if not p.requires_grad and _was_trained(seen, p) and not gradient.any():
            kept = state[p].get("exp_avg", state[p].get("momentum_buffer")) if p in state else None
            if (isinstance(kept, Tensor) and kept.any()) or group.get("weight_decay", 0) != 0:
                moved.append(p)
    if not moved:
        return None
    return Bite(
        f"the step moves {_count(len(moved), 'frozen parameter')} with a gradient of 0, by momentum or weight decay",
        f"{seen.history.names(moved)} · set p.grad = None, as zero_grad does by default, or leave them out",
    )


@watch("layerrequires_grad--false-freezes-nothing-and-raises-no-error", STEP)
def freezes_by_an_attribute(seen: Seen) -> Bite | None:
    """`layer.requires_grad = False` for the method with the underscore, and `p.require_grad`.

    It is none where the layer's parameters are frozen as well.
    """
    census = _first_census(seen, _known(seen))
    moved = {id(p): p for p, _, _ in _moves(seen) if p.requires_grad}
    named = census.named if census is not None else []
    found = next(((kind, ids) for kind, ids in named if any(id in moved for id in ids)), None)
    if found:
        kind, ids = found
        here = [moved[id] for id in ids if id in moved]
        return Bite(
            f"a {kind} has the attribute requires_grad = False, and {_count(len(here), 'parameter')} of it are trained",
            f"{seen.history.names(here)} · call layer.requires_grad_(False)",
        )
    wrong = [p for p in moved.values() if p.__dict__.get("require_grad") is False]
    if wrong:
        return Bite(
            f"{_count(len(wrong), 'parameter')} have an attribute require_grad = False, and are trained",
            f"{seen.history.names(wrong)} · the attribute is requires_grad",
        )
    return None


class Used(NamedTuple):
    """A gradient that a step began to use: after how many backwards and steps, and of which optimizer."""

    gradient: Any
    version: int
    backwards: int
    steps: int
    optimizer: int


@watch("a-parameter-held-by-two-optimizers-is-moved-by-the-step-of-each", STEP, before=True)
def steps_twice_along_one_gradient(seen: Seen) -> Bite | None:
    """An encoder in the actor's and the critic's optimizer.

    Two optimizers of one module, each with a gradient of its own, are right, and so is one that calls another's step.
    """
    own, now = _known(seen).id, (seen.history.backwards, seen.history.steps)
    twice = []
    for p, gradient, _ in _moves(seen):
        used = seen.memory.get(id(p))
        if used is not None and _was_trained(seen, p) and used.gradient() is gradient:
            is_same = (used.version, used.backwards) == (gradient._version, now[0])
            other = seen.history.optimizers.get(used.optimizer)
            if (
                is_same
                and used.optimizer != own
                and other is not None
                and other.ref() is not None
                and used.steps < now[1]
                and gradient.any()
            ):
                twice.append(p)
        seen.memory[id(p)] = Used(weakref.ref(gradient), gradient._version, *now, own)
    if not twice:
        return None
    return Bite(
        f"{_count(len(twice), 'parameter')} are moved by a second optimizer along the gradient that moved them already",
        f"{seen.history.names(twice)} · give each parameter to one optimizer",
    )


AVERAGES = ("exp_avg", "exp_avg_sq", "momentum_buffer", "square_avg", "max_exp_avg_sq")


@watch(
    "an-optimizers-load_state_dict-matches-parameters-by-order-not-name",
    "torch.optim.Optimizer.load_state_dict",
    before=True,
)
def loads_the_state_of_other_parameters(seen: Seen) -> Bite | None:
    """Layers or groups in another order than when it was saved. A hook that puts the state in order is right."""
    own, saved = seen["self"].param_groups, seen.get("state_dict")
    if not isinstance(saved, dict) or not {"state", "param_groups"} <= saved.keys():
        return None
    if seen["self"]._optimizer_load_state_dict_pre_hooks or len(own) != len(saved["param_groups"]):
        return None
    swapped = []
    for group, other in zip(own, saved["param_groups"]):
        names, before = group.get("param_names"), other.get("param_names")
        is_moved = bool(names and before) and sorted(names) == sorted(before)
        for i, (p, number) in enumerate(zip(group["params"], other["params"])):
            state = saved["state"].get(number, {})
            averages = [state[key] for key in AVERAGES if isinstance(state.get(key), Tensor)]
            if (is_moved and averages and names[i] != before[i]) or any(t.shape != p.shape for t in averages):
                swapped.append(p)
    if not swapped:
        return None
    return Bite(
        f"{_count(len(swapped), 'parameter')} are given the saved averages of another parameter",
        f"{seen.history.names(swapped)} · build the optimizer from the parameters in the order of the saved one",
    )


class Kept(NamedTuple):
    """A tensor of a state that a module gave out, and how often it had been changed in place by then."""

    ref: Any
    version: int
    step: int


@watch(
    "a-step-moves-old--model-and-a-kept-state_dict-as-well-copy-them",
    "torch.nn.Module.state_dict",
    "torch.nn.Module.load_state_dict",
    cheap=True,
)
def restores_a_state_that_moved_with_the_model(seen: Seen) -> Bite | None:
    """The best weights kept by `state_dict()` without a copy.

    A state that is loaded right away, or merged with a checkpoint's, is none.
    """
    if seen.moment.endswith(".state_dict"):
        if seen.get("destination") is None and isinstance(seen.result, dict):  # not a part of another one
            _keep(seen)
        return None
    loaded, own = seen.get("state_dict"), _memory_of(seen["self"])
    if not isinstance(loaded, dict):
        return None
    tensors = [tensor for tensor in loaded.values() if isinstance(tensor, Tensor) and tensor.numel()]
    if not tensors or any(own.get(name) != t.data_ptr() for name, t in loaded.items() if isinstance(t, Tensor)):
        return None
    kept = [one for t in tensors if (one := seen.memory.get(id(t))) is not None and one.ref() is t]
    copies = Counter(t.data_ptr() for t in tensors)  # loading has just written each of them once more
    moved = sum((t := one.ref())._version > one.version + copies[t.data_ptr()] for one in kept)
    if not moved:
        return None
    step = min(one.step for one in kept)
    return Bite(
        f"the loaded state is the model's own memory: {moved} of {len(loaded)} tensors were changed since",
        f"kept after step {step}, loaded after step {seen.history.steps}: nothing is restored · keep"
        " copy.deepcopy(model.state_dict())",
    )


def _keep(seen: Seen) -> None:
    if len(seen.memory) > 100_000:
        for key in [key for key, one in seen.memory.items() if one.ref() is None]:
            del seen.memory[key]
    for tensor in seen.result.values():
        if isinstance(tensor, Tensor):
            seen.memory[id(tensor)] = Kept(weakref.ref(tensor), tensor._version, seen.history.steps)


def _memory_of(module: nn.Module) -> dict[str, int]:
    """Where each parameter and buffer of a module begins, under all of its names."""
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return {name: tensor.data_ptr() for name, tensor in named}
