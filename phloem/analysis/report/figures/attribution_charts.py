"""Charts of attribution in the report: importance, dependence with breakpoints, partition, screens."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from phloem.analysis.style.inline_svg import Drawing
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, styled
from phloem.analysis.style.wording import typeset
from phloem.arithmetic import ceil_div

GROUP_COLOURS = {"climate": OKABE_ITO[0], "soil": OKABE_ITO[4], "vegetation": OKABE_ITO[2]}
"""Of the usual groups of predictors; others take what is left of the palette."""

MOST_BARS = 15
"""Predictors that a chart of importance shows."""

MOST_POINTS = 400
"""Cells that a chart of dependence shows."""

_BAND, _GRID = "#bcbcb8", "#e4e4e0"

Target = Mapping[str, Any]


def group_colours(groups: Sequence[str]) -> dict[str, str]:
    """Return a colour for each group of predictors."""
    spare = [colour for colour in OKABE_ITO if colour not in GROUP_COLOURS.values()]
    others = [group for group in groups if group not in GROUP_COLOURS]
    return {**GROUP_COLOURS, **{group: spare[n % len(spare)] for n, group in enumerate(others)}}


@styled()
def importance_chart(targets: Sequence[Target], colours: Mapping[str, str]) -> Drawing:
    """Bars of the shares of each target's predictors, with whiskers over the members and the noise floor.

    Args:
        targets: of attribution.json, none refused.
        colours: of the groups.
    """
    across = min(3, len(targets))
    down = ceil_div(len(targets), across)
    bars = max(min(len(one["importance"]), MOST_BARS) for one in targets)
    figure = Figure(figsize=(11.0, down * (0.19 * bars + 0.75)), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, one in zip(grid.flat, targets, strict=False):
        rows = one["importance"][:MOST_BARS][::-1]
        shares = _column(rows, "share")
        low, high = _column(rows, "low"), _column(rows, "high")
        place = np.arange(len(rows))
        for y, row, share in zip(place, rows, shares, strict=True):
            signal = row["signal"]
            axes.barh(y, share, color=colours[row["group"]] if signal else "white", edgecolor=colours[row["group"]],
                      height=0.68, lw=0.9, zorder=2)  # fmt: skip
        axes.hlines(place, np.nan_to_num(low, nan=0), np.nan_to_num(high, nan=0), color=INK, lw=1.1, zorder=3)
        floor = one.get("noise_floor")
        reach = 1.08 * float(np.nanmax([shares, high]))
        if floor is not None and floor <= reach:
            axes.axvline(floor, color=OKABE_ITO[1], lw=1.1, ls="--", zorder=4)
        axes.set_yticks(place, [f"{row['predictor']} {direction(row)}" for row in rows])
        axes.tick_params(labelsize=7.5, length=2)
        axes.set_title(textwrap.fill(one["long_name"] or one["name"], 36), fontsize=9, loc="left")
        _plain(axes)
        axes.set_xlim(0, reach)
        axes.set_xlabel("share of mean |SHAP|, %", fontsize=7.5)
    for axes in grid.flat[len(targets) :]:
        axes.set_axis_off()
    return Drawing(figure, "attribution_importance", "Importance of the predictors of each target")


@styled()
def dependence_chart(target: Target) -> Drawing:
    """Dependence on the leading predictors: cells, LOWESS trend, band over members; breakpoints only of signals."""
    panels, known = target["dependence"], signals(target)
    across = min(4, len(panels))
    down = ceil_div(len(panels), across)
    figure = Figure(figsize=(11.0, 2.25 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, one in zip(grid.flat, panels, strict=False):
        x = _values(one["x"])
        px, py = _values(one["points_x"]), _values(one["points_phi"])
        if px.size > MOST_POINTS:
            chosen = np.linspace(0, px.size - 1, MOST_POINTS).round().astype(int)
            px, py = px[chosen], py[chosen]
        axes.axhline(0, color="#9a9a9a", lw=0.6, zorder=1)
        # A zero-length round-capped stroke a point: a third of the size of one <use> element a point.
        dots = np.column_stack([py, py, np.full(py.size, np.nan)]).ravel()
        axes.plot(np.repeat(px, 3), dots, color=OKABE_ITO[5], lw=2.0, solid_capstyle="round", alpha=0.55, zorder=2)
        # Of a single member there is no band, of too few cells no trend.
        if one["boot_low"]:
            low, high = _values(one["boot_low"]), _values(one["boot_high"])
            axes.fill_between(x, low, high, color=_BAND, alpha=0.55, lw=0, zorder=3)
        if one["low"]:
            low, high = _values(one["low"]), _values(one["high"])
            axes.fill_between(x, low, high, color=OKABE_ITO[0], alpha=0.22, lw=0, zorder=4)
        if one["trend"]:
            axes.plot(x, _values(one["trend"]), color=OKABE_ITO[0], lw=1.7, zorder=5)
        point = one.get("breakpoint")
        if one["predictor"] not in known:
            axes.set_title("noise", fontsize=7.5, loc="right", color=MUTED)
        elif point and point.get("x") is not None:
            if point.get("low") is not None and point.get("high") is not None:
                axes.axvspan(point["low"], point["high"], color=OKABE_ITO[1], alpha=0.14, lw=0, zorder=0)
            axes.axvline(point["x"], color=OKABE_ITO[1], lw=1.1, ls="--", zorder=6)
        unit = typeset(one.get("units") or "")
        axes.set_xlabel(f"{one['predictor']}, {unit}" if unit and unit != "1" else one["predictor"], fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(labelsize=7.5, length=2)
        _plain(axes)
    unit = typeset(target["units"])
    for axes in grid[:, 0]:
        axes.set_ylabel(f"SHAP value, {unit}" if unit and unit != "1" else "SHAP value", fontsize=8)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    return Drawing(
        figure, f"attribution_dependence_{target['name']}", f"Dependence of {target['name']} on its predictors"
    )


@styled()
def partition_chart(targets: Sequence[Target], colours: Mapping[str, str]) -> Drawing:
    """Stacked bars of what each group of predictors explains of each target by itself, all orders averaged."""
    figure = Figure(figsize=(7.6, 0.42 * len(targets) + 0.95), layout="constrained")
    axes = figure.subplots()
    named: set[str] = set()
    for y, one in enumerate(targets[::-1]):
        ahead = behind = 0.0
        for group in one["partition"]["groups"]:
            value = group["independent"] or 0.0
            label = None if group["group"] in named else group["group"]
            named.add(group["group"])
            axes.barh(
                y, value, left=ahead if value >= 0 else behind, color=colours[group["group"]], height=0.62, label=label
            )
            ahead, behind = ahead + max(value, 0.0), behind + min(value, 0.0)
        axes.plot([one["partition"]["total"]] * 2, [y - 0.4, y + 0.4], color=INK, lw=1.6)
    axes.set_yticks(range(len(targets)), [one["long_name"] or one["name"] for one in targets[::-1]])
    axes.axvline(0, color="#9a9a9a", lw=0.6)
    axes.tick_params(labelsize=8, length=2)
    axes.set_xlabel("independent part of the score of held-out cells; line: score of all groups together", fontsize=8)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _plain(axes)
    return Drawing(figure, "attribution_partition", "What each group of predictors explains by itself")


@styled()
def screen_chart(rows: Mapping[str, Any]) -> Drawing:
    """Median CV of each parameter over the cells, by both screens, with their limits."""
    names = [row["parameter"] for row in rows["mad"]["rows"]]
    figure = Figure(figsize=(9.5, 0.165 * len(names) + 0.85), layout="constrained")
    place = np.arange(len(names))[::-1]
    for number, (axes, (kind, title)) in enumerate(
        zip(figure.subplots(1, 2, sharey=True), (("mad", "robust CV"), ("std", "SD / |mean|")), strict=True)
    ):
        found = {row["parameter"]: row["median_cv"] for row in rows[kind]["rows"]}
        values = np.array([np.nan if found.get(name) is None else found[name] for name in names], float)
        limit = rows[kind]["limit"]
        shown = np.minimum(values, 2.0)
        axes.barh(place, shown, color=[OKABE_ITO[0] if value <= limit else "#c9c9c4" for value in values], height=0.7)
        axes.axvline(limit, color=OKABE_ITO[1], lw=1.1, ls="--")
        axes.set_xlim(0, 2.0)
        axes.set_title(f"{title}, limit {limit:g}", fontsize=8.5, loc="left")
        axes.set_xlabel("median over the cells (2 and more end at the edge)", fontsize=7.5)
        axes.tick_params(labelsize=7, length=2)
        if number == 0:
            axes.set_yticks(place, names)
        _plain(axes)
    return Drawing(figure, "attribution_identifiability", "Median CV of the members of each parameter, by both screens")


@styled()
def pca_chart(found: Mapping[str, Any], most: int = 3) -> Drawing:
    """Loadings of the first components as a grid of coloured numbers."""
    loadings = np.array(found["loadings"], float)
    if loadings.shape[0] == len(found["variables"]) and loadings.shape[1] != len(found["variables"]):
        loadings = loadings.T  # components in rows
    loadings = loadings[:most]
    explained = [float(share) for share in found["explained"]][: len(loadings)]
    percent = 100.0 if sum(explained) <= 1.0 + 1e-9 else 1.0
    figure = Figure(figsize=(9.5, 0.5 * len(loadings) + 1.25), layout="constrained")
    axes = figure.subplots()
    axes.imshow(loadings, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(loadings):
        text = f"{value:.2f}".replace("-", "−")
        axes.text(
            column, row, text, ha="center", va="center", fontsize=7.5, color="white" if abs(value) > 0.62 else INK
        )
    axes.set_xticks(range(len(found["variables"])), found["variables"], rotation=35, ha="right", fontsize=7.5)
    axes.set_yticks(
        range(len(loadings)), [f"PC{n + 1}, {percent * share:.1f} %" for n, share in enumerate(explained)], fontsize=8
    )
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return Drawing(figure, "attribution_pca", "Loadings of the principal components of the parameters")


def signals(target: Target) -> set[str]:
    """Return the predictors that stand out from the noise."""
    return {row["predictor"] for row in target["importance"] if row["signal"]}


def direction(entry: Mapping[str, Any]) -> str:
    """Return the sign of an effect as it is written, or nothing."""
    return str(entry.get("direction") or "").replace("-", "−")


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.label.set_color(MUTED)


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    return _values([row.get(key) for row in rows])


def _values(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)
