"""What pytest wants at the root."""

pytest_plugins = ["pytester"]
