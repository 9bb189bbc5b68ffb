"""Running one claim: its setting, its namespace, its failures, and what it leaves behind."""

import builtins
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from lossdemo.verify.claims import Book
from lossdemo.verify.run import Failure, Setting, run, torch_as


def claims(directory: Path, *sections: str, preamble: str = "") -> list:
    """A claim for each piece of code."""
    fences = [f"## Claim {i}\n\n```python\n{code}\n```\n\nBasis: observed\n" for i, code in enumerate(sections)]
    page = directory / "page.md"
    page.write_text("\n".join(["# Page\n", f"```python\n>>> import torch\n{preamble}\n```\n", *fences]))
    return Book(directory).claims(page)


def outcome(directory: Path, code: str, setting: Setting | None = None) -> Failure | None:
    """What running a claim with this code gives."""
    return run(claims(directory, code)[0], setting or Setting())


def test_a_claim_that_holds_gives_nothing(tmp_path: Path) -> None:
    """No failure where every output is as written."""
    assert outcome(tmp_path, ">>> torch.ones(2)\ntensor([1., 1.])") is None


def test_a_failure_names_line_expected_and_got(tmp_path: Path) -> None:
    """The failure is at the prompt's line, and shows the code, what was expected, what came, and the difference."""
    failure = outcome(tmp_path, ">>> x = 3\n>>> for _ in range(1):\n...     print(0.5)\n0.25")
    assert failure is not None
    assert failure.line == (tmp_path / "page.md").read_text().splitlines().index(">>> for _ in range(1):") + 1
    assert failure.message.splitlines() == [
        "    >>> for _ in range(1):",
        "    ...     print(0.5)",
        "Expected:",
        "    0.25",
        "Got:",
        "    0.5",
        "expected '0.25', got '0.5'",
    ]


def test_an_unexpected_exception_is_shown_with_its_frames(tmp_path: Path) -> None:
    """An exception that the claim does not expect fails it, with the traceback but without the runner's own frames."""
    failure = outcome(tmp_path, ">>> 1\n1\n>>> torch.ones(2).backward()")
    assert failure is not None
    assert "RuntimeError: element 0" in failure.message
    assert "doctest.py" not in failure.message


def test_an_expected_exception_that_stays_away_fails(tmp_path: Path) -> None:
    """A traceback that is written must be raised, of that type and with that message."""
    code = "Traceback (most recent call last):\n  ...\nValueError: no ... here"
    assert outcome(tmp_path, f">>> raise ValueError('no luck here')\n{code}") is None
    printed = "print('Traceback (most recent call last):\\n  ...\\nValueError: no luck here')"
    for raised in ("pass", "raise ValueError('luck')", "raise TypeError('no luck here')", printed):
        assert outcome(tmp_path, f">>> {raised}\n{code}") is not None


def test_output_before_an_expected_exception_fails(tmp_path: Path) -> None:
    """What is printed before an exception is not dropped in silence."""
    expected = "Traceback (most recent call last):\n  ...\nZeroDivisionError: division by zero"
    assert outcome(tmp_path, f">>> 1 / 0\n{expected}") is None
    failure = outcome(tmp_path, f">>> print('wrong'); 1 / 0\n{expected}")
    assert failure is not None
    assert "    wrong\n" in failure.message


def test_output_where_none_is_written_fails(tmp_path: Path) -> None:
    """A statement without expected output must print nothing."""
    assert outcome(tmp_path, ">>> 1\n1\n>>> torch.equal(torch.ones(1), torch.ones(1))") is not None


def test_warnings_are_errors_every_time(tmp_path: Path) -> None:
    """A warning fails a claim, also one that torch gives only once a process."""
    warn = ">>> float(torch.ones(1, requires_grad=True))\n1.0"
    for _ in range(2):
        failure = outcome(tmp_path, warn)
        assert failure is not None
        assert "UserWarning" in failure.message


def test_each_claim_has_a_namespace_of_its_own(tmp_path: Path) -> None:
    """A name that one claim binds is unknown to the next, and the preamble is run anew."""
    first, second = claims(
        tmp_path,
        ">>> y, shared[0] = 1, 2\n>>> shared\n[2]",
        ">>> 'y' in globals(), shared\n(False, [1])",
        preamble=">>> shared = [1]",
    )
    assert run(first, Setting()) is None
    assert run(second, Setting()) is None


def test_the_seed_reaches_every_generator(tmp_path: Path) -> None:
    """Torch, NumPy and random start from --seed before each claim, and are put back after it."""
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    for draw in ("torch.rand(1).item()", "numpy.random.rand()", "random.random()"):
        code = f">>> import numpy, random\n>>> {draw}\n'a number'"
        drawn = [outcome(tmp_path, code, Setting(seed=seed)) for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2], draw
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())


def test_the_setting_is_what_the_claim_sees(tmp_path: Path) -> None:
    """Default dtype and thread count are those asked for, gradients are on, and printing is torch's default."""
    code = ">>> torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), torch.tensor(1/3)\n{}"
    torch.set_printoptions(precision=2)
    try:
        with torch.no_grad():
            want = "(torch.float64, 2, True, tensor(0.3333))"
            assert outcome(tmp_path, code.format(want), Setting(dtype=torch.float64, threads=2)) is None
            want = "(torch.float32, 1, True, tensor(0.3333))"
            assert outcome(tmp_path, code.format(want)) is None
    finally:
        torch.set_printoptions(profile="default")


CHANGES = """\
>>> import numpy, random, warnings
>>> torch.set_default_dtype(torch.float16)
>>> torch.set_default_device("meta")
>>> torch.set_num_threads(2)
>>> _ = torch.set_grad_enabled(False)
>>> torch.set_warn_always(False)
>>> _ = torch.autograd.set_detect_anomaly(True)
>>> torch.use_deterministic_algorithms(True)
>>> torch.set_float32_matmul_precision("medium")
>>> torch.set_printoptions(precision=1, sci_mode=True)
>>> _ = torch.manual_seed(5), numpy.random.seed(5), random.seed(5)
>>> torch.set_autocast_enabled("cpu", True)
>>> torch.set_autocast_enabled("cuda", True)
>>> _ = torch.set_flush_denormal(True)
>>> numpy.set_printoptions(precision=1)
>>> _ = numpy.seterr(all="ignore")
>>> warnings.simplefilter("ignore")
>>> {}
1"""


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("end", ["1", "2", "1 / 0"])
def test_everything_is_put_back(tmp_path: Path, end: str) -> None:
    """Whatever a claim changes in torch is as before when it has run, held or failed."""

    def state() -> list[str]:
        values = [
            torch.get_default_device(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.is_warn_always_enabled(),
            torch.is_anomaly_enabled(),
            torch.get_deterministic_debug_mode(),
            torch.get_float32_matmul_precision(),
            torch.tensor([1 / 3, 1e9]),
            torch.is_autocast_enabled("cpu"),
            torch.is_autocast_enabled("cuda"),
            torch.tensor(1e-40, dtype=torch.float32) * 1 == 0,
            torch.get_rng_state().tolist(),
            random.getstate(),
            np.random.get_state(),
            np.array([1 / 3]),
            np.geterr(),
            warnings.filters,
            hasattr(builtins, "_"),
        ]
        return [repr(value) for value in values]

    vars(builtins).pop("_", None)
    before = state()
    failure = outcome(tmp_path, CHANGES.format(end))
    assert (failure is None) == (end == "1"), failure
    assert state() == before


def test_interrupts_pass_through_and_still_put_everything_back(tmp_path: Path) -> None:
    """Ctrl-C in a claim is not taken for its failure."""
    with pytest.raises(KeyboardInterrupt):
        outcome(tmp_path, ">>> torch.set_default_dtype(torch.float64)\n>>> raise KeyboardInterrupt\n1")
    assert torch.get_default_dtype() == torch.float32


def test_settings_are_named_without_the_usual_dtype() -> None:
    """A setting reads as it stands in a test's id."""
    assert [str(s) for s in (Setting(), Setting("cuda"), Setting("cpu", torch.float64))] == [
        "cpu",
        "cuda",
        "cpu-float64",
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="not run here: torch finds no CUDA device")
def test_tensors_are_made_on_the_gpu_and_its_generator_is_put_back() -> None:
    """On CUDA it is the default device, and its generator is seeded and restored too."""
    before = torch.cuda.get_rng_state()
    with torch_as(Setting("cuda", seed=3)):
        drawn = torch.rand(2)
        assert drawn.device.type == "cuda"
    with torch_as(Setting("cuda", seed=3)):
        assert torch.equal(drawn, torch.rand(2))
    assert torch.equal(before, torch.cuda.get_rng_state())
    assert torch.get_default_device().type == "cpu"
