"""Wrong chunks: what the author of a fused kernel of a linear layer and cross-entropy gets wrong."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossdemo.verify.mutant import MUTANTS, Call, Function, Mutant, arguments

Change = Callable[[Function, Call], Any]
When = Callable[[Call], bool]

# As they are, whatever is replaced while a mutant runs.
_linear, _cross_entropy = F.linear, F.cross_entropy


def _wrong(name: str, doc: str, when: When, change: Change) -> None:
    """A mutant that is the original but in calls of one kind: there it is `change` of original and arguments."""

    def make(original: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> Any:
            given = arguments(original, args, kwargs)
            return change(original, given) if when(given) else original(*args, **kwargs)

        return call

    target = "torch.nn.functional.linear_cross_entropy"
    MUTANTS.append(Mutant(f"linear_cross_entropy_{name}", target, doc, make, when, (2, 13)))


def _with(**changes: Callable[[Any], Any]) -> Change:
    """The original with some arguments changed."""
    return lambda original, call: original(**call | {name: change(call[name]) for name, change in changes.items()})


def _chunked(call: Call) -> bool:
    """Whether torch takes the options of a call into account."""
    unsupported = call["label_smoothing"] != 0 or call["linear_weight"].ndim != 2
    return call["options"] is not None and call["target"].dtype == torch.int64 and not unsupported


def _first(call: Call) -> int:
    """How many rows the first chunk has, where the call says it and more rows follow; else 0."""
    size = call["options"].batch_chunk_size if _chunked(call) and call["input"].ndim == 2 else None
    return size if size is not None and size < len(call["input"]) else 0


def _ignored(call: Call) -> Tensor:
    """Which labels are ignored."""
    return call["target"] == (-100 if call["ignore_index"] is None else call["ignore_index"])


def _logits(call: Call) -> Tensor:
    return _linear(call["input"], call["linear_weight"], call["linear_bias"])


# --- the way back ---


class _Backward(torch.autograd.Function):
    """The tensor itself, with its gradient changed on the way back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.change = change
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.change(grads[0]), None


def _times(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda tensor: _Backward.apply(tensor, lambda grad: factor * grad)


def _learns(name: str, *, in_chunks: bool) -> When:
    def when(call: Call) -> bool:
        learned = call[name] is not None and call[name].requires_grad and torch.is_grad_enabled()
        return learned and _chunked(call) == in_chunks

    return when


for _name in ("input", "linear_weight", "linear_bias"):
    for _what, _factor in (("leaves_{}_without_gradient", 0.0), ("turns_the_gradient_of_{}", -1.0)):
        _doc = f"A backward kernel that multiplies the gradient of `{_name}` by {_factor:g}."
        _changed = _with(**{_name: _times(_factor)})
        _wrong(_what.format(_name), _doc, _learns(_name, in_chunks=False), _changed)
        _wrong(_what.format(_name) + "_in_chunks", _doc, _learns(_name, in_chunks=True), _changed)


def _upstream(name: str, doc: str, reductions: tuple[str, ...], change: Callable[[Tensor], Tensor]) -> None:
    """What comes from behind the loss is mistreated, as where gradients are made in forward."""
    _wrong(
        name,
        doc,
        lambda call: _chunked(call) and call["reduction"] in reductions,
        lambda original, call: _Backward.apply(original(**call), change),
    )


_upstream(
    "takes_one_upstream_gradient_for_all_rows",
    "Gradients made in forward, and all of them multiplied by the last row's `grad_output`.",
    ("none",),
    lambda grad: grad.flatten()[-1].expand_as(grad),
)
_upstream(
    "takes_the_mean_of_the_upstream_gradients",
    "Gradients made in forward, and all of them multiplied by the mean of `grad_output`.",
    ("none",),
    lambda grad: grad.mean().expand_as(grad),
)
_upstream(
    "cannot_weight_rows",
    "Gradients made in forward, and handed over as they are.",
    ("none",),
    torch.ones_like,
)
_upstream(
    "cannot_be_scaled",
    "Gradients made in forward, and handed over as they are.",
    ("mean", "sum"),
    torch.ones_like,
)
_upstream(
    "divides_by_the_upstream_gradient",
    "A scale taken off that was never put on.",
    ("mean", "sum"),
    lambda grad: 1 / grad,
)


# --- numbers ---

_wrong(
    "overflows_in_chunks",
    "The exponentials of the logits themselves, whose maximum was not taken off.",
    lambda call: _chunked(call) and bool((_logits(call).detach().abs() > 88).any()),
    lambda original, call: original(**call) * torch.nan,
)
_wrong(
    "weighs_no_class_in_chunks",
    "Class weights forgotten where nothing is reduced.",
    lambda call: _chunked(call) and call["weight"] is not None and call["reduction"] == "none",
    _with(weight=lambda _: None),
)
_wrong(
    "divides_chunks_by_all_rows",
    "A mean that knows of no class weights and no ignored rows.",
    lambda call: (
        _chunked(call) and call["reduction"] == "mean" and (call["weight"] is not None or bool(_ignored(call).any()))
    ),
    lambda original, call: original(**call | {"reduction": "sum"}) / call["target"].numel(),
)


def _as_class_0(original: Function, call: Call) -> Any:
    return original(**call | {"target": torch.where(_ignored(call), 0, call["target"]), "ignore_index": None})


for _suffix, _in_chunks in (("", False), ("_in_chunks", True)):
    _wrong(
        f"ignores_minus_100_alone{_suffix}",
        "The default written into the kernel: rows of another `ignore_index` count as class 0.",
        lambda call, in_chunks=_in_chunks: (
            call["ignore_index"] not in (None, -100) and bool(_ignored(call).any()) and _chunked(call) == in_chunks
        ),
        _as_class_0,
    )


def _one_softmax(original: Function, call: Call) -> Tensor:
    classes, *positions, features = call["linear_weight"].shape
    bias = None if call["linear_bias"] is None else call["linear_bias"].flatten()
    logits = _linear(call["input"], call["linear_weight"].reshape(-1, features), bias)
    log_p = logits.log_softmax(-1).reshape(-1, classes, *positions)
    losses = -log_p.gather(1, call["target"].unsqueeze(1)).squeeze(1)
    return losses if call["reduction"] == "none" else losses.mean()


_wrong(
    "takes_positions_for_classes",
    "One softmax over the classes of all positions.",
    lambda call: call["linear_weight"].ndim > 2 and call["target"].dtype == torch.int64,
    _one_softmax,
)


# --- chunks after the first ---


def _later(**changes: Callable[[Tensor], Tensor]) -> Change:
    """Some arguments changed from the second chunk on."""

    def change(original: Function, call: Call) -> Tensor:
        rows = _first(call)
        later = Call(call | {name: make(call[name]) for name, make in changes.items()})
        logits = torch.cat([_logits(call)[:rows], _logits(later)[rows:]])
        index = -100 if call["ignore_index"] is None else call["ignore_index"]
        return _cross_entropy(
            logits, call["target"], weight=call["weight"], reduction=call["reduction"], ignore_index=index
        )

    return change


for _name in ("input", "linear_weight", "linear_bias"):
    _wrong(
        f"learns_{_name}_from_its_first_chunk",
        f"The gradient of `{_name}` made by the first chunk alone.",
        lambda call, name=_name: _first(call) > 0 and _learns(name, in_chunks=True)(call),
        _later(**{_name: Tensor.detach}),
    )
_wrong(
    "adds_its_bias_to_the_first_chunk",
    "A line that slipped out of the loop.",
    lambda call: _first(call) > 0 and call["linear_bias"] is not None,
    _later(linear_bias=torch.zeros_like),
)


def _whole_chunks(original: Function, call: Call) -> Tensor:
    rows = len(call["input"]) - len(call["input"]) % _first(call)
    loss = original(**call | {"input": call["input"][:rows], "target": call["target"][:rows]})
    return loss if loss.ndim == 0 else torch.cat([loss, loss.new_zeros(len(call["input"]) - rows)])


_wrong(
    "drops_a_ragged_chunk",
    "Whole chunks only: the rows behind the last of them are left out.",
    lambda call: _first(call) > 0 and len(call["input"]) % _first(call) != 0,
    _whole_chunks,
)


def _mean_of_means(original: Function, call: Call) -> Tensor:
    parts = zip(call["input"].split(_first(call)), call["target"].split(_first(call)))
    return torch.stack([original(**call | {"input": x, "target": labels}) for x, labels in parts]).mean()


_wrong(
    "averages_the_means_of_its_chunks",
    "Each chunk divided by its own rows or weights, as a batch is split by hand.",
    lambda call: _first(call) > 0 and call["reduction"] == "mean",
    _mean_of_means,
)


# --- options ---


def _option(name: str, default: Any, other: Any) -> None:
    """The option without effect, and with another default."""

    def when(call: Call) -> bool:
        unsaid = name == "chunking_method" and call["options"] and call["options"].batch_chunk_size is not None
        return _chunked(call) and getattr(call["options"], name) != default and not unsaid

    def ignored(original: Function, call: Call) -> Any:
        return original(**call | {"options": dataclasses.replace(call["options"], **{name: default})})

    def defaulted(original: Function) -> Function:
        known = inspect.signature(original)

        def call(*args: Any, **kwargs: Any) -> None:
            said = name in known.bind(*args, **kwargs).arguments
            original(*args, **kwargs, **({} if said else {name: other}))

        return call

    _wrong(f"ignores_{name}", f"`{name}` is {default!r}, whatever the options say.", when, ignored)
    target = "torch.nn.LinearCrossEntropyOptions.__init__"
    doc = f"`{name}` is {other!r} where the options do not say it."
    MUTANTS.append(
        Mutant(f"linear_cross_entropy_defaults_to_another_{name}", target, doc, defaulted,
               lambda call: call[name] == default, (2, 13))
    )  # fmt: skip


_OTHERS = {
    "allow_retain_graph": True,
    "batch_chunk_size": 1,
    "chunking_method": None,
    "acc_policy": "accurate",
    "acc_dtype": torch.bfloat16,
}
if hasattr(nn, "LinearCrossEntropyOptions"):
    for _field in dataclasses.fields(nn.LinearCrossEntropyOptions):
        _option(_field.name, _field.default, _OTHERS.get(_field.name))
