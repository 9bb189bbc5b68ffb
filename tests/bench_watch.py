"""What `lossdemo watch` costs: trainings plainly and watched, and beside two other tools where they are installed.

`make bench` runs it; the number in brackets behind the figures is the ratio. It is no test: slowness fails nothing.
Seconds are those of the processor, on one thread. What a step costs is measured apart from what the beginning costs.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn
from torch.nn import functional as F

from lossdemo.watch import watching

STEPS, FIRST = 40, 40  # of a round, and those that belong to the beginning


class Net(nn.Module):
    """A small CNN."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3)
        self.norm, self.drop, self.out = nn.BatchNorm2d(8), nn.Dropout(0.2), nn.Linear(16 * 25, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = F.max_pool2d(F.relu(self.norm(self.a(x))), 2)
        x = F.max_pool2d(F.relu(self.b(x)), 2)
        return self.out(self.drop(x.flatten(1)))


class Block(nn.Module):
    """A transformer of two layers over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Embedding(100, 32), nn.Linear(32, 100)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, classes second."""
        return self.out(self.layers(self.embed(x))).transpose(1, 2)


def tokens(size: int) -> tuple[Tensor, Tensor]:
    """Random text, and the next tokens."""
    return torch.randint(100, (size, 16)), torch.randint(100, (size, 16))


def momentum(model: nn.Module) -> torch.optim.Optimizer:
    """As for images."""
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    """As for text."""
    return torch.optim.Adam(model.parameters(), lr=0.001)


def mlp() -> nn.Module:
    """Three layers."""
    return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


Training = tuple[
    Callable[[], nn.Module],
    nn.Module,
    Callable[[nn.Module], torch.optim.Optimizer],
    Callable[[], tuple[Tensor, Tensor]],
]
# The model, its loss, its optimizer and a batch.
TRAININGS: dict[str, Training] = {
    "a line": (lambda: nn.Linear(1, 1), nn.MSELoss(), momentum, lambda: (torch.ones(8, 1), torch.ones(8, 1))),
    "an MLP": (mlp, nn.CrossEntropyLoss(), momentum, lambda: (torch.randn(128, 64), torch.randint(10, (128,)))),
    "a CNN": (Net, nn.CrossEntropyLoss(), momentum, lambda: (torch.randn(32, 1, 28, 28), torch.randint(10, (32,)))),
    "a transformer": (Block, nn.CrossEntropyLoss(), adam, lambda: tokens(24)),
    "200 parameters": (
        lambda: nn.Sequential(*(nn.Linear(16, 16) for _ in range(100))),
        nn.L1Loss(),
        adam,
        lambda: (torch.randn(32, 16), torch.randn(32, 16)),
    ),
}


def plain(model: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, batch: Any) -> Any:
    """Nothing watches."""
    return nullcontext()


def lossdemo_watches(model: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, batch: Any) -> Any:
    """As on the command line."""
    return watching()


def torch_audit_watches(model: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, batch: Any) -> Any:
    """Each step, as watches see each call; what it says goes nowhere."""
    stack = ExitStack()
    auditor = pytest.importorskip("torch_audit").autopatch(model, optimizer=optimizer, every_n_steps=1, reporters=[])
    stack.callback(lambda: auditor.finish(report=False))
    return stack


def torchtest2_checks(model: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, batch: Any) -> Any:
    """It looks at one batch, before the training."""
    pytest.importorskip("torchtest2").check_model(model, *batch, loss_fn=loss, optimizer=optimizer)
    return nullcontext()


WAYS = [plain, lossdemo_watches, torch_audit_watches, torchtest2_checks]


class Loop:
    """A loop as everybody writes it."""

    def __init__(self, training: str, watch: Callable[..., AbstractContextManager]) -> None:
        make, self.loss, optimizer, batch = TRAININGS[training]
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.model, (self.x, self.y), self.watch = make(), batch(), watch
        self.optimizer = optimizer(self.model)

    def watched(self) -> AbstractContextManager:
        """While this lasts, something may watch."""
        return self.watch(self.model, self.loss, self.optimizer, (self.x, self.y))

    def run(self, steps: int = STEPS) -> None:
        """Train on."""
        for _ in range(steps):
            self.optimizer.zero_grad()
            value = self.loss(self.model(self.x), self.y)
            value.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()


def begin(training: str, watch: Callable[..., AbstractContextManager]) -> None:
    """The model and its first steps, watched from before they were made until all is over."""
    loop = Loop(training, watch)
    with loop.watched():
        loop.run(FIRST)


@pytest.mark.benchmark(timer=time.process_time, disable_gc=False)
@pytest.mark.parametrize("watch", WAYS, ids=lambda watch: watch.__name__)
@pytest.mark.parametrize("training", TRAININGS)
def test_steps(benchmark: BenchmarkFixture, training: str, watch: Callable[..., Any]) -> None:
    """Seconds for 40 steps in the midst of a training."""
    benchmark.group = f"{STEPS} steps of {training}"
    loop = Loop(training, watch)
    with loop.watched():
        loop.run(FIRST)
        benchmark.pedantic(loop.run, rounds=12)


@pytest.mark.benchmark(timer=time.process_time, disable_gc=False)
@pytest.mark.parametrize("watch", WAYS, ids=lambda watch: watch.__name__)
@pytest.mark.parametrize("training", ["a line", "a transformer"])
def test_beginning(benchmark: BenchmarkFixture, training: str, watch: Callable[..., Any]) -> None:
    """Seconds for a model and its first 40 steps, with what is needed to begin and to end."""
    benchmark.group = f"the first {FIRST} steps of {training}, from begin to end"
    benchmark.pedantic(begin, (training, watch), rounds=4, warmup_rounds=1)
