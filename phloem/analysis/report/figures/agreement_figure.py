"""The figure of the members' agreement, parameter by parameter: what the report shows as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from phloem.analysis.style.inline_svg import Drawing
from phloem.analysis.style.plot_style import MUTED, OKABE_ITO, ShownFigure, plain_axes, styled
from phloem.io.merge.member_statistics import LEAST_MEMBERS, SCREENING_RCV

_ROW, _ABOVE_AND_BELOW = 0.19, 0.85
"""Inches of one parameter, and around all of them."""


@styled()
def agreement_figure(name: str, rows: Sequence[Mapping[str, Any]]) -> Drawing:
    """Share of the cells in which the members agree on each parameter.

    Args:
        name: identifier, unique on a page.
        rows: as `report.tables.agreement_row` gives them, one a parameter.

    Returns:
        The figure with its name and label.
    """
    figure = ShownFigure(figsize=(6.4, _ROW * len(rows) + _ABOVE_AND_BELOW), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))[::-1]
    judged = np.array([row["count"] for row in rows])
    shares = np.array([row["agree"] for row in rows]) / np.maximum(judged, 1)
    axes.barh(places, shares, height=0.7, color=OKABE_ITO[0])
    for place, row in zip(places, rows, strict=True):
        text = f"{row['agree']} of {row['count']} cells, median rCV {row['rcv']}" if row["count"] else "not judged"
        text += f"; {row['stopped']} at a bound" if row["stopped"] else ""
        axes.annotate(text, (1.0, place), (6, 0), textcoords="offset points", va="center", fontsize=7, color=MUTED)
    axes.set_yticks(places, [row["name"] for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_title(f"cells whose members agree (rCV ≤ {SCREENING_RCV})", fontsize=9, loc="left")
    if not judged.any():
        axes.set_xlabel(f"no cell has {LEAST_MEMBERS} calibrated members, which a spread needs", fontsize=8)
    plain_axes(axes, 7.5)
    return Drawing(figure, name, "Share of the cells in which the members agree, by parameter")
