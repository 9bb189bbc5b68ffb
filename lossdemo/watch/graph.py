"""Autograd's graph as it was recorded: which operation made a tensor, and which leaves its gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

# Operations that pass a tensor's entries on as they are.
VIEWS = frozenset(
    [
        "View",
        "UnsafeView",
        "Reshape",
        "ReshapeAlias",
        "Squeeze",
        "Unsqueeze",
        "Permute",
        "Transpose",
        "T",
        "Expand",
        "Clone",
        "Contiguous",
        "Alias",
        "Slice",
        "Select",
        "AsStrided",
        "Unbind",
        "Split",
        "Flatten",
        "Unflatten",
        "ToCopy",
    ]
)


_OPERATIONS: dict[type, str] = {}


def operation(node: Any) -> str:
    """The name of a node as one thinks of it: Softmax for SoftmaxBackward0."""
    if node is None:
        return ""
    kind = type(node)
    known = _OPERATIONS.get(kind)
    if known is None:
        known = node.name().rpartition("::")[2].rstrip("0123456789").removesuffix("Backward")
        if not kind.__flags__ & _MADE and kind.__name__ != "CppFunction":  # torch's own have a type each
            _OPERATIONS[kind] = known
    return known


_MADE = 1 << 9  # the flag of a type that was made at run time, as that of somebody's autograd.Function


def made_by(tensor: Any) -> str:
    """The operation that made a tensor, before views of it; "" for a leaf, and for what was not recorded."""
    return operation(origin(tensor.grad_fn)) if isinstance(tensor, Tensor) else ""


def origin(node: Any, through: frozenset[str] = VIEWS) -> Any:
    """The node below operations that pass entries on: the first that does something to them; None for a leaf."""
    while node is not None and operation(node) in through and node.next_functions:
        node = node.next_functions[0][0]
    return node


def nodes(tensor: Tensor, limit: int = 20_000) -> Iterator[Any]:
    """The nodes that a backward from the tensor visits, breadth first, at most `limit`."""
    seen, level = set(), [tensor.grad_fn] if tensor.grad_fn is not None else []
    while level and len(seen) < limit:
        below = []
        for node in level:
            if node not in seen:
                seen.add(node)
                yield node
                below += [parent for parent, _ in node.next_functions if parent is not None]
        level = below


def leaves(tensor: Tensor) -> list[Tensor]:
    """The leaf tensors into whose `.grad` a backward from the tensor adds."""
    return [node.variable for node in nodes(tensor) if hasattr(node, "variable")]
