"""Settings of the tests beside the book."""

from hypothesis import settings

# The same examples everywhere, and no deadline: machines are noisy.
settings.register_profile("lossdemo", derandomize=True, deadline=None)
settings.load_profile("lossdemo")
