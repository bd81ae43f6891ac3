"""An allocation of a product's fluxes with known shares, in the files of `phloem allocate`."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from phloem.analysis.allocation.model_statistics import STATISTICS
from phloem.io.land_models.rectilinear import Rectilinear
from phloem.jobs.allocation.allocation_product import STOCKS_OUT, define_product, put_year, variable_name

RA_SHARE = 0.6
"""Of autotrophic respiration in RECO."""


def write_allocation(product: Path, out: Path, off: float = 0.0) -> Path:
    """Share out RECO of a grid: NPP is what Ra leaves of GPP, leaves and wood stay, and soil keeps all NEP.

    Args:
        product: of `phloem apply` on a grid, whole years.
        out: file to write.
        off: gC m-2 yr-1 that the soil gains beside.
    """
    with xr.open_dataset(product) as file:
        gpp, reco = (file[name].values.astype(float) for name in ("gpp", "reco"))
        time, lat, lon = file["time"].values, file["lat"].values, file["lon"].values
    months = time.astype("datetime64[M]")
    days = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(float)
    years = sorted(set(months.astype("datetime64[Y]").astype(int) + 1970))
    step = abs(float(lat[1] - lat[0]))
    grid = Rectilinear(lat, lon, lat - step / 2, lat + step / 2, lon - step / 2, np.full(len(lon), step))
    cells = np.flatnonzero(np.isfinite(gpp).any(0).reshape(-1))
    lengths = {year: days[12 * n : 12 * n + 12] for n, year in enumerate(years)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(out, "w") as file:
        define_product(file, grid, years, list(STOCKS_OUT), "strict", lengths, {})
        soil = np.full(len(cells), 9000.0)
        for n, year in enumerate(years):
            of_year = [one[12 * n : 12 * n + 12].reshape(12, -1)[:, cells] for one in (gpp, reco)]
            ra = RA_SHARE * of_year[1]
            values = {"npp_monthly": of_year[0] - ra, "ra_monthly": ra, "rh_monthly": of_year[1] - ra}
            soil = soil + np.nansum((of_year[0] - of_year[1]) * lengths[year][:, None], axis=0) + off
            for statistic, factor in zip(STATISTICS, (1.0, 0.8, 1.2), strict=True):
                wood, leaf = np.full(len(cells), 4000.0 * factor), np.full(len(cells), 200.0 * factor)
                stocks = {"cWood": wood, "cLeaf": leaf, "cVeg": wood + leaf, "cSoil": soil, "cLitter": 0.1 * wood}
                values |= {variable_name(name, statistic): one for name, one in stocks.items()}
            put_year(file, n, values, cells, (len(lat), len(lon)))
    return out
