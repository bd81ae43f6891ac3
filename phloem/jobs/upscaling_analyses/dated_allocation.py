"""An allocation as files along time, as readers of fluxes and stocks want them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.io.files.netcdf import FILL
from phloem.io.references.flux_fields import PARTS, STOCKS

MONTHLY = {"npp": "npp_monthly", "ra": "ra_monthly", "rh": "rh_monthly"}
"""Fluxes of months, by their names here; those of `phloem allocate`."""

STATISTICS = ("mean", "q25", "q75")
"""Versions of a stock: the mean of the land models and their quartiles."""


@dataclass(frozen=True)
class DatedAllocation:
    """Where the parts of an allocation are.

    Attributes:
        months: file of monthly fluxes, NEP = NPP - Rh among them; None where the allocation has none.
        stocks: file of annual stocks; None likewise.
        versions: by statistic, the names that leaves and wood have in it.
    """

    months: Path | None
    stocks: Path | None
    versions: dict[str, dict[str, str]]


def date_allocation(path: Path, folder: Path) -> DatedAllocation:
    """Copy the months and the stocks of an allocation into files along time, step by step.

    Args:
        path: of `phloem allocate`.
        folder: for the two files.

    Raises:
        InputError: the file cannot be read, or is no allocation on a grid.
    """
    try:
        with netCDF4.Dataset(str(path)) as file:
            if "year" not in file.variables or not {"lat", "lon"} <= set(file.dimensions):
                raise InputError(
                    f"{path}: no years on a grid (year, lat, lon); what `phloem allocate` writes is due; the file has "
                    f"{', '.join(file.variables)}"
                )
            file.set_auto_mask(False)
            fluxes = {name: own for name, own in MONTHLY.items() if own in file.variables}
            names = [
                own
                for name in (*STOCKS, *PARTS)
                for own in (name, *(f"{name}_{one}" for one in STATISTICS[1:]))
                if own in file.variables
            ]
            months = _copy(file, folder / "months.nc", fluxes, "time") if fluxes else None
            if months is not None and {"npp", "rh"} <= set(fluxes):
                _put_net_production(months)
            stocks = _copy(file, folder / "stocks.nc", {name: name for name in names}, "year") if names else None
    except OSError as error:
        raise InputError(f"{path}: not readable as NetCDF ({error})") from error
    versions: dict[str, dict[str, str]] = {}
    for statistic in STATISTICS:
        own = {name: name if statistic == "mean" else f"{name}_{statistic}" for name in ("cLeaf", "cWood")}
        if set(own.values()) <= set(names):
            versions[statistic] = own
    return DatedAllocation(months, stocks, versions)


def _put_net_production(path: Path) -> None:
    """Add NEP, net primary production less heterotrophic respiration, to a file of months."""
    with netCDF4.Dataset(str(path), "a") as file:
        npp, rh = file["npp"], file["rh"]
        fill = npp.getncattr("_FillValue")
        nep = file.createVariable("nep", "f8", ("time", "lat", "lon"), zlib=True, complevel=1, fill_value=fill)
        nep.units = npp.units
        for step in range(len(file.dimensions["time"])):
            nep[step] = npp[step] - rh[step]


def _copy(file: netCDF4.Dataset, path: Path, names: dict[str, str], along: str) -> Path:
    """Copy variables, one step at a time; years are stamped at their middle."""
    with netCDF4.Dataset(str(path), "w") as out:
        for name in ("lat", "lon"):
            out.createDimension(name, len(file.dimensions[name]))
            out.createVariable(name, "f8", (name,))[:] = file[name][:]
            out[name].setncatts({"units": "degrees_north" if name == "lat" else "degrees_east", "standard_name":
                                 "latitude" if name == "lat" else "longitude"})  # fmt: skip
        out.createDimension("time", len(file.dimensions[along]))
        time = out.createVariable("time", "f8", ("time",))
        if along == "time":
            time.setncatts({key: file["time"].getncattr(key) for key in ("units", "calendar")})
            time[:] = file["time"][:]
        else:
            time.setncatts({"units": TIME_UNITS, "calendar": "standard"})
            stamps = [f"{int(year):04d}-07-01" for year in file["year"][:]]
            epoch = np.datetime64(TIME_UNITS.split()[2], "D")
            time[:] = (np.array(stamps, "datetime64[D]") - epoch).astype(float)
        time.standard_name = "time"
        for name, own in names.items():
            source = file[own]
            fill = source.getncattr("_FillValue") if "_FillValue" in source.ncattrs() else FILL
            copy = out.createVariable(name, "f8", ("time", "lat", "lon"), zlib=True, complevel=1, fill_value=fill)
            copy.units = source.units
            for step in range(len(out.dimensions["time"])):
                copy[step] = source[step]
    return path
