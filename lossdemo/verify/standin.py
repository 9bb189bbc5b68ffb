"""Somebody's function or class in the place of a target, and what it does otherwise than the original."""

import inspect
import warnings
from collections.abc import Iterator
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from lossdemo.verify.mutant import signature
from lossdemo.verify.patch import Function

_OF_LEAF = 2**63  # nodes that gather a leaf's gradient have no number of their own, but the largest
_ENOUGH = 1000  # calls from within one backward

Signatures = tuple[inspect.Signature | None, inspect.Signature | None]  # the original's, and the function's


class _Lacks(BaseException):
    """The call has an argument that the stand-in's signature has not; no claim's `except` takes it for a refusal."""


class StandIn:
    """`function` in the place of `original`, which is at its place again while `function` runs: many are built on it.

    This holds for its backward too. Warnings of `function` are its own affair: those alone are passed on that are in
    `expected`, by category and text. For a claim, `calls` counts its calls, `warned` has their warnings, `lacks` is the
    argument that `function` does not have, and `raised` what it raised. With `comparing` the original runs beside it,
    and `kinds` names each difference: value, gradient, shape, refused and so on.
    """

    def __init__(self, original: Function, function: Function) -> None:
        self.original = original
        self.in_place = self._class(function) if isinstance(function, type) else self._wrapped(function, original)
        self.forward = self.nodes = 0
        self.begin()

    def begin(self, expected: set[tuple[str, str]] | None = None, comparing: bool = False) -> None:
        """Forget the claim before; `expected` is None where every warning is passed on."""
        self.expected, self.comparing = expected, comparing
        self.calls = self.within = 0
        self.lacks, self.kinds, self.raised = "", [], []
        self.warned: dict[tuple[str, str], warnings.WarningMessage] = {}

    def _wrapped(self, function: Function, original: Function, inside: Function | None = None) -> Function:
        signatures = signature(original), signature(getattr(function, "forward", function))

        @wraps(function, updated=())
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(function, inside or original, signatures, args, kwargs)

        return call

    def _class(self, function: Any) -> type:
        """A class below `function`: what its instances compute runs under the eyes of this too."""
        standin: Any = self
        signatures = signature(self.original), signature(function)

        class Meta(type(function)):  # pyrefly: ignore — whatever its metaclass is
            def __call__(self, *args: Any, **kwargs: Any) -> Any:
                make = super().__call__
                if self is not standin.in_place:  # a class that a claim derives
                    return make(*args, **kwargs)
                return standin._call(make, standin.original, signatures, args, kwargs)

        names = {name: getattr(function, name) for name in ("__module__", "__qualname__", "__doc__")}
        for name in {"forward", "step"} & {*dir(function)}:
            method = getattr(function, name)
            names[name] = self._wrapped(method, getattr(self.original, name, method), method)
        return Meta(function.__name__, (function,), names)

    def _call(self, function: Function, inside: Function, signatures: Signatures, args: tuple, kwargs: dict) -> Any:
        backward = torch._C._current_graph_task_id() != -1
        if not backward and not self.forward:
            self.end()
        if self.forward or self.nodes:
            return inside(*args, **kwargs)
        self.within = self.within + 1 if backward else 0
        if self.within > _ENOUGH:
            raise RecursionError(
                f"called {_ENOUGH} times in one backward: does its backward call it in another thread?"
            )
        self.calls += 1
        places, names = self._fitted(*signatures, args, kwargs)
        since = torch._C._autograd._get_sequence_nr()
        result = error = None
        self._open()
        self.forward += 1
        try:
            result = function(*places, **names)
        except Exception as raised:
            self.raised.append(error := raised)
            raise
        finally:
            if self.comparing and not isinstance(self.original, type):
                self.kinds += self._differences(result, error, args, kwargs)
            self.forward -= 1
            heard = self._close()
        for warning in heard:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        self._follow(result, since)
        return result

    def _fitted(
        self, known: inspect.Signature | None, takes: inspect.Signature | None, args: tuple, kwargs: dict
    ) -> tuple[tuple, dict]:
        """The call by name, but for what has no default; without defaults that the function does not have."""
        if not known or not takes:
            return args, kwargs
        kinds = {parameter.kind for parameter in takes.parameters.values()}
        try:
            given = known.bind(*args, **kwargs)
        except TypeError:  # the original would refuse it; so may the stand-in
            return args, kwargs
        if inspect.Parameter.VAR_POSITIONAL in kinds or len(given.arguments) < len(args) + len(kwargs):
            return args, kwargs
        places, names = [], {}
        for name, value in given.arguments.items():
            default = known.parameters[name].default
            if default is inspect.Parameter.empty and name not in kwargs:
                places.append(value)
            elif name in takes.parameters or inspect.Parameter.VAR_KEYWORD in kinds:
                names[name] = value
            elif value is not default and (isinstance(value, Tensor) or value != default):
                self.lacks = name
                raise _Lacks(name)
        return tuple(places), names

    def _open(self) -> None:
        if not self.forward and not self.nodes:
            self.recorder = warnings.catch_warnings(record=True)
            self.heard = self.recorder.__enter__()
            warnings.simplefilter("always")

    def _close(self) -> list[warnings.WarningMessage]:
        """What was warned of and is to be passed on, each once: torch.compile repeats itself."""
        if self.forward or self.nodes:
            return []
        self.recorder.__exit__(None, None, None)
        new = {(warning.category.__name__, str(warning.message)): warning for warning in self.heard}
        self.warned |= new
        return [warning for key, warning in new.items() if self.expected is None or key in self.expected]

    def _follow(self, result: Any, since: int) -> None:
        """See when a node of autograd's graph runs that was made since then."""
        waiting, seen = [tensor.grad_fn for tensor in _tensors(result)], set()
        while waiting:
            node: Any = waiting.pop()
            if node is None or node in seen or not since <= node._sequence_nr() < _OF_LEAF:
                continue
            seen.add(node)
            waiting += [below for below, _ in node.next_functions]
            begun: list[int] = []
            node.register_prehook(lambda _, begun=begun: self._node_begins(begun))
            node.register_hook(lambda gradients, _, begun=begun: self._node_ends(gradients, begun))

    def _node_begins(self, begun: list[int]) -> None:
        self._open()
        self.nodes += 1
        begun.append(torch._C._autograd._get_sequence_nr())

    def _node_ends(self, gradients: Any, begun: list[int]) -> None:
        self.nodes = max(0, self.nodes - 1)
        self._close()
        self._follow(gradients, begun.pop())  # with create_graph they have nodes of their own

    def end(self) -> None:
        """End what nodes that raised left begun."""
        if self.nodes:
            self.nodes = 0
            self._close()

    def _differences(self, result: Any, error: Exception | None, args: tuple, kwargs: dict) -> Iterator[str]:
        """What the original does otherwise in the same call."""
        with torch.random.fork_rng(devices=[]):
            try:
                wanted = self.original(*args, **kwargs)
            except Exception as refusal:
                if error is None:
                    yield "not refused"
                elif (type(error), str(error)) != (type(refusal), str(refusal)):
                    yield "other text"
                return
            if error is not None:
                yield refused(error)
            elif isinstance(wanted, Tensor) and isinstance(result, Tensor):
                yield from _different(wanted, result, list(_tensors([args, kwargs])))


def refused(error: BaseException) -> str:
    """The kind of difference of an exception where a value is expected."""
    return "argument not supported" if isinstance(error, (TypeError, NotImplementedError)) else "refused"


def _different(wanted: Tensor, result: Tensor, tensors: list[Tensor]) -> Iterator[str]:
    if wanted.shape != result.shape or wanted.dtype != result.dtype:
        yield "shape"
    elif not _close(wanted, result):
        yield "value"
    elif wanted.requires_grad or result.requires_grad:
        leaves = [tensor for tensor in tensors if tensor.requires_grad]
        upstream = torch.rand_like(wanted) + 0.5
        try:
            pairs = [torch.autograd.grad(y, leaves, upstream, True, allow_unused=True) for y in (wanted, result)]
        except RuntimeError:  # one of them cannot be differentiated
            pairs = [[torch.ones(())], [torch.zeros(())]]
        if not all(_close(*(torch.zeros(()) if g is None else g for g in pair)) for pair in zip(*pairs)):
            yield "gradient"


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(*torch.broadcast_tensors(a.detach(), b.detach()), rtol=1e-4, atol=1e-6, equal_nan=True)


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple, dict)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)
