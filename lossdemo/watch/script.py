"""Somebody's script, run as Python runs it, and watched from the moment when it has imported torch.

Its arguments, `__main__`, import path, signals, exit status, output and tracebacks are what they are without us; what
was found goes to standard error. Of a process that the script starts through multiprocessing the findings come back
here, and of the ranks that torchrun starts to the first of them.
"""

from __future__ import annotations

import atexit
import builtins
import io
import os
import runpy
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from lossdemo.watch.children import After, Options, follow

if TYPE_CHECKING:
    from lossdemo.watch.findings import Findings

PATIENCE = 10.0  # seconds that the first rank waits for what the others found


@dataclass
class Script:
    """A script or module to run."""

    name: str
    is_module: bool
    arguments: tuple[str, ...]
    options: Options
    findings: Findings | None = None
    directory: str = ""
    process: int = field(default_factory=os.getpid)
    has_succeeded: bool = False
    is_interrupted: bool = False
    error: str = ""  # the text of what it ended with
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def is_program(self) -> bool:
        """Whether Python finds the code in a module: of a package, a directory or an archive."""
        return self.is_module or os.path.isdir(self.name) or self.name.endswith((".zip", ".pyz"))

    def run(self) -> None:
        """Run it to its end. What was found is said when Python has ended all else: threads, processes, atexit."""
        self.directory = _meeting_place()
        ending = getattr(sys.modules.get("multiprocessing.util"), "_exit_function", None)
        if ending:
            atexit.unregister(ending)
        atexit.register(self._end)
        if ending:  # it waits for processes, whose findings are wanted
            atexit.register(ending)
        follow(self.options, self.directory)
        After("torch", self._watch)
        threading.excepthook = _in_threads(threading.excepthook)
        try:
            self._execute()
            self.has_succeeded = True
        except SystemExit as end:
            self.has_succeeded = end.code in (None, 0)
            raise
        except BaseException as error:
            self.is_interrupted, self.error = isinstance(error, KeyboardInterrupt), str(error)
            sys.excepthook = _trimming(sys.excepthook)
            raise

    def _execute(self) -> None:
        """As Python does: sys.argv, sys.path and __main__ are set, and the code is run."""
        before = sys.modules["__main__"].__dict__
        main = sys.modules["__main__"] = ModuleType("__main__")
        main.__dict__.update(__builtins__=builtins, __spec__=None)
        if "__annotations__" in before:
            main.__dict__.update(__annotations__={})
        sys.argv = [self.name, *self.arguments]
        if self.is_module:
            if not sys.flags.safe_path:
                sys.path[0] = os.getcwd()
            runpy._run_module_as_main(self.name)  # pyrefly: ignore — what `python -m` calls
            return
        if not sys.flags.safe_path:
            sys.path[:1] = [] if self.is_program else [os.path.dirname(os.path.realpath(self.name))]
        if self.is_program:
            sys.path.insert(0, os.path.join(os.getcwd(), self.name))
            runpy._run_module_as_main("__main__", alter_argv=False)  # pyrefly: ignore
            return
        file = os.path.join(os.getcwd(), self.name)
        with io.open_code(file) as source:
            code = compile(source.read(), file, "exec", dont_inherit=True)
        main.__dict__.update(__file__=file, __cached__=None, __loader__=SourceFileLoader("__main__", file))
        exec(code, main.__dict__)

    def _watch(self) -> None:
        """Begin to watch: torch has just been imported."""
        if os.getpid() == self.process:
            rank = int(os.environ.get("LOCAL_RANK", "0"))
            self.findings = self.stack.enter_context(
                self.options.watching(None if rank or self.options.as_json else sys.stderr)
            )

    def _end(self) -> None:
        """Say what was found. It ends the process where the script succeeded and something was to make it fail."""
        if os.getpid() != self.process:  # it was forked, and came to its end
            return
        found = False
        with suppress(KeyboardInterrupt):  # while it waits
            found = self._report()
        fails = found and self.options.fail and self.has_succeeded
        if fails or self.is_interrupted:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError, AttributeError):
                    stream.flush()
            if self.is_interrupted and not self.is_program:  # as Python ends a file, and no module
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGINT)
            os._exit(1)

    def _pointer(self) -> str:
        """The claim that shows the error that the script ended with."""
        from lossdemo.watch.crash import claim_of

        entry = claim_of(self.error)
        return f"\nlossdemo: the book has this error: {entry.title}\n    lossdemo show {entry.id}" if entry else ""

    def _report(self) -> bool:
        """Write what was found to standard error; whether it was more than notes."""
        from lossdemo.watch.findings import Findings

        findings = self.findings
        if self.has_succeeded:
            self.stack.close()
        rank, ranks = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        crashed, is_told = not self.has_succeeded, rank == 0 or not self.has_succeeded
        if rank:
            (findings or Findings()).write(Path(self.directory), f"rank{rank}")
        findings = findings or Findings()
        if is_told:
            findings.take(Path(self.directory), () if crashed else range(1, ranks), PATIENCE)
        if not rank and not crashed:
            shutil.rmtree(self.directory, ignore_errors=True)
        if not is_told:
            return False
        text = findings.json() if self.options.as_json else findings.report()
        if self.findings is None and not findings.all and not self.options.as_json:
            text = "lossdemo: the script did not import torch: there was nothing to watch" if not crashed else ""
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        if not self.options.as_json:
            text += self._pointer()
        if text:
            with suppress(OSError, ValueError, AttributeError):
                print(text, file=sys.stderr, flush=True)
        return any(not finding.note for finding in findings)


def _meeting_place() -> str:
    """The directory in which the processes of one training leave what they found; torchrun's have one parent."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return tempfile.mkdtemp(prefix="lossdemo-watch-")
    run = [str(os.getppid()), *(os.environ.get(f"TORCHELASTIC_{name}", "") for name in ("RESTART_COUNT", "RUN_ID"))]
    name = "".join(letter for letter in "-".join(run) if letter.isalnum() or letter == "-")
    place = os.path.join(tempfile.gettempdir(), f"lossdemo-watch-{os.getuid()}-{name}")
    os.makedirs(place, mode=0o700, exist_ok=True)
    return place


def _trimming(hook: Callable) -> Callable:
    """An excepthook that is given what it would be given without us."""

    def trimming(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        hook(kind, error, _trimmed(error, trace))

    return trimming


def _in_threads(hook: Callable) -> Callable:
    def trimming(args: Any) -> None:
        if args.exc_value is not None:
            trace = _trimmed(args.exc_value, args.exc_traceback)
            args = threading.ExceptHookArgs((args.exc_type, args.exc_value, trace, args.thread))
        hook(args)

    return trimming


def _trimmed(error: BaseException, trace: TracebackType | None) -> TracebackType | None:
    """A traceback without our frames, and what ran us, also in what the error came from."""
    from lossdemo.watch.place import FRAME, HERE

    def trim(trace: TracebackType | None) -> TracebackType | None:
        kept: list[TracebackType] = []
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            if file == __file__:
                kept = []  # what came before has run us
            elif not (file == FRAME or file.startswith(HERE)):
                kept.append(trace)
            trace = trace.tb_next
        for one, following in zip(kept, [*kept[1:], None]):
            one.tb_next = following
        return kept[0] if kept else None

    known: set[int] = {id(error)}
    chain: list[BaseException | None] = [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    while chain:
        one = chain.pop()
        if one is not None and id(one) not in known:
            known.add(id(one))
            one.__traceback__ = trim(one.__traceback__)
            chain += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    trimmed = trim(trace)
    error.__traceback__ = trimmed
    return trimmed
