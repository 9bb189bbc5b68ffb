"""A script under `lossdemo watch` is the user's: beside our lines everything is as under `python script.py`."""

import json
import os
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
PAIRS = "mse-mae-huber-and-smoothl1-pair-n-1-with-n-and-only-warn"

# What a script does, and how its command line goes on; most do without torch, which takes seconds to import.
SCRIPTS: dict[str, str] = {
    "surroundings": """
        import atexit, os, sys, threading, time
        print(sys.argv, sys.path[0], __file__, sorted(globals()), __spec__, type(__loader__), __package__, __doc__)
        print(sys.modules["__main__"].__dict__ is globals(), "torch" in sys.modules, sys.stdin.read(), hash("a"))
        print(sys.stdout.errors, sys.stderr.errors, sys.flags, sys.excepthook is sys.__excepthook__, os.environ)
        import signal
        print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), threading.enumerate())
        atexit.register(print, "at exit")
        atexit.register(lambda: 1 / 0)
        threading.Thread(target=lambda: (time.sleep(0.1), print("a thread's end"), [][0])).start()
        class Late:
            def __del__(self): print("deleted")
        late = Late()
        open("relative.txt", "w").close()
        import neighbour
        """,
    "an error": """
        import sys
        def work():
            try:
                {}["a"]
            except KeyError as error:
                raise ValueError("b") from error
        try:
            work()
        except ValueError:
            raise ExceptionGroup("several", [TypeError("c"), OSError("d")])
        """,
    "a hook of its own": """
        import sys, traceback
        def hook(kind, error, trace):
            print("mine", kind, error, traceback.extract_tb(trace), traceback.extract_tb(error.__traceback__))
        sys.excepthook = hook
        [][0]
        """,
    "a wrong line": "print(1)\nx = = 2\n",
    "a code": "import sys; sys.exit(3)",
    "a text": "import sys; print('a'); sys.exit('something is missing')",
    "at once": "import os; print('a', flush=True); os._exit(5)",
    "ctrl-c": """
        import atexit, os, signal
        atexit.register(print, "at exit")
        os.kill(os.getpid(), signal.SIGINT)
        """,
    "terminated": "import os, signal; print('a', flush=True); os.kill(os.getpid(), signal.SIGTERM)",
    "signals of its own": """
        import os, signal
        signal.signal(signal.SIGTERM, lambda number, frame: (print("caught", frame.f_code.co_name), exit(7)))
        os.kill(os.getpid(), signal.SIGTERM)
        """,
    "a fork": """
        import os, sys, atexit
        atexit.register(lambda: print("exit", os.getpid() == parent, flush=True))
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            sys.exit(4)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
    "processes": """
        import multiprocessing, os, subprocess, sys, traceback
        def work(n):
            print(n, __name__, multiprocessing.current_process().daemon, sys.argv, flush=True)
            if n == 2:
                [][n]
            return n * n
        class Own(multiprocessing.Process):
            def run(self): print("own", self._target, flush=True)
        if __name__ == "__main__":
            for method in ("fork", "spawn", "forkserver"):
                context = multiprocessing.get_context(method)
                for n in (1, 2):
                    process = context.Process(target=work, args=(n,), name=f"worker {n}")
                    process.start(); process.join(); print(method, process.exitcode, flush=True)
                with context.Pool(1) as pool:
                    print(pool.map(work, [3, 4]), flush=True)
            own = Own(); own.start(); own.join()
            left = multiprocessing.Process(target=work, args=(5,)); left.start()
            print(subprocess.run([sys.executable, "-c", "print(6)"], capture_output=True).stdout)
            multiprocessing.Process(target=sys.exit, args=(9,)).start()
        """,
    "a training": """
        import os, sys, warnings
        os.environ["OMP_NUM_THREADS"] = "1"
        assert "torch" not in sys.modules
        def main():
            import torch, torch.utils.flop_counter, pickle, functools, inspect, io, copy, gc, weakref, threading
            from torch import nn
            from torch.nn import functional as F
            from torch.nn.functional import mse_loss, cross_entropy as named
            from torch.utils.data import DataLoader, TensorDataset
            torch.manual_seed(0)
            data = TensorDataset(torch.randn(64, 3), torch.randn(64))
            model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1))
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
            for start in ("fork", "spawn"):
                for x, y in DataLoader(data, 16, shuffle=True, num_workers=1, multiprocessing_context=start):
                    loss = nn.MSELoss()(model(x), y)
                    optimizer.zero_grad(); loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    print(loss.item().hex())
                scheduler.step()
            print(loss._version, torch.is_grad_enabled(), torch.get_rng_state().sum())
            alive = weakref.ref(loss); del loss; print(alive() is None, "a cycle is none")
            print(sum(p.double().sum().item() for p in model.parameters()).hex())
            for function in (F.mse_loss, mse_loss, F.cross_entropy, named, torch.autograd.backward, nn.Module.train):
                print(inspect.signature(function), inspect.getfullargspec(function), len(inspect.getsource(function)))
                print(function.__qualname__, function.__module__, pickle.loads(pickle.dumps(function)) is function)
            print(pickle.loads(pickle.dumps(functools.partial(F.cross_entropy, reduction="sum"))))
            print(copy.deepcopy(nn.HuberLoss()), copy.deepcopy({F.mse_loss: 1}) == {mse_loss: 1})
            file = io.BytesIO(); torch.save(nn.TransformerEncoderLayer(4, 2, 4), file); file.seek(0)
            torch.load(file, weights_only=False); print(file.tell())
            warnings.warn("of the user's")
            for _ in range(2):
                F.l1_loss(torch.ones(2, 1, requires_grad=True), torch.ones(2))
            def late():
                F.mse_loss("a", "b")
            thread = threading.Thread(target=late); thread.start(); thread.join()
            class Own(torch.Tensor):
                @classmethod
                def __torch_function__(cls, function, types, args=(), kwargs=None):
                    print("own", getattr(function, "__name__", function))
                    return super().__torch_function__(function, types, args, kwargs)
            with torch.utils.flop_counter.FlopCounterMode(display=False) as flops:
                model(torch.ones(2, 3))
            print(flops.get_total_flops())
            print(F.mse_loss(torch.ones(2, 1).as_subclass(Own), torch.ones(2)).item())
            print(inspect.stack()[0].function, F.mse_loss(torch.ones(3, 1, requires_grad=True), torch.ones(3)))
        if __name__ == "__main__":
            main()
        """,
    "torch's transforms": """
        import torch
        from torch import nn
        from torch.nn import functional as F
        class Loss(nn.Module):
            def forward(self, a, b):
                return F.mse_loss(a, b) + F.cross_entropy(a, torch.zeros(2, dtype=torch.long)) + F.huber_loss(a, b)
        torch.manual_seed(0)
        a, b = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3)
        scripted = torch.jit.script(Loss()); print(scripted.graph, scripted(a, b), len(scripted.code))
        print(torch.jit.script(F.mse_loss)(a, b), torch.jit.trace(Loss(), (a, b)).graph)
        print(torch.fx.symbolic_trace(Loss()).code)
        print(torch.export.export(Loss(), (a, b)).graph)
        print(torch.func.grad(Loss())(a, b), torch.vmap(lambda x, y: F.mse_loss(x, y))(a, b))
        from torch._dynamo.testing import CompileCounter
        from torch._dynamo.utils import counters
        for backend in ("eager", "aot_eager", CompileCounter()):
            model = nn.Linear(3, 2); optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            loss = torch.compile(lambda x, y: F.mse_loss(model(x), y) + nn.CrossEntropyLoss()(model(x), y),
                                 backend=backend)
            step = torch.compile(model, backend=backend)
            for n in range(4):
                x = torch.randn(4, 3)
                optimizer.zero_grad(); value = loss(x, torch.softmax(x[:, :2], 1)) + step(x).sum(); value.backward()
                optimizer.step(); print(value.item().hex())
            @torch.compile(backend=backend)
            def whole(x):
                F.mse_loss(model(x), x[:, :2]).backward(); optimizer.step(); optimizer.zero_grad()
            whole(x); whole(x)
            if hasattr(backend, "frame_count"):
                print(backend.frame_count, backend.op_count)
            print(dict(counters["stats"]), len(counters["graph_break"]))
        print(torch._dynamo.explain(Loss())(a, b).graph_break_count)
        """,
}


def written(directory: Path, name: str) -> str:
    """Write a script and what belongs to it; its file name."""
    lines = SCRIPTS[name].splitlines()
    indent = len(lines[1]) - len(lines[1].lstrip()) if len(lines) > 2 else 0
    file = directory / f"{name.replace(' ', '_').replace('-', '_').replace(chr(39), '')}.py"
    file.write_text("\n".join(line[indent:] for line in lines) + "\n", encoding="utf-8")
    (directory / "neighbour.py").write_text("print(__name__)\n", encoding="utf-8")
    return file.name


def run(directory: Path, *command: str, options: tuple[str, ...] = (), **more: Any) -> subprocess.CompletedProcess:
    """Run Python in a directory, with little in its environment."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environment |= {"PYTHONHASHSEED": "1", "GLOO_SOCKET_IFNAME": "lo"} | more.pop("env", {})
    return subprocess.run(
        [sys.executable, *options, *command],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        input="from stdin",
        **more,
    )


def same(directory: Path, *command: str, options: tuple[str, ...] = (), **more: Any) -> list[dict[str, Any]]:
    """Run a command of Python's plainly and watched: nothing differs; what was found."""
    plain = run(directory, *command, options=options, **more)
    watched = run(directory, "-m", "lossdemo", "watch", "--json", *command, options=options, **more)
    *lines, last = watched.stderr.splitlines() or [""]
    told = last.startswith("[")
    assert neutral(watched.stdout) == neutral(plain.stdout)
    assert neutral("\n".join(lines if told else [*lines, last])) == neutral(plain.stderr.rstrip("\n"))
    assert watched.returncode == plain.returncode
    return json.loads(last) if told else []


def neutral(text: str) -> str:
    """A text without what differs from run to run."""
    return re.sub(
        r"0x[0-9a-f]+|W\d{4} [\d:.]+ +\d+|ForkPoolWorker-\d+|/\S*/pymp-\S+|\w+/T/|pid \d+|started \d+", "", text
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_what_it_is_without_us(name: str, tmp_path: Path) -> None:
    """Output, errors, exit status, `__main__`, signals, tracebacks, processes, compiled functions: to the letter."""
    found = same(tmp_path, written(tmp_path, name), "a", "--fail", "-m")
    assert any(one["claim"] == PAIRS and one["count"] == 8 for one in found) == (name == "a training")


@pytest.mark.parametrize("name", ["surroundings", "an error"])
def test_other_ways_to_name_a_script(name: str, tmp_path: Path) -> None:
    """In another directory, through a link, as a module of a package, as a directory or an archive; with options."""
    (tmp_path / "below").mkdir()
    file = written(tmp_path / "below", name)
    (tmp_path / "link.py").symlink_to(tmp_path / "below" / file)
    for way in (f"below/{file}", f"./below/../below/{file}", "link.py", str(tmp_path / "below" / file)):
        same(tmp_path, way)
    same(tmp_path, f"below/{file}", options=("-W", "error", "-X", "dev", "-O"))
    same(tmp_path, f"below/{file}", options=("-u", "-B"), env={"PYTHONSAFEPATH": "1"})
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "other.py").write_text("x = 1\n")
    (tmp_path / "neighbour.py").write_text("")
    code = (tmp_path / "below" / file).read_text()
    (tmp_path / "package" / "module.py").write_text("from .other import x\n" + code)
    same(tmp_path, "-m", "package.module", "a")
    (tmp_path / "below" / file).rename(tmp_path / "below" / "__main__.py")
    same(tmp_path, "below", "a")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for path in (tmp_path / "below").glob("*.py"):
            archive.write(path, path.name)
    same(tmp_path, "archive.zip", "a")


WRONG = """
    import torch
    from torch.nn import functional as F
    for n in range(3):
        F.mse_loss(torch.ones(3, 1, requires_grad=True), torch.ones(3))
    if F.l1_loss(
        torch.ones(3, 1, requires_grad=True), torch.ones(3)
    ) == 0:  # lossdemo: ignore {pairs}
        print("ignored")
"""


def watched(directory: Path, code: str, *options: str, **more: Any) -> subprocess.CompletedProcess:
    """Run a script under watch."""
    text = textwrap.dedent(code).replace("{pairs}", PAIRS)
    (directory / "train.py").write_text(text, encoding="utf-8")
    return run(directory, "-m", "lossdemo", "watch", *options, "train.py", options=("-W", "ignore"), **more)


def test_what_is_found_is_told_at_once_and_at_the_end(tmp_path: Path) -> None:
    """In full on standard error; as JSON nothing else; with --fail it is an exit status; ignored it is not told."""
    plain = watched(tmp_path, WRONG)
    assert plain.returncode == 0
    assert plain.stdout == "ignored\n"
    assert plain.stderr == (
        "lossdemo: train.py:5  the loss pairs (3, 1) with (3,): 9 pairs\n"
        "lossdemo: 1 finding\n"
        "train.py:5  the loss pairs (3, 1) with (3,): 9 pairs  [each of 3 calls]\n"
        "    input (3, 1) · target (3,) · give both the same shape, as by target.view_as(input)\n"
        f"    lossdemo show {PAIRS}\n"
    )
    failing = watched(tmp_path, WRONG, "--json", "--fail")
    assert failing.returncode == 1
    assert [(one["claim"], one["line"], one["count"]) for one in json.loads(failing.stderr)] == [(PAIRS, 5, 3)]
    ignoring = watched(tmp_path, WRONG, "--fail", "--ignore", PAIRS)
    assert (ignoring.returncode, ignoring.stderr) == (0, "lossdemo: no findings\n")
    unknown = watched(tmp_path, WRONG, "--ignore", "mse-pears")
    assert unknown.returncode == 2
    assert "no claim has 'mse-pears' in its id; nearest:" in unknown.stderr
    assert watched(tmp_path, WRONG + "    raise SystemExit(4)\n", "--fail").returncode == 4


def test_a_crash_is_followed_by_what_was_found_before(tmp_path: Path) -> None:
    """The traceback as without us, then the findings; none for what the end alone would have shown."""
    crashed = watched(tmp_path, WRONG + "    F.mse_loss('a', 'b')\n", "--fail")
    assert crashed.returncode == 1
    before, _, after = crashed.stderr.partition("AttributeError")
    assert "lossdemo/" not in before
    assert "importlib" not in before
    assert after.splitlines()[1] == "lossdemo: 1 finding"


def test_a_script_without_torch_says_so(tmp_path: Path) -> None:
    """Nothing was watched."""
    assert watched(tmp_path, "print(1)").stderr == (
        "lossdemo: the script did not import torch: there was nothing to watch\n"
    )
    assert watched(tmp_path, "print(1)", "--json").stderr == "[]\n"


def test_what_processes_found_comes_back(tmp_path: Path) -> None:
    """Of processes that are spawned, of pools that are terminated, and where this one never imports torch."""
    found = watched(
        tmp_path,
        """
        import multiprocessing
        def work(n):
            import torch
            from torch.nn import functional as F
            if n == 1:
                F.mse_loss(torch.ones(3, 1, requires_grad=True), torch.ones(3))
            else:
                F.l1_loss(torch.ones(3, 1, requires_grad=True), torch.ones(3))
        if __name__ == "__main__":
            process = multiprocessing.get_context("spawn").Process(target=work, args=(1,))
            process.start(); process.join()
            with multiprocessing.get_context("fork").Pool(1) as pool:
                pool.map(work, [2])
        """,
        "--json",
    )
    assert [(one["line"], one["rank"]) for one in json.loads(found.stderr)] == [(7, None), (9, None)], found


def test_torchrun_gives_one_report(tmp_path: Path) -> None:
    """By the first rank; what only another one found bears its number."""
    (tmp_path / "train.py").write_text(
        textwrap.dedent(
            """
            import os, torch, torch.distributed as dist
            from torch.nn import functional as F
            dist.init_process_group("gloo")
            model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
            F.mse_loss(model(torch.ones(3, 2)), torch.ones(3)).backward()
            if dist.get_rank() == 1:
                F.l1_loss(torch.ones(3, 1, requires_grad=True), torch.ones(3))
            dist.destroy_process_group()
            """
        )
    )
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517")
    done = run(tmp_path, *torchrun, "-m", "lossdemo", "watch", "--json", "train.py", env={"PYTHONWARNINGS": "ignore"})
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("[{")]
    assert len(told) == 1
    assert [(one["line"], one["rank"]) for one in json.loads(told[0])] == [(6, None), (8, 1)]
