"""What a claim leaves behind is found, named and put back; what it may do is not."""

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lossdemo.verify.claims import Book, Claim
from lossdemo.verify.run import Setting, run_compared
from lossdemo.verify.world import STATES, World


@pytest.fixture(scope="module")
def world() -> World:
    """One world for all, as in a run."""
    return World()


@pytest.fixture
def claim(tmp_path: Path) -> Callable[[str], Claim]:
    """Makes a claim of code."""

    def make(code: str) -> Claim:
        page = tmp_path / "page.md"
        page.write_text(
            "# Page\n\n```python\n>>> import torch\n>>> from torch import nn\n"
            f">>> from torch.nn import functional as F\n```\n\n"
            f"## Claim\n\n```python\n{code}\n>>> 1\n1\n```\n\nBasis: observed\n"
        )
        return Book(tmp_path).claims(page)[0]

    return make


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends what a test started."""
    event = threading.released = threading.Event()
    yield event
    event.set()
    del threading.released


CHANGES = {
    "torch.set_default_dtype(torch.float64)": "the default dtype changed",
    "torch.set_default_device('meta')": "the default device changed",
    "torch.set_num_threads(3)": "the number of threads changed",
    "_ = torch.set_grad_enabled(False)": "grad mode changed",
    "torch.set_printoptions(precision=1)": "torch's print options changed",
    "_ = torch.set_flush_denormal(True)": "flushing of denormal numbers changed",
    "torch.set_autocast_enabled('cpu', True)": "autocast on cpu changed",
    "torch.set_autocast_dtype('cpu', torch.float16)": "autocast on cpu changed",
    "torch.backends.cudnn.benchmark = True": "torch.backends.cudnn.benchmark changed",
    "torch.use_deterministic_algorithms(True)": "deterministic algorithms changed",
    "torch.autograd.graph.saved_tensors_hooks(id, id).__enter__()": "hooks on saved tensors changed",
    "D = torch.distributions.Normal; D.set_default_validate_args(not D._validate_args)": "*._validate_args changed",
    "torch.__future__.set_swap_module_params_on_conversion(True)": "torch.__future__.* changed",
    "F.mse_loss = lambda *a: 7": "torch.nn.functional.mse_loss changed",
    "del F.mse_loss": "torch.nn.functional.mse_loss deleted",
    "torch.extra = 1": "torch.extra added",
    "nn.MSELoss.forward = lambda *a: 7": "torch.nn.modules.loss.MSELoss.forward changed",
    "torch.optim.SGD.step = None": "torch.optim.sgd.SGD.step changed",
    "torch.Tensor.backward = None": "torch.Tensor.backward changed",
    "_ = nn.modules.module.register_module_forward_hook(print)": "hooks in *._global_forward_hooks",
    "import builtins; builtins.abs = len": "builtins.abs changed",
    "import math; math.pi = 3": "math.pi changed",
    "import numpy; _ = numpy.seterr(all='ignore')": "NumPy's handling of errors changed",
    "import numpy; numpy.set_printoptions(precision=1)": "NumPy's print options changed",
    "import decimal; decimal.getcontext().prec = 1": "the decimal context changed",
    "import os; os.chdir('/')": "the working directory changed",
    "import os; os.environ['MINE'] = '1'": "the environment changed",
    "import sys; sys.path.append('mine')": "sys.path changed",
    "import sys; sys.setrecursionlimit(5000)": "the recursion limit changed",
    "import gc; gc.disable()": "garbage collection changed",
    "import logging; logging.root.setLevel(10)": "logging changed",
    "import signal; _ = signal.signal(signal.SIGINT, signal.SIG_IGN)": "signal handlers changed",
    "import atexit; _ = atexit.register(len, '')": "a function that is called when the process ends",
    "_ = open(torch.__file__).readline()": "ResourceWarning: unclosed file *",
}


@pytest.mark.parametrize(("code", "left"), CHANGES.items(), ids=CHANGES)
def test_what_a_claim_changes_is_named_and_put_back(
    claim: Callable[[str], Claim], world: World, code: str, left: str
) -> None:
    """The claim fails with what it left, and another finds the world as it was."""
    before = [state.read() for state in STATES]
    one = claim(f">>> {code}")
    for _ in range(2):  # a first run may import something, and counts all the same
        failure = run_compared(one, Setting(), world)
        assert failure is not None
        pytest.LineMatcher([failure.reason]).fnmatch_lines([f"the claim leaves behind: *{left}*"])
    assert [state.read() for state in STATES] == before
    assert run_compared(claim(">>> F.mse_loss(torch.ones(1), torch.zeros(1)).item()\n1.0"), Setting(), world) is None


def test_an_open_file_and_a_running_thread_are_named(
    claim: Callable[[str], Claim], world: World, release: threading.Event
) -> None:
    """What goes on after the claim is its failure, though nothing can put it back."""
    numbers = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else set()
    code = (
        ">>> import os, threading\n>>> number = os.open('/', os.O_RDONLY)\n"
        ">>> threading.Thread(target=threading.released.wait, name='mine').start()"
    )
    failure = run_compared(claim(code), Setting(), world)
    assert failure is not None
    assert "the thread mine running" in failure.reason
    if numbers:
        assert "/ open" in failure.reason
    for number in set(os.listdir("/proc/self/fd")) - numbers if numbers else ():
        if Path(f"/proc/self/fd/{number}").exists():
            os.close(int(number))


ALLOWED = {
    "seeds": ">>> _ = torch.manual_seed(1)\n>>> import random, numpy\n>>> random.seed(1); numpy.random.seed(1)",
    "modes that end": ">>> mode = torch.inference_mode()\n>>> mode.__enter__()",
    "contexts": ">>> with torch.no_grad(), torch.autocast('cpu'):\n...     y = nn.ReLU()(torch.ones(1))",
    "warnings": ">>> import warnings\n>>> warnings.simplefilter('ignore')\n>>> warnings.warn('so')",
    "imports": ">>> import wave, colorsys",
    "optimizers": ">>> w = nn.Parameter(torch.ones(1))\n>>> torch.optim.NAdam([w]).step()",
    "hooks that are removed": ">>> nn.modules.module.register_module_forward_hook(print).remove()",
    "threads that end": ">>> import threading\n>>> t = threading.Thread(target=dict)\n>>> t.start(); t.join()",
    "files that are closed": ">>> with open(torch.__file__) as file:\n...     _ = file.read(1)",
    "children": ">>> import os\n>>> pid = os.fork()\n>>> if not pid:\n...     os._exit(3)\n>>> _ = os.waitpid(pid, 0)",
}


@pytest.mark.parametrize("code", ALLOWED.values(), ids=ALLOWED)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_what_a_claim_may_do(claim: Callable[[str], Claim], world: World, code: str) -> None:
    """Seeds, warnings, contexts, imports and what is closed again are nobody's failure."""
    assert run_compared(claim(code), Setting(), world) is None


def test_settings_may_alternate(claim: Callable[[str], Claim], world: World) -> None:
    """A claim in float64 does not take the traces of one in float32 for its own."""
    one = claim(">>> torch.ones(1)\ntensor([1.])")
    for dtype in (torch.float32, torch.float64, torch.float32, torch.float64):
        assert run_compared(one, Setting(dtype=dtype, threads=2), world) is None


def test_a_failure_goes_before_what_is_left(claim: Callable[[str], Claim], world: World) -> None:
    """A claim that does not hold fails by that, and what it changed is put back too."""
    failure = run_compared(claim(">>> torch.extra = 1\n>>> 1\n2"), Setting(), world)
    assert failure is not None
    assert failure.reason == "expected '2', got '1'"
    assert not hasattr(torch, "extra")


def test_the_generators_go_on_as_if_no_claim_had_run(claim: Callable[[str], Claim], world: World) -> None:
    """A claim's seed is its own."""
    states = [lambda: torch.get_rng_state().tolist(), random.getstate, lambda: np.random.get_state()[1].tolist()]
    before = [read() for read in states]
    assert run_compared(claim(">>> _ = torch.rand(1)"), Setting(seed=5), world) is None
    assert [read() for read in states] == before


def test_what_others_change_is_forgotten(claim: Callable[[str], Claim], world: World) -> None:
    """After `forget` the world is what it is at the next claim."""
    harmless = claim(">>> F.mse_loss\n'mine'")
    original = F.mse_loss
    try:
        F.mse_loss = "mine"
        world.forget()
        assert run_compared(harmless, Setting(), world) is None
        assert F.mse_loss == "mine"
    finally:
        F.mse_loss = original
        world.forget()


def test_what_a_mutants_run_imports_is_no_fault_of_the_next_claim(
    claim: Callable[[str], Claim], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs under mutants are not compared, and what they import may change torch, as torch._dynamo does."""
    harmless = claim(">>> 1\n1")
    assert run_compared(harmless, Setting(), world) is None
    monkeypatch.setitem(sys.modules, "imported_meanwhile", ModuleType("imported_meanwhile"))
    monkeypatch.setattr(torch, "manual_seed", lambda seed: None)
    assert run_compared(harmless, Setting(), world) is None


def test_the_packages_of_mutants_are_watched(
    claim: Callable[[str], Claim], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package under test is compared as torch is."""
    (tmp_path / "focal_of_world.py").write_text("gamma = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    change = claim(">>> import focal_of_world\n>>> focal_of_world.gamma = 3")
    assert run_compared(change, Setting(), World()) is None
    __import__("focal_of_world").gamma = 2
    failure = run_compared(change, Setting(), World({"focal_of_world"}))
    assert failure is not None
    assert failure.reason == "the claim leaves behind: focal_of_world.gamma changed"
