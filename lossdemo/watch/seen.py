"""A moment as a watch sees it: the call's arguments by name, its result, where it is, and what happened before."""

from __future__ import annotations

from types import FrameType
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lossdemo.verify.mutant import Call
from lossdemo.watch.place import Place, _near, named

if TYPE_CHECKING:
    from lossdemo.watch.history import History


class Seen:
    """One call of what a watch watches: `seen["input"]` is an argument, defaults included.

    `result` is what the call returned, None before it. `memory` is a dict of the watch's own, empty at first, for what
    it has to remember until a later moment; `count` is how often this place has been looked at before. `moment` is the
    dotted path that the watch named. `found` is for what several watches need of this one moment; it ends with it.
    """

    def __init__(
        self, moment: str, call: Call, result: Any, history: History, place: Place, frame: FrameType | None
    ) -> None:
        self.moment, self.call, self.result, self.history, self.place = moment, call, result, history, place
        self.memory: dict[Any, Any] = {}
        self.found: dict[str, Any] = {}
        self.count = 0
        self._frame = frame

    def __getitem__(self, name: str) -> Any:
        return self.call[name]

    def get(self, name: str) -> Any:
        """An argument that not every watched function has."""
        return self.call.get(name)

    def about(self, *names: str) -> str:
        """Arguments in words: input `scores` (32, 1) from train.py:38 · target (32,)."""
        return " · ".join(self._words(name) for name in names if name in self.call)

    def _words(self, argument: str) -> str:
        value = self.call[argument]
        name, line = named(self._frame, value)
        words = argument if name in ("", argument) else f"{argument} `{name}`"
        if isinstance(value, Tensor):
            words += f" {shape(value)}"
        return f"{words} from {_near(self.place.file)}:{line}" if line else words


def shape(tensor: Tensor) -> str:
    """As torch writes it in documentation: (32, 1)."""
    return str(tuple(tensor.shape))
