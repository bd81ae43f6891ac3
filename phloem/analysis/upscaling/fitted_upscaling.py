"""Fitted models of fluxes with their intervals and their area of applicability: what is applied to any place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SPREAD = (0.05, 0.95)
"""Quantiles of the members between which the ensemble spreads (uflux.md section 5)."""


@dataclass(frozen=True, eq=False)
class Applied:
    """Fluxes of places, by flux float32 (rows,), NaN where a place lacks what is needed.

    Attributes:
        mean: over the members.
        lower, upper: ends of the conformal interval.
        spread_lower, spread_upper: 5th and 95th percentile of the members, which is no interval of the flux.
        dissimilarity: index against the towers, (rows,).
        inside: whether a row is within the area of applicability, bool (rows,).
    """

    mean: Mapping[str, np.ndarray]
    lower: Mapping[str, np.ndarray]
    upper: Mapping[str, np.ndarray]
    spread_lower: Mapping[str, np.ndarray]
    spread_upper: Mapping[str, np.ndarray]
    dissimilarity: np.ndarray
    inside: np.ndarray
