"""What a claim may change outside of itself, compared after the claim and put back.

Reading and writing cost under a millisecond together, so that every claim is looked after.
"""

import atexit
import builtins
import decimal
import gc
import locale
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Set
from contextlib import contextmanager, suppress
from functools import partial
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import _tensor_str
from torch.utils import _python_dispatch

# Modules whose attributes are compared, with those of their classes: what the claims are about, and what judges them.
WATCHED = {"torch", "numpy", "lossdemo", "doctest", "decimal", "math", "random", "re", "os", "sys", "time"}
WATCHED |= {"itertools", "functools", "operator", "contextlib", "statistics"}
# Parts of torch and NumPy that no claim touches by itself; the first use of many of them fills in attributes.
_INNER = ("torch._", "torch.ao", "torch.fx", "torch.jit", "torch.onnx", "torch.export", "torch.ops", "torch.testing")
_INNER += ("torch.package", "torch.return_types", "torch.utils._", "torch.utils.benchmark", "torch.masked")
_INNER += ("torch.distributed", "torch.compiler", "torch.autograd.profiler", "numpy.")
_INNER += ("torch.profiler", "torch.utils.data.datapipes", "torch.nn.qat", "torch.nn.intrinsic", "torch.nn.quantized")
_COMPILED = ("__builtins_dict__", "__compiled_fn_", "__import_", "__resume_at_")  # torch.compile's, where it compiles
_COUNTERS = ("__warningregistry__", "next_id", "filters", "showwarning", "_showwarnmsg_impl")
_COUNTERS += ("last_exc", "last_type", "last_value", "last_traceback")
_COUNTERS += ("Storage",)  # torch's own sign of the default dtype, which is compared by itself
_COUNTERS += ("_default_device_type",)  # of torch.utils.checkpoint, which asks for the device at its first use
FROZEN = [0]  # modules there were when what they brought was last taken out of the collection of garbage
MANY = 100  # modules: torch brings 1,000, and its first optimizer 800
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _set_default_device(device: torch.device) -> None:
    # On the CPU no device is set at all: the mode that a set device brings costs small trainings half their time.
    torch.set_default_device(None if device.type == "cpu" else device)


def _set_hooks(hooks: Any) -> None:
    while torch._C._autograd._top_saved_tensors_default_hooks(True) != hooks:
        torch._C._autograd._pop_saved_tensors_default_hooks()


def _denormal() -> bool:
    """Whether tiny numbers are kept; torch cannot say."""
    return bool((torch.full((1,), 1e-310, dtype=torch.float64, device="cpu") * 1 != 0).item())


def _set_logging(wanted: tuple[int, int, list]) -> None:
    logging.disable(wanted[0])
    logging.root.setLevel(wanted[1])
    logging.root.handlers[:] = wanted[2]


def _set_signals(handlers: list) -> None:
    for number, handler in zip(_SIGNALS, handlers):
        if signal.getsignal(number) is not handler and threading.current_thread() is threading.main_thread():
            signal.signal(number, handler)


class State(NamedTuple):
    """A global that a claim may change: how to read it, and how to set it."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]


def _stack(kind: str, length: Callable[[], int], pop: Callable[[], Any]) -> State:
    def write(wanted: int) -> None:
        while length() > wanted:
            pop()

    return State(f"torch {kind} modes", length, write)


def _autocast(device: str) -> Iterator[State]:
    is_on, dtype = partial(torch.is_autocast_enabled, device), partial(torch.get_autocast_dtype, device)
    yield State(f"autocast on {device}", is_on, partial(torch.set_autocast_enabled, device))
    yield State(f"autocast on {device}", dtype, partial(torch.set_autocast_dtype, device))


def _backends() -> Iterator[State]:
    """The flags of torch.backends, as `torch.backends.cudnn.benchmark`: descriptors with a getter and a setter."""
    for name, module in list(sys.modules.items()):
        if name.startswith("torch.backends."):
            for flag, value in vars(type(module)).items():
                if isinstance(value, torch.backends.ContextProp) and "precision" not in flag:
                    yield State(f"{name}.{flag}", value.getter, value.setter)


STATES = (
    State("the default device", torch.get_default_device, _set_default_device),
    State("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    State("the number of threads", torch.get_num_threads, torch.set_num_threads),
    State("grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
    State("inference mode", torch.is_inference_mode_enabled, lambda _: None),  # the context of a run ends it
    State("warn always", torch.is_warn_always_enabled, torch.set_warn_always),
    State(
        "anomaly mode",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda mode: torch.autograd.set_detect_anomaly(*mode),
    ),
    State("deterministic algorithms", torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    State(
        "torch.utils.deterministic.fill_uninitialized_memory",
        torch._C._get_deterministic_fill_uninitialized_memory,
        torch._C._set_deterministic_fill_uninitialized_memory,
    ),
    State("the precision of matmul", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    State("torch's print options", lambda: vars(_tensor_str.PRINT_OPTS).copy(), vars(_tensor_str.PRINT_OPTS).update),
    State("flushing of denormal numbers", _denormal, lambda kept: torch.set_flush_denormal(not kept)),
    State("multithreaded backward", torch._C._is_multithreading_enabled, torch._C._set_multithreading_enabled),
    State(
        "checks of sparse tensors",
        torch._C._check_sparse_tensor_invariants,
        torch._C._set_check_sparse_tensor_invariants,
    ),
    State("hooks on saved tensors", lambda: torch._C._autograd._top_saved_tensors_default_hooks(True), _set_hooks),
    _stack("function", torch._C._len_torch_function_stack, torch._C._pop_torch_function_stack),
    _stack("dispatch", torch._C._len_torch_dispatch_stack, _python_dispatch._pop_mode),
    *_autocast("cpu"),
    *_autocast("cuda"),
    State("autocast's cache", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    *_backends(),
    State("NumPy's print options", np.get_printoptions, lambda options: np.set_printoptions(**options)),
    State("NumPy's handling of errors", np.geterr, lambda handling: np.seterr(**handling)),
    State("the decimal context", lambda: repr(decimal.getcontext()), lambda _: decimal.setcontext(decimal.Context())),
    State("warnings.warn", lambda: warnings.warn, lambda warn: setattr(warnings, "warn", warn)),
    State("the working directory", os.getcwd, os.chdir),
    State("the environment", os.environ.copy, lambda wanted: (os.environ.clear(), os.environ.update(wanted))),
    State("sys.path", sys.path.copy, lambda path: sys.path.__setitem__(slice(None), path)),
    State("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    State("the profile function", sys.getprofile, sys.setprofile),
    State("the trace function", sys.gettrace, sys.settrace),
    State("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    State("the locale", lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    State(
        "logging",
        lambda: (logging.root.manager.disable, logging.root.level, logging.root.handlers.copy()),
        _set_logging,
    ),
    State("signal handlers", lambda: [signal.getsignal(number) for number in _SIGNALS], _set_signals),
)


# Functions whose insides are compared too: those that the claims are about.
FUNCTIONS = [value for value in vars(torch.nn.functional).values() if isinstance(value, FunctionType)]


def _files() -> dict[str, str]:
    """Open files by number; none where the system does not list them."""
    files = {}
    with suppress(OSError):
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):  # the listing's own
                files[number] = os.readlink(f"/proc/self/fd/{number}")
    return files


class World:
    """Attributes of modules and classes, global hooks, files, threads and the rest: what claims share.

    One serves all claims of a process. Modules that a claim imports are taken in; what it changes is put back.
    """

    def __init__(self, packages: Set[str] = frozenset()) -> None:
        self.packages = WATCHED | packages
        self._attributes: dict[int, tuple[str, Any]] = {}  # modules and classes by their id, with their names
        # Theirs now, which are no copies, and before. Two lists of a thousand are compared faster than one by one.
        self._now, self._before = list[Any](), list[dict[str, Any]]()
        self._hooks: list[tuple[str, dict, dict]] = []
        self.modules = 0  # how many there were when attributes were last taken in

    def forget(self) -> None:
        """Take the world as it is at the next claim: something else than a claim ran meanwhile."""
        self.modules = 0

    @contextmanager
    def compared(self) -> Generator[list[str]]:
        """What the body leaves changed, one phrase each, filled in at its end; the world is put back then."""
        clear_last_value()
        self._take_in()
        threads, files, callbacks = set(threading.enumerate()), _files(), atexit._ncallbacks()
        changed: list[str] = []
        before = [state.read() for state in STATES]
        modules, names = sys.modules.copy(), vars(builtins).copy()
        functions = [*map(_internals, FUNCTIONS)]
        try:
            yield changed
        finally:
            clear_last_value()
            changed += _put_back_names(vars(builtins), names, "builtins")  # first, as all that follows uses them
            if modules != sys.modules:
                missing = {name: module for name, module in modules.items() if sys.modules.get(name) is not module}
                changed += [f"sys.modules[{name!r}] changed" for name in missing]
                sys.modules.update(missing)
            for function, internals in zip(FUNCTIONS, functions):
                if _internals(function) != internals:
                    changed.append(f"{function.__module__}.{function.__name__} changed inside")
                    function.__code__, function.__defaults__, function.__kwdefaults__ = internals
            for state, value in zip(STATES, before):
                if state.read() != value:
                    changed.append(f"{state.name} changed")
                    state.write(value)
            changed += self._changed_attributes()
            changed += [f"the thread {thread.name} running" for thread in set(threading.enumerate()) - threads]
            opened = [f"{path} open" for number, path in _files().items() if files.get(number) != path]
            if opened:
                gc.collect()  # closes what only a cycle of references holds
            changed += opened
            if atexit._ncallbacks() > callbacks and len(sys.modules) == len(modules):
                changed.append("a function that is called when the process ends")

    def _take_in(self) -> None:
        """Remember the attributes of modules that are new since the last time."""
        if len(sys.modules) == self.modules:
            return
        if not self.modules:
            for entries in (self._attributes, self._now, self._before):
                entries.clear()
        for name, owner in self._owners():
            if id(owner) not in self._attributes:
                self._attributes[id(owner)] = name, owner
                self._now.append(vars(owner))
                self._before.append(dict(vars(owner)))
        self._hooks = [
            (f"{name}.{attribute}", value, value.copy())
            for (name, _), attributes in zip(self._attributes.values(), self._before)
            for attribute, value in attributes.items()
            if attribute.startswith("_global_") and isinstance(value, dict)
        ]
        self.modules = len(sys.modules)
        if self.modules > FROZEN[0] + MANY:
            FROZEN[0] = self.modules
            gc.freeze()  # what modules bring stays: no collection of garbage need go through it

    def _owners(self) -> Iterator[tuple[str, Any]]:
        for name, module in list(sys.modules.items()):
            root = name.partition(".")[0]
            inner = name.startswith(_INNER) and name != "torch.__future__"
            if root in self.packages and not inner and isinstance(module, ModuleType):
                yield name, module
                for value in list(vars(module).values()):
                    if isinstance(value, type) and value.__module__ == name and not value.__flags__ & 1 << 8:
                        yield f"{name}.{value.__qualname__}", value  # immutable types of C are left out

    def _changed_attributes(self) -> Iterator[str]:
        if not _same(self._now, self._before):
            for (name, owner), now, before in zip(list(self._attributes.values()), self._now, self._before):
                if not _same(now, before):
                    yield from self._put_back(name, owner, before)
        for name, hooks, before in self._hooks:
            if hooks != before:
                yield f"hooks in {name}"
                hooks.clear()
                hooks.update(before)

    def _put_back(self, name: str, owner: Any, before: dict[str, Any]) -> Iterator[str]:
        now = dict(vars(owner))
        for attribute in now.keys() | before.keys():
            full = f"{name}.{attribute}"
            passing = attribute in _COUNTERS or attribute.startswith(_COMPILED)
            if passing or (attribute in now and _is_lazy(now[attribute], attribute not in before)):
                before.pop(attribute, None)
                before |= {attribute: now[attribute]} if attribute in now else {}
            elif attribute not in now:
                yield f"{full} deleted"
                setattr(owner, attribute, before[attribute])
            elif attribute not in before:
                yield f"{full} added"
                delattr(owner, attribute)
            elif now[attribute] is not before[attribute]:
                yield f"{full} changed"
                setattr(owner, attribute, before[attribute])


def _same(now: Any, before: Any) -> bool:
    try:
        return now == before
    except (RuntimeError, ValueError):  # an array or a tensor among the values has no truth
        return False


def _is_lazy(value: Any, new: bool) -> bool:
    """Whether an attribute came by importing a module below, or by making the first optimizer of a class."""
    return (new and isinstance(value, ModuleType)) or getattr(value, "hooked", False) is True


def _put_back_names(now: dict[str, Any], before: dict[str, Any], owner: str) -> list[str]:
    """What changed among the names of a module; by nothing that could be among them."""
    changed = [f"{owner}.{name} changed" for name in before if now.get(name) is not before[name]]
    added = [name for name in now if name not in before]
    now.update(before)
    for name in added:
        del now[name]
    return changed + [f"{owner}.{name} added" for name in added]


def _internals(function: FunctionType) -> tuple[Any, Any, Any]:
    """What a function is made of, and what may be changed without putting another in its place."""
    return function.__code__, function.__defaults__, function.__kwdefaults__


def clear_last_value() -> None:
    """Forget what the last prompt printed: doctest keeps it as `_` among the builtins."""
    vars(builtins).pop("_", None)
