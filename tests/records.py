"""Verdicts as runs leave them, for the tests of what is made of them."""

from typing import Any

from msgspec.structs import replace

from lossdemo.verify.verdicts import Record, Verdicts, checksum

RECORD = Record(
    claim="a",
    chapter="spec/one.md",
    line=3,
    title="A",
    basis="mathematics",
    checksum=checksum("## A"),
    device="cpu",
    dtype="float32",
    seed=0,
    threads=1,
    duration=0.1,
)
RUN = Verdicts(
    date="2026-01-02T03:04:05Z",
    torch="2.13.0",
    package="kit 1.0",
    python="3.11.7",
    platform="Linux 6.1",
    processor="x86_64 AVX2",
    cuda=None,
    prove=False,
    replace=(),
    refused=(),
    records=(RECORD,),
)
B = replace(RECORD, claim="b", title="B", line=9)
C = replace(RECORD, claim="c", title="C", chapter="spec/two.md", line=5)
FAILED: dict[str, Any] = {
    "outcome": "failed",
    "message": "    >>> f()\nExpected:\n    1.0\nGot:\n    2.0\nexpected '1.0', got '2.0'",
    "reason": "expected '1.0', got '2.0'",
    "at": 7,
}


def run(*records: Record, **changes: Any) -> Verdicts:
    """A run with these records."""
    return replace(RUN, records=records, **changes)
