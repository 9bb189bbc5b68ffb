"""What changed between two runs."""

import pytest
from msgspec.structs import replace
from records import FAILED, RECORD, RUN, B, C, run

from lossdemo.verify.difference import diff
from lossdemo.verify.verdicts import OUTCOMES, Refusal


def test_two_runs_of_the_same_do_not_differ() -> None:
    """Other dates and durations are no difference."""
    difference = diff(RUN, run(replace(RECORD, duration=9.0), date="2026-02-01T00:00:00Z"))
    assert not difference.worse
    assert "\n".join(difference.lines()) == (
        "old: torch 2.13.0, kit 1.0, seed 0, threads 1, Python 3.11.7, Linux 6.1, x86_64 AVX2, 2026-01-02T03:04:05Z\n"
        "new: torch 2.13.0, kit 1.0, seed 0, threads 1, Python 3.11.7, Linux 6.1, x86_64 AVX2, 2026-02-01T00:00:00Z\n"
        "no claim changed"
    )


def test_what_changed_is_told_worst_first() -> None:
    """What no longer passes before what passes now, mathematics before what may change, failed before not run."""
    made = {name: replace(RECORD, claim=name) for name in "abcdefgh"}
    wrong = {name: replace(record, **FAILED) for name, record in made.items()}
    observed = replace(made["a"], basis="observed")
    documented = replace(made["b"], basis="documented")
    old = run(observed, documented, made["c"], made["d"], wrong["e"], wrong["f"], made["g"], made["h"])
    new = run(
        replace(observed, **FAILED),
        replace(documented, **FAILED),
        replace(made["c"], outcome="not run", reason="the claim needs cuda"),
        replace(wrong["d"], checksum="0" * 64),
        made["e"],
        replace(wrong["f"], outcome="vacuous", reason="vacuous"),
        replace(made["g"], checksum="0" * 64),
        replace(RECORD, claim="i"),
        torch="2.14.0",
        prove=True,
        refused=(Refusal("spec/bad.md", "line 1: no\nline 2: nor this"),),
    )
    difference = diff(old, new)
    assert difference.worse
    assert [change.new.claim for change in difference.changes] == list("dcbafe")
    assert "\n".join(difference.lines()) == (
        "old: torch 2.13.0, kit 1.0, seed 0, threads 1, Python 3.11.7, Linux 6.1, x86_64 AVX2, 2026-01-02T03:04:05Z\n"
        "new: torch 2.14.0, kit 1.0, seed 0, threads 1, proved, "
        "Python 3.11.7, Linux 6.1, x86_64 AVX2, 2026-01-02T03:04:05Z\n"
        "new refused spec/bad.md:\n"
        "    line 1: no\n"
        "    line 2: nor this\n"
        "no longer passes, mathematics (true of any correct implementation): 2\n"
        "    spec/one.md::d[cpu]\n"
        "        failed, was passed, its text changed too: expected '1.0', got '2.0'\n"
        "    spec/one.md::c[cpu]\n"
        "        not run, was passed: the claim needs cuda\n"
        "no longer passes, documented (PyTorch promises it): 1\n"
        "    spec/one.md::b[cpu]\n"
        "        failed, was passed: expected '1.0', got '2.0'\n"
        "no longer passes, observed (may change from version to version): 1\n"
        "    spec/one.md::a[cpu]\n"
        "        failed, was passed: expected '1.0', got '2.0'\n"
        "fares differently, without passing, mathematics (true of any correct implementation): 1\n"
        "    spec/one.md::f[cpu]\n"
        "        vacuous, was failed: vacuous\n"
        "passes now, mathematics (true of any correct implementation): 1\n"
        "    spec/one.md::e[cpu]\n"
        "        passed, was failed\n"
        "appeared: 1\n"
        "    spec/one.md::i[cpu] passed\n"
        "vanished: 1\n"
        "    spec/one.md::h[cpu] was passed\n"
        "text changed: 2\n"
        "    spec/one.md::d\n"
        "    spec/one.md::g"
    )


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_worse_is_what_passed_and_does_not(outcome: str) -> None:
    """Nothing but passed is passed; what never passed, appeared or vanished is not worse."""
    changed = replace(RECORD, outcome=outcome)
    assert diff(RUN, run(changed)).worse == (outcome != "passed")
    assert not diff(run(changed), RUN).worse
    assert not diff(run(RECORD, B), run(B, replace(C, **FAILED))).worse


def test_settings_are_compared_one_by_one() -> None:
    """A claim is compared with itself in the same setting; a setting of one run alone is named and left out."""
    float64 = replace(RECORD, dtype="float64")
    cuda = replace(RECORD, device="cuda")
    difference = diff(run(RECORD, float64, cuda, cuda=None), run(RECORD, replace(float64, **FAILED)))
    assert [change.new.nodeid for change in difference.changes] == ["spec/one.md::a[cpu-float64]"]
    assert difference.vanished == ()
    assert "old alone has cuda: not compared" in "\n".join(difference.lines())
    assert "new alone has cpu-float64: not compared" in "\n".join(diff(RUN, run(RECORD, float64)).lines())
