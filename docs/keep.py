"""Writes what the repository keeps besides the verdicts: `python docs/keep.py PROOF` the proof, and README's badges.

PROOF is the file of `pytest spec --prove-all --verdicts=PROOF`. Of it is kept what each claim notices, without what it
does not: a quarter of the size.
"""

import sys
from pathlib import Path

import msgspec

from lossdemo.verify.verdicts import Verdicts

DOCS = Path(__file__).parent


def keep(proof: Verdicts, path: Path) -> None:
    """Write the proof to `path`, one record a line."""
    records = [msgspec.structs.replace(record, survived=None, idle=None) for record in proof.records]
    head = msgspec.json.encode(msgspec.structs.replace(proof, records=())).decode().removesuffix("[]}")
    lines = ",\n".join(msgspec.json.encode(record).decode() for record in records)
    path.write_text(f"{head}[\n{lines}\n]}}\n", encoding="utf-8")


if __name__ == "__main__":
    keep(Verdicts.read(Path(sys.argv[1])), DOCS / "proof.json")
