"""Processes that a watched script starts through multiprocessing: watched, too, and what they found comes back.

Nothing is added to what a process runs, to how it is started, or to its traceback. Importing this imports no torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    from lossdemo.watch.findings import Findings

ROOT = str(Path(__file__).parent.parent.parent)
# What a process runs that has a fresh interpreter, before it reads what it is to do.
_BEGIN = f"""\
import sys
sys.path.append({ROOT!r})
try:
    from lossdemo.watch.children import Options, follow
    follow(%r, %r)
except ImportError:
    pass
finally:
    sys.path.remove({ROOT!r})
"""


@dataclass(frozen=True)
class Options:
    """As the command line has them; see `watching` for their meaning."""

    notes: bool = False
    ignore: tuple[str, ...] = ()
    every: int | None = None
    as_json: bool = False
    fail: bool = False

    @contextmanager
    def watching(self, stream: Any = None) -> Generator[Findings]:
        """Watch as they say."""
        from lossdemo.watch.watcher import EVERY, watching

        every = self.every or EVERY
        with watching(notes=self.notes, ignore=self.ignore, every=every, stream=stream) as findings:
            yield findings


class After(MetaPathFinder):
    """Calls a function as soon as a module has been imported for the first time, or at once if it was."""

    def __init__(self, name: str, call: Callable[[], None]) -> None:
        self.name, self.call = name, call
        if name in sys.modules:
            call()
        else:
            sys.meta_path.insert(0, self)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find the module as everybody else does."""
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                break
        else:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def executing(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            execute(module)
            self.call()

        loader.exec_module = executing
        return spec


class _Begin:
    """Read by a process of a fresh interpreter, it is run there."""

    def __init__(self, options: Options, directory: str) -> None:
        self.code = _BEGIN % (options, directory)

    def __reduce__(self) -> Any:
        return exec, (self.code, {})


def follow(options: Options, directory: str) -> None:
    """From here on, processes that multiprocessing starts leave what they found in the directory."""

    def processes() -> None:
        from multiprocessing import process as module

        module.BaseProcess._bootstrap = _bootstrapping(module.BaseProcess._bootstrap, options, directory)  # pyrefly: ignore

    def spawned() -> None:
        from multiprocessing import spawn

        prepare = spawn.get_preparation_data

        @wraps(prepare)
        def preparing(name: str) -> dict[str, Any]:
            return prepare(name) | {"lossdemo": _Begin(options, directory)}

        spawn.get_preparation_data = preparing

    After("multiprocessing.process", processes)
    After("multiprocessing.spawn", spawned)


def _bootstrapping(bootstrap: Callable, options: Options, directory: str) -> Callable:
    """In place of what every process begins with. Those that only load data are not watched."""

    @wraps(bootstrap)
    def bootstrapping(process: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(process._target, "__module__", "").startswith("torch.utils.data"):
            return bootstrap(process, *args, **kwargs)
        stack, found = ExitStack(), []

        def watch() -> None:
            if os.getpid() == here:
                findings = stack.enter_context(options.watching())
                findings.new = lambda: findings.write(Path(directory), str(here))  # it may be ended at any time
                found.append(findings)

        here = os.getpid()
        After("torch", watch)
        code = bootstrap(process, *args, **kwargs)
        if code == 0:
            stack.close()
        for findings in found:
            findings.write(Path(directory), str(here))
        return code

    return bootstrapping
