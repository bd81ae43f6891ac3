"""Style of figures: colours, axes, sizes, and figures as PNG and SVG."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8AC1B")
"""Colours of members; the palette's yellow is darkened so that a line of it can be seen on white."""

COLOURS = {"baseline": OKABE_ITO[0], "single-year": OKABE_ITO[4], "growth-curve": OKABE_ITO[2]}

INK = "#222222"

MUTED = "#6b6b6b"

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.edgecolor": "#9a9a9a",
    "axes.linewidth": 0.6,
    "axes.labelcolor": MUTED,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.unicode_minus": True,
    "path.simplify": False,
}


def styled() -> Any:
    """Return a decorator of a function that draws: the report's style holds inside it and nowhere else."""
    return matplotlib.rc_context(_STYLE)


@styled()
def to_png(figure: Figure, dpi: int = 110) -> bytes:
    """Write a figure as a PNG file.

    Returns:
        The file's bytes; the same figure gives the same.
    """
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def plain_axes(axes: Axes, size: float) -> None:
    """Leave the frame open above and to the right, with a light grid and ticks of a font size."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color="#e4e4e0", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=3, width=0.6, labelsize=size)


class ShownFigure(Figure):
    """A figure that a notebook shows where it is the value of a cell, whether or not pyplot was ever imported there."""

    def _repr_png_(self) -> bytes:
        return to_png(self)
