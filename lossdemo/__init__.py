"""How PyTorch's losses move a model's parameters, as claims that are tests."""

from lossdemo.adapter import adapt

__all__ = ["adapt"]
