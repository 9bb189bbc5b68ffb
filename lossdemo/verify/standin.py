"""Somebody's function or class in the place of a target, and what it does otherwise than the original."""

import inspect
import warnings
from collections.abc import Iterator
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from lossdemo.verify.mutant import signature
from lossdemo.verify.patch import Function

Signatures = tuple[inspect.Signature | None, inspect.Signature | None]  # the original's, and the function's
_LEAF = 2**63  # nodes that gather the gradient of a leaf have no number of their own, but the largest
_ENOUGH = 1000  # calls from within one backward


class _Lacks(BaseException):
    """The function does not have an argument of the call; no claim's `except` takes it for a refusal."""


class StandIn:
    """`function` in the place of `original`, which is there again while `function` runs, forward or backward.

    What `function` warns of is its own affair, but for what is in `expected`, by category and text. Of the claim that
    runs `calls` counts the calls, `warned` has all warnings, `lacks` is an argument that `function` does not have, and
    `raised` what it raised. While `comparing`, the original runs too, and `kinds` has what it did differently.
    """

    def __init__(self, original: Function, function: Function) -> None:
        self.original = original
        self.in_place = self._class(function) if isinstance(function, type) else self._wrapped(function, original)
        self.running = ""  # what of the function runs: its forward, or a node of autograd's graph
        self.begin()

    def begin(self, expected: set[tuple[str, str]] | None = None, comparing: bool = False) -> None:
        """Forget the claim before. All warnings are `expected` where it is None."""
        self.expected, self.comparing = expected, comparing
        self.calls = self.within = 0
        self.lacks, self.kinds, self.raised, self.warned = "", [], [], set()

    def seen(self) -> tuple[int, set, str, list[str], list[Exception]]:
        """What a process that the claim forked saw, for `take`."""
        return self.calls, self.warned, self.lacks, self.kinds, self.raised

    def take(self, seen: tuple[int, set, str, list[str], list[Exception]]) -> None:
        """Add what was seen in another process."""
        calls, warned, lacks, kinds, raised = seen
        self.calls += calls
        self.warned |= warned
        self.lacks = self.lacks or lacks
        self.kinds += kinds
        self.raised += raised

    def _wrapped(self, function: Function, original: Function, inside: Function | None = None) -> Function:
        signatures = signature(original), signature(getattr(function, "forward", function))

        @wraps(function, updated=())
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(function, inside or original, signatures, args, kwargs)

        call.__name__ = getattr(original, "__name__", call.__name__)  # as claims print it
        return call

    def _class(self, function: Any) -> type:
        standin: Any = self
        signatures = signature(self.original), signature(function)

        class Meta(type(function)):  # pyrefly: ignore — whatever its metaclass is
            def __call__(self, *args: Any, **kwargs: Any) -> Any:
                make = super().__call__
                if self is not standin.in_place:  # a class that a claim derives
                    return make(*args, **kwargs)
                return standin._call(make, standin.original, signatures, args, kwargs)

        names = {name: getattr(function, name) for name in ("__module__", "__doc__")}
        for name in {"forward", "step"} & {*dir(function)}:
            method = getattr(function, name)
            names[name] = self._wrapped(method, getattr(self.original, name, method), method)
        return Meta(self.original.__name__, (function,), names)

    def _call(self, function: Function, inside: Function, signatures: Signatures, args: tuple, kwargs: dict) -> Any:
        in_backward = torch._C._current_graph_task_id() != -1
        if not in_backward:
            self.leave("node")  # which raised, or it had an end
        if self.running:
            return inside(*args, **kwargs)
        self.within = self.within + 1 if in_backward else 0
        if self.within > _ENOUGH:
            raise RecursionError(f"called {_ENOUGH} times in one backward: does its forward run in another thread?")
        self.calls += 1
        places, names = self._fitted(signatures, args, kwargs)
        result = error = None
        self._enter("forward")
        before = self.before
        try:
            result = function(*places, **names)
        except Exception as raised:
            self.raised.append(error := raised)
            raise
        finally:
            if self.comparing and not isinstance(self.original, type):
                self.kinds += self._differences(result, error, args, kwargs)
            heard = self.leave("forward")
        for warning in heard:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        self._follow(result, before)
        return result

    def _fitted(self, signatures: Signatures, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        """The call by name, but for what has no default; without defaults that the function does not have."""
        known, takes = signatures
        if not known or not takes:
            return args, kwargs
        kinds = {parameter.kind for parameter in takes.parameters.values()}
        try:
            given = known.bind(*args, **kwargs).arguments
        except TypeError:  # the original would refuse it; so may the function
            return args, kwargs
        if inspect.Parameter.VAR_POSITIONAL in kinds or len(given) < len(args) + len(kwargs):
            return args, kwargs
        places, names = [], {}
        for name, value in given.items():
            default = known.parameters[name].default
            if default is inspect.Parameter.empty and name not in kwargs:
                places.append(value)
            elif name in takes.parameters or inspect.Parameter.VAR_KEYWORD in kinds:
                names[name] = value
            elif value is not default and (isinstance(value, Tensor) or value != default):
                self.lacks = name
                raise _Lacks(name)
        return tuple(places), names

    def _enter(self, what: str) -> None:
        if not self.running:
            self.running, self.before = what, torch._C._autograd._get_sequence_nr()
            self.recorder = warnings.catch_warnings(record=True)
            self.heard = self.recorder.__enter__()
            warnings.simplefilter("always")

    def leave(self, what: str = "node") -> list[warnings.WarningMessage]:
        """What was warned of and is to be passed on, each once: torch.compile repeats itself."""
        if self.running != what:
            return []
        self.running = ""
        self.recorder.__exit__(None, None, None)
        heard = {(warning.category.__name__, str(warning.message)): warning for warning in self.heard}
        self.warned |= heard.keys()
        return [warning for key, warning in heard.items() if self.expected is None or key in self.expected]

    def _follow(self, result: Any, before: int) -> None:
        """See when a node of autograd's graph runs that was made since then."""
        waiting, seen = [tensor.grad_fn for tensor in _tensors(result)], set()
        while waiting:
            node: Any = waiting.pop()
            if node is not None and node not in seen and before <= node._sequence_nr() < _LEAF:
                seen.add(node)
                waiting += [below for below, _ in node.next_functions]
                node.register_prehook(lambda _: self._enter("node"))
                node.register_hook(self._ends)

    def _ends(self, gradients: Any, _: Any) -> None:
        if self.running == "node":
            self.leave()
            self._follow(gradients, self.before)  # with create_graph they have nodes of their own

    def _differences(self, result: Any, error: Exception | None, args: tuple, kwargs: dict) -> Iterator[str]:
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
                yield from _different(wanted, result, _tensors([args, kwargs]))


def refused(error: BaseException) -> str:
    """The kind of an exception where a value is expected."""
    at_argument = isinstance(error, TypeError) and "argument" in str(error)
    return "argument not supported" if at_argument or isinstance(error, NotImplementedError) else "refused"


def _different(wanted: Tensor, result: Tensor, tensors: list[Tensor]) -> Iterator[str]:
    if wanted.shape != result.shape:
        yield "shape"
    elif wanted.dtype != result.dtype or not _equal(wanted, result):
        yield "value"
    elif leaves := [tensor for tensor in tensors if tensor.requires_grad]:
        upstream = torch.rand_like(wanted) + 0.5
        try:
            pairs = [torch.autograd.grad(y, leaves, upstream, True, allow_unused=True) for y in (wanted, result)]
        except RuntimeError:  # one of them has no gradient
            pairs = [(torch.ones(()),), (None,)]
        if not all(_equal(*(torch.zeros(()) if g is None else g for g in pair)) for pair in zip(*pairs)):
            yield "gradient"


def _equal(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(*torch.broadcast_tensors(a.detach(), b.detach()), rtol=1e-4, atol=1e-6, equal_nan=True)


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
