"""`watching()` as a context, in notebooks and tests, and pytest's fixture `watch`."""

import copy
import functools
import gc
import linecache
import os
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import mse_loss as imported_before

from lossdemo.watch import taps, watching
from lossdemo.watch.crash import claim_of
from lossdemo.watch.definition import END, Bite, Watch

pytestmark = pytest.mark.filterwarnings("ignore:Using a target size")
PAIRS = "mse-mae-huber-and-smoothl1-pair-n-1-with-n-and-only-warn"
KEPT = {"default": F.mse_loss}


def pair(loss: Any = F.mse_loss) -> Any:
    """A wrong call."""
    return loss(torch.ones(3, 1, requires_grad=True), torch.ones(3))


def state() -> dict[str, Any]:
    """What stands where watches stand."""
    owners = [F, nn.Module, torch.optim.Optimizer, torch.optim.SGD, torch.autograd, torch.amp.GradScaler, torch.Tensor]
    names = {(str(o), name): value for o in owners for name, value in vars(o).items()}
    codes = {key: (v.__code__, {**v.__dict__}) for key, v in names.items() if hasattr(v, "__code__")}
    from torch.optim import optimizer

    return names | {"codes": codes, "hooks": [*optimizer._global_optimizer_post_hooks]}


def test_afterwards_everything_is_as_before() -> None:
    """Also after an exception, nested, again, and in another order."""
    before = state()
    for _ in range(2):
        with watching() as outer, watching() as inner:
            pair()
        assert len(outer) == len(inner) == 1
    with pytest.raises(TypeError), watching() as failed:
        pair(pair())
    assert len(failed) == 1
    first, second = watching(), watching()
    first.__enter__()
    findings = second.__enter__()
    first.__exit__(None, None, None)
    pair()
    second.__exit__(None, None, None)
    assert len(findings) == 1
    assert state() == before
    assert not taps.TAPS


def test_a_function_is_watched_under_any_name() -> None:
    """Imported before, as a default, in a dict, in a partial, through a module; and it stays what it is."""
    partial = functools.partial(F.mse_loss, reduction="sum")
    with watching() as findings:
        imported_before(torch.ones(3, 1, requires_grad=True), torch.ones(3))
        pair()
        KEPT["default"](torch.ones(3, 1, requires_grad=True), torch.ones(3))
        partial(torch.ones(3, 1, requires_grad=True), torch.ones(3))
        nn.MSELoss()(torch.ones(3, 1, requires_grad=True), torch.ones(3))
        assert pickle.loads(pickle.dumps(partial)).func is KEPT["default"]
    assert len(findings) == 5


def test_a_cell_of_a_notebook_has_lines() -> None:
    """IPython compiles cells with files of their own, which linecache knows."""
    file, source = (
        "/tmp/ipykernel_1/123.py",
        "F.mse_loss(\n  a, b)\nF.mse_loss(\n  a,\n  b)  # lossdemo: ignore " + PAIRS,
    )
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    with watching() as findings:
        exec(compile(source, file, "exec"), {"F": F, "a": torch.ones(3, 1, requires_grad=True), "b": torch.ones(3)})
    assert [(found.file, found.line) for found in findings] == [(file, 1)]


def test_nothing_is_kept_alive_and_no_local_variables_change() -> None:
    """A finding that names variables leaves none of them in the frame, nor in a dict that the function asked for."""
    import weakref

    def asks() -> tuple[dict[str, Any], weakref.ref]:
        scores, labels = torch.ones(3, 1, requires_grad=True), torch.ones(3)
        mine = locals()
        other = torch.ones(1)
        F.mse_loss(scores, labels)
        return mine, weakref.ref(other)

    def asks_not() -> bool:
        scores, labels = torch.ones(3, 1, requires_grad=True), torch.ones(3)
        F.mse_loss(scores, labels)
        alive = weakref.ref(scores)
        del scores
        return alive() is not None

    with watching() as findings:
        assert {*asks()[0]} >= {"scores", "labels"}
        assert "other" not in asks()[0]
        assert not asks_not()
    assert any("`scores`" in found.advice for found in findings)


def test_a_fork_is_quiet_and_has_nothing_to_tell() -> None:
    """What it runs is what ran before there were watches."""
    with watching() as findings:
        pair()
        child = os.fork()
        if child == 0:
            os._exit(0 if not taps.TAPS and not findings.all and not torch.compiler.is_compiling() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert taps.TAPS


def test_threads_are_watched() -> None:
    """Each for itself."""
    with watching() as findings:
        thread = threading.Thread(target=pair)
        thread.start()
        thread.join()
    assert len(findings) == 1


def test_the_end_is_looked_at_only_where_it_was_reached() -> None:
    """After an exception much has not happened yet that the end would miss."""
    at_end = Watch("w", "c", (END,), "", lambda seen: Bite("ended"))
    with watching(watches=[at_end]) as findings:
        pass
    assert findings.claims() == ["c"]
    with pytest.raises(KeyError), watching(watches=[at_end]) as findings:
        raise KeyError
    assert not len(findings)


def test_a_watch_looks_before_and_after_and_may_fail() -> None:
    """The call is what it was; a watch that raises is told with the findings."""
    seen: list[str] = []

    def fails(_: Any) -> Iterator[Bite]:
        raise RuntimeError("mine")

    looks = [
        Watch("a", "c", ("torch.nn.functional.mse_loss",), "", lambda s: seen.append(f"before {s.result}"), True),
        Watch("b", "c", ("torch.nn.functional.mse_loss",), "", lambda s: seen.append(f"after {s.result.item()}")),
        Watch("d", "c", ("torch.nn.functional.mse_loss",), "", fails),
        Watch("e", "c", ("torch.optim.Optimizer.step",), "", lambda s: seen.append("step"), True),
    ]
    parameter = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    with watching(watches=looks) as findings:
        F.mse_loss(parameter, torch.zeros(2)).backward()
        optimizer.step()
        with pytest.raises(TypeError):
            F.mse_loss()  # pyrefly: ignore
    assert seen == ["before None", "after 1.0", "step"]
    assert "the watch d failed, please report it: RuntimeError: mine" in findings.report()


def test_the_fixture_fails_a_test_at_its_end(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the report; not for what is allowed; no other test is touched."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    pytester.makepyfile(
        f"""
        import torch
        from torch.nn import functional as F
        def pair():
            F.mse_loss(torch.ones(3, 1, requires_grad=True), torch.ones(3))
        def test_wrong(watch):
            pair()
            assert watch.claims() == ["{PAIRS}"]
        def test_right(watch):
            F.mse_loss(torch.ones(3), torch.ones(3))
        def test_allowed(watch):
            watch.ignored.add("{PAIRS}")
            pair()
        def test_allowed_later(watch):
            pair()
            watch.ignored.add("{PAIRS}")
        def test_unwatched():
            pair()
        """
    )
    installed = "lossdemo.watch.fixture" in {e.value for e in _entry_points()}
    options = () if installed else ("-p", "lossdemo.watch.fixture")
    result = pytester.runpytest_inprocess(*options, "-p", "no:randomly")
    result.assert_outcomes(passed=5, errors=1)
    result.stdout.fnmatch_lines(["lossdemo: 1 finding", "*py:4  the loss pairs (3, 1) with (3,): 9 pairs"])


def _entry_points() -> Any:
    from importlib.metadata import entry_points

    return entry_points(group="pytest11")


@pytest.mark.parametrize(
    ("call", "claim"),
    [
        (
            lambda: F.cross_entropy(torch.zeros(3, 4), torch.zeros(3, 1, dtype=torch.int64)),
            "beside-logits-n-c-cross-entropy-refuses-integer-labels-n-1",
        ),
        (
            lambda: torch.zeros(7, requires_grad=True).backward(),
            "without-an-argument-backward-can-start-only-from-a-single-number",
        ),
        (
            lambda: F.binary_cross_entropy(torch.full((2,), 1.5), torch.ones(2)),
            "bceloss-wants-probabilities-and-refuses-inputs-below-0-or-above-1",
        ),
    ],
)
def test_an_error_that_ends_a_script_leads_to_the_claim_that_shows_it(call: Callable, claim: str) -> None:
    """Whatever the shapes in its text are."""
    with pytest.raises(RuntimeError) as raised:
        call()
    found = claim_of(str(raised.value))
    assert found
    assert found.id == claim


@pytest.mark.parametrize("text", ["", "None", "0", "division by zero", "No module named 'torchvision.nowhere.at.all'"])
def test_an_error_that_the_book_does_not_have_leads_nowhere(text: str) -> None:
    """Nor does one that says too little."""
    assert claim_of(text) is None


def test_modules_are_known_however_they_came_about_and_none_is_kept_alive() -> None:
    """Made before, made, copied, read from a file: parameters have their names; what is gone is gone."""
    early = nn.Sequential(nn.Linear(2, 3))
    seen: dict[str, Any] = {}

    def look(moment: Any) -> None:
        seen["history"] = moment.history

    probe = Watch("probe", PAIRS, ("torch.nn.functional.mse_loss",), "", look)
    with watching(watches=[probe]):
        F.mse_loss(torch.ones(1), torch.ones(1))
        made = nn.Sequential(nn.ReLU(), nn.Linear(2, 3))
        copied, read = copy.deepcopy(made), pickle.loads(pickle.dumps(made))
        history, kept = seen["history"], weakref.ref(copied)
        assert history.name(early[0].weight) == "0.weight"
        assert [history.name(one[1].bias) for one in (made, copied, read)] == ["1.bias"] * 3
        assert {id(early), id(made), id(copied), id(read)} <= {id(one) for one in history.modules()}
        del copied
        gc.collect()
        assert kept() is None
