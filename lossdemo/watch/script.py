"""Somebody's script, run as Python runs it, and watched from the moment when it has imported torch.

Its arguments, `__main__`, import path, signals, exit status, output and tracebacks are what they are without us; what
was found goes to standard error. Of a process that the script starts through multiprocessing the findings come back
here, and of the ranks that torchrun starts to the first of them.
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import multiprocessing
import os
import runpy
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossdemo.watch.findings import Findings

PATIENCE = 10.0  # seconds that the first rank waits for what the others found


class CannotRun(Exception):
    """There is nothing to run; the message says what was asked for."""


@dataclass
class Options:
    """As the command line has them; see `watching` for their meaning."""

    notes: bool = False
    ignore: tuple[str, ...] = ()
    every: int | None = None
    as_json: bool = False
    fail: bool = False


@dataclass
class Script:
    """A script or module to run."""

    name: str
    is_module: bool
    arguments: tuple[str, ...]
    options: Options
    findings: Findings | None = None
    stack: ExitStack = field(default_factory=ExitStack)
    directory: str = ""

    def run(self) -> None:
        """Run it to its end, and say what was found.

        Raises:
            SystemExit: as the script did; with 1 where it succeeded, something was found, and `fail` is set.
            BaseException: what the script did not catch; after its traceback it is said what was found before.
        """
        self.directory = _meeting_place()
        sys.meta_path.insert(0, _After("torch", self._watch))
        multiprocessing.process.BaseProcess.start = self._starting(multiprocessing.process.BaseProcess.start)
        status: Any = None
        try:
            self._execute()
            for thread in threading.enumerate():
                if thread is not threading.current_thread() and not thread.daemon:
                    thread.join()
        except SystemExit as end:
            status = end.code
        except BaseException:
            sys.excepthook = self._crashing(sys.excepthook)
            raise
        found = self._report(crashed=False)
        raise SystemExit(1 if self.options.fail and found and not status else status)

    def _execute(self) -> None:
        """As Python does: sys.argv, sys.path and __main__ are set, and the code is run."""
        main = sys.modules["__main__"] = ModuleType("__main__")
        main.__dict__.update(__builtins__=builtins, __spec__=None)
        sys.argv = [self.name, *self.arguments]
        if self.is_module:
            sys.path[0] = os.getcwd()
            runpy._run_module_as_main(self.name)  # pyrefly: ignore — what `python -m` calls
            return
        path = Path(self.name)
        if not sys.flags.safe_path:
            sys.path[0] = str(path.resolve().parent if path.is_file() else path)
        if path.is_dir() or path.suffix in (".zip", ".pyz"):
            runpy._run_module_as_main("__main__", alter_argv=False)  # pyrefly: ignore
            return
        file = os.path.abspath(self.name)
        with io.open_code(file) as source:
            code = compile(source.read(), file, "exec", dont_inherit=True)
        main.__dict__.update(__file__=file, __cached__=None, __loader__=SourceFileLoader("__main__", file))
        exec(code, main.__dict__)

    def _watch(self) -> None:
        """Begin to watch: torch has just been imported."""
        from lossdemo.watch.watcher import EVERY, watching

        rank = int(os.environ.get("LOCAL_RANK", "0"))
        stream = None if rank or self.options.as_json else sys.stderr
        self.findings = self.stack.enter_context(
            watching(
                notes=self.options.notes,
                ignore=self.options.ignore,
                every=self.options.every or EVERY,
                stream=stream,
            )
        )

    def _report(self, crashed: bool) -> bool:
        """Write what was found to standard error; whether it was more than notes."""
        self.stack.close()
        if self.findings is None:
            if not crashed:
                print("lossdemo: the script did not import torch: there was nothing to watch", file=sys.stderr)
            return False
        rank, ranks = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        if rank and not crashed:
            self.findings.write(Path(self.directory), rank)
            return False
        self.findings.take(Path(self.directory), ranks - 1 if not crashed else 0, PATIENCE)
        if not rank:
            shutil.rmtree(self.directory, ignore_errors=True)
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            text = self.findings.json() if self.options.as_json else self.findings.report()
            print(text, file=sys.stderr, flush=True)
        return any(not finding.note for finding in self.findings)

    def _crashing(self, hook: Callable) -> Callable:
        def crashing(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            hook(kind, error, _trimmed(error, trace))
            self._report(crashed=True)

        return crashing

    def _starting(self, start: Callable) -> Callable:
        """In place of a process's `start`: what it runs is watched there."""

        def starting(process: Any) -> None:
            target = process._target
            if target is not None and not getattr(target, "__module__", "").startswith("torch.utils.data"):
                process._target = Watched(target, self.options, self.directory)
            start(process)

        return starting


class Watched:
    """What another process runs, watched there; what it found is left in the directory."""

    def __init__(self, target: Callable, options: Options, directory: str) -> None:
        self.target, self.options, self.directory = target, options, directory

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the target."""
        from lossdemo.watch.watcher import EVERY, watching

        options = self.options
        context = watching(notes=options.notes, ignore=options.ignore, every=options.every or EVERY)
        with context as findings:
            try:
                return self.target(*args, **kwargs)
            finally:
                findings.write(Path(self.directory), os.getpid())


class _After(MetaPathFinder):
    """Calls a function as soon as a module has been imported for the first time."""

    def __init__(self, name: str, call: Callable[[], None]) -> None:
        self.name, self.call = name, call

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find the module as everybody else does."""
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def executing(module: ModuleType) -> None:
                execute(module)
                self.call()

            spec.loader.exec_module = executing  # pyrefly: ignore
        return spec


def _meeting_place() -> str:
    """The directory in which the processes of one training leave what they found; torchrun's have one parent."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return tempfile.mkdtemp(prefix="lossdemo-watch-")
    place = os.path.join(tempfile.gettempdir(), f"lossdemo-watch-{os.getuid()}-{os.getppid()}")
    os.makedirs(place, mode=0o700, exist_ok=True)
    return place


def _trimmed(error: BaseException, trace: TracebackType | None) -> TracebackType | None:
    """A traceback without our frames, also in what the error came from."""
    from lossdemo.watch.place import FRAME, HERE

    ours = (FRAME, "<frozen runpy>", runpy.__file__)

    def trim(trace: TracebackType | None) -> TracebackType | None:
        kept = []
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            if not (file.startswith(HERE) or file in ours):
                kept.append(trace)
            trace = trace.tb_next
        for one, following in zip(kept, [*kept[1:], None]):
            one.tb_next = following
        return kept[0] if kept else None

    known: set[int] = set()
    chain: list[BaseException | None] = [error.__cause__, error.__context__]
    while chain:
        one = chain.pop()
        if one is not None and id(one) not in known:
            known.add(id(one))
            one.__traceback__ = trim(one.__traceback__)
            chain += [one.__cause__, one.__context__]
    trimmed = trim(trace)
    error.__traceback__ = trimmed
    return trimmed
