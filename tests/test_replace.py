"""`pytest --replace TARGET=MODULE:NAME`: somebody's own function under the claims of the book."""

import pytest

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

Basis: mathematics

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
def halved(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    return ((input - target) ** 2).mean() / 2


def right(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    return ((input - target) ** 2).mean()


def built_on_torch(*args, **kwargs):
    from torch.nn import functional as F

    return F.mse_loss(*args, **kwargs) * 1


class Kernels:
    mse = staticmethod(right)


number = 3
"""


@pytest.fixture
def spec(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with three claims, two of them on MSE, and somebody's kernels."""
    pytester.makeconftest('pytest_plugins = ["lossdemo.verify.plugin"]')
    pytester.makeini("[pytest]\naddopts = -p no:doctest -p no:hypothesispytest\npythonpath = .\n")
    pytester.mkdir("spec")
    (pytester.path / "spec" / "losses.md").write_text(CHAPTER)
    pytester.makepyfile(kernels=KERNELS, test_other="def test_other(): assert False")
    return pytester


def replace(spec: pytest.Pytester, replacement: str, *arguments: str) -> pytest.RunResult:
    """A run on the CPU with one function replaced."""
    return spec.runpytest_inprocess("--device", "cpu", "--replace", replacement, *arguments)


@pytest.mark.parametrize(
    ("name", "shown"), [("right", "right"), ("Kernels.mse", "right"), ("built_on_torch", "built*")]
)
def test_an_implementation_that_is_right_passes(spec: pytest.Pytester, name: str, shown: str) -> None:
    """The claims that call the target run with it, also if it calls torch's; all others are deselected and counted."""
    result = replace(spec, f"{TARGET}=kernels:{name}")
    result.assert_outcomes(passed=2, deselected=2)
    result.stdout.fnmatch_lines([f"{TARGET} by kernels:{shown}"])


def test_an_implementation_that_is_wrong_fails_where_it_differs(spec: pytest.Pytester) -> None:
    """The author sees the claim that it breaks."""
    result = replace(spec, f"{TARGET}=kernels:halved")
    result.assert_outcomes(passed=1, failed=1, deselected=2)
    result.stdout.fnmatch_lines(["MSE squares [[]cpu[]]", "    tensor(4.)", "    tensor(2.)"])


def test_works_over_workers_and_dtypes(spec: pytest.Pytester) -> None:
    """Each worker selects the same claims."""
    arguments = ["--dtype", "float32", "--dtype", "float64", "-n", "2", "--replace", f"{TARGET}=kernels:halved"]
    result = spec.runpytest_subprocess("--device", "cpu", *arguments)
    result.assert_outcomes(passed=2, failed=2)


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
            "stale in --known: gone names no claim of the book",
            f"stale in --known: {zero} does not fail any more",
            "XFAIL spec/losses.md::mse-squares* - known: the kernel has one half",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--known", "none.txt"], "--known none.txt: there is no such file"),
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
