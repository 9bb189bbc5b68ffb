"""Somebody's own script, watched: which claims of the book bite it, where, and since when.

    with lossdemo.watch.watching() as findings:
        train()
    print(findings)

On the command line it is `lossdemo watch SCRIPT`, in pytest the fixture `watch`.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "watcher": ("watching",),
    "findings": ("Finding", "Findings"),
    "definition": ("Bite", "Watch", "watch"),
}
__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: the script may want to set something before torch is imported."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"lossdemo.watch.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
