"""What models of fluxes say of rows, and what such models are to those who apply them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from phloem.analysis.upscaling.flux_rows import Columns


@dataclass(frozen=True, eq=False)
class Applied:
    """Fluxes of rows, with two kinds of uncertainty; by the names in `tower_quantities.FLUXES`, in tower tables' units.

    Attributes:
        mean: over the members, float32 (rows,).
        lower, upper: ends of the conformal interval of 90 %.
        spread_lower, spread_upper: 5 and 95 % of the members.
        dissimilarity: distance to the training rows in predictors, 1, (rows,).
        inside: whether a row is in the area of applicability, bool (rows,).
    """

    mean: Mapping[str, np.ndarray]
    lower: Mapping[str, np.ndarray]
    upper: Mapping[str, np.ndarray]
    spread_lower: Mapping[str, np.ndarray]
    spread_upper: Mapping[str, np.ndarray]
    dissimilarity: np.ndarray
    inside: np.ndarray


class FittedFluxes(Protocol):
    """Models of fluxes that can be applied. Numbers of a row depend on that row alone."""

    @property
    def fluxes(self) -> tuple[str, ...]:
        """Those that there are models of."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns without which nothing can be said of a row."""

    @property
    def optional(self) -> tuple[str, ...]:
        """Columns that are used where they are there."""

    def apply(self, columns: Columns) -> Applied:
        """Return the fluxes of rows.

        Args:
            columns: those that are needed, complete, and of the optional ones those that there are.
        """
