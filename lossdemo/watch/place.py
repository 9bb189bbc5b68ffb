"""Where in somebody's own code something happens: the innermost line that is neither Python's nor a package's."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import re
import sys
import sysconfig
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

HERE = str(Path(__file__).parent.parent) + os.sep
LIBRARIES = tuple({os.path.realpath(path) + os.sep for path in sysconfig.get_paths().values() if "lib" in path})
_PACKAGES = re.compile(r"[/\\](site|dist)-packages[/\\]")  # of the user, or of another environment
TORCH = os.path.realpath(os.path.dirname(str(getattr(find_spec("torch"), "origin", None)))) + os.sep
FRAME = "<lossdemo importlib._bootstrap>"  # the file of our frames in a traceback; warnings, too, count none of these


class Place(NamedTuple):
    """A line of somebody's file; `via` is the line of a package that it went through, as a trainer's."""

    file: str
    line: int
    via: str = ""

    def __str__(self) -> str:
        through = f" (through {self.via})" if self.via else ""
        return f"{_near(self.file)}:{self.line}{through}"


def _near(file: str) -> str:
    """The path as one would type it."""
    try:
        relative = os.path.relpath(file)
    except (ValueError, OSError):  # on another drive, or the directory is gone
        return file
    return file if relative.startswith("..") or file.startswith("<") else relative


@cache
def _kind(file: str) -> str:
    """Whose code a file is: own, ours, torch, or package."""
    if file.startswith("<"):
        return "own" if file.startswith(("<doctest", "<stdin", "<ipython", "<string")) else "ours"
    path = os.path.realpath(file)
    if path.startswith(HERE):
        return "ours"
    if path.startswith(TORCH):
        return "torch"
    return "package" if path.startswith(LIBRARIES) or _PACKAGES.search(path) else "own"


def frame_of_own(frame: FrameType | None) -> tuple[FrameType | None, Place]:
    """The innermost frame of somebody's own code, and its place; of a package's, where there is none."""
    package: FrameType | None = None
    while frame is not None:
        file = frame.f_code.co_filename
        kind = _kind(file)
        if kind == "own":
            if package is None:
                return frame, _place(file, frame.f_lineno)
            return frame, _place(file, frame.f_lineno, package.f_code.co_filename, package.f_lineno)
        if kind == "package" and package is None and "multiprocessing" not in file:
            package = frame
        frame = frame.f_back
    return package, _place(package.f_code.co_filename, package.f_lineno) if package else Place("<unknown>", 0)


@cache
def _place(file: str, line: int, package: str = "", at: int = 0) -> Place:
    return Place(file, line, f"{Path(package).parent.name}/{Path(package).name}:{at}" if package else "")


def here() -> tuple[FrameType | None, Place]:
    """The innermost frame of somebody's own code now, and its place."""
    return frame_of_own(sys._getframe(1))


@cache
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None


def statement(place: Place) -> str:
    """The source of the smallest statement at the place, of a compound one its head, comments behind its lines too."""
    lines, first, last = linecache.getlines(place.file), place.line, place.line
    tree = _tree(place.file)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            body = getattr(node, "body", None) or getattr(node, "cases", None)
            start = min([getattr(node, "lineno", place.line), *(d.lineno for d in getattr(node, "decorator_list", ()))])
            end = _first_line(body[0]) - 1 if body else getattr(node, "end_lineno", None) or start
            first, last = (start, max(start, end)) if start <= place.line <= max(start, end) else (first, last)
    return "".join(lines[first - 1 : last])


def _first_line(node: Any) -> int:
    return min(getattr(one, "lineno", sys.maxsize) for one in ast.walk(node))


def named(frame: FrameType | None, value: Any) -> tuple[str, int]:
    """The name that a value has in the frame, and the line that gave it that name; "" and 0 where it has none."""
    if frame is None:
        return "", 0
    found = [name for name, other in _locals(frame) if other is value and not name.startswith("_")]
    if found:
        return found[0], _assigned(frame, found[0])
    return next((name for name, other in [*frame.f_globals.items()] if other is value and name[0] != "_"), ""), 0


def _locals(frame: FrameType) -> list[tuple[str, Any]]:
    """The local variables now. Before Python 3.13 a function's frame keeps a dict of them, which must not stay behind.

    If the function itself asks for that dict it may have it still: then nothing is said.
    """
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED or sys.version_info >= (3, 13):
        return [*frame.f_locals.items()]
    if {"locals", "vars", "dir", "eval", "exec", "_getframe", "currentframe"} & {*frame.f_code.co_names}:
        return []
    kept = frame.f_locals
    found = [*kept.items()]
    kept.clear()
    return found


def _assigned(frame: FrameType, name: str) -> int:
    """The last line before this one that assigns the name within the same function, 0 where none does."""
    tree, code = _tree(frame.f_code.co_filename), frame.f_code
    lines = (
        [
            node.lineno
            for node in ast.walk(tree)
            if tree
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        ]
        if tree
        else []
    )
    first = code.co_firstlineno if code.co_name != "<module>" else 0
    return max((line for line in lines if first <= line <= frame.f_lineno), default=0)
