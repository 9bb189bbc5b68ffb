"""What `lossdemo watch` costs: trainings plainly and watched, and beside two other tools where they are installed.

`make bench` runs it; the number in brackets behind the medians is the ratio. It is no test: slowness fails nothing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn
from torch.nn import functional as F

from lossdemo.watch import watching

STEPS = 100


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


# The model, its loss and a batch; in the order of what a step takes.
TRAININGS: dict[str, tuple[Callable[[], nn.Module], nn.Module, Callable[[], tuple[Tensor, Tensor]]]] = {
    "a line": (lambda: nn.Linear(1, 1), nn.MSELoss(), lambda: (torch.ones(8, 1), torch.ones(8, 1))),
    "an MLP of 1 ms": (
        lambda: nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)),
        nn.CrossEntropyLoss(),
        lambda: (torch.randn(128, 64), torch.randint(10, (128,))),
    ),
    "60 layers": (
        lambda: nn.Sequential(*(nn.Linear(16, 16) for _ in range(60))),
        nn.L1Loss(),
        lambda: (torch.randn(32, 16), torch.randn(32, 16)),
    ),
    "a CNN": (Net, nn.CrossEntropyLoss(), lambda: (torch.randn(32, 1, 28, 28), torch.randint(10, (32,)))),
    "a transformer": (Block, nn.CrossEntropyLoss(), lambda: tokens(8)),
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


def train(training: str, watch: Callable[..., AbstractContextManager]) -> None:
    """A loop as everybody writes it."""
    make, loss, batch = TRAININGS[training]
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, y = batch()
    with watch(model, loss, optimizer, (x, y)):
        for _ in range(STEPS):
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()


@pytest.mark.parametrize("watch", WAYS, ids=lambda watch: watch.__name__)
@pytest.mark.parametrize("training", TRAININGS)
def test_watch(benchmark: BenchmarkFixture, training: str, watch: Callable[..., Any]) -> None:
    """Seconds for 100 steps on one thread."""
    benchmark.group = f"{STEPS} steps of {training}"
    torch.set_num_threads(1)
    benchmark.pedantic(train, (training, watch), rounds=5, warmup_rounds=1)
