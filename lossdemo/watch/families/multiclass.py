"""Losses of classes: softmaxes, where the classes stand, ignored rows, weights, focal factors, collapsed pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite, log
from typing import Any

import torch
from torch import Tensor

from lossdemo.watch.definition import BACKWARD, END, Bite, watch
from lossdemo.watch.families.binary import LOGITS, PROBABILITIES, SUBSETS, F, entries_from, number
from lossdemo.watch.graph import VIEWS, nodes, operation, origin
from lossdemo.watch.place import Place
from lossdemo.watch.seen import Seen, shape

SCORES = ("Addmm", "Mm", "Convolution", "AccumulateGrad")  # what a linear layer, a convolution and a parameter are
NLL = ("NllLoss", "NllLoss2D", "NllLossNd")
ORDERLY = frozenset(["View", "UnsafeView", "Reshape", "ReshapeAlias", "Clone", "Contiguous", "Alias", "ToCopy"])


def classes(input: Tensor) -> int:
    """The dimension in which cross-entropy looks for the classes."""
    return 1 if input.ndim > 1 else 0


def indices(seen: Seen) -> bool:
    """Whether the target are class indices."""
    return seen["target"].shape != seen["input"].shape


def kept(seen: Seen) -> Tensor:
    """Which of the target's class indices count."""
    return seen["target"] != seen["ignore_index"]


def layer(tensor: Tensor, through: frozenset[str] = VIEWS) -> Any:
    """The node that made a tensor; the product alone, where a linear layer added its bias afterwards."""
    node = origin(tensor.grad_fn, through)
    if operation(node) == "Add" and node.next_functions[0][0] is not None:
        product = origin(node.next_functions[0][0], through)
        bias = node.next_functions[1][0]
        if operation(product) == "Mm" and operation(origin(bias)) == "AccumulateGrad":
            return product
    return node


def is_scores(tensor: Tensor) -> bool:
    """Whether a linear layer or a convolution made it, or it is a parameter itself."""
    return tensor.requires_grad and (tensor.grad_fn is None or operation(layer(tensor)) in SCORES)


def roots(seen: Seen) -> list[Tensor]:
    """What a backward starts from."""
    tensors = seen["tensors"]
    return [one for one in ([tensors] if isinstance(tensors, Tensor) else tensors) if isinstance(one, Tensor)]


def recall(seen: Seen, loss: Tensor | None = None, what: Any = None) -> dict[int, tuple[Place, Any]]:
    """What is remembered of losses by the number that autograd gave them; `what` of this one from now on."""
    if isinstance(loss, Tensor) and loss.grad_fn is not None:
        if len(seen.memory) > 1000:
            seen.memory.clear()
        seen.memory[loss.grad_fn._sequence_nr()] = seen.place, what
    return seen.memory


@watch("a-softmax-before-cross-entropy-puts-a-floor-under-the-loss", F + "cross_entropy", F + "nll_loss")
def softmax_before_cross_entropy(seen: Seen) -> Bite | None:
    """A model that ends in a softmax, or a sigmoid, before cross-entropy, or a log-softmax and NLL.

    A log-softmax before cross-entropy is harmless, and so are probabilities that are the target.
    """
    made = PROBABILITIES.get(entries_from(seen["input"]))
    count = seen["input"].shape[classes(seen["input"])]
    if seen.moment == F + "nll_loss":
        last = origin(seen["input"].grad_fn, SUBSETS)
        made = operation(last) == "LogSoftmax" and PROBABILITIES.get(
            operation(origin(last.next_functions[0][0], SUBSETS))
        )
    if not made or count < 2:
        return None
    what = f"cross_entropy gets the output of a {made}, and applies a softmax itself"
    if seen.moment == F + "nll_loss":
        what = f"nll_loss gets a log_softmax of the output of a {made}"
    if indices(seen):
        what += f": over {count} classes the loss stays above {log(1 + (count - 1) / 2.718281828):.4f}"
    return Bite(what, f"{seen.about('input')} · leave the {made} out in training: the loss wants logits")


@watch("nllloss-on-probabilities-is-negative-and-spares-the-worst-mistakes", F + "nll_loss")
def probabilities_under_nll(seen: Seen) -> Bite | None:
    """A softmax instead of a log-softmax before NLLLoss. A softmax whose logarithm is taken is none."""
    made = PROBABILITIES.get(entries_from(seen["input"]))
    if not made:
        return None
    return Bite(
        f"nll_loss gets the output of a {made}, and takes no logarithm",
        f"{seen.about('input')} · give the logits to cross_entropy, or log_softmax of them to nll_loss",
    )


@watch("nllloss-on-probabilities-is-negative-and-spares-the-worst-mistakes", F + "nll_loss", BACKWARD)
def raw_scores_under_nll(seen: Seen) -> Iterator[Bite]:
    """Logits under NLLLoss, which then falls without end. A sum with their log-sum-exp is cross-entropy, and none."""
    if seen.moment == BACKWARD:
        for root in roots(seen) if seen.memory else ():
            yield from _only_by_nll(seen, root)
        return
    input = seen["input"]
    if is_scores(input) and bool((input.logsumexp(classes(input)).abs() > 0.01).any()):
        recall(seen, seen.result, f"input {shape(input)}")


def _only_by_nll(seen: Seen, root: Tensor) -> Iterator[Bite]:
    """The remembered losses of a graph whose scores nothing else in it uses."""
    graph = list(nodes(root))
    for loss in [node for node in graph if node._sequence_nr() in seen.memory and operation(node) in NLL]:
        scores = origin(loss.next_functions[0][0])
        users = {
            node
            for node in graph
            if operation(node) not in VIEWS
            if any(origin(below) is scores for below, _ in node.next_functions)
        }
        if users <= {node for node in graph if operation(node) in NLL}:
            place, words = seen.memory[loss._sequence_nr()]
            what = "nll_loss gets raw scores, and nothing normalizes them: the loss has no minimum"
            yield Bite(what, f"{words} · give the scores to cross_entropy, or log_softmax of them to nll_loss", place)


@watch(
    "cross-entropy-over-a-single-logit-is-0-and-trains-nothing",
    F + "cross_entropy",
    F + "nll_loss",
    F + "binary_cross_entropy",
    F + "mse_loss",
)
def softmax_over_one_class(seen: Seen) -> Bite | None:
    """A classifier with one output under the loss for several.

    One row over one class, as in a contrastive batch of one, is none.
    """
    input = seen["input"]
    if seen.moment != F + "cross_entropy":
        return _softmax_of_one(seen)
    if input.ndim < 2 or input.shape[1] != 1 or input.numel() < 2:
        return None
    return Bite(
        f"cross_entropy over 1 class: the loss of {shape(input)} is 0 whatever the logits and targets are",
        f"{seen.about('input', 'target')} · use binary_cross_entropy_with_logits, or two outputs",
    )


def _softmax_of_one(seen: Seen) -> Bite | None:
    node = origin(seen["input"].grad_fn, SUBSETS)
    if operation(node) not in ("Softmax", "LogSoftmax"):
        return None
    made, dim = tuple(node._input_metadata[0].shape), wrapped(node)
    if not made or made[dim] != 1 or sum(made) < len(made) + 1:
        return None
    kind = "softmax" if operation(node) == "Softmax" else "log-softmax"
    return Bite(
        f"the {kind} of {made} runs over 1 class: each result is {'1' if kind == 'softmax' else '0'}, and has no"
        " gradient",
        f"{seen.about('input')} · use binary_cross_entropy_with_logits on the output, or two outputs",
    )


def wrapped(node: Any) -> int:
    """The dimension of a softmax, counted from 0."""
    dim, count = node._saved_dim, len(node._input_metadata[0].shape)
    return (dim - 2**64 if dim >= 2**63 else dim) % max(count, 1)


@watch("one-dimensional-logits-are-one-sample-to-cross-entropy-not-a-batch", F + "cross_entropy", note=True)
def flat_logits_and_binary_labels(seen: Seen) -> Bite | None:
    """A batch of binary predictions (N,) against N labels. A list of documents that are ranked, one row, is none."""
    input, target = seen["input"], seen["target"]
    if input.ndim != 1 or indices(seen) or not bool(((target == 0) | (target == 1)).all()) or target.sum().item() == 1:
        return None
    ones = int(target.sum())
    return Bite(
        f"{len(input)} flat logits are one sample of {len(input)} classes to cross_entropy, {ones} of them true",
        f"{seen.about('input', 'target')} · for binary labels take binary_cross_entropy_with_logits",
    )


@watch("cross-entropy-accepts-any-floats-as-target-probabilities", F + "cross_entropy", note=True)
def target_rows_that_are_no_distribution(seen: Seen) -> Bite | None:
    """Percent, several ones in a row, scores.

    Rows that carry a weight, or rows of zeros that are to be left out, may be meant.
    """
    input, target = seen["input"], seen["target"]
    if input.ndim < 2 or indices(seen) or not target.numel():
        return None
    sums, low = target.float().sum(1), target.min().item()
    odd = int(((sums - 1).abs() > 0.02).sum())
    if not odd and low >= 0:
        return None
    smallest, largest = (round(one, 4) for one in torch.stack(torch.aminmax(sums)).tolist())
    return Bite(
        f"{odd} of {sums.numel()} target rows do not sum to 1, but to"
        f" numbers from {smallest:g} to {largest:g}; the least entry is"
        f" {low:g}",
        f"{seen.about('target')} · where several classes can be true take binary_cross_entropy_with_logits",
    )


@watch("on-target-probabilities-smoothing-works-and-ignore_index-does-not", F + "cross_entropy")
def ignore_index_among_probabilities(seen: Seen) -> Bite | None:
    """Rows of probabilities that are marked by `ignore_index`, as labels are. Rows of zeros are none."""
    if indices(seen):
        return None
    marked = seen["target"] == seen["ignore_index"]
    if not marked.any():
        return None
    return Bite(
        f"{marked.sum().item()} target probabilities are {seen['ignore_index']}: `ignore_index` leaves out labels"
        " alone, and these count as numbers",
        f"{seen.about('target')} · choose the rows before the loss, F.cross_entropy(z[keep], q[keep])",
    )


@watch("cross-entropy-reads-batches-of-sequences-as-n-c-t-not-as-n-t-c", F + "cross_entropy", F + "nll_loss")
def classes_that_stand_last(seen: Seen) -> Bite | None:
    """(batch, time, classes), and as many classes as positions, or a target of probabilities.

    Outputs that were transposed, (N, C, T), are none.
    """
    input, target = seen["input"], seen["target"]
    if input.ndim < 3:
        return None
    if target.shape == input.shape:
        if not target.is_floating_point() or not bool((target >= 0).all()):
            return None
        along = [(target.float().sum(d) - 1).abs() < 0.001 for d in (-1, 1)]
        if not along[0].all() or along[1].all():
            return None
        why = "the target's probabilities sum to 1 in the last"
    else:
        node = layer(input, ORDERLY)
        if input.shape[1] != input.shape[-1] or operation(node) not in ("Addmm", "Mm"):
            return None
        made = tuple(node._input_metadata[0].shape)
        if made != (input.numel() // input.shape[-1], input.shape[-1]):
            return None
        why = "a linear layer made the last one"
    return Bite(
        f"the classes are looked for in dimension 1 of {shape(input)}, and {why}",
        f"{seen.about('input', 'target')} · pass input.movedim(-1, 1), and a target of probabilities likewise",
    )


@watch(
    "without-dim-softmax-of-three-dimensional-logits-runs-over-dimension-0",
    F + "softmax",
    F + "log_softmax",
    F + "softmin",
    note=True,
)
def softmax_without_a_dimension(seen: Seen) -> Bite | None:
    """Logits (batch, time, classes) without `dim`. One image (classes, height, width) may be meant."""
    input = seen["input"]
    if seen["dim"] is not None or input.ndim != 3:
        return None
    return Bite(
        f"without `dim` the softmax of {shape(input)} runs over dimension 0",
        f"{seen.about('input')} · name the dimension of the classes, as dim=-1",
    )


@watch(
    "without-dim-softmax-of-three-dimensional-logits-runs-over-dimension-0",
    F + "softmax",
    F + "log_softmax",
    F + "softmin",
)
def softmax_over_the_batch(seen: Seen) -> Bite | None:
    """The same where dimension 0 is a batch for sure: of a matrix product of batches, or of one entry."""
    input = seen["input"]
    if seen["dim"] is not None or input.ndim != 3:
        return None
    if input.shape[0] == 1 and input.numel() > 1:
        why = "which has one entry: each result is 1"
    elif operation(origin(input.grad_fn, ORDERLY | {"Div", "Mul", "Add", "MaskedFill"})) in ("Bmm", "Baddbmm"):
        why = "the batch of the matrix product that made it"
    else:
        return None
    return Bite(
        f"without `dim` the softmax of {shape(input)} runs over dimension 0, {why}",
        f"{seen.about('input')} · name the dimension of the classes, as dim=-1",
    )


@watch("without-dim-softmax-of-three-dimensional-logits-runs-over-dimension-0", F + "nll_loss")
def log_softmax_over_another_dimension(seen: Seen) -> Bite | None:
    """Log-probabilities whose rows do not sum to 1, as their softmax ran over the batch or over time.

    The columns of a square matrix of similarities may be meant, and a part of a row is none.
    """
    input = seen["input"]
    node = origin(input.grad_fn, VIEWS - {"Slice", "Select", "Unbind", "Split", "AsStrided", "Expand"})
    if operation(node) != "LogSoftmax" or input.ndim < 2:
        return None
    made, dim = tuple(node._input_metadata[0].shape), wrapped(node)
    if len(made) < 2 or (len(made) == 2 and (dim == 1 or made[0] == made[1])) or len({*made[:2], made[-1]}) < 2:
        return None
    if not bool((input.logsumexp(1).abs() > 0.05).all()):
        return None
    return Bite(
        f"the log-softmax of {made} ran over its dimension {dim}, which is not that of the {input.shape[1]} classes",
        f"{seen.about('input')} · name the dimension of the classes, as log_softmax(z, dim=-1)",
    )


@watch(
    "cross-entropys-mean-over-ignored-labels-alone-is-nan-its-gradient-zero",
    F + "cross_entropy",
    F + "nll_loss",
    BACKWARD,
    cheap=True,
    steady=True,
    recalls=(BACKWARD,),
)
def mean_of_no_labels(seen: Seen) -> Iterator[Bite]:
    """A batch whose labels are all ignored, or an empty one, whose NaN goes backward.

    One that is skipped when it is NaN, or replaced, is none.
    """
    if seen.moment == BACKWARD:
        for root in roots(seen) if seen.memory else ():
            if root.numel() == 1 and root.isnan().item():
                known = {node._sequence_nr() for node in nodes(root)} & {*seen.memory}
                for place, (what, advice) in [seen.memory[one] for one in sorted(known)]:
                    yield Bite(what, advice, place)
        return
    if isfinite(number(seen)) or seen["reduction"] != "mean":
        return
    target = seen["target"]
    words = seen.about("input", "target")
    if not target.numel():
        recall(seen, seen.result, ("the mean over an empty batch is NaN", f"{words} · skip empty batches"))
    elif indices(seen) and not kept(seen).any():
        what = f"all {target.numel()} labels are {seen['ignore_index']}, which is ignored: their mean is NaN"
        recall(seen, seen.result, (what, f"{words} · skip such a batch: if (labels != {seen['ignore_index']}).any():"))
    elif indices(seen) and seen["weight"] is not None and not seen["weight"][target[kept(seen)]].any():
        what = "all class weights of the labels are 0: their mean is NaN, and so is its gradient"
        recall(seen, seen.result, (what, f"{words} · skip such a batch, or take reduction='sum'"))


@watch("an-ignored-row-with-nan-logits-still-gets-a-nan-gradient", F + "cross_entropy")
def nan_logits_in_ignored_rows(seen: Seen) -> Bite | None:
    """Padding that became NaN in the model: the loss looks healthy. Rows that are chosen away before it are none."""
    input = seen["input"]
    if not indices(seen) or not seen.result.requires_grad:
        return None
    if not bool(seen.result.isfinite().all()):
        return None
    broken = input.isnan().any(classes(input))
    if not broken.any():
        return None
    return Bite(
        f"{broken.sum().item()} of {broken.numel()} rows have logits of NaN and are ignored: the loss is finite, and"
        " their gradient NaN",
        f"{seen.about('input')} · choose the rows before the loss, F.cross_entropy(z[keep], labels[keep])",
    )


@watch("chunked-linear_cross_entropys-mean-of-ignored-rows-has-gradient-nan", F + "linear_cross_entropy")
def chunks_of_no_labels(seen: Seen) -> Bite | None:
    """A batch without labels under a chunked LinearCrossEntropyLoss. Without options its gradient is 0."""
    target = seen["target"]
    if seen["options"] is None or seen["reduction"] != "mean" or target.is_floating_point():
        return None
    ignored = -100 if seen["ignore_index"] is None else seen["ignore_index"]
    if not seen.result.requires_grad or (target != ignored).any():
        return None
    return Bite(
        f"all {target.numel()} labels are ignored: in chunks the gradient of the mean is NaN",
        f"{seen.about('target')} · skip such a batch: if (labels != {ignored}).any():",
    )


@watch(
    "a--inf-logit-masks-a-class-for-unsmoothed-index-targets-of-other-classes",
    F + "cross_entropy",
    cheap=True,
    steady=True,
)
def masked_class_in_the_target(seen: Seen) -> Bite | None:
    """Classes masked with -inf that have a share of the target, by the label, smoothing, or probabilities.

    A masked class that is no label is none.
    """
    if isfinite(number(seen)):
        return None
    input, target, dim = seen["input"], seen["target"], classes(seen["input"])
    masked = input == -torch.inf
    if not masked.any() or input.isnan().any() or (input == torch.inf).any() or masked.all(dim).any():
        return None
    if not indices(seen):
        why = "probabilities as targets multiply them by 0"
    elif seen["label_smoothing"] > 0:
        why = "label smoothing gives their classes a share"
    else:
        why = f"{_labels(masked, target, kept(seen), dim)} labels are masked classes"
    return Bite(
        f"the loss is {seen.result.item()}: {int(masked.sum())} logits are -inf, and {why}",
        f"{seen.about('input', 'target')} · mask with a finite number, -1e4",
    )


def _labels(masked: Tensor, target: Tensor, counts: Tensor, dim: int) -> int:
    of_label = masked.gather(dim, (target * counts).unsqueeze(dim)).squeeze(dim)
    return int((of_label & counts).sum())


@watch("label-smoothing-with-class-weights-can-let-a-heavy-class-win-everywhere", F + "cross_entropy")
def smoothing_that_a_heavy_class_wins(seen: Seen) -> Bite | None:
    """Class weights under label smoothing, so far apart that a label's best prediction is another class.

    Weights that are nearer to each other are none.
    """
    weight, share, input = seen["weight"], seen["label_smoothing"], seen["input"]
    if weight is None or not share or not indices(seen) or not isinstance(weight, Tensor):
        return None
    count = len(weight)
    wrong = weight.max() * share / count
    lost = (weight * (1 - share + share / count) < wrong) & (weight > 0)
    hit = lost[seen["target"][kept(seen)]]
    if not hit.any():
        return None
    heavy = int(weight.argmax())
    return Bite(
        f"smoothed and weighted, the best prediction for {hit.sum().item()} of {hit.numel()} labels is class {heavy},"
        f" of weight {weight.max().item():g}, and not their own",
        f"{seen.about('weight') or shape(input)} · weigh the smoothed losses by row: weight[y] * F.cross_entropy(z, y,"
        " label_smoothing=..., reduction='none')",
    )


@watch("on-the-cpu-plain-float16-cross-entropy-of-65520-indices-is-0-or-nan", F + "cross_entropy", F + "nll_loss")
def float16_mean_over_too_many_rows(seen: Seen) -> Bite | None:
    """Maps of pixels in float16 on the CPU. Under class weights, and as a sum, the divisor is another."""
    loss = seen.result
    if loss.dtype is not torch.float16 or loss.device.type != "cpu" or seen["reduction"] != "mean":
        return None
    if not indices(seen) or seen["weight"] is not None:
        return None
    rows = int(kept(seen).sum())
    if rows < 65520 or (isfinite(loss.item()) and loss.item()):
        return None
    return Bite(
        f"the mean of {rows} rows is {loss.item():g}: float16 has no such number to divide by",
        f"{seen.about('input')} · compute the loss in float32, F.cross_entropy(z.float(), labels)",
    )


def _focal(seen: Seen, is_wrong: Callable[[Seen], str]) -> Iterator[tuple[Place, str]]:
    """At a backward, the remembered losses whose own exponential is in a factor of them."""
    if seen.moment != BACKWARD:
        words = is_wrong(seen)
        if words:
            recall(seen, seen.result, words)
        return
    for root in roots(seen) if seen.memory else ():
        for node in nodes(root, limit=300):  # what is done to a loss stands near the root
            if operation(node) != "Mul":
                continue
            for loss in [below for below, _ in node.next_functions if below is not None]:
                place, words = seen.memory.get(loss._sequence_nr(), (None, ""))
                if place and any(_has_exponential_of(loss, other) for other, _ in node.next_functions):
                    yield place, words


def _has_exponential_of(loss: Any, factor: Any) -> bool:
    """Whether a factor is made of exp(-loss) by a few operations of one argument: (1 - exp(-loss)) ** 2."""
    for _ in range(8):
        if factor is None or factor is loss:
            return False
        if operation(factor) == "Exp":
            below = factor.next_functions[0][0]
            return origin(below, frozenset(["Neg"])) is loss and operation(below) == "Neg"
        if operation(factor) == "Pow" and getattr(factor, "_saved_exponent", 1) == 0:
            return False
        if operation(factor) not in ("Pow", "Rsub", "Mul", "Add", "Sub", "Neg", "Clamp", "ClampMin"):
            return False
        above = [below for below, _ in factor.next_functions if below is not None]
        factor = above[0] if len(above) == 1 else None
    return False


@watch(
    "a-focal-factor-of-the-mean-loss-weighs-all-samples-of-a-batch-alike",
    F + "cross_entropy",
    F + "nll_loss",
    F + "binary_cross_entropy",
    LOGITS,
    BACKWARD,
)
def focal_factor_of_a_mean(seen: Seen) -> Iterator[Bite]:
    """A focal loss that takes its factor of the mean, as popular code does.

    A batch of one, and the factor of each sample's own loss, are none.
    """

    def is_mean(seen: Seen) -> str:
        many = seen["target"].numel() > 1 and (seen["target"].ndim > 1 or seen["input"].shape != seen["target"].shape)
        many = many or (seen["target"].numel() > 1 and "binary" in seen.moment)
        return f"input {shape(seen['input'])}" if seen["reduction"] == "mean" and many else ""

    for place, words in _focal(seen, is_mean):
        what = "the focal factor is of the batch's mean loss: all its samples have the same one"
        yield Bite(what, f"{words} · take reduction='none' inside, and the mean last", place)


@watch("a-class-weight-inside-a-focal-loss-raises-p-to-the-power-of-the-weight", F + "cross_entropy", BACKWARD)
def focal_factor_of_a_weighted_loss(seen: Seen) -> Iterator[Bite]:
    """A focal loss whose exp(-loss) is of a loss with class weights.

    Weights that are all 1 are none, and so are those multiplied at the end.
    """

    def is_weighted(seen: Seen) -> str:
        weight = seen["weight"]
        wrong = isinstance(weight, Tensor) and seen["reduction"] == "none" and bool((weight != 1).any())
        return f"weight {[round(w, 4) for w in weight.tolist()[:8]]}" if wrong else ""

    for place, words in _focal(seen, is_weighted):
        what = "the focal factor is of a loss with class weights: exp(-loss) is p to the power of the weight, not p"
        yield Bite(what, f"{words} · take exp(-loss) of the unweighted loss, and multiply by weight[y] last", place)


@watch("cross-entropy-passes-a-gradient-to-a-target-that-requires-one", F + "cross_entropy", note=True)
def target_in_the_graph(seen: Seen) -> Bite | None:
    """A teacher that is not detached. Two models that teach each other may be meant."""
    if indices(seen) or not seen["target"].requires_grad:
        return None
    return Bite(
        "the target requires a gradient: what made it is trained as well",
        f"{seen.about('target')} · detach a teacher, target.detach()",
    )


def collapse(seen: Seen, now: Callable[[], str]) -> Iterator[Bite]:
    """At the end, the places that showed the same at each look, over three steps of optimizers and more."""
    if seen.moment != END:
        if not seen.result.requires_grad:
            return
        words = now() if seen.place not in seen.memory or seen.memory[seen.place] else ""
        known = seen.memory.setdefault(seen.place, {})
        if not words:
            seen.memory[seen.place] = None
        elif known is not None:
            known[seen.history.steps] = words
        return
    for place, steps in seen.memory.items():
        if steps and len(steps) >= 4:
            what, _, advice = steps[max(steps)].replace("{}", str(len(steps))).partition(" · ")
            yield Bite(what, advice, place)


@watch("if-all-embeddings-coincide-infonce-is-log-n-and-its-gradient-is-zero", F + "cross_entropy", END)
def similarities_that_are_all_equal(seen: Seen) -> Iterator[Bite]:
    """A contrastive encoder that maps everything to one point, at each step that was looked at.

    A first step from a layer of zeros, and a loss at log N of embeddings that differ, are none.
    """
    return collapse(seen, lambda: _equal_similarities(seen))


def _equal_similarities(seen: Seen) -> str:
    input, target = seen["input"], seen["target"]
    if input.ndim != 2 or not indices(seen) or input.shape[0] < 3:
        return ""
    rows, count = input.shape
    labels = torch.arange(rows, device=target.device)
    if not (count == rows and torch.equal(target, labels)) and not (count == rows - 1 and not target.any()):
        return ""
    low, high = (one.item() for one in torch.aminmax(input))
    largest = max(abs(low), abs(high), 1e-30)
    if largest == float("inf") or not high - low <= 16 * torch.finfo(input.dtype).eps * largest:  # some are masked
        return ""
    return (
        f"all {rows} x {count} similarities are equal, at each of {{}} steps that were looked at: the embeddings"
        f" coincide, and the loss is log {count} · {seen.about('input')} · look at the embeddings; a smaller learning"
        " rate, or another start"
    )
