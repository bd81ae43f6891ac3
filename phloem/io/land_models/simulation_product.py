"""A monthly simulation of a campaign on a grid (`phloem simulate DIR --what monthly`), read as one of the land models.

Its labile carbon counts as leaves, which it becomes; the mean over the members that count is taken, under which sums
stay sums. Pools are means of months there: 31 December is midway between those of December and of January after it,
or December's mean in the last year.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.files.stored_values import stored_values
from phloem.io.land_models.land_model import ModelFindings, YearMap
from phloem.io.land_models.model_files import FLUXES
from phloem.io.land_models.model_steps import ModelSteps, read_steps
from phloem.io.land_models.model_variable import COMMON_YEAR, days_of_months
from phloem.io.land_models.rectilinear import Rectilinear, read_rectilinear

SUMS: dict[str, tuple[tuple[str, float], ...]] = {
    "gpp": (("gpp", 1.0),),
    "ra": (("ra", 1.0),),
    "npp": (("gpp", 1.0), ("ra", -1.0)),
    "rh": (("rh_litter", 1.0), ("rh_som", 1.0)),
    "cLeaf": (("foliar", 1.0), ("labile", 1.0)),
    "cWood": (("wood", 1.0),),
    "cRoot": (("root", 1.0),),
    "cVeg": (("foliar", 1.0), ("labile", 1.0), ("wood", 1.0), ("root", 1.0)),
    "cLitter": (("litter", 1.0),),
    "cSoil": (("som", 1.0),),
}
"""Quantities of land models from the outputs of a simulation."""


class SimulationModel:
    """A simulation of this program beside models of archives.

    Attributes:
        name: of the file.
        findings: what was taken how.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        self.findings = ModelFindings(self.name, stocks="31 December, between monthly means")
        try:
            with netCDF4.Dataset(str(path)) as file:
                self._names = set(file.variables)
                if not {"member", "time", "lat", "lon"} <= set(file.dimensions) or "gpp" not in self._names:
                    raise InputError(
                        f"{path}: dimensions ({', '.join(file.dimensions)}): a monthly simulation on a grid is due, "
                        "(member, time, lat, lon); `phloem simulate DIR --what monthly --out FILE` writes one"
                    )
                grid, odd = read_rectilinear(file["lat"][:], file["lon"][:], str(path))
                axis = file["time"]
                self._steps: ModelSteps = read_steps(
                    axis[:], axis.__dict__, f"{path}: variable time", index_year=0, monthly_steps=0, single=False
                )
                self._grid: Rectilinear = grid
                self._members = len(file.dimensions["member"])
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path}: not a readable NetCDF file ({error})") from error
        if self._steps.is_annual:
            raise InputError(f"{path}: it has years; months are due: `phloem simulate DIR --what monthly --out FILE`")
        self.findings.see([*odd, f"simulation of this program, mean over {self._members} members; labile is in cLeaf"])

    def has(self, quantity: str) -> bool:
        """Return whether a quantity can be made from the outputs."""
        return quantity in SUMS and all(name in self._names for name, _ in SUMS[quantity])

    def years(self, quantity: str) -> list[int]:
        """Return the whole years of a quantity."""
        return [int(year) for year in self._steps.whole_years()] if self.has(quantity) else []

    def annual(self, quantity: str, years: Iterable[int] | None = None) -> Iterator[YearMap]:
        """Give years of a quantity, as `LandModel.annual`.

        Raises:
            InputError: the file lacks an output that is needed, or cannot be read.
        """
        if not self.has(quantity):
            raise InputError(
                f"{self.path}: no {quantity}: {', '.join(name for name, _ in SUMS.get(quantity, ()))} are due"
            )
        have = self.years(quantity)
        with netCDF4.Dataset(str(self.path)) as file:
            file.set_auto_maskandscale(False)
            for year in have if years is None else [year for year in years if year in have]:
                yield year, self._of_year(file, quantity, year), self._grid

    def _of_year(self, file: netCDF4.Dataset, quantity: str, year: int) -> np.ndarray:
        places = self._steps.places(year)
        if quantity in FLUXES:
            days = days_of_months(year if self._steps.has_leap_years else COMMON_YEAR)
            return np.asarray(np.tensordot(days, self._months(file, quantity, places), axes=1))
        after = slice(places.stop - 1, min(places.stop + 1, len(self._steps.year)))
        return np.asarray(self._months(file, quantity, after).mean(axis=0))

    def _months(self, file: netCDF4.Dataset, quantity: str, places: slice) -> np.ndarray:
        """Means over members, (months, rows, columns)."""
        total = np.zeros((places.stop - places.start, *self._grid.shape))
        count = np.zeros_like(total)
        for member in range(self._members):
            values = np.zeros_like(total)
            for name, sign in SUMS[quantity]:
                variable = file[name]
                how = stored_values(variable.__dict__, variable.dtype, f"{self.path}: variable {name}")
                values += sign * how.decode(variable[member, places])
            there = ~np.isnan(values)
            total += np.where(there, values, 0.0)
            count += there
        return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
