"""Verdicts of several runs side by side."""

import re

import pytest
from msgspec.structs import replace
from records import FAILED, RECORD, RUN, B, C, run
from rich.console import Console

from lossdemo.verify.matrix import Tally, merge
from lossdemo.verify.verdicts import OUTCOMES, Refusal, Verdicts, checksum


def cells(*verdicts: Verdicts) -> dict[str, list[str]]:
    """The cells in words, by claim."""
    return {row.newest.claim: [row.said(cell) for cell in row.cells] for row in merge(verdicts).rows}


def test_claims_stand_in_the_books_order_and_settings_in_that_of_the_files() -> None:
    """Rows are ordered by chapter and line, columns as the runs are given."""
    float64 = replace(B, dtype="float64", **FAILED)
    newest = run(C, RECORD, torch="2.14.0", date="2026-03-01T00:00:00Z")
    older = run(RECORD, B, float64, replace(C, claim="d", line=2))
    matrix = merge([newest, older])
    assert [row.newest.claim for row in matrix.rows] == ["d", "c", "a", "b"]
    assert matrix.heads == [["cpu", "torch 2.14.0"], ["cpu", "torch 2.13.0"], ["cpu-float64", "torch 2.13.0"]]
    assert cells(newest, older) == {
        "d": ["no record", "passed", "no record"],
        "c": ["passed", "no record", "no record"],
        "a": ["passed", "passed", "no record"],
        "b": ["no record", "passed", "failed: expected '1.0', got '2.0'"],
    }


def test_a_newer_run_of_one_chapter_does_not_turn_the_book_round() -> None:
    """The order of the chapters is that of the run that has most of them."""
    matrix = merge([run(RECORD, C), run(C, date="2026-03-01T00:00:00Z")])
    assert list(matrix.chapters) == ["spec/one.md", "spec/two.md"]


@pytest.mark.parametrize(
    ("changes", "head"),
    [
        ({}, ["cpu", "torch 2.13.0"]),
        ({"torch": "2.14.0"}, ["cpu", "torch 2.14.0"]),
        ({"python": "3.13.1"}, ["cpu", "torch 2.13.0", "Python 3.13.1"]),
        ({"platform": "Darwin 23", "processor": "arm64"}, ["cpu", "torch 2.13.0", "Darwin 23", "arm64"]),
        ({"prove": True}, ["cpu", "torch 2.13.0", "proved"]),
        ({"replace": ("t=m:f",)}, ["cpu", "torch 2.13.0", "with t=m:f"]),
        ({"records": (replace(RECORD, seed=3, threads=2),)}, ["cpu", "torch 2.13.0", "seed 3", "threads 2"]),
        ({"records": (replace(RECORD, device="cuda"),), "cuda": "H100"}, ["cuda", "torch 2.13.0", "H100"]),
        ({"cuda": "H100"}, ["cpu", "torch 2.13.0"]),
    ],
    ids=str,
)
def test_columns_are_told_apart_by_what_differs(changes: dict, head: list[str]) -> None:
    """Beside the setting and torch a column's head has what is not the same in all, and nothing else."""
    matrix = merge([RUN, replace(RUN, **changes)])
    assert matrix.heads[-1] == head
    assert len(matrix.columns) == (1 if head == ["cpu", "torch 2.13.0"] else 2)


def test_the_newer_of_two_runs_of_one_column_counts() -> None:
    """Whatever the order of the files; what only the older has is kept, and the matrix says so."""
    older = run(RECORD, B)
    newer = run(replace(RECORD, **FAILED), date="2026-02-01T00:00:00Z")
    for runs in ([older, newer], [newer, older]):
        assert cells(*runs) == {"a": ["failed: expected '1.0', got '2.0'"], "b": ["passed"]}
        assert merge(runs).notes == (
            "cpu, torch 2.13.0 is in 2 files: the newest counts, of 2026-02-01T00:00:00Z, "
            "and what only older ones have, of 2026-01-02T03:04:05Z",
        )
    assert merge([older]).notes == ()


def test_of_equally_old_runs_the_later_given_counts() -> None:
    """The outcome never depends on chance."""
    assert cells(RUN, run(replace(RECORD, **FAILED)))["a"][0].startswith("failed")
    assert cells(run(replace(RECORD, **FAILED)), RUN)["a"] == ["passed"]


def test_claims_with_another_text_are_marked() -> None:
    """A cell that is of an older text than the row says so, and the matrix counts such claims."""
    rewritten = replace(RECORD, checksum=checksum("## A, rewritten"))
    matrix = merge([RUN, run(rewritten, B, torch="2.14.0", date="2026-02-01T00:00:00Z")])
    assert [row.rewritten for row in matrix.rows] == [True, False]
    assert [matrix.rows[0].said(cell) for cell in matrix.rows[0].cells] == ["passed (of another text)", "passed"]
    assert matrix.notes == ("claims whose text is not the same in all settings, each marked: 1",)


def test_refused_chapters_are_noted_until_a_newer_run_has_them() -> None:
    """A refusal is said beside the figures that lack it; one that a newer run of the column has mended is not."""
    refused = replace(RUN, refused=(Refusal("spec/bad.md", "line 3: no"),))
    note = "spec/bad.md was refused in the run of 2026-01-02T03:04:05Z with torch 2.13.0: line 3: no"
    assert merge([refused]).notes == (note,)
    assert merge([replace(refused, records=())]).notes == (note,)
    assert not any("bad.md" in text for text in merge([refused, replace(RUN, date="2026-02-01T00:00:00Z")]).notes)


@pytest.mark.parametrize(
    ("passed", "others", "percent"),
    [(1, 0, 100), (0, 1, 0), (1, 1, 50), (2, 1, 66), (999, 1, 99), (99_999, 1, 99), (1000, 0, 100), (0, 0, 0)],
)
@pytest.mark.parametrize("other", [outcome for outcome in OUTCOMES if outcome != "passed"])
def test_a_percentage_is_rounded_down(passed: int, others: int, percent: int, other: str) -> None:
    """100 % is all, and nothing but passed is passed."""
    tally = Tally((RECORD,) * passed + (replace(RECORD, outcome=other),) * others)
    assert tally.percent == percent


def test_a_tally_says_of_how_many_it_knows_nothing() -> None:
    """What was not run counts against the whole; what is not in the file is named apart."""
    not_run = replace(B, outcome="not run", reason="the claim needs cuda")
    assert str(Tally((RECORD, not_run))) == "1 of 2, 50 %"
    assert str(Tally((RECORD, None, None))) == "1 of 1, 100 %; no record of 2"
    assert str(Tally((None,))) == "no record"
    assert Tally((not_run, not_run, RECORD)).not_run == {"the claim needs cuda": 2}


NASTY = replace(RECORD, title='<script>alert("x")</script> & *a* | [b](c) `d` $e_f$')
WEAK = replace(B, outcome="vacuous", reason="vacuous", checksum="0" * 64)
MATRIX = merge(
    [
        run(NASTY, replace(B, **FAILED), C, refused=(Refusal("spec/<i>.md", "line 1: <b>"),)),
        run(
            replace(NASTY, outcome="not run", message="<script>", reason="<script>"),
            replace(
                B,
                outcome="vacuous",
                message="Weak.\nTried: x_y",
                reason="vacuous",
                killed=(),
                survived=("x_y",),
                checksum="0" * 64,
            ),
            torch="2.12.0",
        ),
    ]
)


TITLE = r'\<script\>alert("x")\</script\> \& \*a\* \| \[b\](c) \`d\` \$e\_f\$'
REST = (
    r"kit 1.0, seed 0, threads 1, not proved, nothing replaced, Python 3.11.7, Linux 6.1, x86\_64 AVX2,"
    " 2026-01-02T03:04:05Z"
)
MARKDOWN = rf"""# Verdicts

3 claims. A percentage is rounded down, and what was not run has not passed.

- cpu, torch 2.13.0, {REST}
- cpu, torch 2.12.0, {REST}
- spec/\<i\>.md was refused in the run of 2026-01-02T03:04:05Z with torch 2.13.0: line 1: \<b\>
- claims whose text is not the same in all settings, each marked: 1

| chapter | cpu<br>torch 2.13.0 | cpu<br>torch 2.12.0 |
|---|---|---|
| spec/one.md | 1 of 2, 50 % | 0 of 2, 0 % |
| spec/two.md | 1 of 1, 100 % | no record |
| **all** | **2 of 3, 66 %** | **0 of 2, 0 %; no record of 1** |

## spec/one.md

| claim | basis | cpu<br>torch 2.13.0 | cpu<br>torch 2.12.0 |
|---|---|---|---|
| {TITLE} | mathematics | passed | not run: \<script\> |
| B | mathematics | failed (of another text): expected '1.0', got '2.0' | vacuous: vacuous |

## spec/two.md

| claim | basis | cpu<br>torch 2.13.0 | cpu<br>torch 2.12.0 |
|---|---|---|---|
| C | mathematics | passed | no record |
"""


def test_markdown_has_the_chapters_and_every_cell() -> None:
    """Tables as GitHub renders them; nothing in a title or message is read as markup."""
    assert MATRIX.markdown() == MARKDOWN


def drawn(what: object, width: int = 80) -> str:
    """What a terminal of this width shows."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(what)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_has_every_cell(width: int) -> None:
    """Claims by setting below their chapter's figures, in a terminal of any width; brackets are no markup."""
    lines = drawn(MATRIX.table(), width).splitlines()
    assert max(map(len, lines)) <= width
    words = re.sub(r"\W", "", "".join(lines)) if width == 40 else " ".join(" ".join(lines).split())
    parts = ("spec/one.md 1 of 2, 50 % 0 of 2, 0 %", "all 2 of 3, 66 %", "C passed no record", "[b](c)")
    for part in parts if width > 40 else ("specone", "spectwo", "vacuous", "norecord"):
        assert part in words
    assert "…" not in words


def test_settings_and_reasons_stand_around_the_table_in_whole_lines() -> None:
    """By number; what was not run is counted, the rest sorted by basis, and the id can be copied."""
    assert MATRIX.legend == ["1: cpu, torch 2.13.0", "2: cpu, torch 2.12.0"]
    observed = replace(RECORD, basis="observed", **FAILED)
    matrix = merge(
        [run(observed, replace(B, outcome="not run", reason="no"), replace(C, **FAILED)), run(WEAK, torch="3")]
    )
    assert list(matrix.reasons) == [
        "1: 1 not run: no",
        "1: failed, mathematics: spec/two.md::c[cpu]\n    expected '1.0', got '2.0'",
        "2: vacuous, mathematics: spec/one.md::b[cpu]\n    vacuous",
        "1: failed, observed: spec/one.md::a[cpu]\n    expected '1.0', got '2.0'",
    ]


def test_shards_of_a_run_are_one_setting() -> None:
    """Runs of the same torch, setting and options that share no claim are one run, wherever its parts ran."""
    elsewhere = {"platform": "Darwin 23", "processor": "arm64", "date": "2026-01-02T03:05:00Z"}
    bad = {"refused": (Refusal("spec/bad.md", "line 3: no"),)}
    not_run = replace(C, outcome="not run", reason="spec/two.md is refused")
    shards = [run(RECORD, not_run, **bad), run(B, C, **elsewhere)]
    for order in (shards, shards[::-1]):
        matrix = merge(order)
        assert matrix.heads == [["cpu", "torch 2.13.0"]]
        assert cells(*order) == {"a": ["passed"], "b": ["passed"], "c": ["passed"]}
        assert [note.partition(" was")[0] for note in matrix.notes] == ["spec/bad.md"]
    assert "Linux 6.1 and Darwin 23" in merge(shards).settings[0]
    assert len(merge([shards[0], run(B, torch="2.14.0", **elsewhere)]).columns) == 2
    assert len(merge([shards[0], run(RECORD, B, **elsewhere)]).columns) == 2


def test_one_claim_is_one_claim() -> None:
    """A number of one has a noun of one."""
    assert "\n1 claim. A percentage" in merge([RUN]).markdown()


def test_the_summary_counts_outcomes_by_chapter() -> None:
    """For each setting a table with the claims of each chapter by outcome; narrow, nothing is cut."""
    _, second = MATRIX.summary()
    assert drawn(second) == (
        "cpu, torch 2.12.0\n"
        " ──────────────────────────────────────────────────────────\n"
        " chapter       claims   passed   not run   vacuous   failed\n"
        " ──────────────────────────────────────────────────────────\n"
        " spec/one.md        2        0         1         1        0\n"
        " spec/two.md        0        0         0         0        0\n"
        " all                2        0         1         1        0\n"
        " ──────────────────────────────────────────────────────────"
    )
    assert "…" not in drawn(second, 40)
