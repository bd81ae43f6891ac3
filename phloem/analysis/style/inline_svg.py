"""Matplotlib figures as small SVG elements that can stand in a page, many together."""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from phloem.analysis.style.plot_style import styled


@dataclass(frozen=True)
class Drawing:
    """A figure with what its places in a page and in a folder need.

    Attributes:
        figure: the figure.
        name: identifier, unique on the page and among the files.
        label: what it shows, for readers who cannot see it.
    """

    figure: Figure
    name: str
    label: str

    def svg(self) -> str:
        """Return it as an `<svg>` element; its background is transparent from then on."""
        return to_svg(self.figure, self.name, self.label)


@styled()
def to_svg(figure: Figure, name: str, label: str) -> str:
    """Write a figure as an `<svg>` element without size, so that the page can scale it.

    Args:
        figure: The figure; its background is made transparent.
        name: Identifier, unique on the page: two figures must not share the names of their clip paths.
        label: What it shows, for readers who cannot see it.

    Returns:
        The element; the same figure and name give the same text.
    """
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    buffer = io.StringIO()
    blank = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=blank)
    text = buffer.getvalue()
    viewbox = re.search(r'viewBox="([^"]+)"', text)
    assert viewbox is not None
    text = text[text.index(">", text.index("<svg")) + 1 :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.S)
    text = re.sub(r' id="[A-Za-z.0-9]+_\d+"', "", text)
    text = re.sub(r'd="([^"]*)"', lambda path: f'd="{_short_path(path.group(1))}"', text)
    text = re.sub(r"<[^>]*>", _short_numbers, text)
    text = re.sub(r"\s*\n\s*", " ", text).replace("> <", "><")
    return f'<svg viewBox="{viewbox.group(1)}" role="img" aria-label="{html.escape(label)}">{text}'


def _short_numbers(tag: re.Match[str]) -> str:
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number.group()):.1f}", tag.group())


def _short_path(path: str) -> str:
    """Write a path of straight lines with relative moves and one decimal; leave any other path alone."""
    if re.search(r"[^MLz\d\s.e-]", path):
        return path
    words: list[str] = []
    here = (0, 0)
    for command, x, y in re.findall(r"([MLz])(?:\s+(\S+)\s+(\S+))?", path):
        if command == "z":
            words.append("z")
            continue
        there = (round(float(x) * 10), round(float(y) * 10))
        if command == "M":
            words.append(f"M{there[0] / 10:g} {there[1] / 10:g}")
        else:
            words.append(f"l{(there[0] - here[0]) / 10:g} {(there[1] - here[1]) / 10:g}")
        here = there
    return "".join(words).replace(" -", "-")
