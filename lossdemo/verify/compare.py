"""Compares printed output: text to the letter, numbers to the precision they are written with."""

import doctest
import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation, localcontext
from itertools import zip_longest

# A number stands alone: the digits of `relu6`, `float64` and `2.13.0` are text.
NUMBER = re.compile(r"(?<![\w.])([-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?)(?:(?=j\b)|(?!\.?\w))", re.ASCII)
# Where a tensor lives and which operation made it: the same claim prints them differently on another device.
ORIGIN = re.compile(r",\s*(?:device='[^']*'|grad_fn=<\w*>)")
# Torch and NumPy pad the numbers of a tensor to one width, and a sign changes the width.
PADDING = re.compile(r"(?<=[\[(]) | (?=[\]),])")
# How doctest writes an empty line of output.
EMPTY_LINE = "<BLANKLINE>"
# Whatever a claim did to the decimal module.
ARITHMETIC = Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999)

RELATIVE = Decimal("1e-4")
NEAR_ZERO = Decimal("1e-6")


def mismatch(want: str, got: str) -> str | None:
    """Why `got` is not what `want` says, or None where it is.

    Line by line, text outside numbers must be equal, except for the width of blanks and a printed tensor's `device=`
    and `grad_fn=`. Integers must be equal. A float written with two or more decimals agrees to half a unit of its last
    digit; one with fewer is meant exactly: to 1e-4 of its size, and to 1e-6 where it is zero. `nan` and `inf` match
    themselves.
    """
    with localcontext(ARITHMETIC):
        for line, other in zip_longest(_lines(want), _lines(got), fillvalue=""):
            for expected, actual in zip_longest(_parts(line), _parts(other), fillvalue=""):
                if expected != actual and not _agree(expected, actual):
                    return f"expected {expected.strip() or 'nothing'!r}, got {actual.strip() or 'nothing'!r}"
    if len(_lines(want)) != len(_lines(got)):
        return f"expected {len(_lines(want))} lines, got {len(_lines(got))}"
    return None


def _lines(text: str) -> list[str]:
    if "tensor(" in text:
        text = ORIGIN.sub("", text)
    return text.rstrip("\n").split("\n") if text else []


def _parts(line: str) -> list[str]:
    """Text and numbers in turn, beginning and ending with text."""
    if line == EMPTY_LINE:
        return [""]
    line = PADDING.sub("", " ".join(line.split()))
    return NUMBER.split(line)


def _agree(want: str, got: str) -> bool:
    if not (NUMBER.fullmatch(want) and NUMBER.fullmatch(got)):
        return False
    if _is_integer(want) or _is_integer(got):
        return want.lstrip("+") == got.lstrip("+")
    try:
        return abs(Decimal(want) - Decimal(got)) <= _tolerance(want)
    except InvalidOperation:  # further apart than any precision
        return False


def _is_integer(number: str) -> bool:
    return number.lstrip("+-").isdigit()


def _tolerance(want: str) -> Decimal:
    digits, _, exponent = want.lower().partition("e")
    decimals = len(digits.partition(".")[2])
    if decimals >= 2:
        return Decimal(5).scaleb(int(exponent or 0) - decimals - 1)
    return RELATIVE * abs(Decimal(want)) or NEAR_ZERO


class OutputChecker(doctest.OutputChecker):
    """Doctest's checker with `mismatch` for printed output; `...` is a wildcard in the message of a traceback alone."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        """Whether `got` is what `want` says."""
        if optionflags & doctest.ELLIPSIS:
            if want.startswith("Traceback (most recent call last):"):
                return False  # doctest compares the whole of it only where nothing was raised
            return super().check_output(want, got, optionflags | doctest.NORMALIZE_WHITESPACE)
        return mismatch(want, got) is None
