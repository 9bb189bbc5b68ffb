"""Wires the book and the devices into pytest."""

import pytest

pytest_plugins = ["lossdemo.verify.plugin", "pytester"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `device` or `dtype` runs once for each that the command line names."""
    from lossdemo.verify.plugin import devices  # here: pytest wants to import its plugins itself, and first

    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", devices(metafunc.config))
    if "dtype" in metafunc.fixturenames:
        metafunc.parametrize("dtype", metafunc.config.option.dtype or ["float32", "float64"])
