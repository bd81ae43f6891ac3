"""Monthly climate and satellite predictors of a grid, as years: mean, lowest and highest month of each, and statics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.files.stored_values import stored_values
from phloem.io.grids.axis_names import LATITUDE, LONGITUDE
from phloem.io.land_models.model_steps import ModelSteps, read_steps
from phloem.io.land_models.model_variable import axis_word
from phloem.io.land_models.rectilinear import Rectilinear, read_rectilinear

LAND_NAMES = ("land", "land_mask", "landmask", "sftlf", "land_fraction")
"""Names of the mask, in lower case: 0 or 1, a share, or per cent."""

_OF_YEAR = ("mean", "min", "max")


@dataclass(frozen=True, eq=False)
class YearlyDrivers:
    """Predictors on a grid, a year at a time.

    Attributes:
        path: of the file, (time, lat, lon) and (lat, lon).
        grid: the common grid of an allocation.
        steps: months of the file.
        monthly, static: names of variables.
        land: share of each cell that is land, 0 to 1, (rows, columns).
    """

    path: Path
    grid: Rectilinear
    steps: ModelSteps
    monthly: tuple[str, ...]
    static: tuple[str, ...]
    land: np.ndarray

    @property
    def predictors(self) -> tuple[str, ...]:
        """Names of the predictors: TA_mean, TA_min, ..., then the statics."""
        return (*(f"{name}_{what}" for name in self.monthly for what in _OF_YEAR), *self.static)

    @property
    def years(self) -> list[int]:
        """Whole years of the file."""
        return [int(year) for year in self.steps.whole_years()]

    def year(self, year: int) -> np.ndarray:
        """Return predictors of a year, (rows, columns, predictors), NaN where any of its months is missing.

        Raises:
            InputError: the file does not have the year as a whole.
        """
        if year not in self.years:
            span = f"{self.years[0]}-{self.years[-1]}" if self.years else "no whole year"
            raise InputError(f"{self.path}: no predictors of {year}; there are {span}")
        found = []
        with netCDF4.Dataset(str(self.path)) as file:
            file.set_auto_maskandscale(False)
            for name in self.monthly:
                months = _values(file, self.path, name, self.steps.places(year))
                found += [months.mean(axis=0), months.min(axis=0), months.max(axis=0)]
            found += [_values(file, self.path, name, None) for name in self.static]
        return np.stack(found, axis=-1)


def open_drivers(path: Path) -> YearlyDrivers:
    """Open a file of predictors.

    Raises:
        InputError: not readable, no monthly variable (time, lat, lon), years instead of months.
    """
    try:
        file = netCDF4.Dataset(str(path))
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable NetCDF file ({error})") from error
    with file:
        file.set_auto_maskandscale(False)
        axes = {axis_word(file, name): name for name in file.dimensions}
        lacking = [word for word in ("time", LATITUDE, LONGITUDE) if word not in axes]
        if lacking:
            raise InputError(f"{path}: no {', '.join(lacking)}: drivers of dimensions (time, lat, lon) are due")
        grid, _ = read_rectilinear(file[axes[LATITUDE]][:], file[axes[LONGITUDE]][:], str(path))
        axis = file[axes["time"]]
        steps = read_steps(
            axis[:], axis.__dict__, f"{path}: variable {axis.name}", index_year=0, monthly_steps=0, single=False
        )
        place = (axes[LATITUDE], axes[LONGITUDE])
        numbers = {name: one for name, one in file.variables.items() if one.dtype != str and one.dtype.kind in "iuf"}
        monthly = tuple(name for name, one in numbers.items() if one.dimensions == (axes["time"], *place))
        maps = [name for name, one in numbers.items() if one.dimensions == place]
        masks = [name for name in maps if name.lower() in LAND_NAMES]
        if not monthly or steps.is_annual:
            raise InputError(
                f"{path}: monthly predictors of dimensions ({axes['time']}, {', '.join(place)}) are due; "
                f"the file has {', '.join(numbers)}"
            )
        land = (~np.isnan(_values(file, path, monthly[0], slice(0, 1))[0])).astype(np.float64)
        if masks:
            land = np.nan_to_num(_values(file, path, masks[0], None))
            land = np.clip(land / (100.0 if land.max() > 1.0 + 1e-6 else 1.0), 0.0, 1.0)
    return YearlyDrivers(path, grid, steps, monthly, tuple(name for name in maps if name not in masks), land)


def _values(file: netCDF4.Dataset, path: Path, name: str, some: slice | None) -> np.ndarray:
    variable = file[name]
    how = stored_values(variable.__dict__, variable.dtype, f"{path}: variable {name}")
    return how.decode(np.asarray(variable[...] if some is None else variable[some]))
