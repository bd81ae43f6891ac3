"""Figures of mass checks and of biomass: maps of residuals, scatter of cell-years, maps of differences."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from phloem.analysis.causes.biomass_comparison import BiomassComparison, BiomassVersion
from phloem.analysis.causes.mass_identities import MassCheck
from phloem.analysis.style.coastline import draw_coasts
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, plain_axes, styled
from phloem.arithmetic import ceil_div

_SEA = "#f4f4f1"
LEAST_RANGE = 1e-6
"""Of a map's scale, so that residuals of rounding look alike everywhere."""

MANY_PAIRS = 3000
"""Pairs above which their density is drawn in place of points."""


@styled()
def mass_figure(check: MassCheck) -> Figure:
    """Draw each cell's root mean square residual, a map an identity, and NEP less change of stocks.

    Args:
        check: at least one identity or the closure of stocks.
    """
    maps = [(f"{name}: RMSE, gC m-2 d-1", one.rmse, "viridis", False) for name, one in check.identities.items()]
    if check.closure is not None:
        maps.append(("NEP - change of stocks, gC m-2 yr-1", check.closure.mean, "RdBu_r", True))
    down = ceil_div(len(maps), 2)
    figure = Figure(figsize=(9.6, 2.5 * down + 0.3), layout="constrained")
    panels = figure.subplots(down, 2, squeeze=False).ravel()
    for axes, (label, values, colours, both_ways) in zip(panels, maps, strict=False):
        draw_grid(figure, axes, check.latitude, check.longitude, values, label, colours, both_ways=both_ways)
    for axes in panels[len(maps) :]:
        axes.set_visible(False)
    return figure


@styled()
def biomass_figure(comparison: BiomassComparison, version: str) -> Figure:
    """Draw one version of a model: cell-years against the reference with their regression, and both maps.

    Args:
        comparison: with the version.
        version: its name.
    """
    one = comparison.versions[version]
    figure = Figure(figsize=(12.6, 3.9), layout="constrained")
    scatter, left, right = figure.subplots(1, 3, width_ratios=(0.8, 1, 1))
    _draw_pairs(scatter, one)
    lat, lon = comparison.latitude, comparison.longitude
    draw_grid(figure, left, lat, lon, one.difference, "model - reference, MgC ha⁻¹", "RdBu_r", both_ways=True)
    draw_grid(figure, right, lat, lon, one.relative, "model - reference, % of reference", "RdBu_r", both_ways=True)
    years = comparison.years.tolist()
    figure.suptitle(f"{one.name}: {len(years)} years, {years[0]} to {years[-1]}", fontsize=9, color=INK)
    return figure


def draw_grid(
    figure: Figure,
    axes: Axes,
    latitude: np.ndarray,
    longitude: np.ndarray,
    values: np.ndarray,
    label: str,
    colours: str,
    *,
    both_ways: bool,
) -> None:
    """Draw a map of grid cells with coasts and a scale that ends at the 2 and 98 % quantiles.

    Args:
        figure: that the scale is put into.
        axes: empty.
        latitude: of the rows, degrees north, evenly spaced.
        longitude: of the columns, degrees east, evenly spaced.
        values: (rows, columns), NaN where nothing is known.
        label: above the map.
        colours: name of a colour map.
        both_ways: whether the scale is even about zero.
    """
    axes.set_facecolor(_SEA)
    north = values if latitude[0] < latitude[-1] else values[::-1]
    east = np.mod(np.asarray(longitude) + 180.0, 360.0) - 180.0
    order = np.argsort(east, kind="stable")
    lat, lon = np.sort(latitude), east[order]
    steps = [float(np.diff(axis).min()) if len(axis) > 1 else 1.0 for axis in (lat, lon)]
    draw_coasts(axes, lon, lat)
    west, east_end = axes.get_xlim()
    axes.set_xlim(max(west, -180.0), min(east_end, 180.0))
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [2, 98]) if len(known) else (0.0, 1.0)
    if both_ways:
        high = max(abs(low), abs(high), LEAST_RANGE)
        low = -high
    norm = Normalize(low, max(high, low + LEAST_RANGE))
    image = axes.imshow(
        np.ma.masked_invalid(north[:, order]), cmap=colours, norm=norm, origin="lower", interpolation="nearest",
        aspect="auto", zorder=0.3,
        extent=(lon[0] - steps[1] / 2, lon[-1] + steps[1] / 2, lat[0] - steps[0] / 2, lat[-1] + steps[0] / 2),
    )  # fmt: skip
    axes.set_title(label, fontsize=8, color=INK, loc="left")
    axes.tick_params(labelsize=7)
    scale = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.01, extend="both")
    scale.ax.tick_params(labelsize=7)
    scale.ax.yaxis.get_offset_text().set_fontsize(7)


def _draw_pairs(axes: Axes, one: BiomassVersion) -> None:
    plain_axes(axes, 8)
    x, y, skill = one.reference, one.model, one.pooled
    high = float(np.percentile(np.concatenate([x, y]), 99.9)) or 1.0
    if len(x) > MANY_PAIRS:
        axes.hexbin(x, y, gridsize=50, extent=(0, high, 0, high), norm=LogNorm(), cmap="Greys", mincnt=1, lw=0)
    else:
        axes.plot(x, y, "o", color=OKABE_ITO[0], ms=2.4, mew=0, alpha=0.6)
    ends = np.array([0.0, high])
    axes.plot(ends, ends, color=MUTED, lw=0.9, ls=":", label="1:1")
    if np.isfinite(skill.slope_pred_on_obs):
        line = skill.slope_pred_on_obs * ends + skill.intercept_pred_on_obs
        axes.plot(ends, line, color=OKABE_ITO[1], lw=1.4, label=f"model on reference {skill.slope_pred_on_obs:.2f}")
    axes.set(xlim=(0, high), ylim=(0, high))
    axes.set_xlabel("reference, MgC ha⁻¹", fontsize=8)
    axes.set_ylabel("model, MgC ha⁻¹", fontsize=8)
    axes.legend(frameon=False, fontsize=7, loc="upper left")
    words = f"n {skill.pairs}, r² {skill.r2_pearson:.2f}, NSE {skill.nse:.2f}, RMSE {skill.rmse:.3g}"
    axes.set_title(words, fontsize=8, color=INK, loc="left")
