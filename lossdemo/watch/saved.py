"""What the nodes of a graph saved for backward, and marks on nodes; looked at without a copy kept alive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from torch import Tensor

MARKS = "lossdemo"  # the key of our marks in a node's metadata, which lives as long as the node


def marks(node: Any) -> dict[str, Any]:
    """A dict of ours that lives as long as a node of the graph; of a node that has no place for it, none that lasts."""
    metadata = getattr(node, "metadata", None)
    return metadata.setdefault(MARKS, {}) if metadata is not None else {}


def marked(node: Any) -> dict[str, Any]:
    """Its marks, if it has any."""
    metadata = getattr(node, "metadata", None)
    return (metadata.get(MARKS) if metadata else None) or {}


def saved(node: Any, name: str) -> Any:
    """What a node saved under a name, as `result`, while it has it; None where hooks would have to bring it back."""
    raw = getattr(node, f"_raw_saved_{name}", None)
    if raw is not None and getattr(raw, "unpack_hook", raw) is not None:  # a checkpoint would compute it again
        return None
    with suppress(RuntimeError, AttributeError):  # freed, or changed in place since
        return getattr(node, f"_saved_{name}")
    return None


def all_saved(node: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors that a node saved, with their names."""
    for attribute in dir(node):
        if attribute.startswith("_raw_saved_"):
            name = attribute.removeprefix("_raw_saved_")
            tensor = saved(node, name)
            if isinstance(tensor, Tensor):
                yield name, tensor
