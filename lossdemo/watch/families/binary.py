"""Losses for yes and no: sigmoids, the targets' range and kind, and what saturates."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

import torch
from torch import Tensor

from lossdemo.watch.definition import END, Bite, watch
from lossdemo.watch.graph import VIEWS, operation, origin
from lossdemo.watch.place import Place
from lossdemo.watch.seen import Seen, shape

F = "torch.nn.functional."
FIRST, EVERY = 5, 20  # the calls at which what is not cheap looks
LOGITS = F + "binary_cross_entropy_with_logits"
PROBABILITIES = {"Sigmoid": "sigmoid", "Softmax": "softmax"}
SUBSETS = VIEWS | {"Index", "IndexSelect", "MaskedSelect", "Gather", "Take"}  # their entries are entries of the tensor


def entries_from(tensor: Tensor) -> str:
    """The operation that made the entries of a tensor, before one chose some of them, or put several together."""
    node = origin(tensor.grad_fn, SUBSETS)
    while node is not None and operation(node) in ("Cat", "Stack"):
        below = [origin(parent, SUBSETS) for parent, _ in node.next_functions]
        if len({operation(one) for one in below}) != 1:
            break
        node = below[0]
    return operation(node)


def number(seen: Seen) -> float:
    """The loss as a number; 0 where it is none, or where reading it at each call would wait for a device."""
    loss = seen.result
    if (
        not isinstance(loss, Tensor)
        or loss.ndim
        or (loss.device.type != "cpu" and seen.count >= FIRST and seen.count % EVERY)
    ):
        return 0.0
    return loss.item()


def weightless(seen: Seen, elements: Tensor) -> bool:
    """Whether none of these elements counts in the loss, or nobody can tell as it is summed up later."""
    if seen.get("reduction") == "none":
        return True
    weight = seen.get("weight")
    return not (elements if weight is None else elements & (weight != 0)).any().item()


@watch(
    "a-sigmoid-before-bcewithlogitsloss-puts-a-floor-under-the-loss",
    LOGITS,
    F + "multilabel_soft_margin_loss",
    F + "soft_margin_loss",
    F + "binary_cross_entropy",
)
def sigmoid_before_a_loss_of_logits(seen: Seen) -> Bite | None:
    """A model whose last layer is a sigmoid, or a softmax, under a loss that has one inside, or behind another one.

    A gate in a model, whose product with something is the logit, is none.
    """
    if seen.moment == F + "binary_cross_entropy":
        return _sigmoid_of_a_sigmoid(seen)
    made = PROBABILITIES.get(entries_from(seen["input"]))
    if not made:
        return None
    loss = seen.moment.removeprefix(F)
    return Bite(
        f"{loss} gets the output of a {made}, and applies a sigmoid itself",
        f"{seen.about('input')} · leave the {made} out in training: the loss wants logits",
    )


def _sigmoid_of_a_sigmoid(seen: Seen) -> Bite | None:
    last = origin(seen["input"].grad_fn, SUBSETS)
    made = operation(last) == "Sigmoid" and PROBABILITIES.get(operation(origin(last.next_functions[0][0], SUBSETS)))
    if not made:
        return None
    return Bite(
        f"binary_cross_entropy gets the sigmoid of the output of a {made}",
        f"{seen.about('input')} · apply one sigmoid, by binary_cross_entropy_with_logits of the model's logits",
    )


@watch("bcewithlogitsloss-can-fall-without-end-on-targets-below-0-or-above-1", LOGITS)
def targets_outside_of_0_and_1(seen: Seen) -> Bite | None:
    """Masks of 0 and 255, labels of -1 and 1, class numbers.

    A label of -1 whose loss is masked, or has the weight 0, is none, nor is what rounding leaves above 1.
    """
    target = seen["target"]
    slack = 8 * torch.finfo(target.dtype).eps if target.is_floating_point() else 0
    outside = (target < -slack) | (target > 1 + slack)
    if target.requires_grad or weightless(seen, outside):  # a prediction in the target's place is another mistake
        return None
    low, high = (round(number, 4) for number in torch.stack(torch.aminmax(target)).tolist())
    return Bite(
        f"{outside.sum().item()} of {target.numel()} targets lie outside of 0 to 1, from {low:g} to {high:g}: the loss"
        " of these has no minimum",
        f"{seen.about('target')} · bring them to the range from 0 to 1, as by mask / 255 or (y + 1) / 2",
    )


@watch("a-nan-label-makes-bcewithlogitsloss-nan-and-bceloss-refuses-it", LOGITS)
def labels_that_are_nan(seen: Seen) -> Bite | None:
    """Missing labels as NaN: no weight and no mask behind the loss keeps their gradients from NaN.

    An evaluation without gradients, by `nanmean`, is none.
    """
    target = seen["target"]
    if not seen["input"].requires_grad or not seen.result.requires_grad or not target.is_floating_point():
        return None
    missing = int(target.isnan().sum())
    if not missing:
        return None
    return Bite(
        f"{missing} of {target.numel()} labels are NaN, and so are the gradients of their logits",
        f"{seen.about('target')} · replace them before the loss, y.nan_to_num(), and give them the weight 0",
    )


@watch("an-infinite-logit-that-is-right-makes-bcewithlogitsloss-nan", LOGITS, cheap=True, steady=True)
def logits_that_are_infinite(seen: Seen) -> Bite | None:
    """Logits that are masked with infinity, in a mean or a sum. Losses that are masked afterwards are none."""
    if isfinite(number(seen)):
        return None
    infinite = int(seen["input"].isinf().sum())
    if not infinite or seen["input"].isnan().any() or seen["target"].isnan().any():
        return None
    return Bite(
        f"{infinite} of {seen['input'].numel()} logits are infinite, and the loss is {seen.result.item()}",
        f"{seen.about('input')} · mask with a finite number, z.masked_fill(mask, -1e4)",
    )


def _saturated(seen: Seen, halves: bool) -> Bite | None:
    """Where a sigmoid has rounded to 0 or 1 against the label."""
    input, target = seen["input"], seen["target"]
    if (input.dtype.itemsize < 4) is not halves or not input.requires_grad or entries_from(input) != "Sigmoid":
        return None
    wrong = ((input == 0) & (target == 1)) | ((input == 1) & (target == 0))
    if weightless(seen, wrong):
        return None
    return Bite(
        f"{wrong.sum().item()} of {input.numel()} probabilities are exactly 0 or 1, and wrong: each costs 100, and has"
        " no gradient behind the sigmoid",
        f"{seen.about('input')} · give the logits to binary_cross_entropy_with_logits",
    )


@watch("sigmoid-and-bceloss-stop-learning-from-the-worst-mistakes", F + "binary_cross_entropy")
def sigmoids_that_round_to_the_wrong_label(seen: Seen) -> Bite | None:
    """A sigmoid and BCELoss, and logits far from 0, as from inputs that are not scaled. One that is right is none."""
    return _saturated(seen, halves=False)


@watch("in-bfloat16-sigmoid-and-bceloss-give-up-at-a-logit-of-625", F + "binary_cross_entropy")
def half_sigmoids_that_round_to_the_wrong_label(seen: Seen) -> Bite | None:
    """The same in bfloat16 or float16, where logits of ordinary size are enough."""
    return _saturated(seen, halves=True)


@watch("one-elements-bceloss-is-cut-off-at-100-its-float32-gradient-at-1e12", F + "binary_cross_entropy")
def wrong_probabilities_of_0_or_1(seen: Seen) -> Bite | None:
    """Probabilities that no sigmoid made, as clamped or learned ones. Behind a sigmoid another claim bites."""
    input, target = seen["input"], seen["target"]
    is_one_class = entries_from(input) == "Softmax" and input.shape[-1] == 1  # which another watch tells
    if not input.requires_grad or entries_from(input) == "Sigmoid" or is_one_class:
        return None
    wrong = ((input == 0) & (target == 1)) | ((input == 1) & (target == 0))
    if weightless(seen, wrong):
        return None
    return Bite(
        f"{wrong.sum().item()} of {input.numel()} probabilities are exactly 0 or 1, and wrong: each costs 100, and its"
        " gradient is 1e12 before the mean",
        f"{seen.about('input')} · keep the logits for binary_cross_entropy_with_logits, or clamp well inside 0 and 1",
    )


@watch("with-input-and-01-labels-swapped-bceloss-has-infinite-gradients", F + "binary_cross_entropy", LOGITS)
def labels_in_the_place_of_the_input(seen: Seen) -> Bite | None:
    """scikit-learn's order, the truth first.

    Labels that are learned for a given model are none, as then the input is not zeros and ones alone.
    """
    input, target = seen["input"], seen["target"]
    if input.requires_grad or not target.requires_grad or not ((input == 0) | (input == 1)).all():
        return None
    return Bite(
        "the input is zeros and ones and has no gradient, and the target has one: they are swapped",
        f"{seen.about('input', 'target')} · name them, loss(input=prediction, target=label)",
    )


@watch("bcewithlogitslossw-sets-weight-not-pos_weight", LOGITS, note=True)
def one_weight_for_positives_and_negatives(seen: Seen) -> Bite | None:
    """`BCEWithLogitsLoss(torch.tensor(3.))`, where `pos_weight` was meant. A factor of the loss may be meant."""
    weight = seen["weight"]
    if not isinstance(weight, Tensor) or weight.numel() != 1 or seen["pos_weight"] is not None or weight.item() == 1:
        return None
    return Bite(
        f"`weight` is the one number {weight.item():g}: it weighs positives and negatives alike",
        "name the argument if the positives are meant: BCEWithLogitsLoss(pos_weight=w)",
    )


@watch("a-pos_weight-of-one-number-per-class-runs-along-the-last-dimension", LOGITS, note=True)
def weights_of_classes_along_the_width(seen: Seen) -> Bite | None:
    """Images (N, C, H, W) as wide as there are classes. Channels that stand last are none."""
    input = seen["input"]
    for name in ("pos_weight", "weight"):
        weight = seen[name]
        if not isinstance(weight, Tensor) or weight.ndim != 1 or len(weight) < 2 or input.ndim < 3:
            continue
        if input.shape[1] == input.shape[-1] == len(weight) and bool((weight != weight[0]).any()):
            return Bite(
                f"`{name}` {shape(weight)} runs along the last dimension of {shape(input)}, not along dimension 1",
                f"{seen.about('input')} · classes in dimension 1 need {name}.view(-1{', 1' * (input.ndim - 2)})",
            )
    return None


class Labels:
    """What is known of the labels at a place."""

    def __init__(self, words: str) -> None:
        self.words, self.labels, self.zeros, self.count = words, set[float](), 0, 0


def kinds(seen: Seen, *wanted: float) -> Iterator[tuple[Place, str, str]]:
    """At the end, the places whose labels were the wanted ones and never -1, and what was there.

    Each of the first calls is looked at, as labels of single pairs are few, and none after a -1.
    """
    if seen.moment != END:
        known = seen.memory.get(seen.place)
        if (seen.count >= 5 * FIRST and seen.count % EVERY) or (known is not None and -1 in known.labels):
            return
        target = seen["target"]
        if known is None:
            known = seen.memory[seen.place] = Labels(f"target {shape(target)}")
        known.labels |= {label for label in (-1, *wanted) if bool((target == label).any())}
        known.zeros += int((target == 0).sum())
        known.count += target.numel()
        return
    for place, known in seen.memory.items():
        if known.labels == set(wanted):
            what = f"{known.zeros} of {known.count} labels that were looked at are 0, and none is -1"
            yield place, what, known.words


@watch("with-labels-0-and-1-softmarginloss-learns-from-the-positives-alone", F + "soft_margin_loss", END, cheap=True)
def soft_margin_of_labels_0_and_1(seen: Seen) -> Iterator[Bite]:
    """Labels as BCE wants them. Labels of -1, 0 and 1, where 0 is to teach nothing, are none."""
    for place, labels, words in kinds(seen, 0, 1):
        yield Bite(
            f"{labels}: under soft_margin_loss a 0 costs log 2, and has no gradient",
            f"{words} · write 2 * y - 1 for labels of 0 and 1",
            place,
        )


@watch(
    "softmarginloss-overflows-on-sure-mistakes-unlike-bcewithlogitsloss",
    F + "soft_margin_loss",
    cheap=True,
    steady=True,
)
def soft_margin_that_overflows(seen: Seen) -> Bite | None:
    """Large logits that are wrong: the exponential is taken first. Logits that are infinite themselves are none."""
    if isfinite(number(seen)) or not bool(seen["input"].isfinite().all()):
        return None
    exponent = (-seen["target"] * seen["input"]).max().item()
    return Bite(
        f"the loss is {seen.result.item()}: the exponential of {exponent:.4g} is beyond {seen['input'].dtype}",
        f"{seen.about('input')} · take binary_cross_entropy_with_logits on (y + 1) / 2",
    )


@watch("multilabelsoftmarginloss-reads-a--1-as-a-label-not-as-padding", F + "multilabel_soft_margin_loss")
def padded_labels_of_multilabel_soft_margin(seen: Seen) -> Bite | None:
    """Targets filled up with -1, as the other multi-label loss wants them. A row of these alone may be left out."""
    padding = seen["target"] == -1
    if seen["reduction"] == "none":
        padding = padding & ~padding.all(-1, keepdim=True)
    if not padding.any():
        return None
    return Bite(
        f"{padding.sum().item()} of {padding.numel()} labels are -1: each pushes its logit down without end",
        f"{seen.about('target')} · take binary_cross_entropy_with_logits with reduction='none', and mask its losses",
    )


@watch("mse-on-a-sigmoid-has-almost-no-gradient-on-a-confidently-wrong-logit", F + "mse_loss", note=True)
def mse_of_a_sigmoid_and_labels(seen: Seen) -> Bite | None:
    """A classifier trained by MSE. An image with pixels of 0 and 1, and a Brier score, may be meant."""
    target = seen["target"]
    if entries_from(seen["input"]) != "Sigmoid" or not bool(((target == 0) | (target == 1)).all()):
        return None
    return Bite(
        "MSE on a sigmoid and labels of 0 and 1: a logit that is surely wrong hardly moves",
        f"{seen.about('input', 'target')} · give the logits to binary_cross_entropy_with_logits",
    )
