"""Several processes that exchange tensors, as the ranks of a distributed training: `run(work)`.

    >>> from torch import distributed as dist
    >>> def work(rank):
    ...     total = torch.tensor([rank + 1.0])
    ...     dist.all_reduce(total)
    ...     return total.item()
    >>> run(work)
    [3.0, 3.0]

The processes are forked, so that `work` may be any function, and sees all that was made before. It takes a tenth of a
second at most on a quiet machine, and a second more at the first call of a process that has made no optimizer yet.
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")

# What watches the calls of this process, as `pytest --prove` does: how to read what was seen in a forked one, which
# has a copy of it, and how to take that in here.
_WATCHING: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []


class InProcess(Exception):
    """The cause of an error that `run` raises: the rank in which it was raised first, and the traceback there."""


def run(work: Callable[[int], Result], count: int = 2, *, limit: float = 30.0) -> list[Result]:
    """What `work(rank)` returns in each of `count` processes that form a gloo group, in the order of the ranks.

    Each process starts with a copy of this one, its random numbers included, and with one thread. Of what it does
    nothing but the result comes back, which has to be something that can be pickled.

    Args:
        work: Called with the rank, from 0 to `count` - 1. The group is there, as torch.distributed's default.
        count: How many processes.
        limit: How many seconds they may take together.

    Raises:
        Exception: what a process raised first, of the same type; its cause is an InProcess with rank and traceback.
        TimeoutError: if one has not finished within `limit`.
        RuntimeError: if one ended without a word, as by a signal, or returned what cannot be pickled.
    """
    import torch._dynamo  # each process would import it anew, which takes a second

    with torch.autograd.profiler.record_function("run"):
        pass  # DDP does so in each forward, and its first import takes as long as the group
    parent, end = os.getpid(), time.monotonic() + limit
    directory = tempfile.mkdtemp(prefix="lossdemo-")
    children: dict[Connection, tuple[int, int]] = {}  # rank and process by where its result comes from
    results: dict[int, Result] = {}
    try:
        for rank in range(count):
            receiver, sender = Pipe(duplex=False)
            pid = _fork()
            if pid == 0:
                _be(parent, rank, count, work, sender, os.path.join(directory, "store"), limit)
                os._exit(1)
            sender.close()
            children[receiver] = rank, pid
        while len(results) < count:
            ready = wait([c for c, (rank, _) in children.items() if rank not in results], end - time.monotonic())
            if not ready:
                late = ", ".join(str(rank) for rank, _ in children.values() if rank not in results)
                raise TimeoutError(f"not finished within {limit:g} seconds: rank {late}")
            for receiver, (rank, _) in children.items():
                if receiver in ready:
                    results[rank] = _received(receiver, rank)
    finally:
        if os.getpid() != parent:  # whatever was raised there, a process does not go on where this one was
            os._exit(1)
        for _, pid in children.values():
            for kill in (os.killpg, os.kill):  # with what the process forked; it may not have had time for a group
                with suppress(OSError):
                    kill(pid, signal.SIGKILL)
        for receiver, (_, pid) in children.items():
            with suppress(ChildProcessError):  # where SIGCHLD is ignored nobody is waited for
                os.waitpid(pid, 0)
            receiver.close()
        shutil.rmtree(directory, ignore_errors=True)
    return [results[rank] for rank in range(count)]


@contextmanager
def watching(read: Callable[[], Any], take: Callable[[Any], None]) -> Generator[None]:
    """While this lasts, what `read()` returns at the end of each process is given to `take` here."""
    _WATCHING.append((read, take))
    try:
        yield
    finally:
        _WATCHING.pop()


def _fork() -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or both would write what waits there
    with warnings.catch_warnings():  # of threads, which a forked process does not have: it uses none of theirs
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _be(
    parent: int, rank: int, count: int, work: Callable[[int], Any], sender: Connection, store: str, limit: float
) -> None:
    """The life of a process: its result or error is sent, and then it waits to be killed, as others may need it."""
    pid = os.getpid()
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit + 1)  # should the parent be no more, and the work without end
    result, error, text = b"", None, ""
    try:
        _join(rank, count, store, limit)
        result = _sendable(work(rank), f"rank {rank} returned what cannot be pickled")
    except BaseException as raised:
        text = f"\nRank {rank}:\n{''.join(traceback.format_exception(raised))}"
        error = raised if isinstance(raised, Exception) else RuntimeError(f"rank {rank}: {raised!r}")
    if os.getpid() == pid:  # or it was forked by the work, and came back
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        message = io.BytesIO()
        _Pickler(message, rank).dump((result, error, text, [read() for read, _ in _WATCHING]))
        sender.send_bytes(message.getvalue())
        while os.getppid() == parent:
            time.sleep(0.05)


class _Pickler(pickle.Pickler):
    """Writes an error that cannot be pickled as a RuntimeError that names it, the same one wherever it occurs."""

    def __init__(self, file: io.BytesIO, rank: int) -> None:
        super().__init__(file)
        self.rank = rank

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, BaseException):
            try:
                _sendable(value, "")
            except RuntimeError:
                return RuntimeError, (f"rank {self.rank} raised {value!r}",)
        return NotImplemented


def _sendable(value: Any, otherwise: str) -> bytes:
    try:
        message = pickle.dumps(value)
        pickle.loads(message)  # some errors can be written, but not read
    except BaseException as refusal:
        raise RuntimeError(f"{otherwise}: {refusal}") from None
    return message


def _join(rank: int, count: int, store: str, limit: float) -> None:
    torch.set_num_threads(1)
    torch.set_default_device(None)  # CUDA cannot be used in a forked process
    local = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    os.environ["GLOO_SOCKET_IFNAME"] = local[0]  # no name of this machine need lead to it
    torch.distributed.init_process_group(
        "gloo",
        store=torch.distributed.FileStore(store, count),
        rank=rank,
        world_size=count,
        timeout=timedelta(seconds=limit),
    )


def _received(receiver: Connection, rank: int) -> Any:
    try:
        result, error, text, seen = pickle.loads(receiver.recv_bytes())
    except (EOFError, OSError):  # nothing came, or a part
        raise RuntimeError(f"rank {rank} ended without a word") from None
    for (_, take), one in zip(_WATCHING, seen or ()):
        take(one)
    if error is not None:
        raise error from InProcess(text)
    return pickle.loads(result)
