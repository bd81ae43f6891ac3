"""Figures of what models had not seen: observed against predicted, groups, intervals, and towers on a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from phloem.analysis.style.coastline import draw_coasts
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, plain_axes, styled
from phloem.analysis.style.wording import fixed, number, typeset
from phloem.arithmetic import ceil_div
from phloem.errors import InputError

WAY_COLOURS = {"baseline": MUTED, "residual": OKABE_ITO[0], "direct": OKABE_ITO[4], "blend": OKABE_ITO[2]}

EXTREME = (0.2, 99.8)
"""Percentiles of observed and predicted values at which a panel ends."""

MANY = 400
"""Pairs from which they are counted in cells and not drawn one by one."""

LOWEST_NSE = -1.0
"""Scores below are drawn at this end."""


@dataclass(frozen=True, eq=False)
class ObservedPredicted:
    """Pairs of one panel.

    Attributes:
        flux, unit: of the pairs.
        words: what the months are to the models.
        observed, predicted: (rows,), NaN where missing.
        score: with `n`, `nse` and `r2_pearson`.
    """

    flux: str
    unit: str
    words: str
    observed: np.ndarray
    predicted: np.ndarray
    score: Mapping[str, Any]


@styled()
def observed_predicted_figure(rows: Sequence[Sequence[ObservedPredicted]]) -> Figure:
    """Draw observed against predicted fluxes, a row a flux and a column a scheme, with the 1:1 line.

    Args:
        rows: panels, row by row; at least one, all rows of one length.

    Raises:
        InputError: no panel.
    """
    if not rows or not rows[0]:
        raise InputError("no pairs: there is nothing to draw")
    columns = len(rows[0])
    figure = Figure(figsize=(3.3 * columns, 0.3 + 2.95 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for axes_row, panels_of_row in zip(panels, rows, strict=True):
        both = [np.isfinite(one.observed) & np.isfinite(one.predicted) for one in panels_of_row]
        values = np.concatenate(
            [part for one, known in zip(panels_of_row, both, strict=True)
             for part in (one.observed[known], one.predicted[known])] or [np.zeros(2)]
        )  # fmt: skip
        low, high = np.percentile(values, EXTREME) if len(values) else (0.0, 1.0)
        for axes, one, known in zip(axes_row, panels_of_row, both, strict=True):
            _draw_pairs(axes, one, known, (float(low), float(high) if high > low else float(low) + 1.0))
    return figure


def _draw_pairs(axes: Axes, one: ObservedPredicted, known: np.ndarray, ends: tuple[float, float]) -> None:
    plain_axes(axes, 7)
    x, y = one.predicted[known], one.observed[known]
    if len(x) > MANY:
        axes.hexbin(x, y, gridsize=45, extent=(*ends, *ends), norm=LogNorm(), cmap="viridis", mincnt=1, lw=0.1)
    else:
        axes.plot(x, y, "o", color=OKABE_ITO[0], ms=2.4, mew=0, alpha=0.6)
    axes.plot(ends, ends, color=OKABE_ITO[1], lw=1.0, ls=(0, (4, 2)))
    axes.set(xlim=ends, ylim=ends)
    axes.set_aspect("equal")
    axes.set_xlabel(f"predicted {one.flux.upper()}, {typeset(one.unit)}", fontsize=7.5)
    axes.set_ylabel("observed", fontsize=7.5)
    axes.set_title(one.words, fontsize=8, loc="left")
    nse, r2 = (one.score.get(name) for name in ("nse", "r2_pearson"))
    words = f"n {one.score.get('n', 0):,}\nNSE {_two(nse)}\nr² (Pearson) {_two(r2)}"
    axes.text(0.03, 0.97, words, transform=axes.transAxes, va="top", fontsize=7.5, color=INK,
              bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5})  # fmt: skip


@styled()
def group_scores_figure(rows: Sequence[Mapping[str, Any]], fluxes: Sequence[str], ways: Sequence[str]) -> Figure:
    """Draw the NSE of groups at what was left out, a panel a flux and a dot a way; NSE below -1 stands at the end.

    Args:
        rows: of one scheme and one breakdown, with `group`, `flux`, `way`, `n` and `nse`.
        fluxes: panels.
        ways: dots.

    Raises:
        InputError: no group has a score.
    """
    scored = [row for row in rows if row["nse"] is not None]
    if not scored:
        raise InputError("no group has a score: there is nothing to draw")
    groups = list(dict.fromkeys(row["group"] for row in scored))
    size = {group: max(row["n"] for row in scored if row["group"] == group) for group in groups}
    groups.sort(key=lambda group: size[group])
    figure = Figure(figsize=(1.1 + 1.9 * len(fluxes), 0.9 + 0.22 * len(groups)), layout="constrained")
    panels = figure.subplots(1, len(fluxes), squeeze=False, sharey=True, sharex=True).ravel()
    for axes, flux in zip(panels, fluxes, strict=True):
        plain_axes(axes, 7)
        axes.axvline(0.0, color=INK, lw=0.6)
        for way in ways:
            own = {row["group"]: row["nse"] for row in scored if row["flux"] == flux and row["way"] == way}
            places = [n for n, group in enumerate(groups) if group in own]
            x = [max(LOWEST_NSE, own[groups[n]]) for n in places]
            axes.plot(x, places, "o", ms=4, mew=0, alpha=0.85, color=WAY_COLOURS.get(way, INK), label=way)
        axes.set_title(flux.upper(), fontsize=8.5, loc="left")
        axes.set_xlim(LOWEST_NSE - 0.05, 1.02)
        axes.set_xticks([-1, 0, 1])
    panels[0].set_yticks(
        range(len(groups)), [f"{group.replace('_', ' ')}  {size[group]:,}" for group in groups], fontsize=7
    )
    panels[0].set_ylim(-0.6, len(groups) - 0.4)
    figure.supxlabel("NSE (at the left end: −1 or less); beside the group its months", fontsize=7.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(ways), frameon=False, fontsize=7.5)
    return figure


@styled()
def coverage_figure(rows: Sequence[Mapping[str, Any]], level: float, least: int) -> Figure:
    """Draw the shares of months that conformal intervals and the ensemble's band held, by group and flux.

    Args:
        rows: of `score_breakdown.coverage_rows`; towers are left out, and groups with few months.
        level: that was asked for.
        least: months of a group that is drawn.

    Raises:
        InputError: no group is large enough.
    """
    drawn = [row for row in rows if row["by"] != "tower" and (row["n"] >= least or row["by"] == "all")]
    if not drawn:
        raise InputError("no group has enough months: there is nothing to draw")
    fluxes = list(dict.fromkeys(row["flux"] for row in drawn))
    kinds = list(dict.fromkeys(row["by"] for row in drawn))
    names = sorted({(row["by"], row["group"]) for row in drawn}, key=lambda one: (kinds.index(one[0]), one[1]))[::-1]
    figure = Figure(figsize=(1.3 + 1.9 * len(fluxes), 0.9 + 0.19 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(fluxes), squeeze=False, sharey=True, sharex=True).ravel()
    for axes, flux in zip(panels, fluxes, strict=True):
        plain_axes(axes, 7)
        own = {(row["by"], row["group"]): row for row in drawn if row["flux"] == flux}
        places = [n for n, name in enumerate(names) if name in own]
        for key, colour, words in (
            ("ensemble_share", OKABE_ITO[1], "5 to 95 % of the members"), ("share", OKABE_ITO[0], "conformal interval"),
        ):  # fmt: skip
            axes.plot([100 * own[names[n]][key] for n in places], places, "o", ms=3.6, mew=0, color=colour, label=words)
        axes.axvline(100 * level, color=INK, lw=0.8, ls=(0, (4, 2)))
        axes.set_title(flux.upper(), fontsize=8.5, loc="left")
        axes.set_xlim(0, 101)
    panels[0].set_yticks(range(len(names)), ["all months" if by == "all" else group for by, group in names], fontsize=7)
    panels[0].set_ylim(-0.6, len(names) - 0.4)
    figure.supxlabel(f"months held, %; dashed: the {100 * level:.0f} % asked for", fontsize=7.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=7.5)
    return figure


@styled()
def tower_map_figure(
    latitude: np.ndarray, longitude: np.ndarray, values: Mapping[str, np.ndarray], words: str, *, score: bool
) -> Figure:
    """Draw towers in the colour of a number, a map a flux.

    Args:
        latitude: degrees north, (towers,).
        longitude: degrees east, (towers,).
        values: by the title of a map, (towers,), NaN where there is none.
        words: what the colours are.
        score: whether they are scores, 1 at best; else they are differences, even about 0.

    Raises:
        InputError: no tower has a value.
    """
    shown = {title: one for title, one in values.items() if np.isfinite(one).any()}
    if not shown:
        raise InputError("no tower has a value: there is nothing to draw")
    columns = min(2, len(shown))
    down = ceil_div(len(shown), columns)
    figure = Figure(figsize=(5.2 * columns, 0.2 + 2.7 * down), layout="constrained")
    panels = figure.subplots(down, columns, squeeze=False).ravel()
    for axes, (title, one) in zip(panels, shown.items(), strict=False):
        plain_axes(axes, 7)
        axes.grid(False)
        axes.set_facecolor("#f4f4f1")
        known = np.isfinite(one)
        draw_coasts(axes, longitude[known], latitude[known])
        if score:
            norm: Normalize = TwoSlopeNorm(0.0, LOWEST_NSE, 1.0)
        else:
            end = float(np.percentile(np.abs(one[known]), 95)) or 1.0
            norm = TwoSlopeNorm(0.0, -end, end)
        worst_last = np.argsort(-one[known] if score else np.abs(one[known]), kind="stable")
        image = axes.scatter(
            longitude[known][worst_last], latitude[known][worst_last], c=one[known][worst_last], norm=norm,
            cmap="RdBu" if score else "RdBu_r", s=18, edgecolor=INK, linewidth=0.25,
        )  # fmt: skip
        axes.set_title(title, fontsize=8.5, loc="left")
        bar = figure.colorbar(image, ax=axes, shrink=0.85, pad=0.01, extend="min" if score else "both")
        bar.ax.tick_params(labelsize=7)
        bar.set_label(words, fontsize=7)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    return figure


def _two(value: float | None) -> str:
    if value is None:
        return "–"
    return fixed(value, 2) if abs(value) < 100 else number(value, 3)
