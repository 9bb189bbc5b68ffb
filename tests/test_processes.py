"""`lossdemo.processes.run`: results and errors of several processes, and nothing that stays behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed as dist

from lossdemo import processes
from lossdemo.processes import InProcess, run
from lossdemo.verify import items, prove, replace
from lossdemo.verify.claims import Book, Claim
from lossdemo.verify.mutant import Mutant, then
from lossdemo.verify.run import Setting, run_compared
from lossdemo.verify.standin import StandIn
from lossdemo.verify.world import World


def children() -> set[int]:
    """The processes that this one has, those that nobody waited for as well."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process, file, thread or directory is left, whatever became of the work."""
    monkeypatch.setattr(processes.tempfile, "tempdir", str(tmp_path))
    before = children(), len(os.listdir("/proc/self/fd")), threading.active_count()
    yield
    assert (children(), len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    assert not list(tmp_path.glob("lossdemo-*"))
    assert not dist.is_initialized()
    assert "GLOO_SOCKET_IFNAME" not in os.environ


def total(rank: int) -> float:
    """The sum of 1, 2, … over all ranks."""
    number = torch.tensor(rank + 1.0)
    dist.all_reduce(number)
    return number.item()


def fail(rank: int) -> None:
    """The last rank raises, and the others wait for it, or for an hour."""
    if rank == dist.get_world_size() - 1:
        raise KeyError(f"in {rank}")
    dist.barrier()
    time.sleep(3600)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_processes_are_one_group(count: int) -> None:
    """Each adds its number to those of the others."""
    assert run(total, count) == [sum(range(1, count + 1))] * count


def test_results_come_in_the_order_of_ranks() -> None:
    """Whichever is ready first."""

    def work(rank: int) -> int:
        time.sleep(0.05 * (1 - rank))
        return rank

    assert run(work) == [0, 1]


def test_processes_start_alike_and_change_nothing_here() -> None:
    """They have this one's random numbers, and one thread."""
    threads, state, seen = torch.get_num_threads(), torch.get_rng_state(), []

    def work(rank: int) -> tuple[float, int, list[int]]:
        seen.append(rank)
        return torch.rand(()).item(), torch.get_num_threads(), seen

    first, second = run(work)
    assert first == (torch.rand(()).item(), 1, [0])
    assert second == (first[0], 1, [1])
    torch.set_rng_state(state)
    assert (torch.get_num_threads(), seen) == (threads, [])


def test_processes_work_where_threads_did_before() -> None:
    """A parallel sum and a backward pass on two threads first, then the same in the processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        x = torch.ones(1_000_000, requires_grad=True)
        x.sum().backward()
        assert run(lambda rank: torch.autograd.grad(x.square().sum(), x)[0].sum().item()) == [2e6, 2e6]
    finally:
        torch.set_num_threads(before)


def test_an_error_comes_with_its_rank_and_traceback() -> None:
    """Its type and text are those of the process; others that wait for it are ended."""
    with pytest.raises(KeyError, match="in 1") as raised:
        run(fail)
    assert isinstance(raised.value.__cause__, InProcess)
    assert "Rank 1:\nTraceback" in str(raised.value.__cause__)
    assert ", in fail\n" in str(raised.value.__cause__)


class Exits:
    """It ends the process that pickles it."""

    def __reduce__(self) -> str:
        sys.exit(4)


@pytest.mark.parametrize(
    ("work", "error", "text"),
    [
        (lambda rank: time.sleep(60), TimeoutError, "not finished within 0.5 seconds: rank 0, 1"),
        (lambda rank: rank or dist.barrier(), TimeoutError, "not finished within 0.5 seconds: rank 0"),
        (lambda rank: rank == 0 or os.kill(os.getpid(), signal.SIGKILL), RuntimeError, "rank 1 ended without a word"),
        (lambda rank: os._exit(0), RuntimeError, "ended without a word"),
        (lambda rank: exit(0), RuntimeError, r"rank \d: SystemExit\(0\)"),
        (lambda rank: lambda: 0, RuntimeError, "returned what cannot be pickled: .*lambda"),
        (lambda rank: Exits(), RuntimeError, "returned what cannot be pickled: 4"),
    ],
    ids=["all hang", "one hangs", "killed", "leaves", "exits", "cannot be sent", "exits when sent"],
)
def test_what_goes_wrong_is_said(work: Callable[[int], object], error: type[Exception], text: str) -> None:
    """A process that hangs, is killed, leaves, or has nothing that can be sent."""
    with pytest.raises(error, match=text):
        run(work, limit=0.5 if error is TimeoutError else 30)


class Odd(Exception):
    """It cannot be made again from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


def test_an_error_that_cannot_be_sent_is_named() -> None:
    """Its text stands in the cause."""

    def work(rank: int) -> None:
        raise Odd(1, 2)

    with pytest.raises(RuntimeError, match=r"rank \d raised Odd\('odd'\)") as raised:
        run(work)
    assert "in work\n" in str(raised.value.__cause__)


def test_a_process_that_the_work_forks_says_nothing_and_is_ended(tmp_path: Path) -> None:
    """One that comes back from the work too has no result of its own; one that stays does not outlive its rank."""

    def work(rank: int) -> str:
        if os.fork() == 0:
            return "forked"
        if os.fork() == 0:
            (tmp_path / str(os.getpid())).touch()
            time.sleep(60)
        wait_until(lambda: len(pids(tmp_path)) == 2)
        return "rank"

    assert run(work) == ["rank", "rank"]
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids(tmp_path)))


@pytest.mark.slow
def test_what_was_printed_before_an_error_is_there() -> None:
    """Also where it is written in blocks."""
    code = "from lossdemo.processes import run\ndef work(rank):\n    print('here')\n    raise KeyError\nrun(work, 1)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "here\n"


def test_a_parent_that_waits_for_nobody_gets_results() -> None:
    """Where SIGCHLD is ignored, the system itself forgets the processes."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert run(total) == [3.0, 3.0]
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_an_interrupt_ends_all() -> None:
    """Ctrl-C while the processes work: they ignore it, and this one ends them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background ignore it
    parent = os.getpid()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(lambda rank: (rank == 0 and os.kill(parent, signal.SIGINT), time.sleep(60)))
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_no_process_outlives_its_parent(tmp_path: Path) -> None:
    """One that is killed itself, and can end nothing, while a rank has its result and the other works."""
    code = (
        "import os, time; from lossdemo.processes import run\n"
        "def work(rank):\n"
        f"    open(r'{tmp_path}/' + str(os.getpid()), 'w').close()\n"
        "    time.sleep(rank)\n"
        "run(work)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path / "..")})
    try:
        wait_until(lambda: len(pids(tmp_path)) == 2)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids(tmp_path)))


def pids(directory: Path) -> list[str]:
    """What the processes called their files."""
    return [path.name for path in directory.iterdir() if path.name.isdigit()]


def wait_until(condition: Callable[[], bool]) -> None:
    """Half a minute at most."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# Under the harness

CODE = """\
>>> def work(rank):
...     return F.mse_loss(torch.tensor([3.]), torch.tensor([1.])).item()
>>> run(work)
[4.0, 4.0]"""


@pytest.fixture
def claim(tmp_path: Path) -> Callable[[str], Claim]:
    """Makes a claim of code."""

    def make(code: str) -> Claim:
        page = tmp_path / "page.md"
        page.write_text(
            "# Page\n\n```python\n>>> import torch\n>>> from torch.nn import functional as F\n"
            ">>> from lossdemo.processes import run\n```\n\n"
            f"## Claim\n\n```python\n{code}\n```\n\nBasis: observed · Needs: processes\n"
        )
        return Book(tmp_path).claims(page)[0]

    return make


def test_a_claim_may_have_processes(claim: Callable[[str], Claim]) -> None:
    """The world after it is as before, also where it fails; then the process's own traceback is shown."""
    assert run_compared(claim(CODE), Setting(), World()) is None
    failure = run_compared(claim(CODE.replace("3.", "3, 'x'")), Setting(), World())
    assert failure
    assert isinstance(failure.error, TypeError | ValueError | RuntimeError)
    assert ", in work\n" in failure.message


def test_processes_are_not_forked_beside_cuda(claim: Callable[[str], Claim], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where the system cannot fork; each is said."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert items.not_run_because(claim(CODE), Setting()) is None
    assert "CUDA does not work in a forked one" in str(items.not_run_because(claim(CODE), Setting("cuda")))
    monkeypatch.delattr(os, "fork")
    assert "does not fork" in str(items.not_run_because(claim(CODE), Setting()))


def test_calls_in_processes_prove_a_claim(claim: Callable[[str], Claim]) -> None:
    """A mutant that is called in a process alone counts as called, and is killed, or crashes by itself."""

    def halved(original: Callable) -> Callable:
        return then(original, lambda loss: loss / 2)

    def broken(original: Callable) -> Callable:
        def call(*args: object, **kwargs: object) -> None:
            raise ZeroDivisionError

        return call

    def oddly_broken(original: Callable) -> Callable:
        def call(*args: object, **kwargs: object) -> None:
            raise Odd(1, 2)

        return call

    target = "torch.nn.functional.mse_loss"
    mutants = [Mutant("halved", target, "", halved), Mutant("broken", target, "", broken)]
    mutants.append(Mutant("oddly broken", target, "", oddly_broken))
    never = Mutant("never", target, "", halved, lambda call: call["reduction"] == "sum")
    trial = prove.Trial(claim(CODE), Setting(), {})
    assert trial.run([*mutants, never], World(), lambda mutant, trial: True) is None
    assert trial.fates == {"halved": "killed"}
    assert trial.idle == {"never"}
    oddly = trial.crashed.pop("oddly broken")
    assert "raised Odd('odd')" in oddly
    assert trial.crashed == {"broken": "ZeroDivisionError()"}


def test_calls_in_processes_are_calls_of_what_is_replaced(claim: Callable[[str], Claim]) -> None:
    """What is in the function's place counts them, and knows what it raised there."""
    original = torch.nn.functional.mse_loss
    stand_in = StandIn(original, original)
    in_place = replace.replaced("torch.nn.functional.mse_loss", lambda _: stand_in.in_place)
    with in_place, processes.watching(stand_in.seen, stand_in.take):
        assert run_compared(claim(CODE), Setting(), World()) is None
        assert stand_in.calls == 2
        assert run_compared(claim(CODE.replace("torch.tensor([1.])", "'no'")), Setting(), World())
        assert len(stand_in.raised) == 1
