"""Wires the book and the devices into pytest."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lossdemo.verify.run import Setting

pytest_plugins = ["lossdemo.verify.plugin", "pytester"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `setting` runs on each device and with each dtype that the command line names."""
    from lossdemo.verify import plugin  # here: pytest wants to import its plugins itself, and first

    if "setting" in metafunc.fixturenames:
        dtypes = ["float32"] if "device" in metafunc.fixturenames else ["float32", "float64"]
        metafunc.parametrize("setting", plugin.settings(metafunc.config, dtypes), indirect=True, ids=str)


@pytest.fixture
def setting(request: pytest.FixtureRequest) -> Generator[Setting]:
    """Torch as a claim would find it in this setting: default device and dtype, seed, warnings as errors."""
    from lossdemo.verify.run import torch_as  # here: it imports torch, and a run of the book may not need it

    with torch_as(request.param):
        yield request.param


@pytest.fixture
def device(setting: Setting) -> str:
    """The device of the setting, for a test that chooses its dtypes itself."""
    return setting.device
