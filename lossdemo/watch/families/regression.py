"""Losses of regression: shapes that broadcast, targets that are not finite, roots, half precision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lossdemo.watch.definition import END, Bite, record, watch
from lossdemo.watch.gradients import (
    GRADIENTS,
    HOOKS,
    follow,
    is_turn,
    many,
    may_be_infinite,
    number,
    reached,
    roots,
    saved,
    size,
    top,
)
from lossdemo.watch.graph import VIEWS, leaves, operation
from lossdemo.watch.place import Place
from lossdemo.watch.seen import Seen, shape

F = "torch.nn.functional."
FOUR = tuple(F + name for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"))


def _two(seen: Seen) -> tuple[Tensor, Tensor] | None:
    """Input and target, if both are tensors of real numbers."""
    input, target = seen["input"], seen["target"]
    if not (isinstance(input, Tensor) and isinstance(target, Tensor)):
        return None
    return None if input.is_complex() or target.is_complex() else (input, target)


def paired(input: Tensor, target: Tensor) -> torch.Size | None:
    """The shape of all pairs, where both sides are repeated for each other; None where one number or row is for all."""
    if input.shape == target.shape:
        return None
    out = torch.broadcast_shapes(input.shape, target.shape)
    return None if out in (input.shape, target.shape) else out


def of_one_batch(input: Tensor, target: Tensor) -> bool:
    """Whether the two have the same entries but for dimensions of 1, of which one side has more."""
    one, other = ([n for n in tensor.shape if n != 1] for tensor in (input, target))
    return one == other and input.ndim != target.ndim


def pairs_in_words(seen: Seen, out: torch.Size) -> Bite:
    """What happened, of two shapes that broadcast to all pairs."""
    input, target = seen["input"], seen["target"]
    return Bite(
        f"the loss pairs {shape(input)} with {shape(target)}: {out.numel()} pairs",
        f"{seen.about('input', 'target')} · give both the same shape, as by target.view_as(input)",
    )


@watch("mse-mae-huber-and-smoothl1-pair-n-1-with-n-and-only-warn", *FOUR, cheap=True, steady=True)
def pairs_each_prediction_with_each_target(seen: Seen) -> Bite | None:
    """A model's last dimension of 1 against flat targets.

    One number for all targets, or one row for all, is meant. So are pairs of as many dimensions, (B, N, 1) with
    (B, 1, N), as in quantile regression, and those of two different sets.
    """
    both = _two(seen)
    if not both or both[0].shape == both[1].shape:
        return None
    out = paired(*both)
    return pairs_in_words(seen, out) if out and of_one_batch(*both) and not _compared(seen) else None


@watch("mse-mae-huber-and-smoothl1-pair-n-1-with-n-and-only-warn", *FOUR, note=True)
def pairs_two_sets(seen: Seen) -> Bite | None:
    """Both sides are repeated for each other, and it may be meant: all pairs of two sets, each in a dimension."""
    both = _two(seen)
    if not both or both[0].shape == both[1].shape:
        return None
    out = paired(*both)
    return pairs_in_words(seen, out) if out and not (of_one_batch(*both) and not _compared(seen)) else None


def _compared(seen: Seen) -> bool:
    """Whether a set is compared with itself, or a table of all pairs is kept that somebody made a dimension for."""
    input, target = seen["input"], seen["target"]
    if input.untyped_storage().data_ptr() == target.untyped_storage().data_ptr():
        return True
    if seen.get("reduction") != "none" or seen.get("reduce") is False:
        return False
    wide = max(input, target, key=lambda tensor: tensor.ndim)
    return operation(wide.grad_fn) == "Unsqueeze" or (wide._base is not None and wide._base.ndim < wide.ndim)


@watch("mse-of-n-1-against-n-teaches-the-mean-of-all-targets", *GRADIENTS, HOOKS, before=True)
def squares_by_hand_of_all_pairs(seen: Seen) -> Bite | None:
    """`((model(x) - y) ** 2).mean()` of (N, 1) and (N,). Pairs of two sets, or made by `[:, None]`, may be meant."""
    for node in top(seen):
        if operation(node) in ("Mean", "Sum") and size(node) == ():
            shapes = _all_pairs(_before_factors(node.next_functions[0][0]))
            if shapes:
                (a, b), out = shapes
                return Bite(
                    f"the squared error pairs predictions {a} with targets {b}: {out} pairs",
                    "give both the same shape, as by target.view_as(prediction)",
                )
    return None


def _before_factors(node: Any) -> Any:
    """What single numbers multiply or divide, as the half of a half squared error."""
    while operation(node) in ("Mul", "Div") and node.next_functions[-1][0] is None:
        other = saved(node, "other")
        if isinstance(other, Tensor) and other.numel() > 1:
            break
        node = node.next_functions[0][0]
    return node


def _all_pairs(square: Any) -> tuple[tuple[str, str], int] | None:
    """The shapes of predictions and of targets that are repeated for each other, where that is certain."""
    twice = operation(square) == "Mul" and square.next_functions[0] == square.next_functions[1]
    if not twice and not (operation(square) == "Pow" and saved(square, "exponent") == 2):
        return None
    minus = square.next_functions[0][0]
    if operation(minus) not in ("Sub", "Rsub") or len(size(minus)) != 2:
        return None
    parents = [parent for parent, _ in minus.next_functions if parent is not None]
    rows, columns = size(minus)
    if len(parents) != 1 or rows != columns or rows < 2:
        return None
    prediction = size(parents[0])
    if prediction not in ((rows, 1), (rows,)) or operation(parents[0]) == "Unsqueeze":
        return None
    errors = saved(square, "self")
    if errors is None or not _one_for_all(errors if prediction == (rows, 1) else errors.T):
        return None
    shapes = (f"({rows}, 1)", f"({rows},)")
    return (shapes if prediction == (rows, 1) else shapes[::-1]), rows * columns


def _one_for_all(errors: Tensor) -> bool:
    """Whether each row's prediction met the same targets, which differ: the rows differ by one number each."""
    errors = errors.double()
    slack = 16 * torch.finfo(torch.float32).eps * errors.abs().max()
    apart = (errors - errors[:1] - (errors[:, :1] - errors[0, 0])).abs().max()
    return bool(apart <= slack) and bool(errors[0].max() - errors[0].min() > 100 * slack)


@watch(
    "a-nan-target-makes-mses-gradients-nan-behind-a-mask-of-zeros-too",
    *FOUR,
    *GRADIENTS,
    cheap=True,
    steady=True,
    recalls=GRADIENTS,
)
def target_that_is_nan(seen: Seen) -> Iterable[Bite] | None:
    """A missing measurement, or 0/0 in the targets. A batch that is left out for its NaN loss is none.

    Nor is it one that MAE has a NaN among the losses of single elements, of which others are chosen.
    """
    if seen.moment in GRADIENTS:
        return reached(seen)
    both = _two(seen)
    if not both or not may_be_infinite(seen) or (seen.moment == FOUR[1] and seen["reduction"] == "none"):
        return None
    missing = both[1].isnan()
    if missing.any() and not both[0].isnan().any():
        gradient = "" if seen.moment == FOUR[1] else ", and so is the gradient behind these"
        what = f"{many(int(missing.sum()), missing.numel(), 'targets')} NaN: the loss is NaN{gradient}"
        follow(seen, Bite(what, f"{seen.about('target')} · choose the good rows before the loss, not after it"))
    return None


@watch("standardizing-targets-that-are-all-equal-can-make-the-loss-nan", *FOUR, note=True)
def column_of_targets_that_is_nan(seen: Seen) -> Bite | None:
    """Equal targets, or a single one, divided by their deviation of 0. They may have been missing from the start."""
    both = _two(seen)
    if not both or both[1].ndim == 0 or not both[1].numel() or not may_be_infinite(seen):
        return None
    columns = both[1].reshape(len(both[1]), -1).isnan().all(0)
    if not columns.any() or both[0].isnan().any():
        return None
    which = "all targets are" if columns.all() else f"{many(int(columns.sum()), len(columns), 'target columns')} all"
    return Bite(f"{which} NaN", f"{seen.about('target')} · divide by y.std(0, correction=0).clamp(min=1e-8)")


@watch(
    "an-infinite-target-makes-mses-gradient-infinite-not-that-of-mae",
    FOUR[0],
    *GRADIENTS,
    cheap=True,
    steady=True,
    recalls=GRADIENTS,
)
def target_that_is_infinite_under_mse(seen: Seen) -> Iterable[Bite] | None:
    """The logarithm of 0, or a division by it, in the targets. A batch that is left out for its loss is none."""
    if seen.moment in GRADIENTS:
        return reached(seen)
    follow(seen, _infinite(seen, "the loss is infinite, and so is its gradient"))
    return None


@watch("an-infinite-target-makes-mses-gradient-infinite-not-that-of-mae", *FOUR[1:], note=True)
def target_that_is_infinite(seen: Seen) -> Bite | None:
    """The same under a loss whose gradient stays finite: training goes on, and nobody sees the loss."""
    return _infinite(seen, "the loss is infinite, its gradient is not")


def _infinite(seen: Seen, then: str) -> Bite | None:
    both = _two(seen)
    if not both or not may_be_infinite(seen):
        return None
    infinite = both[1].isinf()
    if not infinite.any() or not both[0].isfinite().all():
        return None
    what = f"{many(int(infinite.sum()), infinite.numel(), 'targets')} infinite: {then}"
    return Bite(what, f"{seen.about('target')} · look for a division by 0 or log(0), and take log1p for counts")


def overflow(seen: Seen) -> float | None:
    """The largest error, where a loss in float16 is infinite although input and target are finite."""
    both, result = _two(seen), seen.result
    if not both or not isinstance(result, Tensor) or result.dtype != torch.float16 or not may_be_infinite(seen):
        return None
    if not result.isinf().any() or not all(one.isfinite().all() for one in both):
        return None
    return float((both[0].float() - both[1].float()).abs().max())


@watch("in-float16-mse-is-infinite-from-an-error-of-256-on-mae-is-not", FOUR[0])
def mse_beyond_float16(seen: Seen) -> Bite | None:
    """A model after `half()`, and targets that are not standardized. Autocast computes MSE in float32."""
    error = overflow(seen)
    if error is None or error < 256:
        return None
    return Bite(
        f"MSE in float16 is infinite: the largest error is {error:g}, and its square is more than 65504",
        f"{seen.about('input', 'target')} · compute it in float32: loss(prediction.float(), target.float())",
    )


@watch("in-float16-mse-is-infinite-from-an-error-of-256-on-mae-is-not", *GRADIENTS, HOOKS, before=True)
def square_beyond_float16(seen: Seen) -> Bite | None:
    """The same as a formula, `((prediction - target) ** 2).mean()`. Autocast squares in float32."""
    for node in top(seen):
        error = saved(node, "self") if operation(node) == "Pow" and saved(node, "exponent") == 2 else None
        if error is None or error.dtype != torch.float16 or not error.numel() or not error.isfinite().all():
            continue
        if error.abs().max() >= 256:
            what = f"the square of {float(error.abs().max()):g} in float16 is infinite: it is more than 65504"
            return Bite(what, "compute the loss in float32: (prediction.float() - target.float()) ** 2")
    return None


@watch("the-root-of-mse-has-a-nan-gradient-where-the-fit-is-perfect", *GRADIENTS, HOOKS, before=True, cheap=True)
def root_of_an_mse_of_0(seen: Seen) -> Bite | None:
    """RMSE where the fit is perfect, of a batch or of each row. Behind `torch.where` it is as bad."""
    zero, all = _roots_at_0(seen, "mean")
    if not zero:
        return None
    what = "the root of MSE is taken at 0" if all == 1 else f"{many(zero, all, 'roots of MSE')} taken at 0"
    return Bite(f"{what}: its gradient is NaN there", "write (mse + 1e-8).sqrt(), or take vector_norm(error)")


@watch("xsquaresumsqrt-has-gradient-nan-at-0-xnorm-has-0", *GRADIENTS, HOOKS, before=True, cheap=True)
def root_of_a_sum_of_squares_of_0(seen: Seen) -> Bite | None:
    """A length or a distance by hand, of zeros or of two equal vectors. One whose square is kept from 0 is none."""
    zero, all = _roots_at_0(seen, "sum")
    if not zero:
        return None
    what = f"{many(zero, all, 'roots of sums of squares')} taken at 0: the gradient is NaN there"
    return Bite(what, "take x.norm(), or add a small number under the root")


def _roots_at_0(seen: Seen, kind: str) -> tuple[int, int]:
    """How many roots of squares are taken at 0, of how many: of means of squares, or of others."""
    if "roots at 0" not in seen.found:
        seen.found["roots at 0"] = seen.moment == HOOKS or is_turn(seen) or any(map(_may_be_0, roots(seen)))
    if not seen.found["roots at 0"]:
        return 0, 0
    for node in top(seen):
        zeros = _zeros_under_root(node)
        if zeros is not None and zeros.any() and _squares(node.next_functions[0][0]) == kind:
            return int(zeros.sum()), zeros.numel()
    return 0, 0


def _may_be_0(root: Tensor) -> bool:
    """Whether a loss is a root of 0 itself, which is seen at no cost."""
    return operation(root.grad_fn) in ("Sqrt", "Pow") and number(root) == 0


def _zeros_under_root(node: Any) -> Tensor | None:
    if operation(node) == "Sqrt":
        result = saved(node, "result")
        return None if result is None else result == 0
    if operation(node) == "Pow" and saved(node, "exponent") == 0.5:
        under = saved(node, "self")
        return None if under is None else under == 0
    return None


def _squares(node: Any) -> str:
    """What is under a root: mean for MSE or a mean of squares, sum for a sum of squares or a square, "" for others."""
    kind = "sum"
    for _ in range(6):
        name = operation(node)
        if name == "MseLoss" or (name == "Mean" and kind == "sum"):
            kind = "mean"
        if name == "MseLoss" or (name == "Pow" and saved(node, "exponent") == 2):
            return kind
        if name == "Mul" and node.next_functions[0] == node.next_functions[1]:
            return kind
        if name not in VIEWS | {"Mean", "Sum"}:
            return ""
        node = node.next_functions[0][0]
    return ""


@watch("huberloss-takes-integer-targets-and-refuses-them-in-backward", FOUR[2])
def huber_of_integers(seen: Seen) -> Bite | None:
    """Targets as they were read. In a validation without gradients they are none."""
    both = _two(seen)
    if not both or both[1].is_floating_point() or not seen.result.requires_grad:
        return None
    dtype = str(both[1].dtype).removeprefix("torch.")
    return Bite(f"Huber's targets are {dtype}: backward refuses them", f"{seen.about('target')} · pass target.float()")


@watch("mses-gradient-has-the-predictions-dtype-whatever-the-targets-dtype", *FOUR, note=True)
def float64_targets(seen: Seen) -> Bite | None:
    """Targets from NumPy: the loss is computed in float64. It trains as it should."""
    both = _two(seen)
    if both and both[1].dtype == torch.float64 and both[0].dtype != torch.float64 and both[1].ndim:
        return Bite("the targets are float64, and so is the loss", f"{seen.about('target')} · target.float()")
    return None


TARGETED = (
    *FOUR,
    *(F + name for name in ("binary_cross_entropy_with_logits", "binary_cross_entropy", "poisson_nll_loss")),
)


@watch("most-losses-send-a-gradient-to-a-target-that-requires-one-detach-it", *TARGETED, note=True)
def target_that_gets_a_gradient(seen: Seen) -> Bite | None:
    """A bootstrapped value, a teacher, another view, not detached. Two networks that learn of each other mean it."""
    both = _two(seen)
    if both and both[1].requires_grad and both[0].requires_grad and seen.result.requires_grad:
        return Bite("the target gets a gradient as well", f"{seen.about('target')} · detach it, or leave it out")
    return None


@record("torch.autograd.grad")
def takes_second_derivatives(seen: Seen) -> None:
    """A divergence of a model from itself, whose curvature is wanted, as TRPO and Gauss-Newton do."""
    if seen["create_graph"]:
        seen.history.shared["second derivatives"]["are taken"] = True


@watch("a-step-moves-old--model-and-a-kept-state_dict-as-well-copy-them", *FOUR, F + "kl_div", END)
def compares_a_model_with_itself(seen: Seen) -> list[Bite] | None:
    """`teacher = model`, or a target made of the input itself: both sides are equal to the bit, step after step.

    A model that starts as a copy of its teacher leaves it with the first step, and a frozen one does not move.
    """
    if seen.moment == END:
        if seen.history.shared["second derivatives"]:
            return None
        return [_itself(place, known) for place, known in seen.memory.items() if known["same"] >= 3 and known["moved"]]
    both = _two(seen)
    known = seen.memory.setdefault(seen.place, {"same": 0, "moved": 0, "steps": -1, "at": None})
    if known["same"] < 0 or not both:
        return None
    input, target = both
    is_probability = seen.get("log_target") is False
    if input.shape != target.shape or not input.requires_grad or not input.numel():
        is_same = False
    elif is_probability:  # the target is a softmax, and the input a log_softmax: they round apart
        is_same = torch.allclose(input.exp(), target, rtol=1e-5, atol=1e-7) and bool(
            (target != target.flatten()[0]).any()
        )
    else:
        is_same = _same(input, target)
    if not is_same:
        known["same"] = -1
        return None
    at = [float(one.detach().abs().double().square().sum()) for one in (target, *leaves(input))]
    moved = known["at"] is not None and seen.history.steps > known["steps"]
    moved = moved and at[0] != known["at"][0] and at[1:] != known["at"][1:]  # labels do not follow a model
    known |= {"same": known["same"] + 1, "moved": known["moved"] + moved, "steps": seen.history.steps, "at": at}
    return None


def _same(input: Tensor, target: Tensor) -> bool:
    """Equal to the bit, and no constant."""
    return input.dtype == target.dtype and torch.equal(input, target) and bool((input != input.flatten()[0]).any())


def _itself(place: Place, known: dict[str, Any]) -> Bite:
    return Bite(
        f"input and target were equal at each of {known['same']} calls looked at, though the parameters moved",
        "the target is computed by the model itself: give the teacher a copy, copy.deepcopy(model), before training",
        place,
    )
