"""The table of watches by claims, and that a watch which proves nothing is seen."""

from pathlib import Path

import pytest

from lossdemo.verify.claims import Book
from lossdemo.verify.patch import locate
from lossdemo.watch import Bite, Watch, table, watcher
from lossdemo.watch.definition import END
from lossdemo.watch.seen import Seen

BOOK = Book(Path(__file__).parent.parent / "spec")
PAIRS = "mse-mae-huber-and-smoothl1-pair-n-1-with-n-and-only-warn"


@pytest.mark.slow
def test_each_watch_fires_in_its_claim_and_where_it_is_expected_and_the_table_says_where() -> None:
    """The whole book, watched: every claim still holds, no watch fails, and the file is what comes out."""
    fired, failed = table.watched(BOOK)
    assert not failed
    assert not table.missing(fired)
    assert table.text(fired) == table.FILE.read_text(encoding="utf-8"), "write it anew: make watches"


def test_each_watch_names_a_claim_and_what_torch_has() -> None:
    """No watch waits for what never comes."""
    for watch in watcher.load():
        assert watch.claim in BOOK.ids, watch.name
        assert watch.doc, watch.name
        for moment in set(watch.moments) - {END}:
            assert locate(moment), watch.name


def test_names_of_watches_are_unique() -> None:
    """Findings are counted by name."""
    names = [watch.name for watch in watcher.load()]
    assert len(names) == len(set(names))


def test_a_watch_that_fires_nowhere_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the claim that it names it has to say something."""
    silent = Watch("silent", PAIRS, ("torch.nn.functional.mse_loss",), "", lambda seen: None)
    assert table.missing(_fired(monkeypatch, silent)) == [f"silent does not fire in {PAIRS}"]


def test_a_watch_that_fires_in_another_claim_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line, so that one sees whether it is a mistake there, too."""

    def look(seen: Seen) -> Bite | None:
        return Bite("anything") if seen["reduction"] == "none" else None

    loud = Watch("loud", PAIRS, ("torch.nn.functional.mse_loss",), "", look, cheap=True)
    other = "mses-gradient-has-the-predictions-dtype-whatever-the-targets-dtype"
    problems = table.missing(_fired(monkeypatch, loud, PAIRS, other))
    assert len(problems) <= 1
    assert all(problem.startswith(f"loud fires in {other}, at ") for problem in problems)


def test_a_watch_that_fails_is_told_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it would be told in the report of a script."""

    def look(seen: Seen) -> Bite | None:
        raise ValueError("no such thing")

    broken = Watch("broken", PAIRS, ("torch.nn.functional.mse_loss",), "", look)
    monkeypatch.setattr(watcher, "load", lambda: [broken])
    _, failed = table.watched(claim for claim in BOOK if claim.id == PAIRS)
    assert failed == {"broken": "ValueError: no such thing"}


def _fired(monkeypatch: pytest.MonkeyPatch, watch: Watch, *claims: str) -> table.Fired:
    monkeypatch.setattr(watcher, "load", lambda: [watch])
    return table.watched(claim for claim in BOOK if claim.id in (claims or (PAIRS,)))[0]
