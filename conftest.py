"""Wires the book and the devices into pytest."""

from collections.abc import Generator

import pytest

pytest_plugins = ["lossdemo.verify.plugin", "pytester"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `setting` runs on each device and with each dtype that the command line names."""
    from lossdemo.verify import plugin  # here: pytest wants to import its plugins itself, and first

    if "setting" in metafunc.fixturenames:
        metafunc.parametrize(
            "setting", plugin.settings(metafunc.config, ["float32", "float64"]), indirect=True, ids=str
        )


@pytest.fixture
def setting(request: pytest.FixtureRequest) -> Generator[None]:
    """Torch as a claim would find it in this setting: default device and dtype, seed, warnings as errors."""
    from lossdemo.verify.evaluator import torch_as  # here: it imports torch, and a run of the book may not need it

    with torch_as(request.param):
        yield request.param
