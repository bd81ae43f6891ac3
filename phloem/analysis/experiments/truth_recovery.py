"""Recovery of the truth of a synthetic domain by experiments, in numbers and maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from phloem.analysis.style.coastline import draw_coasts
from phloem.analysis.style.plot_style import styled
from phloem.model_tables import Quantity

Values = Mapping[str, np.ndarray]

SLACK = 1e-3
"""A truth this far outside the members' range, relatively, still counts as inside: float32 files."""


def recovery(estimates: Mapping[str, Values], truth: Values) -> dict[str, dict[str, Any]]:
    """Compare medians and ranges of members with the truth.

    Args:
        estimates: by experiment, then by name, (cells, members), NaN for lanes without result.
        truth: by name, (cells,).

    Returns:
        By experiment and name: `pbias` of the medians (per cent), `r` (None where it has none), `within`, the share of
        cells whose truth lies between the least and the greatest member, and `spread`, the median over cells of
        (greatest - least) / median.
    """
    scores_by_name: dict[str, dict[str, Any]] = {}
    for experiment, values in estimates.items():
        scores_by_name[experiment] = {}
        for name in truth:
            known = np.isfinite(values[name]).any(1)
            members, true = values[name][known], truth[name][known]
            middle, low, high = (f(members, axis=1) for f in (np.nanmedian, np.nanmin, np.nanmax))
            r = np.corrcoef(middle, true)[0, 1] if len(true) > 1 and middle.std() > 0 and true.std() > 0 else None
            inside = (true >= low * (1 - SLACK)) & (true <= high * (1 + SLACK))
            scores_by_name[experiment][name] = {
                "cells": int(known.sum()),
                "pbias": float(100 * (middle.mean() / true.mean() - 1)),
                "r": None if r is None else float(r),
                "within": float(inside.mean()),
                "spread": float(np.median((high - low) / middle)),
            }
    return scores_by_name


@styled()
def truth_figure(
    places: np.ndarray, estimates: Mapping[str, Values], truth: Values, shown: Sequence[Quantity]
) -> Figure:
    """Draw maps of the truth and of each experiment's medians.

    Args:
        places: latitude and longitude, (cells, 2).
        estimates: by experiment, then by name, (cells, members).
        truth: by name, (cells,).
        shown: quantities, a row of maps each.
    """
    names = [one.name for one in shown]
    columns = {"truth": truth, **{key: {n: np.nanmedian(v[n], axis=1) for n in names} for key, v in estimates.items()}}
    figure = Figure(figsize=(2.9 * len(columns), 6.6), layout="constrained")
    grid = figure.subplots(len(names), len(columns), squeeze=False, sharex=True, sharey=True)
    for row, quantity in enumerate(shown):
        name = quantity.name
        low, high = np.nanpercentile(truth[name], [0, 100])
        norm = LogNorm(low / 1.6, high * 1.6)
        for column, (title, values) in enumerate(columns.items()):
            axes = grid[row, column]
            axes.set_facecolor("#f4f4f1")
            draw_coasts(axes, places[:, 1], places[:, 0])
            dots = axes.scatter(places[:, 1], places[:, 0], c=values[name], s=9, marker="s", cmap="viridis", norm=norm)
            if row == 0:
                axes.set_title(title)
            if column == 0:
                axes.set_ylabel("latitude, °N")
            if row == len(names) - 1:
                axes.set_xlabel("longitude, °E")
        label = quantity.meaning if quantity.unit == "1" else f"{quantity.meaning}, {quantity.unit}"
        bar = figure.colorbar(dots, ax=grid[row], shrink=0.85, pad=0.01, label=label)
        ticks = np.geomspace(low, high, 4).tolist()
        bar.set_ticks(ticks, labels=[f"{value:.2g}" for value in ticks])
        bar.minorticks_off()
    return figure
