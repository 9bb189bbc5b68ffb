"""A thousand trainings of a linear regression at once: `lossdemo.ensemble` against JAX, in one process on one core.

It is the first example of the source document: 100 points of y = 2x + 1 + noise, MSE, SGD with lr 0.01, 1000 steps,
each training with its own start and points. JAX's compilation counts in each round, as recording does; imports do not.
Without recording, with `vmap(grad_and_value)` called anew in each step, it takes about four times as long as JAX.

`make bench` runs it; the number in brackets behind the times is the ratio. They are the processor's seconds, of all
threads, since both have one core: what else the machine does then counts little. It is no test: slowness fails nothing.
JAX is needed here and nowhere else, so it is in no list of requirements: `.venv/bin/pip install jax` brings the version
for the CPU, and without it this benchmark is skipped.
"""

import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from lossdemo import ensemble

MEMBERS, STEPS, LR = 1000, 1000, 0.01
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def by_lossdemo(w: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The trained weights, (members, 1, 1)."""
    weight, bias, x, y = (torch.tensor(each) for each in (w, b, x, y))
    start = {"weight": weight, "bias": bias}
    return ensemble.fit(nn.Linear(1, 1), nn.MSELoss(), start, x, y, STEPS, lr=LR).parameters["weight"].numpy()


def by_jax(w: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same with scan, jit and vmap, compiled anew."""
    import jax

    def loss(start: list[jax.Array], x: jax.Array, y: jax.Array) -> jax.Array:
        w, b = start
        return ((x @ w.T + b - y) ** 2).mean()

    def train(start: list[jax.Array], x: jax.Array, y: jax.Array) -> tuple[list[jax.Array], jax.Array]:
        def step(parameters: list[jax.Array], _: None) -> tuple[list[jax.Array], jax.Array]:
            value, slopes = jax.value_and_grad(loss)(parameters, x, y)
            return [p - LR * slope for p, slope in zip(parameters, slopes)], value

        return jax.lax.scan(step, start, None, length=STEPS)

    jax.clear_caches()
    (weight, _), _ = jax.jit(jax.vmap(train))([w, b], x, y)
    return np.asarray(weight)


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Starts as nn.Linear draws them, and points, in float32."""
    random = np.random.default_rng(0)
    w, b = (random.uniform(-1, 1, (MEMBERS, *shape)).astype(np.float32) for shape in ((1, 1), (1,)))
    x, noise = random.standard_normal((2, MEMBERS, 100, 1), dtype=np.float32)
    return w, b, x, 2 * x + 1 + noise


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    """The same for both: a thread for torch, and one core for the threads that JAX starts, where this can be set."""
    threads, cores = torch.get_num_threads(), os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    torch.set_num_threads(1)
    if cores:
        os.sched_setaffinity(0, {max(cores)})
    yield
    torch.set_num_threads(threads)
    if cores:
        os.sched_setaffinity(0, cores)


@pytest.mark.benchmark(group="a thousand trainings", timer=time.process_time)
@pytest.mark.parametrize("train", [by_jax, by_lossdemo], ids=lambda train: train.__name__)
def test_a_thousand_trainings(benchmark: BenchmarkFixture, arrays: Arrays, train: Callable[..., np.ndarray]) -> None:
    """The processor's seconds for all of them, from arrays to arrays; both arrive at the same weights."""
    pytest.importorskip("jax", reason="needs JAX to compare with: pip install jax")
    weights = benchmark.pedantic(train, arrays, rounds=7, warmup_rounds=1)
    np.testing.assert_allclose(weights, by_lossdemo(*arrays), atol=1e-5)
