"""Settings of the tests beside the book."""

import pytest
from hypothesis import settings

from lossdemo.verify.run import Setting

# The same examples everywhere, and no deadline: machines are noisy.
settings.register_profile("lossdemo", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("lossdemo")


@pytest.fixture
def setting(torch_setting: Setting) -> Setting:
    """The setting in which torch is: each device and dtype that the command line names."""
    return torch_setting


@pytest.fixture
def device(setting: Setting) -> str:
    """The device of the setting, for a test that chooses its dtypes itself."""
    return setting.device
