"""Where the book has an error that ended a script. Importing this imports no torch."""

from __future__ import annotations

import re

from lossdemo import books

LEAST, MOST = 25, 60  # letters of an error's text that a claim has to have


def claim_of(error: str) -> books.Entry | None:
    """The first claim that shows an error with this text, numbers apart; None if no claim does.

    Of a long text the first MOST letters count; one of less than LEAST says too little.
    """
    said = _without_numbers((error.splitlines() or [""])[0])[:MOST]
    if len(said) < LEAST:
        return None
    entries = books.read_entries(books.locate(books.PACKAGE).directory)
    return next((entry for entry in entries if said in _without_numbers(entry.text)), None)


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "#", " ".join(text.split()))
