"""Mathematics as SVG, drawn when the site is built: nothing is loaded, and nothing has to run, to read a formula.

A page has each glyph once, in a sheet at its end that its formulas refer to. The color is the text's.
"""

import hashlib
import re
from functools import cache
from html import escape
from xml.etree import ElementTree

import ziamath

SIZE = 17.0  # pixels of a formula's letters, beside text of 16
_ENVIRONMENTS = {"cases", "aligned", "matrix", "pmatrix", "bmatrix"}  # those that were looked at
_SVG = "{http://www.w3.org/2000/svg}"
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
        svg = image.svg()
    except Exception as error:  # the renderer's own, of many kinds
        raise CannotDraw(f"the formula {formula} cannot be drawn: {error!r}") from error
    # What the renderer does not know it draws as text, or not at all.
    unknown = {*re.findall(r"\\[A-Za-z]+", image.mathmlstr()), *re.findall(r"\\begin\{(\w+)", formula)} - _ENVIRONMENTS
    if unknown:
        raise CannotDraw(f"the formula {formula} cannot be drawn: {', '.join(sorted(unknown))} is not known")
    image = ElementTree.fromstring(svg)
    glyphs = {}
    for glyph in image.findall(f"{_SVG}symbol"):
        called = glyph.attrib.pop("id")
        outline = _shorter(_written(glyph))
        name = f"g{hashlib.sha256(outline.encode()).hexdigest()[:8]}"  # the renderer's are not always the same
        glyphs[f"#{called}"] = name, outline.replace("<symbol ", f'<symbol id="{name}" ', 1)
        image.remove(glyph)
    shown = [part for part in image if part.get("width") != "0"]  # blanks are glyphs without width
    for part in shown:
        part.attrib.pop("fill", None)
        if "href" in part.attrib:
            part.set("href", f"#{glyphs[part.get('href', '')][0]}")
    size = " ".join(f'{name}="{image.get(name)}"' for name in ("width", "height", "viewBox"))
    _, top, _, height = map(float, image.get("viewBox", "").split())
    style = f' style="vertical-align:{-top - height:.1f}px"' if inline else ""  # on the line that the text stands on
    drawing = _shorter(f"{size}>{''.join(map(_written, shown))}</svg>")
    return f'<svg role="img" aria-label="{escape(formula)}"{style} {drawing}', dict(glyphs.values())


def _written(part: ElementTree.Element) -> str:
    for each in part.iter():
        each.tag = each.tag.removeprefix(_SVG)  # HTML knows what an svg is without
    return ElementTree.tostring(part, encoding="unicode")


def _shorter(svg: str) -> str:
    """With two decimals, and without the blanks that a path does not need."""
    svg = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), svg)
    return _PATH.sub(lambda path: path[1] + _BLANK.sub(r"\1", path[2]).strip() + '"', svg)


def sheet(glyphs: dict[str, str]) -> str:
    """What a page with these glyphs has at its end."""
    return f'<svg hidden aria-hidden="true">{"".join(glyphs[name] for name in sorted(glyphs))}</svg>' if glyphs else ""
