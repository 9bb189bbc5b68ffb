"""Several processes that exchange tensors, as the ranks of a distributed training: `run(work)`.

    >>> from torch import distributed as dist
    >>> def work(rank):
    ...     total = torch.tensor([rank + 1.0])
    ...     dist.all_reduce(total)
    ...     return total.item()
    >>> run(work)
    [3.0, 3.0]

The processes are forked, so that `work` may be any function, and sees all that was made before. It takes an eighth of a
second, or a second more at the first call of a process that has made no optimizer yet.
"""

from __future__ import annotations

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
from typing import Any, NoReturn, TypeVar

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
    import torch._dynamo  # noqa: F401 — each process would import it anew, which takes a second

    end = time.monotonic() + limit
    directory = tempfile.mkdtemp(prefix="lossdemo-")
    children: dict[Connection, tuple[int, int]] = {}  # rank and process by where its result comes from
    results: dict[int, Result] = {}
    try:
        for rank in range(count):
            receiver, sender = Pipe(duplex=False)
            parent, pid = os.getpid(), _fork()
            if pid == 0:
                _be(parent, rank, count, work, sender, os.path.join(directory, "store"), limit)
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
        for receiver, (_, pid) in children.items():
            os.kill(pid, signal.SIGKILL)
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
) -> NoReturn:
    """The life of a process: its result or error is sent, and then it waits to be killed, as others may need it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit + 1)  # should the parent be no more, and the work without end
    result = error = None
    try:
        _join(rank, count, store, limit)
        result = work(rank)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException as raised:  # whatever it is, this process does not go on where the parent was
        error = raised
    seen = [read() for read, _ in _WATCHING]
    text = f"\nRank {rank}:\n{''.join(traceback.format_exception(error))}" if error else ""
    if error and not isinstance(error, Exception):
        error = RuntimeError(f"rank {rank}: {error!r}")
    try:
        message = pickle.dumps((result, error, text, seen))
        pickle.loads(message)  # some errors can be written, but not read
    except Exception as refusal:
        what = f"raised {error!r}" if error else f"returned what cannot be pickled: {refusal}"
        message = pickle.dumps((None, RuntimeError(f"rank {rank} {what}"), text, None))
    with suppress(BaseException):
        sender.send_bytes(message)
        while os.getppid() == parent:
            time.sleep(0.05)
    os._exit(1)


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
    except EOFError:
        raise RuntimeError(f"rank {rank} ended without a word") from None
    for (_, take), one in zip(_WATCHING, seen or ()):
        take(one)
    if error is not None:
        raise error from InProcess(text)
    return result
