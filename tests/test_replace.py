"""`pytest --replace TARGET=MODULE:NAME`: somebody's own function under the claims of the book."""

import inspect
import json
from textwrap import dedent

import pytest
import torch
import torch._dynamo  # by optimizers: it cannot be imported twice
from torch import nn
from torch.nn import functional as F

import lossdemo
import lossdemo.verify.replace  # once, not by each run inside of this process

TARGET = "torch.nn.functional.mse_loss"
CHAPTER = """\
# Losses

```python
>>> import torch
>>> from torch.nn import functional as F
>>> one, three = torch.tensor([1.]), torch.tensor([3.])
```

## MSE squares

```python
>>> F.mse_loss(three, one)
tensor(4.)
```

Basis: documented

## MSE is zero where there is no error

```python
>>> F.mse_loss(one, one)
tensor(0.)
```

Basis: mathematics

## MAE does not square

```python
>>> F.l1_loss(three, one)
tensor(2.)
```

Basis: mathematics
"""
KERNELS = """\
import torch
from torch import nn
from torch.nn import functional as F

import lossdemo


def halved(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    return ((input - target) ** 2).mean() / 2


def right(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    return ((input - target) ** 2).mean()


def built_on_torch(*args, **kwargs):
    return F.mse_loss(*args, **kwargs) * 1


class Kernels:
    mse = staticmethod(right)


class Module(nn.Module):
    def __init__(self, reduction="mean", scale=1):
        super().__init__()
        self.reduction, self.scale = reduction, scale

    def forward(self, a, b):
        return self.scale * nn.MSELoss(reduction=self.reduction)(a, b)




def __getattr__(name):
    import warnings

    if name != "lazy":
        raise AttributeError(name)
    warnings.warn("made when it is asked for")
    return right


module = Module()
adapted = lossdemo.adapt("torch.nn.functional.mse_loss", Module, scale=1)
number = 3
"""
HEAD = """\
# A law

```python
>>> import torch, warnings
>>> from torch.nn import functional as F
>>> def three():
...     return torch.tensor([3.], requires_grad=True)
>>> one = torch.tensor([1.])
```
"""


@pytest.fixture
def spec(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with three claims, two of them on MSE, and somebody's kernels."""
    pytester.makeini("[pytest]\nclaims = spec\naddopts = -p no:doctest -p no:hypothesispytest\n")
    pytester.mkdir("spec")
    write(pytester, CHAPTER)
    pytester.makepyfile(kernels=KERNELS, test_other="def test_other(): assert False")
    return pytester


def write(spec: pytest.Pytester, text: str) -> None:
    """The chapter, anew."""
    (spec.path / "spec" / "losses.md").write_text(text, encoding="utf-8")


def replace(spec: pytest.Pytester, replacement: str, *arguments: str) -> pytest.RunResult:
    """A run on the CPU with one function replaced."""
    return spec.runpytest_inprocess("--device", "cpu", "--replace", replacement, *arguments)


def kinds(spec: pytest.Pytester, prompts: str, function: str, target: str = TARGET) -> list[tuple[str, str]]:
    """Outcome and kind of a claim that consists of these prompts, with this function in place."""
    write(spec, f"{HEAD}\n## A claim\n\n```python\n{dedent(prompts).strip()}\n```\n\nBasis: mathematics\n")
    spec.makepyfile(mine=f"import torch, warnings\nfrom torch.nn import functional as F\n{dedent(function).strip()}\n")
    result = replace(spec, f"{target}=mine:mine", "--verdicts", "verdicts.json", "-p", "no:cacheprovider", "-rs")
    assert result.ret in (0, 1), result.errlines
    records = json.loads((spec.path / "verdicts.json").read_text())["records"]
    return [(record["outcome"], record["kind"]) for record in records]


@pytest.mark.parametrize("name", ["right", "Kernels.mse", "built_on_torch", "module", "adapted", "lazy"])
def test_an_implementation_that_is_right_passes(spec: pytest.Pytester, name: str) -> None:
    """The claims that call the target run with it, also if it calls torch's; all others are deselected and counted."""
    result = replace(spec, f"{TARGET}=kernels:{name}")
    result.assert_outcomes(passed=2, deselected=2)
    result.stdout.fnmatch_lines([f"{TARGET} by kernels:{name}"])


def test_an_implementation_that_is_wrong_fails_where_it_differs(spec: pytest.Pytester) -> None:
    """The author sees a table by basis and kind, and the claim that it breaks."""
    result = replace(spec, f"{TARGET}=kernels:halved")
    result.assert_outcomes(passed=1, failed=1, deselected=2)
    result.stdout.fnmatch_lines(
        [
            "basis         passed  value",
            "mathematics        1      ·",
            "documented         ·      1",
            "*= FAILURES =*",
            "spec/losses.md:12: MSE squares (documented: value)",
            "    tensor(4.)",
            "    tensor(2.)",
        ]
    )


def test_mathematics_comes_first(spec: pytest.Pytester) -> None:
    """Wherever it stands in the book, it is run and shown before the rest."""
    spec.makepyfile(mine="def mine(input, target):\n    return (input - target + 1).sum()")
    result = replace(spec, f"{TARGET}=mine:mine", "-v")
    result.stdout.fnmatch_lines(["*::mse-is-zero-*FAILED*", "*::mse-squares*FAILED*"])
    result.stdout.fnmatch_lines(["*(mathematics: value)", "*(documented: value)"])


@pytest.mark.slow
def test_works_over_workers_and_dtypes(spec: pytest.Pytester) -> None:
    """Each worker selects the same claims."""
    arguments = ["--dtype", "float32", "--dtype", "float64", "-n", "2", "--replace", f"{TARGET}=kernels:halved"]
    result = spec.runpytest_subprocess("--device", "cpu", *arguments)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["documented         ·      2"])


@pytest.mark.parametrize(
    ("prompts", "function", "outcome"),
    [
        (
            ">>> F.mse_loss(three(), one).item()\n4.0",
            "def mine(input, target): return (input - target).pow(2).mean() + 1",
            ("failed", "value"),
        ),
        (
            ">>> F.mse_loss(three(), one).item()\n4.0",
            "def mine(input, target): return (input - target).pow(2).mean().expand(2)",
            ("failed", "shape"),
        ),
        (
            ">>> torch.autograd.grad(F.mse_loss(x := three(), one), x)[0].item()\n4.0",
            "def mine(input, target): return (input.detach() - target).pow(2).mean() + 0 * input.sum()",
            ("failed", "gradient"),
        ),
        (
            ">>> F.mse_loss(three(), one).grad_fn.name()\n'MseLossBackward0'",
            "def mine(input, target): return (input - target).pow(2).mean()",
            ("failed", "otherwise"),
        ),
        (
            ">>> F.mse_loss(three(), one).item()\n4.0",
            "def mine(*args, **others): return F.mse_loss(*args, delta=1, **others)",
            ("failed", "argument not supported"),
        ),
        (
            ">>> F.mse_loss(three(), one).item()\n4.0",
            "def mine(input, target): raise RuntimeError('not today')",
            ("failed", "refused"),
        ),
        (
            ">>> F.mse_loss(three(), one, reduction='avg')\n"
            "Traceback (most recent call last):\n  ...\nValueError: avg is not a valid value for reduction",
            "def mine(input, target, reduction): return (input - target).mean()",
            ("failed", "not refused"),
        ),
        (
            ">>> F.mse_loss(three(), one, reduction='avg')\n"
            "Traceback (most recent call last):\n  ...\nValueError: avg is not a valid value for reduction",
            "def mine(input, target, reduction): raise KeyError(reduction)",
            ("failed", "other text"),
        ),
        (
            ">>> try:\n...     print(F.mse_loss(three(), one, reduction='avg').item())\n"
            "... except ValueError:\n...     print('refused')\nrefused",
            "def mine(input, target, reduction): return (input - target).mean()",
            ("failed", "not refused"),
        ),
        (
            ">>> F.mse_loss(three(), one, weight=one).item()\n4.0",
            "def mine(input, target, reduction='mean'): return F.mse_loss(input, target)",
            ("not run", "no weight"),
        ),
        (
            ">>> F.mse_loss(three(), one, None, None, 'mean', weight=None).item()\n4.0",
            "def mine(prediction, truth): return F.mse_loss(prediction, truth)",
            ("passed", ""),
        ),
        (
            ">>> F.mse_loss(three(), one, None, None, 'sum').item()\n4.0",
            "def mine(a, b, reduction='mean', more=1): return F.mse_loss(a, b, reduction=reduction)",
            ("passed", ""),
        ),
        (
            ">>> F.mse_loss(three(), one, lambda_=1)\n"
            "Traceback (most recent call last):\n  ...\n"
            "TypeError: mse_loss() got an unexpected keyword argument 'lambda_'",
            "def mse_loss(input, target): return input\nmine = mse_loss",
            ("passed", ""),
        ),
    ],
)
def test_a_failure_is_of_a_kind(spec: pytest.Pytester, prompts: str, function: str, outcome: tuple[str, str]) -> None:
    """What the function did otherwise than the original; what its signature lacks is no failure, but not run."""
    assert kinds(spec, prompts, function) == [outcome]


RECOMPUTES = """
class Recompute(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, target):
        ctx.save_for_backward(input, target)
        return F.mse_loss(input, target)

    @staticmethod
    def backward(ctx, upstream):
        with torch.enable_grad():
            warnings.warn("recomputing")
            input = ctx.saved_tensors[0].detach().requires_grad_()
            return FACTOR * torch.autograd.grad(F.mse_loss(input, ctx.saved_tensors[1]), input, upstream)[0], None

def mine(input, target):
    return Recompute.apply(input, target)
"""
CHECKPOINTS = """
from torch.utils.checkpoint import checkpoint

def mine(input, target):
    return FACTOR * checkpoint(lambda a, b: F.mse_loss(a, b) + 0 * a.sum(), input, target, use_reentrant=REENTRANT)
"""


@pytest.mark.parametrize(
    "function",
    [RECOMPUTES, CHECKPOINTS.replace("REENTRANT", "True"), CHECKPOINTS.replace("REENTRANT", "False")],
)
def test_a_backward_may_call_the_target(spec: pytest.Pytester, function: str) -> None:
    """It finds the original there, as the forward does, and its own is still the one that the claim gets."""
    once = ">>> F.mse_loss(x := three(), one).backward()\n>>> x.grad.item()\n4.0"
    twice = f"{once}\n{once.replace('F', '10 * F').replace('4.0', '40.0')}".replace(
        "10 * F.mse_loss(x := three(), one)", "(10 * F.mse_loss(x := three(), one))"
    )
    assert kinds(spec, twice, function.replace("FACTOR", "1")) == [("passed", "")]
    ((outcome, _),) = kinds(spec, once, function.replace("FACTOR", "2"))
    assert outcome == "failed"


def test_a_backward_that_raises_ends_there(spec: pytest.Pytester) -> None:
    """The next call of the claim is one of the function again, and its warnings are the claim's again."""
    function = RECOMPUTES.replace("FACTOR", "int('no') if input > 2 else 2")
    prompts = """
    >>> try:
    ...     F.mse_loss(three(), one).backward()
    ... except ValueError:
    ...     print("raised")
    raised
    >>> F.mse_loss(one.clone().requires_grad_(), three()).backward()
    >>> warnings.warn("mine")
    Traceback (most recent call last):
      ...
    UserWarning: mine
    """
    assert kinds(spec, prompts, function) == [("passed", "")]


def test_a_backward_that_calls_for_ever_is_stopped(spec: pytest.Pytester) -> None:
    """What a thread of the function's made is not seen; it ends with a message."""
    threaded = RECOMPUTES.replace("FACTOR", "1").replace(
        "return Recompute.apply(input, target)", "return run(input, target)"
    )
    threaded = (
        """
import concurrent.futures
def run(*args):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(Recompute.apply, *args).result()
"""
        + threaded
    )
    prompts = (
        ">>> _ = [F.mse_loss(three(), one) for _ in range(9)]\n>>> F.mse_loss(three(), one).backward()\n>>> print(1)\n1"
    )
    ((outcome, kind),) = kinds(spec, prompts, threaded)
    assert outcome == "failed", kind


@pytest.mark.parametrize(
    ("warning", "count"),
    [
        ("warnings.warn('mine')", 0),
        ("[F.mse_loss(input, target) for _ in range(3)]", 1),
        ("", 0),
    ],
)
def test_warnings_are_passed_on_where_the_original_gives_them(spec: pytest.Pytester, warning: str, count: int) -> None:
    """Each once; all others are the function's own affair."""
    prompts = f"""
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     value = F.mse_loss(three(), torch.tensor([1., 1.]))
    >>> value.item(), len(caught)
    (4.0, {count})
    >>> F.mse_loss(three(), one).item()
    4.0
    """
    function = f"def mine(input, target):\n    {warning or 'pass'}\n    return ((input - target) ** 2).mean()"
    assert kinds(spec, prompts, function) == [("passed", "")]


LOGGING = """
import logging


def mine(input, target):
    for level, text in ((logging.DEBUG, "flood"), (logging.WARNING, "careful")):
        logging.getLogger("x").handle(logging.LogRecord("x", level, "mine.py", 1, text, (), None))
    return 0 * input + 7
"""


def test_what_a_function_logs_for_debugging_is_not_shown(spec: pytest.Pytester) -> None:
    """Also if it goes round the logger's level, as torch's compiler does."""
    spec.makepyfile(mine=LOGGING)
    result = replace(spec, f"{TARGET}=mine:mine")
    result.assert_outcomes(failed=2, deselected=2)
    result.stdout.no_fnmatch_line("*flood*")
    result.stdout.fnmatch_lines(["*careful*"])


def test_a_compiled_function_is_compiled_in_every_call(spec: pytest.Pytester) -> None:
    """By itself torch.compile gives up after eight variants, and runs the function as it is."""
    function = """
    def doubled(graph, inputs):
        return lambda *args: [2 * result for result in graph(*args)]

    mine = torch.compile(lambda input, target, delta: F.huber_loss(input, target, delta=delta), backend=doubled)
    """
    prompts = ">>> [F.huber_loss(three(), one, delta=i / 8).item() for i in range(1, 12)][-1]\n1.8047"
    assert kinds(spec, prompts, function, "torch.nn.functional.huber_loss") == [("failed", "value")]


def test_the_callers_are_kept(spec: pytest.Pytester) -> None:
    """A second run does not try the claims again, only one that changed."""
    spec.makepyfile(mine="def mine(input, target):\n    return (input - target).pow(2).mean()")
    write(
        spec, CHAPTER.replace("tensor(4.)", "tensor(4.)\n>>> with open('log', 'a') as log:\n...     _ = log.write('1')")
    )
    for length in (2, 3):  # first to see what it calls, and then with the function
        replace(spec, f"{TARGET}=mine:mine").assert_outcomes(passed=2, deselected=2)
        assert len((spec.path / "log").read_text()) == length


@pytest.mark.parametrize("target", ["torch.optim.SGD", "torch.optim.sgd.SGD"])
@pytest.mark.parametrize(("factor", "outcome"), [(1, ("passed", "")), (2, ("failed", "value"))])
def test_classes_are_replaced(spec: pytest.Pytester, target: str, factor: int, outcome: tuple[str, str]) -> None:
    """Under every name that torch has for them."""
    function = f"""
    class Mine(torch.optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {{"lr": lr}})

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter -= {factor} * group["lr"] * parameter.grad

    mine = Mine
    """
    prompts = """
    >>> x = three()
    >>> optimizer = torch.optim.SGD([x], lr=0.5)
    >>> (2 * x).sum().backward()
    >>> optimizer.step()
    >>> x.item(), isinstance(optimizer, torch.optim.SGD)
    (2.0, True)
    """
    assert kinds(spec, prompts, function, target) == [outcome]
    lacking = prompts.replace("lr=0.5", "lr=0.5, momentum=0.5")
    assert kinds(spec, lacking, function, target) == [("not run", "no momentum")]


def test_a_module_may_be_built_on_the_one_that_it_replaces(spec: pytest.Pytester) -> None:
    """Its forward finds the original."""
    write(spec, CHAPTER.replace("F.mse_loss(", "torch.nn.MSELoss()("))
    replace(spec, "torch.nn.MSELoss=kernels:Module").assert_outcomes(passed=2, deselected=2)


CALLS = {
    "mse_loss": "F.mse_loss(x, torch.zeros(3, 2), reduction=r)",
    "binary_cross_entropy_with_logits": "F.binary_cross_entropy_with_logits(x, torch.ones(3, 2), reduction=r)",
    "cross_entropy": "F.cross_entropy(x, torch.tensor([0, 1, 1]), reduction=r)",
    "linear_cross_entropy": "F.linear_cross_entropy(x, torch.eye(2), torch.tensor([0, 1, 1]), reduction=r)",
}
UPSTREAM = """
    from torch.nn.functional import {name} as original

    class Upstream(torch.autograd.Function):
        @staticmethod
        def forward(ctx, losses):
            return losses.clone()

        @staticmethod
        def backward(ctx, upstream):
            return {upstream}

    def mine(*args, **kwargs):
        return Upstream.apply(original(*args, **kwargs))
"""


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "upstream",
    [
        "upstream.flatten()[-1].expand(upstream.shape)",
        "torch.ones_like(upstream) if upstream.ndim else upstream",
        "torch.ones_like(upstream)",
    ],
)
def test_an_upstream_gradient_that_is_mistreated_is_found(spec: pytest.Pytester, name: str, upstream: str) -> None:
    """Under 'none' the last entry for all rows, or ones; and a gradient that ten times the loss does not change."""
    if not hasattr(F, name):
        pytest.skip(f"this torch has no {name}")
    prompts = f"""
    >>> def gradient(r, change):
    ...     x = torch.arange(6.).reshape(3, 2).requires_grad_()
    ...     loss = {CALLS[name]}
    ...     return torch.autograd.grad(change(loss), x)[0]
    >>> torch.allclose(gradient("mean", lambda loss: 10 * loss), 10 * gradient("mean", lambda loss: loss))
    True
    >>> rows = gradient("none", lambda losses: losses[0].sum())
    >>> rows[0].any().item(), rows[1:].any().item()
    (True, False)
    """
    target = f"torch.nn.functional.{name}"
    function = UPSTREAM.format(name=name, upstream=upstream)
    assert kinds(spec, prompts, function, target) == [("failed", "gradient")]
    assert kinds(spec, prompts, UPSTREAM.format(name=name, upstream="upstream"), target) == [("passed", "")]


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (f"{TARGET}", "write it as torch.nn.functional.mse_loss=mykernels:mse_loss"),
        (f"{TARGET}=kernels", "write it as torch.nn.functional.mse_loss=mykernels:mse_loss"),
        ("torch.nn.functional.mse_lost=kernels:right", "there is no function torch.nn.functional.mse_lost"),
        (f"{TARGET}=nowhere:right", "importing nowhere failed: ModuleNotFoundError"),
        (f"{TARGET}=broken:right", "importing broken failed: ZeroDivisionError"),
        (f"{TARGET}=kernels:wrong", "kernels has no wrong"),
        (f"{TARGET}=kernels:number", "number is a int, not a function"),
        (f"{TARGET}=kernels:Module", 'name loss = lossdemo.adapt("torch.nn.functional.mse_loss", Module)'),
        ("torch.nn.functional.ctc_loss=kernels:right", "no claim that was selected calls torch.nn.functional.ctc_loss"),
    ],
)
def test_what_cannot_be_replaced_is_refused(spec: pytest.Pytester, replacement: str, message: str) -> None:
    """Each mistake is a usage error of its own, before anything runs."""
    spec.makepyfile(broken="1 / 0")
    result = replace(spec, replacement)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*".replace("[", "[[]")])


def test_known_failures_are_reported_as_such(spec: pytest.Pytester) -> None:
    """A claim in the file may fail; a line that does not fail any more, or names no claim, is stale."""
    zero = "mse-is-zero-where-there-is-no-error"
    (spec.path / "known.txt").write_text(
        f"# ours\n\nmse-squares the kernel has one half\n{zero} not yet\ngone long ago\n"
    )
    result = replace(spec, f"{TARGET}=kernels:halved", "--known", "known.txt", "-rx")
    result.assert_outcomes(xfailed=1, xpassed=1, deselected=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "documented         ·              1",
            "stale in --known: gone names no claim of the book",
            f"stale in --known: {zero} does not fail any more",
            "XFAIL spec/losses.md::mse-squares* - known: the kernel has one half",
        ]
    )
    replace(spec, f"{TARGET}=kernels:halved", "--known=/dev/null").assert_outcomes(passed=1, failed=1, deselected=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--known", "none.txt"], "--known none.txt: No such file or directory"),
        (["--known", "bare.txt"], "bare.txt:1: say behind mse-squares why it is known to fail"),
        (["--prove"], "--prove and --replace: give one of them"),
    ],
)
def test_requests_that_make_no_sense_are_refused(spec: pytest.Pytester, arguments: list[str], message: str) -> None:
    """Each is a usage error that says what is wrong."""
    (spec.path / "bare.txt").write_text("mse-squares\n")
    result = replace(spec, f"{TARGET}=kernels:right", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*"])


def test_known_failures_need_a_replacement(spec: pytest.Pytester) -> None:
    """Without one nothing is known to fail."""
    result = spec.runpytest_inprocess("--known", "known.txt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--known lists known failures of --replace: give both"])


class Squares(nn.Module):
    """A module with the options of most."""

    def __init__(self, reduction: str = "none", scale: float = 2.0) -> None:
        super().__init__()
        self.reduction, self.scale = reduction, scale

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The squares, scaled."""
        return self.scale * F.mse_loss(a, b, reduction=self.reduction)


def squares(a: torch.Tensor, b: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
    """One for each element."""
    return weight * (a - b) ** 2


@pytest.mark.parametrize("loss", [lossdemo.adapt(TARGET, Squares, scale=1), lossdemo.adapt(TARGET, squares)])
def test_a_loss_is_adapted_to_a_signature_of_torch(loss: object) -> None:
    """It is called as the original, in the original's order, and its default is the original's."""
    x, zero = torch.tensor([1.0, 3.0]), torch.zeros(2)
    assert loss(x, zero).item() == 5
    assert loss(x, target=zero, reduction="sum").item() == 10
    assert loss(x, zero, None, None, "none").tolist() == [1, 9]
    with pytest.warns(UserWarning, match="please use reduction='sum'"):
        assert loss(x, zero, False).item() == 10
    with pytest.raises(ValueError, match="avg is not a valid value for reduction"):
        loss(x, zero, reduction="avg")


def test_an_adapted_loss_has_the_arguments_that_it_takes() -> None:
    """Those of the target alone, without those that are fixed; `--replace` reads it from the signature."""
    names = "input target size_average reduce reduction"
    assert " ".join(inspect.signature(lossdemo.adapt(TARGET, Squares)).parameters) == names
    assert " ".join(inspect.signature(lossdemo.adapt(TARGET, squares)).parameters) == f"{names} weight"
    assert " ".join(inspect.signature(lossdemo.adapt(TARGET, squares, weight=2)).parameters) == names
    assert " ".join(inspect.signature(lossdemo.adapt(TARGET, nn.Bilinear)).parameters) == "input target"
    huber = lossdemo.adapt("torch.nn.functional.huber_loss", lambda a, b, delta: delta * (a - b))
    assert " ".join(inspect.signature(huber).parameters) == "input target reduction delta"
    assert huber(torch.ones(2), torch.zeros(2), "sum", 3).item() == 6
    divergence = lossdemo.adapt("torch.nn.functional.kl_div", lambda a, b: a - b)
    assert divergence(torch.ones(2, 3), torch.zeros(2, 3), reduction="batchmean").item() == 3
