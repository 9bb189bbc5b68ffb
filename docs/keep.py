"""Writes what docs/ keeps besides the verdicts: README's badge, and, with `python docs/keep.py PROOF`, the proof.

PROOF is the file of `pytest spec --prove-all --verdicts=PROOF`. Of it is kept what each claim notices, without what it
does not: a quarter of the size. The badge is drawn from the files that are kept.
"""

import sys
from html import escape
from pathlib import Path

import msgspec
from record import Kept, spans

from lossdemo.verify.claims import Book
from lossdemo.verify.verdicts import Verdicts

DOCS = Path(__file__).parent
_BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{text}" width="{width}" height="20" font-size="11" \
font-family="Verdana,DejaVu Sans,sans-serif">
<rect width="{width}" height="20" rx="3" fill="#1a6e2e"/>
<rect width="{left}" height="20" rx="3" fill="#444"/>
<g fill="#fff">
<text x="8" y="14" textLength="{first}">{name}</text>
<text x="{right}" y="14" textLength="{second}">{said}</text>
</g>
</svg>
"""


def keep(proof: Verdicts, path: Path) -> None:
    """Write the proof to `path`, one record a line."""
    records = [msgspec.structs.replace(record, survived=None, idle=None) for record in proof.records]
    head = msgspec.json.encode(msgspec.structs.replace(proof, records=())).decode().removesuffix("[]}")
    lines = ",\n".join(msgspec.json.encode(record).decode() for record in records)
    path.write_text(f"{head}[\n{lines}\n]}}\n", encoding="utf-8")


def badge(kept: Kept) -> str:
    """Releases, claims and wrong PyTorches of the kept runs as one line of SVG."""
    releases = list(dict.fromkeys(column.release for column in kept.columns))
    outcomes: dict[str, set[str]] = {}
    for column in kept.columns:
        for claim, record in column.records.items():
            outcomes.setdefault(claim, set()).add(record.outcome)
    passed = [claim for claim, found in outcomes.items() if "passed" in found and found <= {"passed", "not run"}]
    name, parts = "verified", [f"torch {spans(releases, releases)}", f"{len(passed)} of {len(outcomes)} claims"]
    if kept.proof:
        wrong = {name for record in kept.proof.records for name in record.killed or ()}
        parts.append(f"{len(wrong)} wrong PyTorches noticed")
    said = " · ".join(parts)
    first, second = 6 * len(name), 6 * len(said)
    places = {"first": first, "second": second, "left": first + 16, "right": first + 24, "width": first + second + 32}
    return _BADGE.format(name=name, said=escape(said), text=escape(f"{name}: {said}"), **places)


if __name__ == "__main__":
    for given in sys.argv[1:]:
        keep(Verdicts.read(Path(given)), DOCS / "proof.json")
    (DOCS / "verified.svg").write_text(badge(Kept.read(Book(DOCS.parent / "spec"), DOCS)), encoding="utf-8")
