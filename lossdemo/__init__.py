"""How PyTorch's losses move a model's parameters, as claims that are tests.

Public are `adapt`, which gives a loss the signature of one of torch's, and the modules that chapters import: `data`,
`train`, `ensemble`, `closed_form` and `processes`. The harness's public names are those of `lossdemo.verify`.
"""

from importlib import import_module
from typing import Any

__all__ = ["adapt", "closed_form", "data", "ensemble", "processes", "train"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: reading claims takes no torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("lossdemo.adapter").adapt if name == "adapt" else import_module(f"lossdemo.{name}")
