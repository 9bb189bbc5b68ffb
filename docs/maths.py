"""Mathematics as SVG, drawn when the site is built: nothing is loaded, and nothing has to run, to read a formula.

A page has each glyph once, in a sheet at its end that its formulas refer to. The color is the text's.
"""

import re
from functools import cache
from html import escape

import ziamath

SIZE = 17.0  # pixels of a formula's letters, beside text of 16
_ENVIRONMENTS = {"cases", "aligned", "matrix", "pmatrix", "bmatrix"}  # those that were looked at
_GLYPH = re.compile(r'<symbol id="[A-Za-z]+_(\d+)"(.*?</symbol>)')

_PATH = re.compile(r'( d=")([^"]+)"')
_BLANK = re.compile(r" ?([A-Z]) ?| (?=-)")


class CannotDraw(ValueError):
    """A formula that the renderer does not know; the message has it."""


@cache
def drawn(formula: str, inline: bool) -> tuple[str, dict[str, str]]:
    """The formula as SVG, and the glyphs that it refers to, by id.

    Raises:
        CannotDraw: if the formula is no LaTeX, or has a command that the renderer does not know.
    """
    formula = re.sub(r"\s+", " ", formula.strip())
    try:
        image = ziamath.Latex(formula, size=SIZE, inline=inline)
        svg, below = image.svg(), image.getyofst()
    except Exception as error:  # the renderer's own, of many kinds
        raise CannotDraw(f"the formula {formula} cannot be drawn: {error!r}") from error
    # What the renderer does not know it draws as text, or not at all.
    unknown = {*re.findall(r"\\[A-Za-z]+", image.mathmlstr()), *re.findall(r"\\begin\{(\w+)", formula)} - _ENVIRONMENTS
    if unknown:
        raise CannotDraw(f"the formula {formula} cannot be drawn: {', '.join(sorted(unknown))} is not known")
    glyphs = {f"g{match[1]}": f'<symbol id="g{match[1]}"{_shorter(match[2])}' for match in _GLYPH.finditer(svg)}
    svg = re.sub(r' fill="black"| xmlns="[^"]*"', "", _GLYPH.sub("", svg))
    svg = re.sub(r'href="#[A-Za-z]+_', 'href="#g', svg)
    svg = _shorter(svg)
    style = f' style="vertical-align:{below:.1f}px"' if inline else ""
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(formula)}"{style} ', 1), glyphs


def _shorter(svg: str) -> str:
    """With two decimals, and without the blanks that a path does not need."""
    svg = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), svg)
    return _PATH.sub(lambda path: path[1] + _BLANK.sub(r"\1", path[2]).strip() + '"', svg)


def sheet(glyphs: dict[str, str]) -> str:
    """What a page with these glyphs has at its end."""
    return f'<svg hidden aria-hidden="true">{"".join(glyphs[name] for name in sorted(glyphs))}</svg>' if glyphs else ""
