"""allocation.nc: carbon shared out, year after year of a grid, in CF-NetCDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import netCDF4
import numpy as np

from phloem.analysis.allocation.model_statistics import STATISTICS
from phloem.analysis.allocation.ratios import RatioMode, targets_of
from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.io.files.netcdf import CONVENTIONS, FILL, filled
from phloem.io.land_models.rectilinear import Rectilinear
from phloem.version import VERSION

_ANNUAL = "g m-2 yr-1"
ANNUAL: dict[str, tuple[str, str]] = {
    "gpp": (_ANNUAL, "gross primary production"),
    "reco": (_ANNUAL, "ecosystem respiration"),
    "npp": (_ANNUAL, "net primary production, share of GPP"),
    "ra": (_ANNUAL, "autotrophic respiration, GPP - NPP"),
    "ra_of_reco": (_ANNUAL, "autotrophic respiration, share of RECO"),
    "rh": (_ANNUAL, "heterotrophic respiration, RECO - ra_of_reco"),
    "ra_mismatch": (_ANNUAL, "ra_of_reco - ra"),
}
STOCKS_OUT: dict[str, tuple[str, str]] = {
    "leaf_share": ("1", "share of leaves in vegetation carbon"),
    "wood_share": ("1", "share of wood in vegetation carbon"),
    "root_share": ("1", "share of roots in vegetation carbon"),
    "cVeg": ("g m-2", "vegetation carbon"),
    "cLeaf": ("g m-2", "leaf carbon"),
    "cWood": ("g m-2", "wood carbon"),
    "cRoot": ("g m-2", "root carbon"),
    "agb": ("g m-2", "leaf and wood carbon"),
    "cLitter": ("g m-2", "litter carbon"),
    "cSoil": ("g m-2", "soil carbon"),
}
RECONCILED: dict[str, tuple[str, str]] = {
    f"{name}_reconciled": (_ANNUAL, f"{words}, one set under all budgets by least squares")
    for name, words in (
        ("gpp", "gross primary production"),
        ("reco", "ecosystem respiration"),
        ("npp", "net primary production"),
        ("ra", "autotrophic respiration"),
        ("rh", "heterotrophic respiration"),
    )
}
MONTHLY: dict[str, tuple[str, str]] = {
    "npp_monthly": ("g m-2 d-1", "net primary production of months, GPP - Ra; negative where more is respired"),
    "ra_monthly": ("g m-2 d-1", "autotrophic respiration of months, RECO times the year's share"),
    "rh_monthly": ("g m-2 d-1", "heterotrophic respiration of months, RECO - Ra"),
}
"""Variables: unit and long name."""

_WORDS = {"mean": "mean", "q25": "25th percentile", "q75": "75th percentile"}


def variable_name(name: str, statistic: str) -> str:
    """Return what a variable is called: of the mean as it is, else with the statistic behind it."""
    return name if statistic == "mean" else f"{name}_{statistic}"


def define_product(
    file: netCDF4.Dataset, grid: Rectilinear, years: Sequence[int], stocks: Sequence[str], mode: RatioMode,
    days: Mapping[int, np.ndarray] | None, attributes: Mapping[str, str],
) -> None:  # fmt: skip
    """Write axes and define all variables.

    Args:
        file: open for writing, empty.
        grid: of the product.
        years: ascending.
        stocks: of `STOCKS_OUT`, those that the mode gives.
        mode: which ratios.
        days: lengths of the months by year, where there are months.
        attributes: of the file, beside the usual.
    """
    file.setncatts({
        "Conventions": CONVENTIONS, "source": f"phloem {VERSION}",
        "title": "carbon allocated by emulators of land models",
        "comment_of_units": "masses are of carbon", **attributes,
    })  # fmt: skip
    file.createDimension("year", len(years))
    file.createDimension("bnds", 2)
    year = file.createVariable("year", "i4", ("year",))
    year.setncatts({"long_name": "calendar year", "units": "1"})
    year[:] = years
    for name, word, centres, low, high in (
        ("lat", "north", grid.latitude, grid.south, grid.north),
        ("lon", "east", grid.longitude, grid.west, grid.west + grid.width),
    ):
        long = "latitude" if name == "lat" else "longitude"
        file.createDimension(name, len(centres))
        axis = file.createVariable(name, "f8", (name,))
        axis.setncatts({
            "units": f"degrees_{word}", "standard_name": long, "axis": "Y" if name == "lat" else "X",
            "bounds": f"{name}_bnds",
        })  # fmt: skip
        axis[:] = centres
        file.createVariable(f"{name}_bnds", "f8", (name, "bnds"))[:] = np.stack([low, high], 1)
    if days is not None:
        _define_months(file, days)
    place = ("lat", "lon")
    for name, (unit, words) in {**ANNUAL, **{key: STOCKS_OUT[key] for key in stocks}}.items():
        for statistic in STATISTICS:
            _define(
                file, variable_name(name, statistic), ("year", *place), unit, f"{words}; {_WORDS[statistic]} of models"
            )
    if mode is RatioMode.STRICT:
        for name, (unit, words) in RECONCILED.items():
            _define(file, name, ("year", *place), unit, f"{words}; mean of models")
    for target in targets_of(mode):
        one = file.createVariable(f"models_{target.name}", "i2", ("year", *place), zlib=True, fill_value=np.int16(-1))
        one.setncatts({"units": "1", "long_name": f"land models that have {', '.join(target.parts)}"})
    if days is not None:
        for name, (unit, words) in MONTHLY.items():
            _define(file, name, ("time", *place), unit, f"{words}; mean of models").cell_methods = "time: mean"


def _define_months(file: netCDF4.Dataset, days: Mapping[int, np.ndarray]) -> None:
    lengths = np.concatenate(list(days.values()))
    file.createDimension("time", len(lengths))
    leap = any(one.sum() > 365.5 for one in days.values()) or not any(year % 4 == 0 for year in days)
    calendar = "proleptic_gregorian" if leap else "noleap"
    first = netCDF4.date2num([_first(year, month) for year in days for month in range(1, 13)], TIME_UNITS, calendar)
    bounds = np.stack([first, first + lengths], 1).astype(np.float64)
    time = file.createVariable("time", "f8", ("time",))
    time.setncatts({
        "units": TIME_UNITS, "units_metadata": "leap_seconds: none", "calendar": calendar, "standard_name": "time",
        "axis": "T", "bounds": "time_bnds",
    })  # fmt: skip
    time[:] = bounds.mean(axis=1)
    file.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = bounds


def _first(year: int, month: int) -> object:
    import datetime

    return datetime.datetime(year, month, 1)


def _define(file: netCDF4.Dataset, name: str, dimensions: tuple[str, ...], unit: str, words: str) -> netCDF4.Variable:
    shape = (1, *(len(file.dimensions[one]) for one in dimensions[1:]))
    variable = file.createVariable(
        name, "f8", dimensions, zlib=True, complevel=1, shuffle=True, fill_value=FILL, chunksizes=shape
    )
    variable.setncatts({"units": unit, "long_name": words})
    variable.set_auto_maskandscale(False)
    return variable


def put_year(
    file: netCDF4.Dataset, place: int, values: Mapping[str, np.ndarray], cells: np.ndarray, shape: tuple[int, int]
) -> None:
    """Write a year of some variables.

    Args:
        file: as `define_product` left it.
        place: of the year; of months, that of the first of them is 12 times as much.
        values: by name of the variable, (cells,), of months (12, cells); integers are counts.
        cells: their numbers, row by row of the grid.
        shape: of the grid.
    """
    for name, one in values.items():
        if one.dtype.kind in "iu":
            whole = np.full(shape, -1, np.int16)
            whole.reshape(-1)[cells] = one
            file[name][place] = np.ma.masked_equal(whole, -1)
            continue
        whole = np.full((*one.shape[:-1], *shape), np.nan)
        whole.reshape(*one.shape[:-1], -1)[..., cells] = one
        file[name][slice(12 * place, 12 * place + 12) if one.ndim == 2 else place] = filled(whole)
