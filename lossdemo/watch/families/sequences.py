"""Losses of sequences: CTC's inputs, and labels that were not shifted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lossdemo.watch.definition import BACKWARD, Bite, watch
from lossdemo.watch.families.nan import is_told
from lossdemo.watch.graph import made_by, nodes, operation
from lossdemo.watch.saved import marked, marks, saved
from lossdemo.watch.seen import Seen

CTC = "torch.nn.functional.ctc_loss"
LOGARITHMS = frozenset(["LogSoftmax", "Log", "Log2", "Log10", "Log1P", "Logsumexp", "LogSigmoid", "Logaddexp"])


class Sample(NamedTuple):
    """A sample of a CTC batch: its labels, and its number of frames."""

    labels: list[int]
    frames: int

    @property
    def needs(self) -> int:
        """The frames without which no path spells the labels."""
        return len(self.labels) + sum(one == next for one, next in zip(self.labels, self.labels[1:]))


def _numbers(lengths: Any) -> list[int]:
    return [int(n) for n in (lengths.flatten().tolist() if isinstance(lengths, Tensor) else lengths)]


def _samples(seen: Seen) -> list[Sample]:
    """The samples of a call; none where it is not one that is read as one thinks."""
    targets = seen["targets"]
    frames, lengths = _numbers(seen["input_lengths"]), _numbers(seen["target_lengths"])
    if seen["log_probs"].ndim == 2 and targets.ndim == 1:
        return [Sample(targets.tolist()[: lengths[0]], frames[0])]
    if targets.ndim == 2:
        rows = targets.tolist()
    else:
        ends = [sum(lengths[: n + 1]) for n in range(len(lengths))]
        flat = targets.tolist()
        rows = [flat[end - length : end] for end, length in zip(ends, lengths)]
    return [Sample(row[:length], frame) for row, length, frame in zip(rows, lengths, frames)]


def _log_probs(seen: Seen) -> Tensor:
    """They, (T, N, C)."""
    log_probs = seen["log_probs"].detach()
    return log_probs if log_probs.ndim == 3 else log_probs[:, None]


def _of(number: int, all: int, what: str) -> str:
    return f"{number} of {all} {what}{'s' * (all != 1)}"


@watch("ctcloss-accepts-raw-logits-as-log-probabilities-and-can-be-negative", CTC)
def ctc_of_what_are_no_log_probabilities(seen: Seen) -> Bite | None:
    """A last layer's scores, or probabilities, without log_softmax.

    Log-probabilities that were changed afterwards, as by dividing by the classes' shares, are meant.
    """
    log_probs = seen["log_probs"]
    near = {operation(node) for node in nodes(log_probs, 12)}
    made = made_by(log_probs)
    if log_probs.numel() == 0 or (near & LOGARITHMS and made != "LogSoftmax"):
        return None
    recorded = log_probs.grad_fn is not None
    if not recorded and not bool((seen.result < -1e-3).any()):  # of a leaf nobody knows how it was made
        return None
    if not recorded and any(seen["blank"] in sample.labels for sample in _samples(seen)):
        return None
    totals = _log_probs(seen).logsumexp(-1)
    rows = [total for i, n in enumerate(_numbers(seen["input_lengths"])) for total in totals[:n, i].tolist()]
    off = [total for total in rows if abs(total) > 0.1]
    if len(off) < len(rows) or not rows or not all(total == total and abs(total) != torch.inf for total in rows):
        return None
    mean = sum(rows) / len(rows)
    what, remedy = {
        "Softmax": ("probabilities", "the log_softmax of the logits in place of the softmax"),
        "LogSoftmax": ("a log_softmax over another dimension", "a log_softmax over the classes, dim=-1"),
    }.get(made, ("raw scores", "their log_softmax(-1)"))
    return Bite(
        f"CTC takes {what} for log-probabilities: a frame's probabilities sum to e^{mean:.2g}, not to 1",
        f"{seen.about('log_probs')} · give the loss {remedy}",
    )


@watch("with-the-blank-as-a-label-in-the-target-ctcloss-can-be-negative", CTC)
def ctc_has_the_blank_among_its_labels(seen: Seen) -> Bite | None:
    """Labels counted from 0 beside a blank of 0. Padding behind the target's length is not read, and may be 0."""
    blank, samples = seen["blank"], _samples(seen)
    bad = sum(blank in sample.labels for sample in samples)
    if not bad:
        return None
    return Bite(
        f"the blank, class {blank}, is a label in the targets of {_of(bad, len(samples), 'sample')}",
        f"{seen.about('targets')} · keep a class for the blank alone: shift the labels by one, or put the blank last",
    )


@watch("on-the-cpu-ctcloss-checks-no-label-and-can-read-another-samples-score", CTC)
def ctc_has_labels_that_are_no_class(seen: Seen) -> Bite | None:
    """A vocabulary counted without the blank, or padding within the target's length."""
    classes, samples = seen["log_probs"].shape[-1], _samples(seen)
    bad = sorted({label for sample in samples for label in sample.labels if not 0 <= label < classes})
    if not bad or seen["log_probs"].device.type != "cpu":
        return None
    labels = ", ".join(map(str, bad[:3])) + (" and others" if len(bad) > 3 else "")
    return Bite(
        f"CTC's targets hold {labels}, and the classes are 0 to {classes - 1}",
        f"{seen.about('log_probs', 'targets')} · give the model a class for each label and one for the blank",
    )


@watch("on-the-cpu-ctcloss-can-misread-non-contiguous-concatenated-targets", CTC)
def ctc_misreads_concatenated_targets(seen: Seen) -> Bite | None:
    """A column of a table as targets. Padded rows, one sample, and what is read right all the same are no mistake."""
    targets, lengths = seen["targets"], _numbers(seen["target_lengths"])
    if targets.ndim != 1 or targets.is_contiguous() or targets.device.type != "cpu" or len(lengths) < 2:
        return None
    stride, bad, start = targets.stride(0), 0, 0
    held = targets.untyped_storage().nbytes() // targets.element_size() - targets.storage_offset()
    for length in lengths:
        last = start + stride * (length - 1)
        if length and last >= held:
            bad += 1
        elif length:
            read = targets.as_strided((length,), (stride,), targets.storage_offset() + start)
            bad += not torch.equal(read, targets[start : start + length])
        start += length
    if not bad:
        return None
    return Bite(
        f"CTC reads other labels than the targets of {_of(bad, len(lengths), 'sample')}: their stride is {stride}",
        f"{seen.about('targets')} · give it targets.contiguous()",
    )


@watch("ctcloss-refuses-lengths-beyond-the-frames-but-accepts-shorter-ones", CTC, note=True)
def ctc_cuts_frames_off(seen: Seen) -> Bite | None:
    """Lengths that were divided by more than the model's strides. A batch padded to more than its longest is meant."""
    frames, longest = seen["log_probs"].shape[0], max(_numbers(seen["input_lengths"]), default=0)
    if not longest or longest >= frames:
        return None
    return Bite(
        f"the last {frames - longest} of {frames} frames count for no sample: the largest input length is {longest}",
        f"{seen.about('log_probs', 'input_lengths')} · divide the input's lengths by the model's strides",
    )


@watch("zero_infinity-drops-an-infinite-loss-and-still-counts-it-in-the-mean", CTC, note=True)
def ctc_drops_samples(seen: Seen) -> Bite | None:
    """A model whose strides leave too few frames for long targets. Who knows of it has asked for zero_infinity."""
    if not seen["zero_infinity"]:
        return None
    samples = _samples(seen)
    bad = [sample for sample in samples if sample.needs > sample.frames]
    if not bad:
        return None
    divisor = " and the mean counts them" if seen["reduction"] == "mean" else ""
    return Bite(
        f"{_of(len(bad), len(samples), 'sample')} have fewer frames than their labels need, as {bad[0].frames} for"
        f" {bad[0].needs}: their loss is 0{divisor}",
        f"{seen.about('input_lengths', 'target_lengths')} · leave such samples out, or use fewer strides",
    )


@watch(
    "without-zero_infinity-a-sample-too-short-for-ctc-can-make-weights-nan",
    CTC,
    BACKWARD,
    cheap=True,
    steady=True,
    recalls=(BACKWARD,),
)
def backward_from_an_infinite_ctc_loss(seen: Seen) -> Iterator[Bite]:
    """A sample with fewer frames than its labels need. A loss that is not used for a backward does no harm."""
    yield from _at_backward(seen, "ctc infinite", _infinite)


@watch("a-class-masked-by-minus-infinity-makes-ctclosss-gradient-nan", CTC, BACKWARD, "torch.autograd.grad")
def backward_from_ctc_of_a_masked_class(seen: Seen) -> Iterator[Bite]:
    """A class excluded with -inf before the log_softmax; behind it the mask keeps the NaN from the model."""
    yield from _at_backward(seen, "ctc masked", _masked)


def _at_backward(seen: Seen, name: str, bite: Any) -> Iterator[Bite]:
    """Mark the loss's node at the call, and say it where a backward passes the mark."""
    if seen.moment == CTC:
        node = seen.result.grad_fn
        found = bite(seen) if node is not None else None
        if found:
            marks(node)[name] = found._replace(place=seen.place)
            seen.memory["marked"] = seen.memory.get("marked", 0) + 1
    elif seen.memory.get("marked"):
        tensors = seen.get("outputs") if seen.moment != BACKWARD else seen["tensors"]
        for loss in [tensors] if isinstance(tensors, Tensor) else tensors:
            for node in nodes(loss):
                if name in marked(node):
                    is_told(seen)
                    yield marked(node)[name]


def _infinite(seen: Seen) -> Bite | None:
    if bool(seen.result.isfinite().all()):
        return None
    samples = _samples(seen)
    bad = [n for n, sample in enumerate(samples) if sample.needs > sample.frames > 0]
    if not bad or bool(seen.result.isnan().any()):
        return None
    first = samples[bad[0]]
    return Bite(
        f"backward from an infinite CTC loss: {_of(len(bad), len(samples), 'sample')} have fewer frames than their"
        f" labels need, as {first.frames} for {first.needs}",
        f"{seen.about('input_lengths', 'target_lengths')} · leave them out, or pass zero_infinity=True",
    )


def _masked(seen: Seen) -> Bite | None:
    log_probs = _log_probs(seen)
    if made_by(seen["log_probs"]) in ("MaskedFill", "Where", "IndexPut", "IndexFill", "CopySlices"):
        return None
    masked = (log_probs == -torch.inf).any(-1)
    frames = sum(int(masked[:n, i].sum()) for i, n in enumerate(_numbers(seen["input_lengths"])))
    if not frames:
        return None
    return Bite(
        f"CTC's gradient is NaN in {_of(frames, masked.numel(), 'frame')}: a class has the log-probability -inf there",
        f"{seen.about('log_probs')} · mask with a large finite number instead, as -1e4",
    )


MOVES = frozenset(["Slice", "Cat", "ConstantPadNd", "Roll", "Index", "IndexSelect", "Flip", "Gather", "Narrow"])
CROSS_ENTROPY = "torch.nn.functional.cross_entropy"


@watch("without-shifted-labels-a-causal-language-model-is-rewarded-for-copying", CROSS_ENTROPY)
def causal_attention_predicts_what_it_reads(seen: Seen) -> Bite | None:
    """The tokens as inputs and, at the same places, as labels. A model that shifts its inputs itself is right.

    So is one without a causal mask, as one of masked tokens, and one whose decoder reads other tokens.
    """
    graph = list(nodes(seen["input"])) if _is_of_tokens(seen) else []
    if not _reads_its_labels(seen, graph):
        return None
    attention = [_looks_back(node) for node in graph if "DotProduct" in operation(node) or "Softmax" in operation(node)]
    if not attention or not all(attention):
        return None
    return Bite(
        f"causal attention is asked at each position for the token that it reads there: {seen['target'].numel()} labels"
        " are the tokens themselves, not shifted",
        f"{seen.about('input', 'target')} · compare logits[:, :-1] with tokens[:, 1:]",
    )


def _is_of_tokens(seen: Seen) -> bool:
    input, target = seen["input"], seen["target"]
    return target.dtype == torch.int64 and target.numel() > 2 and input.grad_fn is not None and input.ndim > 1


def _reads_its_labels(seen: Seen, graph: list[Any]) -> bool:
    """Whether all embeddings in the graph are of the labels, at the same places, or of places."""
    target = seen["target"].flatten()
    kept = target != seen["ignore_index"]
    embeddings = [node for node in graph if operation(node) == "Embedding"]
    read = []
    for node in embeddings:
        ids = saved(node, "indices")
        if not isinstance(ids, Tensor):
            return False
        if ids.numel() == target.numel() and torch.equal(ids.flatten()[kept], target[kept]):
            read.append(node)
        elif not _are_places(ids):
            return False
    if not read or int(kept.sum()) < 3 or len(target[kept].unique()) < 2 or _are_places(seen["target"]):
        return False
    below: dict[Any, list[Any]] = {}
    for node in graph:
        for parent, _ in node.next_functions:
            below.setdefault(parent, []).append(node)
    above, level = set(), read
    while level:
        level = [node for one in level for node in below.get(one, ()) if node not in above]
        above |= {*level}
    return not any(operation(node) in MOVES for node in above)


def _are_places(ids: Tensor) -> bool:
    """Whether they count the positions, or are all the same."""
    steps = ids.diff() if ids.ndim else ids
    return bool((steps == 1).all()) or bool((steps == 0).all())


def _looks_back(node: Any) -> bool:
    """Whether a node is attention in which no position sees a later one, and each sees itself."""
    if "DotProduct" in operation(node):
        mask = saved(node, "attn_mask")
        if not isinstance(mask, Tensor):
            return bool(getattr(node, "_saved_is_causal", False))
        return _is_lower(mask if mask.dtype == torch.bool else mask.exp() > 0)
    weights = saved(node, "result")
    return isinstance(weights, Tensor) and _is_lower(weights > 0)


def _is_lower(seen: Tensor) -> bool:
    """Whether the last two dimensions are square, and what is not 0 in them is what lies on and below the diagonal."""
    if seen.ndim < 2 or seen.shape[-1] != seen.shape[-2] or seen.shape[-1] < 2:
        return False
    return torch.equal(seen, seen.tril()) and bool(seen.diagonal(dim1=-2, dim2=-1).all())


@watch("by-default-a-padding-class-counts-in-cross-entropys-mean-like-any-other", CROSS_ENTROPY, note=True)
def padding_counts_as_a_class(seen: Seen) -> Bite | None:
    """Rows of different lengths filled up with one class. One that ends many rows, and is no padding, is meant."""
    target = seen["target"]
    if target.ndim != 2 or target.is_floating_point() or seen["input"].ndim != 3 or target.shape[1] < 3:
        return None
    pad, weight = int(target[0, -1]), seen["weight"]
    if pad == seen["ignore_index"] or not bool((target[:, -2:] == pad).all(1).any()):
        return None
    if weight is not None and weight[pad] == 0:
        return None
    is_pad = target == pad
    behind = is_pad.flip(1).cumprod(1).bool().flip(1)
    if not torch.equal(behind, is_pad) or bool(is_pad.all(1).any()):
        return None
    return Bite(
        f"{int(is_pad.sum())} of {target.numel()} positions, at rows' ends, are of class {pad} and count as any other",
        f"{seen.about('input', 'target')} · pass ignore_index={pad} if it is padding",
    )
