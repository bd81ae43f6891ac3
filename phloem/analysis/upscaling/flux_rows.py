"""Months of places as one table of rows: what models of fluxes are fitted to and applied to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phloem.io.flux_towers.quality_rules import DriverMonths, GoodMonths

Columns = Mapping[str, np.ndarray]
"""Drivers of rows, each row a month of a place: float64 (rows,) by the names in `tower_quantities.QUANTITIES` and
`OF_SITE`, in their units, NaN where missing; and `igbp`, number in `tower_quantities.IGBP` counted from 1, NaN where
unknown, and `month`, months since 1970-01."""


@dataclass(frozen=True, eq=False)
class FluxRows:
    """Months of towers with fluxes that count.

    Attributes:
        sites: names of the towers.
        site: position in `sites` of each row, int64 (rows,).
        columns: drivers.
        observed: by the names in `tower_quantities.FLUXES`, in the tables' units, float64 (rows,), NaN where the flux
            is missing or not good enough.
        around: all months of the same towers that have drivers; None: the rows are all.
    """

    sites: tuple[str, ...]
    site: np.ndarray
    columns: Columns
    observed: Mapping[str, np.ndarray]
    around: DriverMonths | None = None

    @classmethod
    def of(cls, good: GoodMonths) -> FluxRows:
        """Return the rows of months that count by their quality.

        Args:
            good: as `quality_rules.flux_rows` gives them.
        """
        return cls(good.sites, good.site, good.columns, good.observed, good.around)

    def __len__(self) -> int:
        return len(self.site)

    @property
    def month(self) -> np.ndarray:
        """Months since 1970-01, int64 (rows,)."""
        return np.asarray(self.columns["month"]).astype(np.int64)
