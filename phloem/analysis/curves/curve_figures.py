"""Figures of fitted growth curves and of the leaf economics line, drawn by matplotlib's objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from phloem.analysis.curves.growth_curves import GrowthFit
from phloem.analysis.curves.leaf_economics import LeafEconomicsFit, Leaves
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, plain_axes, styled
from phloem.arithmetic import ceil_div

ACROSS = 5
LAST_AGE = 107.0
"""Years that a growth-curve experiment simulates (docs/science.md#experiments)."""

_PANEL = (2.35, 1.95)
_CURVE, _POINT, _OUTLIER = OKABE_ITO[2], OKABE_ITO[0], OKABE_ITO[1]


@styled()
def growth_figure(fits: Sequence[GrowthFit]) -> Figure:
    """Draw stands, curve and 90 % band of many cells, one small panel a cell, outliers marked.

    Args:
        fits: one a panel, at least one.

    Returns:
        The figure; `to_png` makes a file of it.
    """
    across = min(ACROSS, len(fits))
    down = ceil_div(len(fits), across)
    width, height = across * _PANEL[0] + 0.4, down * _PANEL[1] + 0.75
    figure = Figure(figsize=(width, height))
    for index, fit in enumerate(fits):
        row, column = divmod(index, across)
        left, bottom = 0.4 + column * _PANEL[0] + 0.2, height - 0.5 - (row + 1) * _PANEL[1] + 0.38
        axes = figure.add_axes((left / width, bottom / height, (_PANEL[0] - 0.45) / width, (_PANEL[1] - 0.62) / height))
        _draw_growth(axes, fit)
        if column == 0:
            axes.set_ylabel("Mg ha⁻¹", fontsize=7.5)
        if index + across >= len(fits):
            axes.set_xlabel("stand age, years", fontsize=7.5)
    figure.text(
        0.6 / width,
        1 - 0.22 / height,
        "Above-ground biomass: stands (dots), outliers left out (crosses), fitted curve and its 90 % band; "
        "flags in the titles",
        fontsize=8.5,
        color=MUTED,
        wrap=True,
    )
    return figure


@styled()
def leaf_economics_figure(leaves: Leaves, line: LeafEconomicsFit) -> Figure:
    """Draw leaves and the line through them, on logarithmic axes, with one residual SD to either side.

    Args:
        leaves: what was fitted.
        line: the fit.

    Returns:
        The figure; `to_png` makes a file of it.
    """
    figure = Figure(figsize=(5.4, 4.2))
    axes = figure.add_axes((0.13, 0.13, 0.83, 0.77))
    plain_axes(axes, 8.5)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot(leaves.lcma, leaves.lifespan, "o", color=_POINT, markersize=3.4, markeredgewidth=0, alpha=0.55, zorder=2)
    x = np.geomspace(leaves.lcma.min(), leaves.lcma.max(), 50)
    y = line.lifespan(x)
    axes.fill_between(
        x, y * np.exp(-line.sigma), y * np.exp(line.sigma), color=_CURVE, alpha=0.18, linewidth=0, zorder=1
    )
    axes.plot(x, y, color=_CURVE, linewidth=1.6, zorder=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("leaf carbon mass per area, gC m⁻²", fontsize=8.5)
    axes.set_ylabel("leaf lifespan, years", fontsize=8.5)
    axes.set_title(
        f"ln τ = {line.alpha:.3f} {line.gamma:+.3f} ln LCMA,  σ {line.sigma:.3f},  R² {line.r2:.2f},  n {line.n}",
        fontsize=9,
        loc="left",
        color=INK,
    )
    return figure


def _draw_growth(axes: Axes, fit: GrowthFit) -> None:
    stands = fit.stands
    plain_axes(axes, 7)
    ages = np.linspace(0.0, max(LAST_AGE, 1.02 * float(stands.ages.max())), 120)
    low, high = fit.band(ages)
    curve = fit.agb(ages)
    axes.fill_between(ages, low, high, color=_CURVE, alpha=0.22, linewidth=0, zorder=1)
    axes.plot(ages, curve, color=_CURVE, linewidth=1.3, zorder=3)
    axes.plot(
        stands.ages[~fit.outlier], stands.agb[~fit.outlier], "o", color=_POINT, markersize=2.6, markeredgewidth=0,
        alpha=0.6, zorder=2,
    )  # fmt: skip
    axes.plot(stands.ages[fit.outlier], stands.agb[fit.outlier], "x", color=_OUTLIER, markersize=4.5, zorder=4)
    axes.set_xlim(0.0, ages[-1])
    # The band of a curve that is not known would squeeze the stands into a corner.
    axes.set_ylim(0.0, max(1.3 * stands.agb.max(), min(1.05 * high.max(), 2.5 * stands.agb.max())))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(stands.name, fontsize=8, pad=12, loc="left")
    if fit.flags:
        axes.annotate(
            ", ".join(fit.flags), (0, 1.02), xycoords="axes fraction", fontsize=6.5, color=_OUTLIER, va="bottom"
        )
