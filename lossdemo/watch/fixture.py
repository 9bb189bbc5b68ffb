"""The fixture `watch` of pytest: a test that trains fails if it comes up against a claim.

    def test_training(watch):
        train(epochs=1)

Importing this imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lossdemo.watch.findings import Findings


@pytest.fixture
def watch() -> Iterator[Findings]:
    """What lossdemo finds in this test, so far. At its end the test fails if that is more than notes.

    A claim is allowed by `watch.ignored.add(ID)`, at any time, or by a comment at the line: # lossdemo: ignore ID.
    """
    from lossdemo.watch.watcher import watching

    with watching() as findings:
        yield findings
    if any(not found.note for found in findings):
        pytest.fail(findings.report(), pytrace=False)
