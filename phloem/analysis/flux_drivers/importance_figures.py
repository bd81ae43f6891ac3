"""Figures of what models of fluxes follow: shares of variables, and their effects against their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from phloem.analysis.flux_skill.left_out_figures import WAY_COLOURS
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, plain_axes, styled
from phloem.analysis.style.wording import fixed, typeset
from phloem.arithmetic import ceil_div
from phloem.errors import InputError

BINS = 15
"""Of equal counts, whose medians make a line."""


@styled()
def flux_importance_figure(
    shares: Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]], words: str, most: int = 10
) -> Figure:
    """Draw the shares of the main variables, a panel a flux, bars by way with their spread over members.

    Args:
        shares: by flux, way and variable: per cent, and standard deviation over members; at least one.
        words: what a share is.
        most: variables of a panel.

    Raises:
        InputError: nothing to draw.
    """
    if not shares:
        raise InputError("no importance: there is nothing to draw")
    columns = min(2, len(shares))
    down = ceil_div(len(shares), columns)
    figure = Figure(figsize=(4.7 * columns, 0.5 + down * (0.7 + 0.24 * most)), layout="constrained")
    panels = figure.subplots(down, columns, squeeze=False).ravel()
    ways = list(dict.fromkeys(way for one in shares.values() for way in one))
    for axes, (flux, by_way) in zip(panels, shares.items(), strict=False):
        plain_axes(axes, 7)
        mean = {
            name: float(np.mean([one.get(name, (0.0, 0.0))[0] for one in by_way.values()]))
            for name in dict.fromkeys(name for one in by_way.values() for name in one)
        }
        names = sorted(mean, key=lambda name: -mean[name])[:most][::-1]
        tall = 0.8 / len(ways)
        for number, way in enumerate(ways):
            if way not in by_way:
                continue
            values = np.array([by_way[way].get(name, (0.0, 0.0)) for name in names])
            places = np.arange(len(names)) + ((len(ways) - 1) / 2 - number) * tall
            axes.barh(places, values[:, 0], 0.9 * tall, color=WAY_COLOURS.get(way, MUTED), lw=0, label=way)
            axes.errorbar(values[:, 0], places, xerr=values[:, 1], fmt="none", ecolor=INK, elinewidth=0.7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlim(left=0)
        axes.set_title(flux.upper(), fontsize=8.5, loc="left")
    for axes in panels[len(shares) :]:
        axes.set_visible(False)
    figure.supxlabel(f"{words}, %; lines: standard deviation over members", fontsize=7.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=max(1, len(ways)), frameon=False, fontsize=7.5)
    return figure


@styled()
def effects_figure(
    effects: Sequence[tuple[str, np.ndarray, np.ndarray]], units: Mapping[str, str], flux_words: str
) -> Figure:
    """Draw the SHAP values of variables against their values, a panel a variable, with medians of equal counts.

    Args:
        effects: name, values (rows,), and SHAP values (rows,), at least one.
        units: of the variables, where they have any.
        flux_words: flux and unit of the SHAP values.

    Raises:
        InputError: nothing to draw.
    """
    if not effects:
        raise InputError("no variable to draw")
    figure = Figure(figsize=(0.4 + 2.3 * len(effects), 2.5), layout="constrained")
    panels = figure.subplots(1, len(effects), squeeze=False, sharey=True).ravel()
    for axes, (name, values, phi) in zip(panels, effects, strict=True):
        plain_axes(axes, 7)
        known = np.isfinite(values)
        x, y = values[known], phi[known]
        axes.plot(x, y, "o", color=OKABE_ITO[0], ms=1.8, mew=0, alpha=0.35, rasterized=True)
        axes.axhline(0.0, color=INK, lw=0.6)
        order = np.argsort(x, kind="stable")
        if len(np.unique(x)) > BINS:
            parts = np.array_split(order, BINS)
            axes.plot([np.median(x[one]) for one in parts], [np.median(y[one]) for one in parts], color=OKABE_ITO[1],
                      lw=1.5)  # fmt: skip
        unit = typeset(units.get(name, ""))
        lost = "" if known.all() else f" ({fixed(100 * (1 - known.mean()), 0)} % missing)"
        axes.set_xlabel(f"{name}{', ' + unit if unit and unit != '1' else ''}{lost}", fontsize=7.5)
    panels[0].set_ylabel(f"SHAP value, {flux_words}", fontsize=7.5)
    return figure
