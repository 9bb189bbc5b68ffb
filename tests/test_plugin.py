"""The book under pytest: ids, settings, selection, failures, refusals, and every way of running it."""

import pytest
import torch

CHAPTER = """\
# Sums

```python
>>> import torch
>>> x = torch.tensor(1.)
```

## One and one is two

```python
>>> x + x
tensor(2.)
```

Basis: mathematics

## Two less one is one

```python
>>> 2 * x - x
tensor(1.)
```

Basis: mathematics
"""
WRONG = CHAPTER.replace("tensor(1.)", "tensor(3.)").replace("x = torch.tensor(3.)", "x = torch.tensor(1.)")
HERE = ["spec/sums.md::one-and-one-is-two[cpu]", "spec/sums.md::two-less-one-is-one[cpu]"]


@pytest.fixture
def spec(pytester: pytest.Pytester) -> pytest.Pytester:
    """An empty project with the plugin and one chapter that holds."""
    pytester.makeconftest('pytest_plugins = ["lossdemo.verify.plugin"]')
    pytester.makeini("[pytest]\naddopts = -p no:doctest -p no:hypothesispytest\n")
    chapter(pytester, CHAPTER)
    return pytester


def chapter(pytester: pytest.Pytester, text: str, name: str = "sums") -> None:
    """Write a chapter."""
    pytester.mkdir("spec") if not (pytester.path / "spec").exists() else None
    (pytester.path / "spec" / f"{name}.md").write_text(text, encoding="utf-8")


def passed(result: pytest.RunResult) -> list[str]:
    """The ids that passed in a run with -v."""
    return sorted({line.split(" PASSED")[0] for line in result.outlines if " PASSED" in line})


def test_each_claim_is_a_test_with_its_slug_and_setting(spec: pytest.Pytester) -> None:
    """The id of a test is the chapter, the heading's slug, and the setting."""
    result = spec.runpytest_inprocess("-v", "--device", "cpu", "--dtype", "float32", "--dtype", "float64")
    result.assert_outcomes(passed=4)
    assert passed(result) == sorted([*HERE, *(name.replace("[cpu]", "[cpu-float64]") for name in HERE)])


def test_runs_on_the_devices_that_are_here(spec: pytest.Pytester) -> None:
    """Without --device the claims run on the CPU, and on CUDA where there is one."""
    result = spec.runpytest_inprocess()
    result.assert_outcomes(passed=4 if torch.cuda.is_available() else 2)


@pytest.mark.parametrize("name", [HERE[0], HERE[0].removesuffix("[cpu]")])
def test_one_claim_runs_by_its_id(spec: pytest.Pytester, name: str) -> None:
    """A claim runs alone by its node id, with or without the setting."""
    assert passed(spec.runpytest_inprocess("-v", name, "--device", "cpu")) == HERE[:1]


def test_claims_are_selected_by_words(spec: pytest.Pytester) -> None:
    """-k selects by the slug."""
    assert passed(spec.runpytest_inprocess("-v", "-k", "less-one", "--device", "cpu")) == HERE[1:]


def test_a_failure_is_at_the_prompts_line(spec: pytest.Pytester) -> None:
    """The report names the claim, the file, the line of the prompt, and what was expected and came instead."""
    chapter(spec, WRONG)
    result = spec.runpytest_inprocess("--device", "cpu")
    result.assert_outcomes(passed=1, failed=1)
    line = WRONG.splitlines().index(">>> 2 * x - x") + 1
    result.stdout.fnmatch_lines(
        [
            f"Example at {spec.path}/spec/sums.md, line {line}, column 1 did not evaluate as expected:",
            "Two less one is one [[]cpu[]]",
            "    >>> 2 * x - x",
            "    tensor(3.)",
            "    tensor(1.)",
            "expected '3.', got '1.'",
            f"sums.md:{line}: SybilFailure",
        ]
    )


def test_last_failed_runs_the_failed_claim(spec: pytest.Pytester) -> None:
    """--lf runs again what failed."""
    chapter(spec, WRONG)
    for expected in ({"passed": 1, "failed": 1}, {"failed": 1, "deselected": 1}):
        result = spec.runpytest_inprocess("--lf", "--device", "cpu")
        result.assert_outcomes(**expected)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "2", "--dist", "load"],
        ["-n", "2", "--dist", "loadgroup"],
        ["-p", "no:randomly", "-p", "no:xdist", "spec"],
    ],
    ids=" ".join,
)
def test_runs_alike_in_every_way(spec: pytest.Pytester, arguments: list[str]) -> None:
    """Distribution over workers and the way of naming the book change nothing."""
    result = spec.runpytest_subprocess("-v", "--device", "cpu", *arguments)
    assert result.ret == 0
    assert sorted(name for name in HERE if any(name in line for line in result.outlines)) == HERE


def test_runs_in_any_order(spec: pytest.Pytester) -> None:
    """Claims do not lean on those before them: the last one first gives the same."""
    result = spec.runpytest_inprocess("-v", "--device", "cpu", "-p", "no:randomly", *reversed(HERE))
    assert [line.split(" ")[0] for line in result.outlines if " PASSED" in line] == HERE[::-1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="not run here: torch finds a CUDA device")
def test_a_setting_that_is_not_here_is_not_run(spec: pytest.Pytester) -> None:
    """Claims for a device that is missing are skipped with the reason, and none passes."""
    result = spec.runpytest_inprocess("--device", "cuda", "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*not run here: torch finds no CUDA device"])


@pytest.mark.parametrize(
    ("needs", "reason"),
    [("Needs: cuda", "the claim needs cuda"), ("Since: torch 99.0", "the claim holds since torch 99.0, this is *")],
)
def test_a_claim_that_cannot_run_here_is_not_run(spec: pytest.Pytester, needs: str, reason: str) -> None:
    """A claim that needs a device or a torch that is not here is skipped with the reason."""
    chapter(spec, CHAPTER.replace("Basis: mathematics\n\n", f"Basis: mathematics · {needs}\n\n", 1))
    result = spec.runpytest_inprocess("--device", "cpu", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines([f"*not run here: {reason}"])


def test_a_claim_for_an_older_torch_runs(spec: pytest.Pytester) -> None:
    """A release that is reached does not keep a claim from running."""
    chapter(spec, CHAPTER.replace("Basis: mathematics", "Basis: mathematics · Since: torch 2.0"))
    spec.runpytest_inprocess("--device", "cpu").assert_outcomes(passed=2)


def test_a_refused_chapter_fails_the_run(spec: pytest.Pytester) -> None:
    """Problems of a chapter are an error of the run, each with file and line, though other chapters hold."""
    chapter(spec, "# Bad\n\n## Nothing shown\n\nBasis: hearsay\n", "bad")
    result = spec.runpytest_inprocess("--device", "cpu")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*/spec/bad.md:3: the claim 'Nothing shown' has no example*", "*/spec/bad.md:5: *"])


def test_pages_without_claims_are_checked_too(spec: pytest.Pytester) -> None:
    """A broken link in README.md fails the run."""
    chapter(spec, "# Book\n\n[gone](gone.md)\n", "README")
    result = spec.runpytest_inprocess("--device", "cpu")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*/spec/README.md:3: the link to 'gone.md' leads nowhere: no such file"])


def test_other_markdown_is_left_alone(spec: pytest.Pytester) -> None:
    """Files outside the book are not chapters."""
    (spec.path / "NOTES.md").write_text("## Not a claim\n\n```py\n```\n")
    spec.runpytest_inprocess("--device", "cpu").assert_outcomes(passed=2)


def test_seed_and_threads_reach_the_claim(spec: pytest.Pytester) -> None:
    """--seed and --threads are the claim's."""
    torch.manual_seed(7)
    want = f"({torch.rand(1, generator=torch.Generator().manual_seed(7)).item()}, 2)"
    chapter(spec, CHAPTER.replace("x + x\ntensor(2.)", f"torch.rand(1).item(), torch.get_num_threads()\n{want}"))
    spec.runpytest_inprocess("--device", "cpu", "--seed", "7", "--threads", "2").assert_outcomes(passed=2)
    spec.runpytest_inprocess("--device", "cpu", "--seed", "8", "--threads", "2").assert_outcomes(passed=1, failed=1)


def test_warnings_fail_a_claim_whatever_pytest_makes_of_them(spec: pytest.Pytester) -> None:
    """A claim does not depend on pytest's own filters."""
    chapter(spec, CHAPTER.replace("x + x\n", "__import__('warnings').warn('so') or x + x\n"))
    result = spec.runpytest_inprocess("--device", "cpu", "-W", "ignore")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*UserWarning: so"])


def test_a_setting_given_twice_runs_once(spec: pytest.Pytester) -> None:
    """Settings are a set."""
    result = spec.runpytest_inprocess("--device", "cpu", "--device", "cpu", "--dtype", "float32", "--dtype", "float32")
    result.assert_outcomes(passed=2)


def test_a_chapter_in_a_folder_fails_the_run(spec: pytest.Pytester) -> None:
    """What looks like a chapter and would not be run is an error, not overlooked."""
    (spec.path / "spec" / "part").mkdir()
    (spec.path / "spec" / "part" / "more.md").write_text(CHAPTER)
    result = spec.runpytest_inprocess("--device", "cpu")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*/spec/part/more.md:1: chapters are files [*].md in spec/ itself*"])


@pytest.mark.parametrize(
    "arguments", [["--device", "tpu"], ["--dtype", "int8"], ["--seed", "x"], ["--seed=-1"], ["--threads", "0"]]
)
def test_unknown_settings_are_usage_errors(spec: pytest.Pytester, arguments: list[str]) -> None:
    """A setting that does not exist is refused before anything runs."""
    assert spec.runpytest_inprocess(*arguments).ret == pytest.ExitCode.USAGE_ERROR
