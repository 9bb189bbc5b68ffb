"""The book under pytest: ids, settings, selection, failures, refusals, and every way of running it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from conftest import LIMIT
from lossdemo.verify import plugin

PREAMBLE = """\
# Sums

```python
>>> import torch
>>> x = torch.tensor(1.)
```

"""
ONE, TWO = "one-and-one-is-two", "two-less-one-is-one"


def claim(title: str, code: str, fields: str = "") -> str:
    """A section that is a claim."""
    return f"## {title}\n\n```python\n{code}\n```\n\nBasis: mathematics{fields}\n\n"


CHAPTER = (
    PREAMBLE
    + claim("One and one is two", ">>> x + x\ntensor(2.)")
    + claim("Two less one is one", ">>> 2 * x - x\ntensor(1.)")
)
WRONG = CHAPTER.replace("2 * x - x\ntensor(1.)", "2 * x - x\ntensor(3.)")
PLAIN = "[tool.pytest.ini_options]\naddopts = '-p no:hypothesispytest'\n"
SETTINGS = f"{PLAIN}claims = 'spec'\n"


class Project:
    """A project with claims, whose runs are in this process."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.write("pyproject.toml", SETTINGS)
        self.write("spec/sums.md", CHAPTER)

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text, encoding="utf-8")

    def add(self, *claims: str) -> None:
        """Add claims to the chapter."""
        self.write("spec/sums.md", CHAPTER + "".join(claims))

    def run(self, *options: str | Path, device: str = "--device=cpu") -> pytest.RunResult:
        """Run pytest; the process is afterwards what it was before."""
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), os._exit
        try:
            return self.pytester.runpytest_inprocess(*filter(None, [device]), *options)
        finally:
            assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), os._exit) == before

    def verdicts(self) -> dict[str, tuple[str, str]]:
        """Outcome and reason of each claim in the file v.json."""
        records = json.loads((self.path / "v.json").read_text())["records"]
        return {record["claim"]: (record["outcome"], record["reason"]) for record in records}


@pytest.fixture
def spec(pytester: pytest.Pytester) -> Project:
    """A project with one chapter that holds."""
    return Project(pytester)


def node(claim: str, setting: str = "cpu") -> str:
    """The id of a test of the chapter."""
    return f"spec/sums.md::{claim}[{setting}]"


def passed(result: pytest.RunResult) -> list[str]:
    """The ids that passed in a run with -v."""
    return [line.split(" PASSED")[0] for line in result.outlines if " PASSED" in line]


# Ids, settings, selection


def test_each_claim_is_a_test_with_its_slug_and_setting(spec: Project) -> None:
    """The id of a test is the chapter, the heading's slug, and the setting."""
    result = spec.run("-v", "--dtype", "float32", "--dtype", "float64")
    settings = ("cpu", "cpu-float64")
    assert sorted(passed(result)) == sorted(node(name, setting) for name in (ONE, TWO) for setting in settings)


def test_runs_on_the_devices_that_are_here(spec: Project) -> None:
    """Without --device the claims run on the CPU, and on CUDA where there is one."""
    spec.run(device="").assert_outcomes(passed=4 if torch.cuda.is_available() else 2)


@pytest.mark.parametrize("name", [node(ONE), node(ONE).removesuffix("[cpu]")])
def test_one_claim_runs_by_its_id(spec: Project, name: str) -> None:
    """A claim runs alone by its node id, with or without the setting."""
    assert passed(spec.run("-v", name)) == [node(ONE)]


def test_claims_are_selected_by_words(spec: Project) -> None:
    """-k selects by the slug."""
    assert passed(spec.run("-v", "-k", "less-one")) == [node(TWO)]


def test_runs_in_any_order(spec: Project) -> None:
    """Claims do not lean on those before them: the last one first gives the same."""
    assert passed(spec.run("-v", node(TWO), node(ONE))) == [node(TWO), node(ONE)]


def test_a_failure_is_at_the_prompts_line(spec: Project) -> None:
    """The report names the claim, the line of the prompt from the root, and what was expected and came instead."""
    spec.write("spec/sums.md", WRONG)
    result = spec.run()
    result.assert_outcomes(passed=1, failed=1)
    line = WRONG.splitlines().index(">>> 2 * x - x") + 1
    result.stdout.fnmatch_lines(
        [
            "*Two less one is one [[]cpu[]]*",
            f"spec/sums.md:{line}: Two less one is one",
            "    >>> 2 * x - x",
            "    tensor(3.)",
            "    tensor(1.)",
            "expected '3.', got '1.'",
        ]
    )


def test_last_failed_runs_the_failed_claim(spec: Project) -> None:
    """--lf runs again what failed."""
    spec.write("spec/sums.md", WRONG)
    for expected in ({"passed": 1, "failed": 1}, {"failed": 1}):
        spec.run("--lf").assert_outcomes(**expected)


def test_seed_and_threads_reach_the_claim(spec: Project) -> None:
    """--seed and --threads are the claim's."""
    drawn = torch.rand(1, generator=torch.Generator().manual_seed(7)).item()
    spec.add(claim("Drawn", f">>> torch.rand(1).item(), torch.get_num_threads()\n({drawn}, 2)"))
    spec.run("--seed", "7", "--threads", "2").assert_outcomes(passed=3)
    spec.run("--seed", "8", "--threads", "2").assert_outcomes(passed=2, failed=1)


def test_a_setting_given_twice_runs_once(spec: Project) -> None:
    """Settings are a set."""
    spec.run("--device", "cpu", "--dtype", "float32", "--dtype", "float32").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "options", [["--device", "tpu"], ["--dtype", "int8"], ["--seed", "x"], ["--seed=-1"], ["--threads", "0"]]
)
def test_unknown_settings_are_usage_errors(spec: Project, options: list[str]) -> None:
    """A setting that does not exist is refused before anything runs."""
    assert spec.run(*options).ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.skipif(torch.cuda.is_available(), reason="not run here: torch finds a CUDA device")
def test_a_setting_that_is_not_here_is_not_run(spec: Project) -> None:
    """Claims for a device that is missing are skipped with the reason, and none passes."""
    result = spec.run("-rs", device="--device=cuda")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*not run here: torch finds no CUDA device"])


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("Needs: cuda", "the claim needs cuda"),
        ("Since: torch 99.0", "the claim holds since torch 99.0, this is *"),
        ("Until: torch 1.9", "the claim holds until torch 1.9, this is *"),
        ("Since: focal 0.2", "the claim holds since focal 0.2, focal is not installed"),
        ("Since: torch 1.9", None),
        ("Until: torch 99.0", None),
        ("Since: pytest 8.0", None),
    ],
)
def test_a_claim_that_cannot_run_here_is_not_run(spec: Project, field: str, reason: str | None) -> None:
    """A claim that needs a device or a release that is not here is skipped with the reason; others run."""
    spec.add(claim("Three", ">>> 3\n3", f" · {field}"))
    result = spec.run("-rs")
    result.assert_outcomes(passed=2 if reason else 3, skipped=1 if reason else 0)
    result.stdout.fnmatch_lines([f"*not run here: {reason}"] if reason else [])


def test_a_release_of_the_package_under_test_is_what_is_installed(spec: Project) -> None:
    """`Since` may name the package under test; a release that README.md does not name is told at the start."""
    spec.write("focal-0.3.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: focal\nVersion: 0.3.1\n")
    spec.write("spec/README.md", "# Book\n\nReleases: focal 0.1, 0.2\n\n[sums](sums.md)\n")
    spec.add(claim("Three", ">>> 3\n3", " · Since: focal 0.2"), claim("Four", ">>> 4\n4", " · Until: focal 0.2"))
    spec.pytester.syspathinsert()
    result = spec.run()
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["focal 0.3.1 was not tried with these claims: see Releases in README.md"])


# Where the project says so, and only there


def test_a_project_without_claims_has_no_options_and_no_chapters(spec: Project) -> None:
    """Where `claims` is not set, no option is added and no Markdown is collected."""
    spec.write("pyproject.toml", PLAIN)
    assert spec.run(device="").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    for option in ("--prove", "--verdicts=v.json", "--device=cpu", "--replace=a.b=c:d"):
        assert spec.run(option, device="").ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("claims", [True, False])
def test_an_option_of_the_project_keeps_working(spec: Project, claims: bool) -> None:
    """A conftest with a --device of its own goes before, with claims and without."""
    spec.write("conftest.py", "def pytest_addoption(parser):\n    parser.addoption('--device', default='none')\n")
    spec.write("test_own.py", "def test_own(request):\n    assert request.config.getoption('--device') == 'mine:1'\n")
    if not claims:
        spec.write("pyproject.toml", PLAIN)
    here = 2 * (1 + torch.cuda.is_available())
    spec.run(device="--device=mine:1").assert_outcomes(passed=1 + claims * here)


def test_the_help_names_the_options(spec: Project) -> None:
    """`pytest --help` has them, where there are claims."""
    result = spec.run("--help", device="")
    result.stdout.fnmatch_lines(["*claims of the project's Markdown*", "*--prove*", "*--replace=TARGET=MODULE:NAME*"])


def test_claims_may_be_anywhere_below_the_root(spec: Project) -> None:
    """The directory is the project's choice, also in a part of a monorepo with settings of its own."""
    spec.write("part/pyproject.toml", SETTINGS.replace("'spec'", "'docs/claims'"))
    spec.write("part/docs/claims/sums.md", CHAPTER)
    assert passed(spec.run("-v", "part")) == [f"part/docs/claims/sums.md::{name}[cpu]" for name in (ONE, TWO)]


def test_a_directory_that_is_not_there_is_a_usage_error(spec: Project) -> None:
    """A mistyped directory does not pass for a project without claims."""
    spec.write("pyproject.toml", SETTINGS.replace("spec", "sepc"))
    result = spec.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*claims = 'sepc': there is no directory *"])


def test_options_that_do_not_go_together_are_usage_errors(spec: Project) -> None:
    """Each says what to give."""
    for options, message in {
        ("--prove",): "*--prove tries wrong versions: name their modules, as mutants = *",
        ("--prove", "--replace=math.sin=math:cos"): "*--prove and --replace: give one of them*",
        ("--known=k",): "*--known lists known failures of --replace: give both*",
        ("--verdicts=none/v.json",): "*make the directory *",
    }.items():
        result = spec.run(*options)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([message])


def test_optimized_python_is_refused(spec: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """-O drops asserts, so that nothing could fail: one sentence says so."""
    monkeypatch.setattr(plugin, "sys", SimpleNamespace(flags=SimpleNamespace(optimize=1)))
    result = spec.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*python -O drops every assert, so that nothing could fail: run without -O"])


@pytest.mark.parametrize("options", [["--import-mode=importlib"], ["--doctest-glob=*.md", "--doctest-modules"]])
def test_runs_alike_beside_other_options(spec: Project, options: list[str]) -> None:
    """How modules are imported and what doctest collects change nothing; a page of the book is not doctest's."""
    spec.write("NOTES.md", "## Not a claim\n\n```py\n```\n")
    assert passed(spec.run("-v", *options)) == [node(ONE), node(TWO)]


def test_a_failure_can_be_run_once_more(spec: Project) -> None:
    """A plugin that reruns failures finds the item ready for another run."""
    spec.write("spec/sums.md", WRONG)
    spec.write(
        "conftest.py",
        "from _pytest.runner import runtestprotocol\n\n"
        "def pytest_runtest_protocol(item, nextitem):\n"
        "    for log in (False, True):\n"
        "        runtestprotocol(item, log=log, nextitem=nextitem)\n"
        "    return True\n",
    )
    spec.run().assert_outcomes(passed=1, failed=1)


def test_files_of_options_may_lie_elsewhere(spec: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file that is there already does not move the root of the project."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    known, verdicts = elsewhere / "known.txt", elsewhere / "v.json"
    known.write_text(f"{TWO} for a reason\n")
    verdicts.write_text("{}")
    options = ["--replace=torch.tensor=torch:zeros_like", f"--known={known}", f"--verdicts={verdicts}"]
    spec.write("spec/sums.md", CHAPTER.replace(">>> 2 * x", ">>> 2 * torch.tensor(1.)"))
    for arguments in (options, ["spec", *(part for option in options for part in option.split("=", 1))]):
        result = spec.run(*arguments)
        assert result.ret != pytest.ExitCode.USAGE_ERROR, result.errlines
        assert json.loads(verdicts.read_text())["records"]


def test_a_checkout_that_cannot_be_written_passes(spec: Project) -> None:
    """Without a cache the claims run, with pytest's warning, also where warnings are errors as in this project."""
    filters = "filterwarnings = ['error', 'default::pytest.PytestWarning']\n"
    spec.write("pyproject.toml", SETTINGS + filters)
    spec.write(".pytest_cache", "")  # as good as a directory that is read-only, for root too
    result = spec.run()
    result.assert_outcomes(passed=2, warnings=1)
    assert result.ret == 0


# What is refused


def test_a_refused_chapter_stops_no_other(spec: Project) -> None:
    """Problems of a chapter are an error of the run, each with file and line; the other chapters run."""
    spec.write("spec/bad.md", "# Bad\n\n## Nothing shown\n\nBasis: hearsay\n")
    result = spec.run("--verdicts=v.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*/spec/bad.md:3: the claim 'Nothing shown' has no example*", "*/spec/bad.md:5: *"])
    assert set(spec.verdicts()) == {ONE, TWO}
    assert spec.run(node(ONE)).ret == 0


def test_pages_without_claims_are_checked_too(spec: Project) -> None:
    """A broken link in README.md, and a chapter that it does not link to, fail the run."""
    spec.write("spec/README.md", "# Book\n\n[gone](gone.md)\n")
    result = spec.run()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*/spec/README.md:3: the link to 'gone.md' leads nowhere: no such file*"])
    result.stdout.fnmatch_lines(["*/spec/sums.md:1: README.md beside it does not link to this chapter*"])


def test_a_chapter_in_a_folder_fails_the_run(spec: Project) -> None:
    """What looks like a chapter and would not be run is an error, not overlooked."""
    spec.write("spec/part/more.md", PREAMBLE + claim("Three", ">>> 3\n3"))
    result = spec.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*/spec/part/more.md:1: chapters are files [*].md in spec/ itself*"])


def test_what_is_no_page_is_left_alone_and_what_cannot_be_read_is_refused(spec: Project) -> None:
    """Directories, pipes, locks of editors and hidden files are no pages; a page that is not UTF-8 is refused."""
    (spec.path / "spec" / "folder.md").mkdir()
    os.mkfifo(spec.path / "spec" / "pipe.md")
    (spec.path / "spec" / ".#sums.md").symlink_to("somebody@somewhere.123:456")
    spec.write("spec/._sums.md", "not a page")
    spec.write("NOTES.md", "## Not a claim\n\n```py\n```\n")
    spec.run().assert_outcomes(passed=2)
    (spec.path / "spec" / "latin.md").write_bytes(b"# L\xe9on\n\n## X\n")
    result = spec.run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*/spec/latin.md:1: this is not UTF-8 (*): save it as UTF-8"])


# What a claim does to others, and to the run


def test_warnings_fail_a_claim_whatever_pytest_makes_of_them(spec: Project) -> None:
    """A claim does not depend on pytest's own filters."""
    spec.add(claim("Warned", ">>> import warnings\n>>> warnings.warn('so')\n>>> 1\n1"))
    result = spec.run("-W", "ignore")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*UserWarning: so"])


LEFT = {
    "A file": (">>> import os\n>>> torch_open = os.open('/', os.O_RDONLY)\n>>> 1\n1", "/ open"),
    "A file lost": (">>> open('spec/sums.md').readline() != ''\nTrue", "ResourceWarning: unclosed file *"),
    "The environment": (">>> import os\n>>> os.environ['MINE'] = '1'\n>>> 1\n1", "the environment changed"),
    "A loss": (
        ">>> torch.nn.functional.mse_loss = lambda *a: 7\n>>> 1\n1",
        "torch.nn.functional.mse_loss changed",
    ),
    "A default dtype": (">>> torch.set_default_dtype(torch.float64)\n>>> 1\n1", "the default dtype changed"),
}


def test_a_claim_that_leaves_something_behind_fails_by_name(spec: Project) -> None:
    """It alone fails, and the claims after it find everything as it was."""
    same = ">>> torch.nn.functional.mse_loss(x, 0 * x).item(), torch.get_default_dtype()\n(1.0, torch.float32)"
    spec.add(*(claim(title, code) for title, (code, _) in LEFT.items()), claim("All is as it was", same))
    result = spec.run("--verdicts=v.json")
    result.assert_outcomes(passed=3, failed=len(LEFT))
    verdicts = spec.verdicts()
    for title, (_, left) in LEFT.items():
        outcome, reason = verdicts[title.lower().replace(" ", "-")]
        assert outcome == "failed"
        pytest.LineMatcher([reason]).fnmatch_lines([f"*the claim leaves behind: {left}*"])


def test_what_another_test_changes_is_not_the_next_claims(spec: Project) -> None:
    """A change of the world by an ordinary test between two claims is nobody's failure, and stays."""
    spec.write("test_own.py", "import torch\n\ndef test_own():\n    torch.mine_own = 1\n")
    try:
        spec.run(node(ONE), "test_own.py", node(TWO)).assert_outcomes(passed=3)
        assert torch.mine_own == 1
    finally:
        vars(torch).pop("mine_own", None)


def test_a_claim_cannot_end_the_run(spec: Project) -> None:
    """`os._exit` and `sys.exit` are the claim's failure; a child that it forks may end as it wants."""
    spec.add(
        claim("Leaves at once", ">>> import os\n>>> os._exit(0)\n>>> 1\n1"),
        claim("Leaves politely", ">>> import sys\n>>> sys.exit(0)\n>>> 1\n1"),
        claim("Leaves at the end", ">>> import atexit\n>>> _ = atexit.register(print)\n>>> 1\n1"),
    )
    result = spec.run("--verdicts=v.json")
    result.assert_outcomes(passed=2, failed=3)
    assert [reason for _, reason in spec.verdicts().values() if reason] == [
        "RuntimeError: the claim calls os._exit(0), which would end the run",
        "SystemExit: 0",
        "the claim leaves behind: a function that is called when the process ends",
    ]


def test_a_claim_that_hangs_is_named(spec: Project) -> None:
    """At the limit of time the claim fails, and the others run."""
    spec.add(claim("Hangs", ">>> import time\n>>> time.sleep(60)\n>>> 1\n1"), claim("Three", ">>> 3\n3"))
    spec.write("conftest.py", LIMIT.format(name="hangs"))
    result = spec.run("--verdicts=v.json")
    result.assert_outcomes(passed=3, failed=1)
    assert spec.verdicts()["hangs"] == ("failed", "Failed: Timeout (>0.5s) from pytest-timeout.")


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ([], 60),
        (["--prove", "-o", "mutants=lossdemo.mutants"], 600),
        (["-o", "timeout=7"], None),
        (["--timeout=7"], None),
    ],
)
def test_claims_have_a_limit_of_time(spec: Project, options: list[str], limit: float | None) -> None:
    """It is a minute, and ten for a proof, unless somebody sets another."""
    spec.write(
        "conftest.py",
        "def pytest_collection_modifyitems(items):\n"
        "    print('limits', {mark.args for item in items for mark in item.iter_markers('timeout')})\n",
    )
    result = spec.run("-s", "--collect-only", *options)
    result.stdout.fnmatch_lines([f"*limits {{({limit},)}}" if limit else "*limits set()"])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 2)])
def test_a_run_that_is_ended_has_verdicts(spec: Project, number: int, status: int) -> None:
    """After Ctrl-C and SIGTERM what was found is written; the claim that ran is told from those that did not."""
    end = f">>> import os\n>>> os.kill(os.getpid(), {number:d})\n>>> 1\n1"
    spec.add(claim("Ends the run", end), claim("Three", ">>> 3\n3"))
    before = os._exit
    result = spec.pytester.inline_run("--device=cpu", "--verdicts=v.json", no_reraise_ctrlc=True)
    assert os._exit is before
    assert result.ret == status
    assert spec.verdicts() == {
        ONE: ("passed", ""),
        TWO: ("passed", ""),
        "ends-the-run": ("not run", "the run ended while this claim ran"),
        "three": ("not run", "the run ended before it was this claim's turn"),
    }


# In processes of their own


@pytest.mark.slow
def test_runs_alike_on_workers(spec: Project) -> None:
    """On two processes: what holds, fails, is refused, hangs, is killed, and the verdicts of all that."""
    spec.write("spec/bad.md", "# Bad\n\n## Nothing shown\n\nBasis: hearsay\n")
    spec.add(
        claim("Hangs", ">>> import time\n>>> time.sleep(60)\n>>> 1\n1"),
        claim("Leaves", ">>> import os\n>>> os._exit(0)\n>>> 1\n1"),
        claim("Kills", ">>> import os, signal\n>>> os.kill(os.getpid(), signal.SIGKILL)\n>>> 1\n1"),
    )
    spec.write("conftest.py", LIMIT.format(name="hangs"))
    result = spec.pytester.runpytest_subprocess("-n2", "--device=cpu", "--verdicts=v.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=3, errors=1)
    result.stdout.fnmatch_lines(["*/spec/bad.md:3: the claim 'Nothing shown' has no example*"])
    verdicts = spec.verdicts()
    assert re.match(r"worker 'gw\d+' crashed while running 'spec/.*::kills", verdicts["kills"][1])
    found = {name: outcome for name, (outcome, _) in verdicts.items()}
    assert found == {ONE: "passed", TWO: "passed", "hangs": "failed", "leaves": "failed", "kills": "failed"}


def ended(spec: Project, *options: str, ready: Callable[[], bool] = lambda: True) -> tuple[int, str]:
    """Exit status and output of a run in a process of its own, ended by SIGTERM when it is ready."""
    command = [sys.executable, "-m", "pytest", "--device=cpu", *options]
    process = spec.pytester.popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while not ready() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output = process.communicate()[0].decode()
    return process.returncode, output


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-n1"]], ids=["alone", "a worker"])
def test_sigterm_ends_a_run_as_ctrl_c_does(spec: Project, options: list[str]) -> None:
    """Verdicts of what ran are written, with workers too, and the exit status is what a shell expects."""
    wait = ">>> import pathlib, time\n>>> pathlib.Path('ready').touch()\n>>> time.sleep(60)\n>>> 1\n1"
    spec.add(claim("Hangs", wait), claim("Three", ">>> 3\n3"))
    status, output = ended(spec, *options, "--verdicts=v.json", ready=(spec.path / "ready").exists)
    assert status == 143, output
    assert "SIGTERM during" in output
    assert spec.verdicts()["hangs"] == ("not run", "the run ended while this claim ran")


@pytest.mark.slow
def test_a_function_at_the_processs_end_makes_no_success_of_a_failure(spec: Project) -> None:
    """`os._exit(0)` when everything is over does not hide that a claim failed."""
    spec.write("ends.py", "import os\n\ndef end():\n    os._exit(0)\n")
    spec.write("conftest.py", "import ends\n")
    spec.add(claim("Leaves at the end", ">>> import atexit, ends\n>>> _ = atexit.register(ends.end)\n>>> 1\n1"))
    assert spec.pytester.runpytest_subprocess("--device=cpu").ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow
def test_optimized_python_is_refused_in_one_sentence(spec: Project) -> None:
    """Without a traceback, also where warnings are errors as in this project."""
    spec.write("pyproject.toml", f"{SETTINGS}filterwarnings = ['error', 'default::pytest.PytestWarning']\n")
    result = spec.pytester.run(sys.executable, "-O", "-m", "pytest")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stderr.str()
    result.stderr.fnmatch_lines(["*python -O drops every assert, so that nothing could fail: run without -O"])
