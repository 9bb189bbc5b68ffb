"""Losses of pairs, triplets and margins: labels, margins, dimensions, and embeddings that coincide."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lossdemo.watch.definition import END, Bite, watch
from lossdemo.watch.families.binary import F, kinds
from lossdemo.watch.families.multiclass import collapse, is_scores
from lossdemo.watch.graph import operation, origin
from lossdemo.watch.seen import Seen, shape

TRIPLETS = (F + "triplet_margin_loss", F + "triplet_margin_with_distance_loss")


@watch(
    "label-0-is-no-negative-to-cosineembeddingloss-and-marginrankingloss",
    F + "cosine_embedding_loss",
    F + "margin_ranking_loss",
    END,
)
def pairs_labeled_0_and_1(seen: Seen) -> Iterator[Bite]:
    """Labels 0 for pairs that are unlike. Labels of -1, 0 and 1, as the sign of a difference has, are none."""
    for place, labels, words in kinds(seen, 0, 1):
        what = f"{labels}: pairs with the label 0 have no gradient"
        yield Bite(what, f"{words} · write 2. * y - 1 for labels of 0 and 1", place)


@watch("beyond-the-margin-hingeembeddingloss-treats-label-0-like-label-1", F + "hinge_embedding_loss", END)
def distances_labeled_0_and_1(seen: Seen) -> Iterator[Bite]:
    """Labels 0 for pairs that are to be driven apart. Labels of -1, 0 and 1 are none."""
    for place, labels, words in kinds(seen, 0, 1):
        what = f"{labels}: pairs with the label 0 are not driven apart, and far ones are drawn together"
        yield Bite(what, f"{words} · write 2. * y - 1 for labels of 0 and 1", place)


@watch(
    "equal-finite-scores-cost-marginrankingloss-nothing-at-default-margin-0",
    F + "margin_ranking_loss",
    note=True,
)
def equal_scores_at_margin_0(seen: Seen) -> Bite | None:
    """A ranker that gives every item the same score. Where labels contradict each other that is the minimum."""
    first, second = seen["input1"], seen["input2"]
    if seen["margin"] != 0 or not first.numel() or first.numel() < 2 or not first.isfinite().all():
        return None
    if not bool((first == second).all()):
        return None
    return Bite(
        f"all {first.numel()} pairs have equal scores, and cost nothing at margin 0",
        f"{seen.about('input1', 'input2')} · pass a margin, margin=1.",
    )


@watch("at-margin-0-cosineembeddingloss-asks-negatives-for-90-degrees-or-more", F + "cosine_embedding_loss")
def margin_that_no_cosine_exceeds(seen: Seen) -> Bite | None:
    """The margin of another loss, 1 or more, for cosines. Pairs that are all alike need no margin, and are none."""
    negatives = seen["target"] == -1
    if seen["margin"] < 1 or not negatives.any():
        return None
    return Bite(
        f"{int(negatives.sum())} pairs have the label -1, and no cosine exceeds the margin {seen['margin']:g}: nothing"
        " drives them apart",
        "pass a margin from -1 to below 1, as the default 0",
    )


@watch("at-the-zero-vector-cosineembeddinglosss-gradient-can-be-a-million", F + "cosine_embedding_loss", note=True)
def embeddings_of_zeros(seen: Seen) -> Bite | None:
    """An embedding of padding, or behind a dead layer, in a pair labeled 1.

    Where a mask or the layer stops its gradient it does no harm.
    """
    first, second, alike = seen["input1"], seen["input2"], seen["target"] == 1
    zero = [(one == 0).all(-1) for one in (first, second)]
    steep = alike & ((zero[0] & ~zero[1] & first.requires_grad) | (zero[1] & ~zero[0] & second.requires_grad))
    if not steep.any():
        return None
    return Bite(
        f"{int(steep.sum())} pairs labeled 1 have an embedding of zeros: its gradient is a million over the other's",
        f"{seen.about('input1', 'input2')} · mask padding out before the loss, start away from zero",
    )


@watch("in-float16-cosineembeddingloss-treats-long-embeddings-as-orthogonal", F + "cosine_embedding_loss")
def cosines_that_overflow(seen: Seen) -> Bite | None:
    """Embeddings in float16 whose squared lengths multiply to more than 65504.

    Under autocast they are none, as the loss is computed in float32.
    """
    first, second = seen["input1"], seen["input2"]
    if first.dtype is not torch.float16 or second.dtype is not torch.float16:
        return None
    if torch.is_autocast_enabled(first.device.type):
        return None
    lengths = first.double().square().sum(-1) * second.double().square().sum(-1)
    long = lengths >= 65520
    if not long.any():
        return None
    return Bite(
        f"{int(long.sum())} of {long.numel()} pairs of embeddings in float16 are so long that their cosine reads 0",
        f"{seen.about('input1', 'input2')} · give the loss a.float(), b.float()",
    )


@watch("with-label-1-hingeembeddingloss-of-unbounded-scores-falls-without-end", F + "hinge_embedding_loss")
def scores_in_the_place_of_distances(seen: Seen) -> Bite | None:
    """The output of a layer, or a parameter, as the input, and below 0 with label 1.

    A distance, or a cosine, is none.
    """
    input = seen["input"]
    if not is_scores(input):
        return None
    below = (input < 0) & (seen["target"] == 1)
    if not below.any():
        return None
    return Bite(
        f"{int(below.sum())} of {below.numel()} inputs have the label 1 and are below 0, down to"
        f" {input[below.expand_as(input)].min().item():.4g}: these are no distances, and the loss has no minimum",
        f"{seen.about('input')} · give the loss a distance, F.pairwise_distance(a, b)",
    )


@watch(
    "in-multimarginloss-and-multilabelmarginloss-a-nan-true-score-costs-0",
    F + "multi_margin_loss",
    F + "multilabel_margin_loss",
)
def scores_of_nan_under_a_margin(seen: Seen) -> Bite | None:
    """A model whose outputs have become NaN, while the loss is a number."""
    broken = seen["input"].isnan()
    if not broken.any() or seen.result.isnan().any():
        return None
    return Bite(
        f"{int(broken.sum())} of {broken.numel()} scores are NaN, and the loss does not show it",
        f"{seen.about('input')} · check the outputs, torch.isfinite(scores).all()",
    )


@watch(
    "over-an-empty-batch-multimarginlosss-mean-and-sum-are-stale-memory",
    F + "multi_margin_loss",
    F + "multilabel_margin_loss",
    cheap=True,
)
def margin_loss_of_no_rows(seen: Seen) -> Bite | None:
    """A batch from which everything was filtered out."""
    input = seen["input"]
    if input.numel() or seen["reduction"] == "none" or input.device.type != "cpu":
        return None
    return Bite(
        f"the {seen['reduction']} over the empty batch {shape(input)} is whatever stood in memory",
        f"{seen.about('input')} · skip empty batches: if len(scores):",
    )


@watch("multilabelmarginloss-reads-a-multi-hot-row-as-class-numbers", F + "multilabel_margin_loss")
def multi_hot_rows_as_class_numbers(seen: Seen) -> Bite | None:
    """A row of zeros and ones where class numbers are wanted, filled up with -1. [1, 0] of two classes lists both."""
    target = seen["target"]
    if not target.ndim or not target.numel():
        return None
    binary = ((target == 0) | (target == 1)).all(-1)
    if target.shape[-1] == 2:
        binary &= target[..., 0] == target[..., 1]
    if target.shape[-1] < 2 or not binary.any():
        return None
    return Bite(
        f"{int(binary.sum())} of {binary.numel()} rows of labels are zeros and ones without a -1: they list the classes"
        " 0 and 1 again and again",
        f"{seen.about('target')} · list the class numbers and fill up with -1, or take MultiLabelSoftMarginLoss",
    )


@watch("tripletmarginloss-measures-along-the-last-dimension-not-dimension-1", *TRIPLETS, note=True)
def triplets_of_maps(seen: Seen) -> Bite | None:
    """Feature maps (N, C, height, width), or N numbers. Embeddings that stand last are meant so."""
    anchor = seen["anchor"]
    if anchor.ndim in (0, 2) or seen.get("distance_function") is not None:
        return None
    if anchor.ndim == 3 and operation(origin(anchor.grad_fn)) != "Convolution":
        return None
    what = "one triplet" if anchor.ndim == 1 else f"{anchor[..., 0].numel()} triplets"
    return Bite(
        f"the distance of {shape(anchor)} runs along its last dimension: {what}",
        f"{seen.about('anchor')} · move the embedding to the end, x.movedim(1, -1)",
    )


@watch("if-all-embeddings-coincide-the-mean-triplet-loss-is-its-margin", *TRIPLETS, END)
def triplets_that_coincide(seen: Seen) -> Iterator[Bite]:
    """A network that maps every input to one point, at each step that was looked at.

    A first step from a layer of zeros is none, nor is a loss at the margin of embeddings that differ.
    """
    return collapse(seen, lambda: _one_point(seen))


def _one_point(seen: Seen) -> str:
    three: list[Tensor] = [seen[name] for name in ("anchor", "positive", "negative")]
    if not three[0].numel():
        return ""
    point = three[0].reshape(-1, three[0].shape[-1])[0]
    if not all(bool((one == point).all()) for one in three):
        return ""
    return (
        f"all embeddings of the triplets are one point, at each of {{}} steps that were looked at: the loss is the"
        f" margin {seen['margin']:g} · {seen.about('anchor')} · look at the distances; a smaller learning rate,"
        " semi-hard negatives, normalized embeddings"
    )


@watch("multimarginloss-has-no-gradient-once-every-margin-is-met", F + "multi_margin_loss", END, note=True)
def margins_that_are_all_met(seen: Seen) -> Iterator[Bite]:
    """A training that goes on at a loss of exactly 0. To stop there may be meant."""
    if seen.moment != END:
        if seen.result.requires_grad and seen.result.ndim == 0:
            zeros = seen.memory.setdefault(seen.place, set())
            zeros.add(seen.history.steps) if seen.result.item() == 0 else zeros.clear()
        return
    for place, steps in seen.memory.items():
        if len(steps) >= 3:
            what = f"since step {min(steps)} the loss is exactly 0 and has no gradient: plain SGD moves nothing"
            yield Bite(what, "train with a larger margin or cross_entropy, or stop", place)
