"""Scripts, right ones and wrong ones, and what `lossdemo watch` finds in them: what their comments say, and no more."""

import re
import runpy
import warnings
from pathlib import Path

import pytest
import torch

from lossdemo import processes
from lossdemo.watch import watching

SCRIPTS = Path(__file__).with_name("scripts")


def expected(script: Path) -> set[tuple[str, int]]:
    """The claims that a script says it comes up against, and their lines: `# bites: ID`, or `# at the end: ID`."""
    lines = script.read_text(encoding="utf-8").splitlines()
    found = {(id, n) for n, line in enumerate(lines, 1) for id in re.findall(r"# bites: ([\w-]+)", line)}
    return found | {(id, 0) for line in lines for id in re.findall(r"# at the end: ([\w-]+)", line)}


@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.py")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_script_is_told_its_mistakes_and_nothing_else(script: Path) -> None:
    """Each mistake at its line; a script without mistakes is silent, and no watch fails."""
    since = re.search(r"^# since: torch (\d+)\.(\d+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    if since and torch.torch_version.TorchVersion(torch.__version__) < tuple(map(int, since.groups())):
        pytest.skip(f"{since[0][2:]}, this is {torch.__version__}")
    with (
        warnings.catch_warnings(),
        torch.random.fork_rng(),
        watching(forked=True) as findings,
        processes.watching(lambda: findings.all, findings.elsewhere.extend),
    ):
        warnings.simplefilter("ignore")
        runpy.run_path(str(script), run_name="__main__")
    assert {(found.claim, found.line) for found in findings} == expected(script), str(findings)
    assert not findings.crashes
