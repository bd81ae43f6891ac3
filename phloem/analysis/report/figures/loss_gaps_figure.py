"""The figure of the lanes' losses above the least of their cells: how many members found the same basin."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import PercentFormatter

from phloem.analysis.style.inline_svg import Drawing
from phloem.analysis.style.plot_style import MUTED, OKABE_ITO, ShownFigure, plain_axes, styled
from phloem.names import POOR_BASIN_GAP

_LEAST, _MOST = 1e-4, 10.0


@styled()
def loss_gaps_figure(name: str, gaps: np.ndarray) -> Drawing:
    """Share of the lanes whose loss is farther above their cell's best than a gap.

    Args:
        name: identifier, unique on a page.
        gaps: loss less the least of the cell's lanes, one a lane, the best ones' 0 among them, (lanes,).
    """
    figure = ShownFigure(figsize=(6.4, 2.3), layout="constrained")
    axes = figure.subplots()
    ordered = np.sort(np.clip(gaps, _LEAST, _MOST))
    above = 1 - np.arange(1, len(ordered) + 1) / max(len(ordered), 1)
    axes.step(ordered, above, where="post", color=OKABE_ITO[0], linewidth=1.4)
    axes.axvline(POOR_BASIN_GAP, color=MUTED, linewidth=0.8, linestyle="--")
    share = float((gaps > POOR_BASIN_GAP).mean()) if len(gaps) else 0.0
    words = f"more than {POOR_BASIN_GAP:g}: {100 * share:.1f} %, poor basins"
    axes.annotate(
        words, (POOR_BASIN_GAP, 0.98), (5, 0), textcoords="offset points", va="top", fontsize=7.5, color=MUTED
    )
    axes.set_xscale("log")
    axes.set_xlim(_LEAST, _MOST)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("loss above the least of the cell's members", fontsize=8)
    axes.set_title("lanes farther above their cell's best", fontsize=9, loc="left")
    plain_axes(axes, 7.5)
    return Drawing(figure, name, "Share of the lanes whose loss lies farther above the least of their cell than a gap")
