"""Coastlines of Natural Earth (public domain), 1:50 million, simplified to 0.1 degrees."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

LAND = Path(__file__).with_name("land.txt")
"""One line a piece of land: first point and steps from point to point, in tenths of a degree, east and north."""


@cache
def land_outlines() -> tuple[np.ndarray, ...]:
    """Return the outlines of land, each (points, 2): degrees east and north."""
    lines = LAND.read_text(encoding="utf-8").splitlines()
    return tuple(np.array(line.split(), int).reshape(-1, 2).cumsum(0) / 10 for line in lines)
