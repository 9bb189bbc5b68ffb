"""Settings of the tests beside the book, and a small project that has claims."""

from collections.abc import Iterator
from pathlib import Path

import _hypothesis_globals
import pytest
import torch
from hypothesis import settings

from lossdemo.verify.run import Setting
from lossdemo.verify.verdicts import Verdicts

# The same examples everywhere, and no deadline: machines are noisy.
settings.register_profile("lossdemo", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("lossdemo")

# A claim that holds, one that does not, a weak one, and one that needs a GPU.
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

## MSE halves

```python
>>> F.mse_loss(three, one)
tensor(2.)
```

Basis: documented

## MSE returns a tensor

```python
>>> type(F.mse_loss(three, one)) is torch.Tensor
True
```

Basis: documented

## A GPU is fast

```python
>>> F.mse_loss(three, one)
tensor(4.)
```

Basis: observed · Needs: cuda
"""

MUTANTS = """\
from lossdemo.verify.mutant import mutant


@mutant("torch.nn.functional.mse_loss")
def mse_is_zero(original):
    "Nothing left."
    return lambda *args, **kwargs: original(*args, **kwargs) * 0
"""

# A conftest that gives one claim, which hangs, a limit of half a second; on a slow machine no other comes near one.
LIMIT = """\
import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "{name}[cpu]":
            item.add_marker(pytest.mark.timeout(0.5), append=False)
"""


class Project:
    """A directory whose settings name `spec` as its claims, with one chapter in it; it is the working directory."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        pytester.makepyprojecttoml(
            """
            [tool.pytest.ini_options]
            claims = "spec"
            mutants = ["wrong"]
            addopts = ["-p", "no:doctest", "-p", "no:randomly"]
            pythonpath = ["."]
            """
        )
        pytester.makepyfile(wrong=MUTANTS)
        self.chapter(CHAPTER)

    def chapter(self, text: str, name: str = "losses") -> Path:
        """Write a chapter."""
        path = self.path / "spec" / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def claim(self, *code: str, title: str = "A claim") -> Path:
        """A chapter `probe` with one claim of these lines."""
        return self.chapter(
            f"# Probe\n\n## {title}\n\n```python\n" + "\n".join(code) + "\n```\n\nBasis: observed\n", "probe"
        )

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest on the CPU: in this process, or in one of its own where it has workers."""
        if "-n" in arguments:
            return self.pytester.runpytest_subprocess("--device", "cpu", *arguments)
        return self.pytester.runpytest_inprocess("--device", "cpu", *arguments, no_reraise_ctrlc=True)

    def verdicts(self, *arguments: str) -> Verdicts:
        """What a run leaves."""
        self.run("--verdicts", "verdicts.json", *arguments)
        return Verdicts.read(self.path / "verdicts.json")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that has claims."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")  # it counts its sessions, of this process too
    return Project(pytester)


@pytest.fixture(autouse=True)
def hypothesis_is_ready() -> Iterator[None]:
    """A run of pytest in a test that ends before its session leaves hypothesis's plugin in its initialization."""
    yield
    _hypothesis_globals.in_initialization = 0


@pytest.fixture
def setting(torch_setting: Setting) -> Setting:
    """The setting in which torch is: each device and dtype that the command line names."""
    return torch_setting


@pytest.fixture
def device(setting: Setting) -> str:
    """The device of the setting, for a test that chooses its dtypes itself."""
    return setting.device


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """What these tests train is so small that a second thread only waits for the first."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
