"""Maps of traits: each cell in the colour of its value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from phloem.analysis.style.coastline import draw_coasts
from phloem.analysis.style.plot_style import plain_axes, styled
from phloem.analysis.style.wording import typeset
from phloem.arithmetic import ceil_div
from phloem.errors import InputError

COLUMNS = 2
EDGES = (2.0, 98.0)
"""Per cent of the cells at which the colours end."""


@styled()
def trait_maps_figure(
    latitude: np.ndarray, longitude: np.ndarray, traits: Mapping[str, tuple[str, np.ndarray]]
) -> Figure:
    """Draw a map of each trait.

    Args:
        latitude: degrees north, (cells,), at least one.
        longitude: degrees east.
        traits: by what they are called: unit and values, (cells,), NaN where missing; at least one.

    Raises:
        InputError: nothing to draw, or other numbers of cells.
    """
    sizes = {len(latitude), len(longitude), *(len(values) for _, values in traits.values())}
    if not traits or len(sizes) > 1 or not len(latitude):
        raise InputError(f"maps of {len(traits)} traits at {sorted(sizes)} cells: as many of each, and at least one")
    rows = ceil_div(len(traits), COLUMNS)
    tall = max(np.ptp(latitude), 1.0) / max(np.ptp(longitude) * np.cos(np.deg2rad(latitude.mean())), 1.0)
    figure = Figure(figsize=(5.2 * COLUMNS, rows * (float(np.clip(4.6 * tall, 1.4, 4.6)) + 0.5)), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    size = float(np.clip(5000 / len(latitude), 1.0, 18))
    for axes, (name, (unit, values)) in zip(panels, traits.items(), strict=False):
        plain_axes(axes, 7)
        axes.set_facecolor("#f4f4f1")
        draw_coasts(axes, longitude, latitude)
        known = np.isfinite(values)
        low, high = np.percentile(values[known], EDGES) if known.any() else (0.0, 1.0)
        points = axes.scatter(
            longitude[known], latitude[known], c=values[known], s=size, marker="s", lw=0, cmap="viridis",
            vmin=low, vmax=high,
        )  # fmt: skip
        axes.set_title(name, fontsize=8.5, loc="left")
        bar = figure.colorbar(points, ax=axes, shrink=0.8, extend="both")
        bar.set_label(typeset(unit) if unit != "1" else "", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    for axes in panels[len(traits) :]:
        axes.set_visible(False)
    return figure
