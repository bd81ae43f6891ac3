"""Figures of an attribution: importance, scores, dependence, screens, components and partition."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, plain_axes, styled
from phloem.arithmetic import ceil_div

GROUP_COLOURS = {"climate": "#0072B2", "soil": "#E69F00", "vegetation": "#009E73"}
"""Of the usual groups; others get the palette's remaining colours in the order in which they come."""

_SPARE = ("#CC79A7", "#D55E00", "#56B4E9", "#000000", "#B8AC1B")
_POINT, _CURVE, _BREAK = "#8a8f94", OKABE_ITO[0], OKABE_ITO[1]
_ACROSS = 3
_FADED = 0.35
Row = Mapping[str, Any]


def draw_attribution(document: Row) -> dict[str, Figure]:
    """Draw every figure of an attribution, by file name.

    Args:
        document: what attribution.json holds.
    """
    figures = {"importance.png": importance_figure(document), "scores.png": scores_figure(document)}
    for target in document["targets"]:
        if not target["refused"]:
            figures[f"dependence_{target['name']}.png"] = dependence_figure(target)
    if any(target.get("partition") for target in document["targets"]):
        figures["partition.png"] = partition_figure(document)
    if document["identifiability"]:
        figures["identifiability.png"] = identifiability_figure(document["identifiability"])
    if document["pca"]:
        figures["pca.png"] = pca_figure(document["pca"])
    return figures


def group_colours(groups: Sequence[str]) -> dict[str, str]:
    """Return a colour for each group."""
    spare = iter(_SPARE * (1 + len(groups) // len(_SPARE)))
    return {group: GROUP_COLOURS.get(group) or next(spare) for group in dict.fromkeys(groups)}


@styled()
def importance_figure(document: Row) -> Figure:
    """Shares of the predictors, one panel a target: bars by group, whiskers over members, and the noise floor."""
    targets = document["targets"]
    colours = group_colours([row["group"] for row in document["predictors"]])
    longest = max([len(target["importance"]) for target in targets if not target["refused"]], default=4)
    figure, panels = _grid(len(targets), width=3.5, height=0.9 + 0.19 * longest)
    for axes, target in zip(panels, targets, strict=False):
        axes.set_title(target["long_name"], fontsize=9.5, loc="left")
        if target["refused"]:
            _say(axes, target["refused"])
            continue
        rows = target["importance"][::-1]
        places = range(len(rows))
        for place, row in zip(places, rows, strict=True):
            alpha = 1.0 if row["signal"] else _FADED
            axes.barh(place, row["share"], height=0.72, color=colours[row["group"]], alpha=alpha, linewidth=0)
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.0, solid_capstyle="butt")
            axes.text(0.99, place, row["direction"].replace("-", "−").replace("mixed", "~"), va="center", ha="right",
                      fontsize=7.5, color=MUTED, transform=axes.get_yaxis_transform())  # fmt: skip
        axes.axvline(target["noise_floor"], color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.set_yticks(places, [row["predictor"] for row in rows], fontsize=7.5)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlim(0, 1.12 * max(row["high"] or row["share"] for row in rows))
        axes.set_xlabel("share of mean |SHAP|, %", fontsize=8)
        if target["finding"]:
            axes.set_title(f"{target['long_name']}: explains nothing", fontsize=9.5, loc="left", color=MUTED)
        groups = ",  ".join(f"{row['group']} {row['share']:.0f} %" for row in target["groups"])
        axes.text(0.98, 0.04, groups.replace(",  ", "\n"), transform=axes.transAxes, fontsize=7.5, ha="right",
                  color=MUTED, bbox={"color": "white", "alpha": 0.8, "linewidth": 0})  # fmt: skip
    handles: list[Any] = [Patch(color=colour, label=group) for group, colour in colours.items()]
    handles += [
        Line2D([], [], color=INK, linewidth=1.0, label="range over members"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 2)), label="noise floor (pale: band not above it)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False, fontsize=8)
    return figure


@styled()
def scores_figure(document: Row) -> Figure:
    """R2 of held-out cells: random folds against whole blocks, one pair of bars a target."""
    targets = document["targets"]
    figure = Figure(figsize=(1.9 + 1.05 * len(targets), 3.4), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, 8)
    for place, target in enumerate(targets):
        for shift, kind, colour in ((-0.19, "random", OKABE_ITO[0]), (0.19, "blocked", OKABE_ITO[4])):
            score = None if target["refused"] else target[kind]
            if score is None or score["r2"] is None:
                axes.text(
                    place + shift, 0.01, "refused", rotation=90, ha="center", va="bottom", fontsize=7, color=MUTED
                )
                continue
            axes.bar(place + shift, score["r2"], 0.34, color=colour, linewidth=0)
            if score["r2_mean"] is not None:
                axes.errorbar(
                    place + shift, score["r2_mean"], score["r2_sd"] or 0.0, color=INK, linewidth=0.9, capsize=2
                )
            top = max(score["r2"], (score["r2_mean"] or 0.0) + (score["r2_sd"] or 0.0), 0.0)
            axes.text(place + shift, top + 0.015, f"{score['r2']:.2f}", ha="center", fontsize=7.5, color=MUTED)
    axes.axhline(0.0, color=INK, linewidth=0.6)
    labels = [textwrap.fill(target["long_name"], 14) for target in targets]
    axes.set_xticks(range(len(targets)), labels, fontsize=7.5)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], -1.0), top=max(1.0, axes.get_ylim()[1]))
    axes.set_ylabel("R² of held-out cells", fontsize=8.5)
    handles: list[Any] = [
        Patch(color=OKABE_ITO[0], label="random folds"),
        Patch(color=OKABE_ITO[4], label="whole blocks held out"),
        Line2D([], [], color=INK, linewidth=0.9, label="mean ± SD of the folds"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    return figure


@styled()
def dependence_figure(target: Row) -> Figure:
    """SHAP values against each of the most important predictors: points, LOWESS, member band, breakpoint."""
    curves = target["dependence"]
    figure, panels = _grid(max(len(curves), 1), width=3.1, height=2.35, across=4)
    shares = {row["predictor"]: row for row in target["importance"]}
    unit = f"ln {target['name']}" if target["scale"] == "log" else target["units"]
    for number, (axes, curve) in enumerate(zip(panels, curves, strict=False)):
        row = shares[curve["predictor"]]
        title = f"{curve['predictor']}  {row['share']:.0f} %" + ("" if row["signal"] else "  (noise)")
        axes.set_title(title, fontsize=8.5, loc="left", color=INK if row["signal"] else MUTED)
        axes.plot(curve["points_x"], curve["points_phi"], "o", color=_POINT, markersize=1.7, alpha=0.5,
                  markeredgewidth=0, zorder=1)  # fmt: skip
        axes.axhline(0.0, color="#9a9a9a", linewidth=0.5, zorder=0)
        if curve["boot_low"]:
            axes.fill_between(curve["x"], curve["boot_low"], curve["boot_high"], color=OKABE_ITO[5], alpha=0.35, lw=0)
        if curve["low"]:
            axes.fill_between(curve["x"], curve["low"], curve["high"], color=_CURVE, alpha=0.35, lw=0, zorder=2)
        if curve["trend"]:
            axes.plot(curve["x"], curve["trend"], color=_CURVE, linewidth=1.5, zorder=3)
        at = curve["breakpoint"]
        if at:
            if at["low"] is not None:
                axes.axvspan(at["low"], at["high"], color=_BREAK, alpha=0.16, linewidth=0, zorder=0)
            axes.axvline(at["x"], color=_BREAK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=2)
        axes.set_xlabel(curve["units"], fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if number % 4 == 0:
            axes.set_ylabel(f"SHAP value, {unit}", fontsize=8)
    if not curves:
        _say(panels[0], "no dependence curves were asked for")
    handles: list[Any] = [
        Line2D([], [], color=_CURVE, linewidth=1.5, label="LOWESS"),
        Patch(color=_CURVE, alpha=0.35, label="range over members"),
        Patch(color=OKABE_ITO[5], alpha=0.35, label="bootstrap, 5 to 95 %"),
        Line2D([], [], color=_BREAK, linestyle=(0, (4, 2)), label="breakpoint and its interval"),
    ]
    figure.suptitle(target["long_name"], fontsize=10, x=0.01, ha="left")
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


@styled()
def partition_figure(document: Row) -> Figure:
    """Explained variance of held-out cells, shared out among the groups of predictors, one bar a target."""
    targets = [target for target in document["targets"] if target.get("partition")]
    groups = list(dict.fromkeys(row["group"] for target in targets for row in target["partition"]["groups"]))
    colours = group_colours(groups)
    figure = Figure(figsize=(6.4, 0.9 + 0.42 * len(targets)), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, 8)
    for place, target in enumerate(targets[::-1]):
        right, left = 0.0, 0.0
        for row in target["partition"]["groups"]:
            value = row["independent"]
            axes.barh(place, value, left=right if value >= 0 else left, height=0.62, color=colours[row["group"]],
                      edgecolor="white", linewidth=0.8)  # fmt: skip
            right, left = right + max(value, 0.0), left + min(value, 0.0)
        axes.text(right + 0.008, place, f"{target['partition']['total']:.2f}", va="center", fontsize=7.5, color=MUTED)
    axes.axvline(0.0, color=INK, linewidth=0.6)
    axes.set_yticks(range(len(targets)), [target["long_name"] for target in targets[::-1]], fontsize=8)
    axes.set_xlabel("independent contribution to R² of held-out cells", fontsize=8)
    handles = [Patch(color=colours[group], label=group) for group in groups]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=8)
    return figure


@styled()
def identifiability_figure(screens: Row) -> Figure:
    """Both screens of the parameters, sorted by the spatial median of the spread of their members."""
    figure = Figure(figsize=(9.0, 0.9 + 0.17 * len(screens["std"]["rows"])), layout="constrained")
    titles = {"std": "SD / |mean| (kept in the spatial median)", "mad": "robust CV (kept cell by cell)"}
    for axes, kind in zip(figure.subplots(1, 2), ("std", "mad"), strict=True):
        plain_axes(axes, 7.5)
        limit = screens[kind]["limit"]
        rows = sorted(screens[kind]["rows"], key=lambda row: -np.inf if row["median_cv"] is None else -row["median_cv"])
        known = [row["median_cv"] for row in rows if row["median_cv"] is not None]
        end = 1.15 * max([2.5 * limit, *(value for value in known if value < 4 * limit)])
        for place, row in enumerate(rows):
            value = row["median_cv"]
            if value is None:
                axes.text(0.01 * end, place, "no cell", va="center", fontsize=7, color=MUTED)
                continue
            kept = row["kept"] if kind == "std" else value <= limit
            axes.barh(place, min(value, end), height=0.7, color=OKABE_ITO[2] if kept else "#c9c9c4", linewidth=0)
            words = f"{value:.2f}" + ("" if kind == "std" else f"   {100 * row['share_kept']:.0f} % of cells")
            axes.text(min(value, 0.6 * end) + 0.01 * end, place, words, va="center", fontsize=6.8, color=INK)
        axes.axvline(limit, color=_BREAK, linewidth=1.0, linestyle=(0, (4, 2)))
        axes.set_yticks(range(len(rows)), [row["parameter"] for row in rows], fontsize=7)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlim(0, end)
        axes.set_title(titles[kind], fontsize=9, loc="left")
    return figure


@styled()
def pca_figure(pca: Row) -> Figure:
    """Loadings of the first three components."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for number, axes in enumerate(panels):
        plain_axes(axes, 7.5)
        if pca["refused"]:
            axes.set_axis_off()
            continue
        loadings = np.array(pca["loadings"][number])[::-1]
        colours = np.where(loadings >= 0, OKABE_ITO[0], OKABE_ITO[1])
        axes.barh(np.arange(loadings.size), loadings, height=0.7, color=colours, linewidth=0)
        axes.axvline(0.0, color=INK, linewidth=0.6)
        axes.set_yticks(range(loadings.size), pca["variables"][::-1], fontsize=7.5)
        axes.set_title(f"PC{number + 1}:  {100 * pca['explained'][number]:.1f} %", fontsize=9, loc="left")
        axes.set_xlabel("loading", fontsize=8)
    if pca["refused"]:
        _say(panels[1], pca["refused"])
    return figure


def _grid(count: int, width: float, height: float, across: int = _ACROSS) -> tuple[Figure, list[Axes]]:
    columns = min(across, count)
    rows = ceil_div(count, columns)
    figure = Figure(figsize=(max(columns * width, 6.4), rows * height + 0.7), layout="constrained")
    panels = [axes for axes in np.ravel(figure.subplots(rows, columns, squeeze=False)) if isinstance(axes, Axes)]
    for axes in panels:
        plain_axes(axes, 7.5)
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels


def _say(axes: Axes, words: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, textwrap.fill(words, 44), transform=axes.transAxes, ha="center", va="center", fontsize=8,
              color=MUTED)  # fmt: skip
