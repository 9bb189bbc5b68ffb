"""What was found, in words: how often, of which rank, from other processes; and what `lossdemo watch` refuses."""

import io
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from lossdemo import cli
from lossdemo.interrupt import Handover
from lossdemo.watch import Bite, Finding, Findings, Watch
from lossdemo.watch.place import Place
from lossdemo.watch.script import Script

PAIRS = "mse-mae-huber-and-smoothl1-pair-n-1-with-n-and-only-warn"
WATCH = Watch("pairs", PAIRS, (), "", lambda seen: None)
NOTE = Watch("perhaps", PAIRS, (), "", lambda seen: None, note=True)


def found(**changes: int) -> Finding:
    """A finding at line 3."""
    return msgspec.structs.replace(Finding(PAIRS, "pairs", "a.py", 3, "", "what", "advice", False, 0, 0), **changes)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"count": 40, "looked": 40, "calls": 40, "steps": 40}, "[every step]"),
        ({"count": 40, "looked": 40, "calls": 40, "steps": 10}, "[each of 40 calls]"),
        ({"count": 6, "looked": 6, "calls": 40, "steps": 40}, "[each of the 6 calls looked at, of 40]"),
        ({"count": 2, "looked": 6, "calls": 40, "first": 7}, "[seen at 2 of 6 calls, first after step 7]"),
        ({"count": 2, "looked": 6, "calls": 40}, "[seen at 2 of 6 calls, first before any step]"),
        ({"first": 5}, "[after step 5]"),
        ({}, ""),
        ({"looked": 0}, ""),
    ],
)
def test_how_often_never_says_more_than_was_looked_at(numbers: dict[str, int], words: str) -> None:
    """Calls that were looked at, and all calls, are told apart."""
    assert found(**numbers).how_often == words


def test_the_report_has_each_claim_once_at_a_line_and_notes_last() -> None:
    """A second watch that says the same of the same line is counted, and not told."""
    stream, place = io.StringIO(), Place("a.py", 3)
    findings = Findings(notes=True, stream=stream)
    findings.add(NOTE, Place("a.py", 9), Bite("maybe"), 0)
    findings.add(WATCH, place, Bite("pairs", "do this"), 1)
    findings.add(WATCH, place, Bite("pairs", "do this"), 2)
    findings.add(Watch("twin", PAIRS, (), "", lambda seen: None), place, Bite("as well"), 2)
    assert [(one.what, one.count) for one in findings] == [("pairs", 2), ("maybe", 1)]
    assert len(findings) == 2
    assert findings.claims() == [PAIRS]
    assert stream.getvalue().splitlines() == ["lossdemo: a.py:9  note: maybe", "lossdemo: a.py:3  pairs"]
    assert findings.report().startswith("lossdemo: 1 finding\na.py:3  pairs")
    assert str(findings) in findings.report()
    stream.close()
    findings.add(WATCH, Place("a.py", 4), Bite("after the stream was closed"), 3)
    assert len(findings) == 3


def test_a_claim_is_ignored_by_its_id_and_at_a_line_by_a_comment(tmp_path: Path) -> None:
    """Also where a statement goes over several lines; another id does not count."""
    script = tmp_path / "a.py"
    script.write_text(f"f(\n    1,\n)  # lossdemo: ignore other, {PAIRS}\ng()  # lossdemo: ignore other\n")
    findings = Findings()
    findings.add(WATCH, Place(str(script), 1), Bite("ignored"), 0)
    findings.add(WATCH, Place(str(script), 4), Bite("told"), 0)
    assert [one.what for one in findings] == ["told"]
    findings.ignored.add(PAIRS)
    assert not findings.all


def test_what_other_processes_found_is_taken_in_with_their_rank(tmp_path: Path) -> None:
    """What the first found as well is told once; a rank that left nothing is named, and so is a watch that failed."""
    first, second = Findings(), Findings()
    first.add(WATCH, Place("a.py", 3), Bite("pairs"), 0)
    second.add(WATCH, Place("a.py", 3), Bite("pairs"), 0)
    second.add(WATCH, Place("a.py", 8), Bite("elsewhere"), 0)
    second.crashes["broken"] = "ValueError: no"
    second.write(tmp_path, "rank1")
    second.write(tmp_path / "nowhere", "rank1")  # nobody waits for it
    first.take(tmp_path, ranks=(1, 2))
    assert [(one.head, one.rank) for one in first] == [("a.py:3  pairs", None), ("a.py:8  rank 1: elsewhere", 1)]
    assert first.report().splitlines()[-2:] == [
        "lossdemo: the watch broken failed, please report it: ValueError: no",
        "lossdemo: rank 2 had not ended: what was found there is not told",
    ]
    assert [one["line"] for one in msgspec.json.decode(first.json())] == [3, 8]
    second.clear()
    assert not second.all


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([], "which script?"),
        (["nowhere.py"], "there is no file nowhere.py"),
        (["-m", "torch.distributed.run", "x.py"], "torchrun ... -m lossdemo watch SCRIPT"),
        (["--ignore", "no-such-claim-at-all", __file__], "no claim has"),
        (["--every", "0", __file__], "--every"),
    ],
)
def test_what_cannot_be_watched_is_refused_with_what_to_do(words: list[str], answer: str) -> None:
    """As a wrong use of the command, before anything runs."""
    result = CliRunner().invoke(cli.main, ["watch", *words])
    assert result.exit_code == 2
    assert answer in result.output


def test_options_end_at_the_script_or_module() -> None:
    """What stands behind it is the script's own; an id may be given by a part of it."""
    first = _handed_over("--notes", "--ignore", PAIRS, __file__, "--json", "-m", "x")
    second = _handed_over("-m", "package.train", "--notes")
    assert (first.name, first.is_module, first.arguments) == (__file__, False, ("--json", "-m", "x"))
    assert (first.options.notes, first.options.ignore, first.options.as_json) == (True, (PAIRS,), False)
    assert (second.name, second.is_module, second.arguments) == ("package.train", True, ("--notes",))


def _handed_over(*words: str) -> Script:
    with pytest.raises(Handover) as raised:
        CliRunner().invoke(cli.main, ["watch", *words])
    return raised.value.run.__self__
