"""Ctrl-C and SIGTERM: at any moment one line, and 130 or 143 for the shell.

A KeyboardInterrupt is swallowed by imports of compiled modules, and is a traceback while Python starts or ends. So a
signal ends the process at once, but where something runs that can say what it has so far: there it is raised, or noted.
"""

from __future__ import annotations

import atexit
import signal
import sys
from os import _exit, write  # this one: while a claim runs, os._exit is another

# Little else is imported before the signals are handled: `typing` alone would double the time until then.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Interrupts:
    """What a signal does now: `mode` is end, raise or note; and `number`, the one that came.

    It is an object, as a claim may not leave a module's attributes changed.
    """

    mode = "end"
    number = 0

    def __enter__(self) -> None:
        """In a `with` block the first signal is a KeyboardInterrupt."""
        self.mode = "raise"

    def __exit__(self, *error: object) -> None:
        """From here on it ends the process again."""
        self.mode = "end"


INTERRUPTS = Interrupts()


class Handover(BaseException):
    """Raised by a command that has something to `run` where nothing of ours is around it, signals included."""

    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run


def install() -> list[Any]:
    """From here on both signals are handled as said above; what handled them before is returned."""
    return [signal.signal(number, _handle) for number in (signal.SIGINT, signal.SIGTERM)]


def uninstall(before: list[Any]) -> None:
    """Both signals are handled as before `install`."""
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before):
        signal.signal(number, handler)


def _handle(number: int, frame: object) -> None:
    if INTERRUPTS.mode == "end" or INTERRUPTS.number:
        word = b"interrupted\n" if number == signal.SIGINT else b"terminated\n"
        on_terminal = sys.__stderr__ and sys.__stderr__.isatty()
        write(2, b"\x1b[?25h" + word if on_terminal else word)  # a bar hides the cursor
        _exit(128 + number)
    INTERRUPTS.number = number
    if INTERRUPTS.mode == "raise":
        raise KeyboardInterrupt


def leave(code: int) -> None:
    """End the process as Python would, without taking it apart: that takes long, and a signal then is nobody's."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _exit(code)
