"""The harness: claims in Markdown, run by pytest and proved able to fail. It knows no chapter and no loss.

The makers of mutants are in `lossdemo.verify.mutant`.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "claims": ("Book", "Claim", "Page", "Problem", "Refused", "Release"),
    "run": ("Failure", "Setting", "torch_as"),
    "verdicts": ("NotVerdicts", "Record", "Verdict", "Verdicts"),
    "matrix": ("merge",),
    "difference": ("diff",),
}
__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: reading claims takes no torch."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"lossdemo.verify.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
