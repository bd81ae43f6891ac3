"""Yearly totals of a product's carbon fluxes over its land, with trend and interannual variability."""

from __future__ import annotations

from typing import Any

import numpy as np

from phloem.analysis.flux_maps.regional_totals import WHOLE_EARTH, FluxBlock, FluxTotals
from phloem.io.references.flux_fields import BAND_BYTES, UNITS, FluxFields


def carbon_totals(
    fields: FluxFields, land_fraction: np.ndarray | None = None, band_bytes: int = BAND_BYTES
) -> dict[str, dict[str, Any]]:
    """Return the totals of each flux, as `YearlyTotals.to_json` has them; none where there are no fluxes.

    Args:
        fields: of a product.
        land_fraction: of the cells, (rows, columns) as the file orders them; by default all of each cell with a value.
        band_bytes: of a band of rows.
    """
    if not fields.fluxes:
        return {}
    months = fields.months.astype("datetime64[M]")
    totals = FluxTotals(months, {name: UNITS[name] for name in fields.fluxes}, {})
    columns = fields.grid.longitude.length
    for rows, values in fields.bands(band_bytes):
        of_cells = {name: values[name].reshape(len(months), -1) for name in fields.fluxes}
        there = np.logical_or.reduce([np.isfinite(one).any(axis=0) for one in of_cells.values()])
        land = np.ones(len(there)) if land_fraction is None else np.asarray(land_fraction, float)[rows].reshape(-1)
        land = np.where(there, np.nan_to_num(land), 0.0)
        area = np.repeat(fields.area[rows], columns)
        totals.add(FluxBlock(months[0], area, land, {}, of_cells))
    return {name: totals.yearly(name, WHOLE_EARTH, WHOLE_EARTH).to_json() for name in fields.fluxes}
