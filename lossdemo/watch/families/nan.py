"""NaN and infinity: where they came from, said once their harm is certain."""

from __future__ import annotations

import cmath
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lossdemo.watch.definition import BACKWARD, GRAD, STEP, Bite, record, watch
from lossdemo.watch.graph import VIEWS, leaves, nodes, operation
from lossdemo.watch.history import History
from lossdemo.watch.place import Place
from lossdemo.watch.saved import all_saved, saved
from lossdemo.watch.seen import Seen

FIRST, SMALL = 5, 150  # graphs that are read at each place, and nodes of one that is read at every backward


def _starts(seen: Seen) -> list[Tensor]:
    """The tensors from which the gradients start."""
    given = seen["tensors"] if seen.moment == BACKWARD else seen["outputs"]
    return [one for one in ([given] if isinstance(given, Tensor) else given) if isinstance(one, Tensor)]


class Fault(NamedTuple):
    """A loss that is not finite: where and since which step, what made it, and of which kind that is."""

    place: Place
    step: int
    kind: str
    what: str
    is_nan: bool


class _State:
    """What the watches of this file remember together."""

    def __init__(self) -> None:
        self.slopes: dict[str, str] = {}  # of the current backward: infinite slopes by kind, in words
        self.fault: Fault | None = None
        self.losses: dict[Place, list[float]] = defaultdict(list)  # the smallest and the last one that was finite
        self.risky: dict[Place, bool] = {}
        self.was_bad = self.told = False
        self.clip: Place | None = None


def _state(seen: Seen) -> _State:
    shared = seen.history.shared["nan"]
    if "state" not in shared:
        shared["state"] = _State()
    return shared["state"]


def _has_slopes(history: History) -> bool:
    state = history.shared["nan"].get("state")
    return state is not None and bool(state.slopes)


def _is_bad(history: History) -> bool:
    state = history.shared["nan"].get("state")
    return state is not None and (state.fault is not None or state.was_bad or state.told)


def is_told(seen: Seen) -> None:
    """Another watch has said why gradients are NaN: what follows from it is not said again."""
    _state(seen).told = True


@record(BACKWARD, GRAD, before=True)
def reads_the_graph(seen: Seen) -> None:
    """Infinite slopes, and the first tensor that is not finite, are seen as long as the graph has what it saved."""
    state, starts = _state(seen), _starts(seen)
    state.slopes = {}
    is_turn = seen.count < FIRST or seen.count % seen.history.every == 0
    if is_turn or (state.risky.get(seen.place) and (seen.count < 100 or seen.count % 4 == 0)):
        graph = _graph(starts)
        slopes = [node for node in graph if operation(node) in SLOPES or operation(node) == "NanToNum"]
        state.risky[seen.place] = bool(slopes) and len(graph) <= SMALL and starts[0].is_cpu
        if slopes:
            state.slopes = _infinite_slopes(graph, slopes)
    if seen.moment == BACKWARD and _is_number(starts) and (is_turn or starts[0].is_cpu):
        _judge(seen, state, starts[0], starts[0].item())


def _graph(starts: list[Tensor]) -> list[Any]:
    """The nodes below some tensors, breadth first."""
    found = [one.grad_fn for one in starts if one.grad_fn is not None]
    known = set(found)
    for node in found:
        for parent, _ in node.next_functions:
            if parent is not None and parent not in known and len(known) < 20_000:
                known.add(parent)
                found.append(parent)
    return found


def _is_number(starts: list[Tensor]) -> bool:
    return len(starts) == 1 and starts[0].numel() == 1 and starts[0].is_floating_point()


def _judge(seen: Seen, state: _State, loss: Tensor, value: float) -> None:
    """Remember a finite loss; of one that is not, find the cause."""
    known = state.losses[seen.place]
    if math.isfinite(value):
        known[:] = [min([*known[:1], abs(value)]), abs(value)]
        state.fault = None
    elif state.fault is None and not state.told:
        kind, what = _cause(loss)
        if len(known) == 2 and kind not in ("data", "target") and known[1] > 1000 * known[0]:
            kind, what = "diverged", f"it grew from {known[0]:.2g} to {known[1]:.2g} before"
        state.fault = Fault(seen.place, seen.history.steps, kind, f"the loss is {value}: {what}", math.isnan(value))


UNUSUAL = ("attn_mask", "mask", "condition", "logsumexp", "value", "grad_output")  # infinite on purpose, or not read


REGRESSION = ("MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss")  # whose targets another watch looks at


def _cause(loss: Tensor) -> tuple[str, str]:
    """The deepest tensor of the graph that is not finite: its kind, and in words."""
    for node in reversed(list(nodes(loss))):
        if hasattr(node, "variable") and not bool(node.variable.isfinite().all()):
            return "parameters", "a parameter was not finite before"
        for name, tensor in all_saved(node):
            if name in UNUSUAL or not tensor.is_floating_point() or bool(tensor.isfinite().all()):
                continue
            bad = f"{int((~tensor.isfinite()).sum())} of {tensor.numel()} entries"
            if name == "target" and operation(node) in REGRESSION:
                return "target", bad
            if tensor.grad_fn is None and not tensor.requires_grad and not name.startswith(("result", "output")):
                return "data", f"{bad} of the data that {operation(node)} is given are not finite"
            made = operation(node if name.startswith(("result", "output")) else tensor.grad_fn)
            return "operation", f"the first that is not finite is what {made} returned, {bad}"
    return "operation", f"it is the first that is not finite, made by {operation(loss.grad_fn)}"


# Operations whose slope is infinite somewhere: at which saved tensor it is seen, and where.
SLOPES: dict[str, tuple[str, Any]] = {
    "Sqrt": ("result", lambda t: ~(t > 0)),
    "Rsqrt": ("result", lambda t: t.isinf()),
    "Reciprocal": ("result", lambda t: t.isinf()),
    "Log": ("self", lambda t: t == 0),
    "Log2": ("self", lambda t: t == 0),
    "Log10": ("self", lambda t: t == 0),
    "Log1P": ("self", lambda t: t == -1),
    "Acos": ("self", lambda t: t.abs() >= 1),
    "Asin": ("self", lambda t: t.abs() >= 1),
    "Exp": ("result", lambda t: t.isinf()),
    "Div": ("other", lambda t: t == 0),
    "Pow": ("self", lambda t: t <= 0),
}


def _infinite_slopes(graph: list[Any], slopes: list[Any]) -> dict[str, str]:
    """The infinite slopes by what makes a NaN of them: a branch, a mask, nan_to_num, a root of squares, or another."""
    users: dict[Any, list[tuple[Any, int]]] = defaultdict(list)
    found: dict[str, str] = {}
    for node in slopes:
        kind = operation(node)
        if kind == "Pow" and not _is_root(node):
            continue
        name, is_infinite = SLOPES.get(kind, ("self", lambda t: ~t.isfinite()))
        tensor = saved(node, name)
        if not isinstance(tensor, Tensor) or tensor.is_complex():
            continue
        bad = is_infinite(tensor)
        if not bool(bad.any()):
            continue
        if not users:
            for one in graph:
                for slot, (parent, _) in enumerate(one.next_functions):
                    users[parent].append((one, slot))
        why, number = (_root_of(node), 0) if bool((tensor == 0).any()) else ("", 0)
        if not why:
            why, number = _why(node, bad, users)
        words = "nan_to_num replaces" if kind == "NanToNum" else f"{kind} has no finite slope at"
        found.setdefault(why, f"{words} {number or int(bad.sum())} of {bad.numel()} entries")
    return found


def _is_root(node: Any) -> bool:
    exponent = getattr(node, "_saved_exponent", None)
    return isinstance(exponent, int | float) and exponent < 1 and exponent != 0


def _why(node: Any, bad: Tensor, users: dict[Any, list[tuple[Any, int]]]) -> tuple[str, int]:
    """What stands between a slope and the loss and makes 0 · inf of it, and for how many entries."""
    if operation(node) == "NanToNum":
        return "nan_to_num", 0
    level, seen = [node], {node}
    for _ in range(6):
        above = []
        for one in level:
            for user, slot in users[one]:
                why, entries = _drops(user, slot, bad)
                if why:
                    return why, int(entries.sum()) if isinstance(entries, Tensor) else 0
                if user not in seen and operation(user) in PASSING:
                    seen.add(user)
                    above.append(user)
        level = above
    if operation(node) == "Pow" and any(_is_computed(user, slot) for user, slot in users[node]):
        return "focal", 0
    return "", 0


def _root_of(node: Any) -> str:
    """Of what a node is the root: root for a sum of squares, rmse for a mean of them."""
    if operation(node) not in ("Sqrt", "Pow"):
        return ""
    return {"Pow": "root", "Mul": "root", "Var": "root", "MseLoss": "rmse"}.get(_below(node), "")


PASSING = VIEWS | {"Add", "Sub", "Rsub", "Neg", "Mul", "Div", "Exp", "Abs", "Pow"}


def _drops(user: Any, slot: int, bad: Tensor) -> tuple[str, Any]:
    """Whether an operation above gives some of the bad entries a gradient of 0: its kind, and which."""
    kind = operation(user)
    if kind == "Where":
        taken = saved(user, "condition")
        return _met("where", bad, (~taken if slot == 0 else taken) if isinstance(taken, Tensor) else None)
    if kind == "MaskedFill":
        return _met("where", bad, saved(user, "mask"))
    if kind in ("IndexFill", "IndexPut", "MaskedScatter"):
        return "where, finite", None
    if kind in ("Index", "MaskedSelect"):
        return "mask, finite", None
    if kind == "NanToNum":
        return "nan_to_num", None
    if kind == "Mul" and not (_is_computed(user, slot) and any("Pow" in operation(p) for p, _ in user.next_functions)):
        factor = saved(user, "other" if slot == 0 else "self")
        return _met("mask", bad, factor == 0 if isinstance(factor, Tensor) else None)
    return "", None


def _met(why: str, bad: Tensor, dropped: Any) -> tuple[str, Any]:
    if isinstance(dropped, Tensor):
        try:
            both = bad & dropped
        except RuntimeError:  # of other shapes
            return "", None
        if bool(both.any()):
            return why, both
    return "", None


def _is_computed(user: Any, slot: int) -> bool:
    """Whether a product's other factor has a graph of its own, and so is no mask."""
    parents = [parent for parent, _ in user.next_functions]
    return operation(user) == "Mul" and len(parents) == 2 and parents[1 - slot] is not None


def _below(node: Any) -> str:
    """The operation below a root, beneath sums and what is added; a mean of squares is one of errors."""
    mean = False
    for _ in range(6):
        node = next((parent for parent, _ in node.next_functions if parent is not None), None)
        if node is None or operation(node) not in VIEWS | {"Sum", "Mean", "Add", "Div", "Clamp", "ClampMin"}:
            break
        mean = mean or operation(node) == "Mean"
    if operation(node) in ("Pow", "Mul"):
        return "" if not _is_square(node) else "MseLoss" if mean else "Pow"
    return operation(node)


def _is_square(node: Any) -> bool:
    parents = [parent for parent, _ in node.next_functions]
    return getattr(node, "_saved_exponent", 0) == 2 or (len(parents) == 2 and parents[0] is parents[1])


def _gradients(seen: Seen) -> Iterator[Tensor]:
    """Those that a backward left, or that were returned."""
    if seen.moment == GRAD:
        yield from (one for one in seen.result if isinstance(one, Tensor))
    else:
        for start in _starts(seen):
            yield from (leaf.grad for leaf in leaves(start) if leaf.grad is not None and not leaf.grad.is_sparse)


def _of_slope(seen: Seen, *kinds: str) -> str:
    """In words the infinite slope of one of the kinds that has made a gradient NaN; "" if none has."""
    state = _state(seen)
    why = next((kind for kind in kinds if kind in state.slopes), None) if state.slopes else None
    if why is None or not any(bool(one.isnan().any()) for one in _gradients(seen)):
        return ""
    if why.endswith("finite") and not all(bool(one.isfinite().all()) for one in _starts(seen)):
        return ""
    if not all(_is_finite(leaf) for one in _starts(seen) for leaf in leaves(one)):  # it came from an earlier step
        return ""
    state.told = True
    return state.slopes[why]


@watch(
    "torchwhere-does-not-stop-a-nan-gradient-from-the-branch-not-taken", BACKWARD, GRAD, cheap=True, when=_has_slopes
)
def where_over_an_infinite_slope(seen: Seen) -> Bite | None:
    """The dangerous operation guarded behind it by where or masked_fill, not before it. The double where is right."""
    words = _of_slope(seen, "where", "where, finite")
    if not words:
        return None
    return Bite(
        f"gradients are NaN: {words} that are replaced behind it, and 0 · inf is NaN",
        "replace the operation's input as well: torch.where(ok, torch.where(ok, x, 1.).sqrt(), other)",
    )


@watch("a-loss-of-nan-made-0-by-nan_to_num-can-still-have-nan-gradients", BACKWARD, GRAD, cheap=True, when=_has_slopes)
def nan_to_num_over_an_infinite_slope(seen: Seen) -> Bite | None:
    """The NaN in the loss replaced, and not what it came from."""
    words = _of_slope(seen, "nan_to_num")
    if not words:
        return None
    return Bite(f"gradients are NaN: {words}, and 0 · NaN is NaN", "leave such entries out first: x[x.isfinite()]")


@watch("logx--mask-and-logxmask-have-nan-gradients-at-a-masked-0", BACKWARD, GRAD, cheap=True, when=_has_slopes)
def mask_over_an_infinite_slope(seen: Seen) -> Bite | None:
    """A mask applied to the logarithm, the root or the quotient, and not to its argument."""
    words = _of_slope(seen, "mask", "mask, finite")
    if not words:
        return None
    return Bite(
        f"gradients are NaN: {words} that are masked behind it, and 0 · inf is NaN",
        "select before the operation, x[mask].log(), or keep x away from 0, x.clamp(min=eps).log()",
    )


@watch("xsquaresumsqrt-has-gradient-nan-at-0-xnorm-has-0", BACKWARD, GRAD, cheap=True, when=_has_slopes)
def root_of_squares_that_are_0(seen: Seen) -> Bite | None:
    """A length or distance written out, of a vector that is 0. A number inside the root keeps it from 0."""
    words = _of_slope(seen, "root")
    if not words:
        _of_slope(seen, "rmse")  # which another watch tells of
        return None
    return Bite(
        f"gradients are NaN: {words}, where a sum of squares is 0",
        "use x.norm(dim=…), or add a small number inside the root: (x.square().sum() + 1e-12).sqrt()",
    )


@watch("with-gamma-in-0-1-focal-gradients-are-nan-where-p-rounds-to-1", BACKWARD, GRAD, cheap=True, when=_has_slopes)
def power_below_1_times_a_loss(seen: Seen) -> Bite | None:
    """A focal loss with a gamma between 0 and 1, and a row of which the model is sure."""
    words = _of_slope(seen, "focal")
    if not words:
        return None
    return Bite(
        f"gradients are NaN: {words}, a power below 1 of 0",
        "take gamma = 0 or gamma >= 1, or clamp what is below the power",
    )


def _is_finite(tensor: Tensor) -> bool:
    """Whether all entries are; a sum tells it in most cases, and is the fastest."""
    return cmath.isfinite(tensor.detach().sum().item()) or bool(tensor.isfinite().all())


def _broken(seen: Seen) -> list[Tensor]:
    """The parameters of the optimizer that are not finite."""
    every = [one for group in seen["self"].param_groups for one in group["params"] if one.is_floating_point()]
    return [one for one in every if not _is_finite(one)]


# What says why a loss or a gradient is not finite: the claims of watches in other families.
CAUSES = frozenset(
    [
        "by-default-kldivloss-wants-log-probabilities-first-then-probabilities",
        "in-float16-default-unfused-adam-gives-nan-for-a-first-gradient-of-0",
        "with-input-and-01-labels-swapped-bceloss-has-infinite-gradients",
        "a-nan-label-makes-bcewithlogitsloss-nan-and-bceloss-refuses-it",
        "a-nan-target-makes-mses-gradients-nan-behind-a-mask-of-zeros-too",
        "an-infinite-logit-that-is-right-makes-bcewithlogitsloss-nan",
        "an-infinite-target-makes-mses-gradient-infinite-not-that-of-mae",
        "an-ignored-row-with-nan-logits-still-gets-a-nan-gradient",
        "by-default-a-0-in-kldivlosss-target-makes-the-targets-gradient-nan",
        "cross-entropys-mean-over-ignored-labels-alone-is-nan-its-gradient-zero",
        "chunked-linear_cross_entropys-mean-of-ignored-rows-has-gradient-nan",
        "if-both-sides-mask-a-class-by--inf-kldivloss-is-nan-but-still-trains",
        "in-float16-a-sum-of-losses-can-overflow-where-their-mean-is-finite",
        "in-float16-mse-is-infinite-from-an-error-of-256-on-mae-is-not",
        "in-float16-the-default-eps-saves-neither-poisson-nor-gaussian-nll",
        "loss--masksum--masksum-has-nan-gradients-if-mask-is-all-zero",
        "on-the-cpu-plain-float16-cross-entropy-of-65520-indices-is-0-or-nan",
        "over-an-empty-batch-multimarginlosss-mean-and-sum-are-stale-memory",
        "softmarginloss-overflows-on-sure-mistakes-unlike-bcewithlogitsloss",
        "standardizing-targets-that-are-all-equal-can-make-the-loss-nan",
        "the-mean-of-mse-over-an-empty-batch-is-nan-and-its-gradient-zero",
        "the-root-of-mse-has-a-nan-gradient-where-the-fit-is-perfect",
        "with-log_inputfalse-poissonnllloss-drives-a-rate-below--eps-down",
        "xsquaresumsqrt-has-gradient-nan-at-0-xnorm-has-0",
    ]
)


def _fault(seen: Seen, kind: str) -> Bite | None:
    """The loss that is not finite, if it is of the kind and this step has made parameters not finite."""
    state = _state(seen)
    if state.fault is None or state.fault.kind != kind or state.told or CAUSES & seen.history.told:
        return None
    broken = _broken(seen)
    if not broken:
        return None
    state.told = state.was_bad = True
    since = "" if state.fault.step == 0 else f", since step {state.fault.step}"
    return Bite(
        f"{state.fault.what}{since}; after the step {seen.history.names(broken)} are not finite",
        {
            "data": "check the data once: assert x.isfinite().all()",
            "diverged": "take a lower learning rate, a warm-up, or clip the gradients",
        }.get(kind, "stop where loss.isfinite() is False, and look at what this operation is given"),
        state.fault.place,
    )


@watch(
    "by-default-clip_grad_norm_-turns-an-infinite-gradient-entry-into-nan",
    "torch.nn.utils.clip_grad_norm_",
    STEP,
    cheap=True,
    steady=True,
)
def clips_an_infinite_gradient_and_steps(seen: Seen) -> Bite | None:
    """Clipping as a guard against overflow. A step that is left out when the norm is not finite is right."""
    state = _state(seen)
    if seen.moment != STEP:
        state.clip = seen.place if seen.result.is_cpu and math.isinf(float(seen.result)) else None
        return None
    place, state.clip = state.clip, None
    if place is None:
        return None
    broken = [one for one in _broken(seen) if one.grad is not None and bool(one.grad.isnan().any())]
    if not broken or state.told:
        return None
    state.told = state.was_bad = True
    return Bite(
        f"clip_grad_norm_ met an infinite entry and made NaN of it: after the step {seen.history.names(broken)} are not"
        " finite",
        "pass error_if_nonfinite=True, or step only if norm.isfinite()",
        place,
    )


@watch("plain-sgd-that-diverges-on-w-has-a-loss-of-inf-before-one-of-nan", STEP, cheap=True, when=_is_bad)
def the_loss_diverges(seen: Seen) -> Bite | None:
    """A learning rate that is too high: the loss grows until it is infinite."""
    return _fault(seen, "diverged")


@watch("with-mse-one-nan-input-makes-all-relu-mlp-weights-nan-in-one-sgd-step", STEP, cheap=True, when=_is_bad)
def data_that_is_not_finite(seen: Seen) -> Bite | None:
    """A missing value in the data, or a division by a standard deviation of 0, that a step is taken with."""
    return _fault(seen, "data")


def _nan_in_a_row(seen: Seen) -> Bite | None:
    """A loss that is NaN at 3 steps in a row though parameters stay finite: nobody sees what they learn."""
    state = _state(seen)
    fault = state.fault
    if fault is None or not fault.is_nan or state.told or CAUSES & seen.history.told:
        return None
    if seen.history.steps < fault.step + 3:
        return None
    if all(one.grad is None for group in seen["self"].param_groups for one in group["params"]):
        return None  # cleared, since the loss was looked at
    state.told = True
    advice = "stop where loss.isfinite() is False, and look at what this operation is given"
    return Bite(f"{fault.what}; it is so at 3 steps in a row, and the parameters stay finite", advice, fault.place)


@watch("the-first-nan-or-infinite-tensor-of-a-step-tells-where-to-look", STEP, cheap=True, steady=True)
def a_step_makes_parameters_not_finite(seen: Seen) -> Bite | None:
    """A loss, or a gradient, that is not finite, and a step all the same. A step that is skipped does no harm."""
    state = _state(seen)
    bite = _fault(seen, "operation") or _fault(seen, "parameters") or _nan_in_a_row(seen)
    is_turn = seen.count < FIRST or seen.count % seen.history.every == 0
    if bite or not is_turn or state.told or state.fault or CAUSES & seen.history.told:
        return bite
    every = [one for group in seen["self"].param_groups for one in group["params"]]
    bad = [one for one in every if one.grad is not None and not one.grad.is_sparse and not _is_finite(one.grad)]
    broken = _broken(seen) if bad else []
    if not broken or any(one.dtype in (torch.float16, torch.bfloat16) for one in broken):
        return None
    state.told = state.was_bad = True
    slopes = f": {'; '.join(state.slopes.values())}" if state.slopes else ""
    return Bite(
        f"the loss is finite, the gradients of {seen.history.names(bad)} are not{slopes}; after the step"
        f" {seen.history.names(broken)} are not finite",
        "look at the operation next to the loss whose slope is infinite, with torch.autograd.detect_anomaly()",
    )


@watch("a-nan-in-adams-state-makes-restored-weights-nan-restore-the-state-too", STEP, cheap=True, when=_is_bad)
def restored_weights_under_a_spoilt_state(seen: Seen) -> Bite | None:
    """Weights loaded again after a NaN, and the optimizer kept."""
    state = _state(seen)
    if not state.was_bad and not state.told:
        return None
    if state.fault is not None:
        return None
    every = [one for group in seen["self"].param_groups for one in group["params"] if one.grad is not None]
    broken = [one for one in every if not bool(one.isfinite().all()) and bool(one.grad.isfinite().all())]
    spoilt = [
        one
        for one in broken
        if any(isinstance(v, Tensor) and not bool(v.isfinite().all()) for v in seen["self"].state.get(one, {}).values())
    ]
    if not spoilt:
        return None
    return Bite(
        f"{seen.history.names(spoilt)} are not finite after a step with finite gradients: the optimizer's state is not",
        "restore the optimizer's state with the weights, or make a new optimizer",
    )
