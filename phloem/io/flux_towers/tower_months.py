"""Months of eddy-covariance towers as arrays, whatever file they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class TowerMonths:
    """Months of towers: fluxes, weather, quality, and what is known of each place.

    Attributes:
        sites: names of the towers, each once.
        months: datetime64[M], consecutive, (months,).
        values: by name in `tower_quantities.QUANTITIES` and in its unit, float64 (sites, months), NaN where missing.
        of_site: numbers that do not change with time, by name in `tower_quantities.OF_SITE`, float64 (sites,), NaN
            where unknown.
        igbp: plant class of each tower, as DBF; empty where unknown.
        provenance: one row a tower, of texts by column.
        notes: what was seen and dropped, in words.
        checksum: SHA-256 of the file they were read from, in hexadecimal; empty where there is no one file.
    """

    sites: tuple[str, ...]
    months: np.ndarray
    values: Mapping[str, np.ndarray]
    of_site: Mapping[str, np.ndarray]
    igbp: tuple[str, ...]
    provenance: tuple[Mapping[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())
    checksum: str = ""


def in_half_turns(longitude: np.ndarray) -> np.ndarray:
    """Return longitudes of -180 to 360 degrees east in -180 to 180; those that are there keep their bits."""
    return np.where(longitude >= 180.0, longitude - 360.0, longitude)
