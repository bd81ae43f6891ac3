"""GPP and RECO that are shared out: those of an upscaled product, month by month."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.land_models.model_files import RECO
from phloem.io.land_models.model_variable import COMMON_YEAR, ReadingOptions, days_of_months, open_variable
from phloem.io.land_models.rectilinear import Rectilinear


@dataclass(frozen=True, eq=False)
class FluxMaps:
    """Monthly GPP and RECO on the drivers' grid.

    Attributes:
        path: of the file.
        years: whole years of both.
        has_leap_years: of the file's calendar.
    """

    path: Path
    years: tuple[int, ...]
    has_leap_years: bool

    def days(self, year: int) -> np.ndarray:
        """Return lengths of a year's months, days (12,)."""
        return days_of_months(year if self.has_leap_years else COMMON_YEAR)

    def months(self, year: int) -> tuple[np.ndarray, np.ndarray]:
        """Return GPP and RECO of a year, gC m-2 d-1, (12, rows, columns)."""
        found = []
        for quantity in ("gpp", RECO):
            with open_variable(self.path, quantity, ReadingOptions()) as variable:
                found.append(np.concatenate([values[:, 0] for _, values in variable.parts(year)]))
        return found[0], found[1]


def open_fluxes(path: Path, grid: Rectilinear, drivers: Path, years: list[int]) -> FluxMaps:
    """Open monthly fluxes.

    Args:
        path: CF file of (time, lat, lon) with gpp and reco.
        grid: of the drivers.
        drivers: their file, for messages.
        years: that the drivers have.

    Raises:
        InputError: no gpp or reco, another grid, no months, no year that the drivers have too.
    """
    have: list[set[int]] = []
    leap = True
    for quantity in ("gpp", RECO):
        with open_variable(path, quantity, ReadingOptions()) as variable:
            steps = variable.steps
            if steps is None or steps.is_annual or variable.plant_types:
                raise InputError(f"{path}: variable {quantity}: months of dimensions (time, lat, lon) are due")
            if not variable.grid.same(grid):
                raise InputError(
                    f"{path}: its grid ({variable.grid}) is not that of the drivers {drivers} ({grid}); apply the "
                    "upscaling to the same drivers"
                )
            have.append({int(year) for year in steps.whole_years()})
            leap = steps.has_leap_years
    common = sorted(set.intersection(*have) & set(years))
    if not common:
        raise InputError(
            f"{path}: no whole year of gpp and reco that the drivers {drivers} have too ({years[0]}-{years[-1]})"
        )
    return FluxMaps(path, tuple(common), leap)
