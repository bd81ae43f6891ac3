"""Coastlines of Natural Earth (public domain), 1:50 million, simplified to 0.1 degrees."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

LAND = Path(__file__).with_name("land.txt")
"""One line a piece of land: first point and steps from point to point, in tenths of a degree, east and north."""

COAST = "#6b6b6b"
"""Colour of a coast."""


@cache
def land_outlines() -> tuple[np.ndarray, ...]:
    """Return the outlines of land, each (points, 2): degrees east and north."""
    lines = LAND.read_text(encoding="utf-8").splitlines()
    return tuple(np.array(line.split(), int).reshape(-1, 2).cumsum(0) / 10 for line in lines)


def draw_coasts(axes: Axes, lon: np.ndarray, lat: np.ndarray) -> None:
    """Draw the coasts around some cells, and set limits that leave a margin of a tenth or three degrees around them.

    Args:
        axes: of longitude and latitude.
        lon: of the cells, degrees east, (cells,).
        lat: likewise, degrees north.
    """
    ends = [(float(values.min()), float(values.max())) for values in (lon, lat)]
    margins = [max(3.0, 0.1 * (high - low)) for low, high in ends]
    coasts = [ring + np.array([turn, 0]) for turn in (-360, 0, 360) for ring in land_outlines()]
    axes.add_collection(LineCollection(coasts, colors=COAST, linewidths=0.5, zorder=0.5), autolim=False)
    (west, east), (south, north) = ((low - by, high + by) for (low, high), by in zip(ends, margins, strict=True))
    axes.set(xlim=(west, east), ylim=(max(south, -90.0), min(north, 90.0)), autoscale_on=False)
