"""Predictors of towers from a CF file of one value a site: plant types, climate, age, soil."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from phloem.errors import InputError, some
from phloem.io.files.stored_dataset import decoded_values, open_stored, storage
from phloem.io.files.units import convert
from phloem.io.grids.axis_names import LATITUDE, LONGITUDE, horizontal_word
from phloem.io.monthly.variable_names import NAMES
from phloem.names import PREDICTOR_GROUPS, PREDICTORS

PLANT_TYPES = {"cell": "pft_fraction_cell", "tower": "pft_of_tower"}
"""Variables of the shares of plant types, (site, pft): of the grid cell, and the tower's own class as 1 among 0."""

UNITS = {
    "MAT": "degC", "MAP": "mm yr-1", "elevation": "m", "canopy_height": "m", "forest_age": "yr",
    "bulk_density": "g cm-3", "sand": "%", "silt": "%", "clay": "%", "gravel": "%",
}  # fmt: skip
"""Of the predictors that are not shares of plant types."""

_TYPES = PREDICTOR_GROUPS["PFT"]
_SAME_PLACE = 0.05
"""Degrees within which a site of two files is the same."""


@dataclass(frozen=True, eq=False)
class SitePredictors:
    """Predictors of some sites.

    Attributes:
        sites: their names.
        latitude, longitude: degrees, (sites,).
        values: every one of `names.PREDICTORS`, (sites,), NaN where the file has none.
        water: share of water in the site's grid cell, per cent; NaN where it is not known.
        notes: for the log.
    """

    sites: tuple[str, ...]
    latitude: np.ndarray
    longitude: np.ndarray
    values: dict[str, np.ndarray]
    water: np.ndarray
    notes: tuple[str, ...]

    def at(self, names: Sequence[str], latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Return the positions of sites by their names, -1 where there is none.

        Raises:
            InputError: a site stands elsewhere here.
        """
        known = {site: place for place, site in enumerate(self.sites)}
        found = np.array([known.get(name, -1) for name in names])
        off = np.maximum(np.abs(self.latitude[found] - latitude), np.abs(self.longitude[found] - longitude))
        odd = [name for name, place, far in zip(names, found, off, strict=True) if place >= 0 and far > _SAME_PLACE]
        if odd:
            raise InputError(f"predictors: sites elsewhere than in the other file: {some(odd)}")
        return found


def read_site_predictors(path: Path, plant_types: str) -> SitePredictors:
    """Read predictors of sites.

    Names are those of `names.PREDICTORS`, in any case; shares of plant types stand in one variable (site, pft) with the
    types' names along `pft`, from 0 to 1, or in one variable each.

    Args:
        path: the file.
        plant_types: `cell` or `tower`, a key of `PLANT_TYPES`.

    Raises:
        InputError: no such file or sites, a unit that does not convert, shares outside 0..1, no climate.
    """
    with open_stored(path) as opened:
        loaded = opened.load()
        file = decoded_values(loaded, storage(loaded, path))
    name = next((one for one in NAMES if one in file.variables and file[one].dtype.kind in "OUS"), "")
    if not name:
        raise InputError(f"{path}: variable {NAMES[0]}: names of the sites are due; the file has {some(list(file))}")
    (dimension,) = file[name].dims
    sites = tuple(str(one) for one in file[name].values.tolist())
    if len(set(sites)) < len(sites):
        raise InputError(f"{path}: variable {name}: each site needs a name of its own")
    reader = _SiteFile(file, path, str(dimension), len(sites))
    values = {key: reader.values(key) for key in PREDICTORS if key not in _TYPES}
    if not all(np.isfinite(values[key]).any() for key in ("MAT", "MAP")):
        raise InputError(
            f"{path}: variables MAT and MAP are due, which the model needs too; there are {some(list(file))}"
        )
    values |= reader.plant_types(plant_types)
    absent = [group for group, names in PREDICTOR_GROUPS.items() if not np.isfinite([values[n] for n in names]).any()]
    notes = [f"predictors of {group}: not in the file, missing at all towers" for group in absent]
    water = 100 * reader.values("water_fraction", "1")
    return SitePredictors(
        sites, reader.place(LATITUDE), reader.place(LONGITUDE), {key: values[key] for key in PREDICTORS}, water,
        tuple(notes),
    )  # fmt: skip


class _SiteFile:
    """One file being read."""

    def __init__(self, file: xr.Dataset, path: Path, dimension: str, count: int) -> None:
        self.file, self.path, self.dimension, self.count = file, path, dimension, count
        self.by_lower = {str(name).lower(): str(name) for name in file.variables}

    def values(self, key: str, unit: str = "") -> np.ndarray:
        """Return a predictor in its unit, NaN where the file has none."""
        name = self.by_lower.get(key.lower())
        if name is None or self.file[name].dims != (self.dimension,):
            return np.full(self.count, np.nan)
        wanted = unit or UNITS.get(key, "%")
        given = str(self.file[name].attrs.get("units", "")) or wanted
        return convert(self.file[name].values.astype(float), given, wanted, f"{self.path}: variable {name}")

    def place(self, word: str) -> np.ndarray:
        """Return latitudes or longitudes."""
        names = [str(n) for n, one in self.file.variables.items() if one.dims == (self.dimension,)
                 and horizontal_word(str(n), str(one.attrs.get("standard_name", "")), "") == word]  # fmt: skip
        if not names:
            raise InputError(f"{self.path}: variable {word}: one for each site is due")
        return self.file[names[0]].values.astype(float)

    def plant_types(self, which: str) -> dict[str, np.ndarray]:
        """Return shares of plant types, per cent."""
        name = PLANT_TYPES[which]
        if name not in self.file.variables:
            alone = {key: self.values(key) for key in _TYPES}
            if which == "tower" or not all(np.isfinite(one).any() for one in alone.values()):
                raise InputError(
                    f"{self.path}: variable {name}: is missing (plant_types = {which!r}), and there is no variable of "
                    f"each type: {', '.join(_TYPES)}"
                )
            return alone
        shares = self.file[name]
        along = next((str(one) for one in shares.dims if one != self.dimension), "")
        types = [str(one) for one in self.file[along].values.tolist()] if along in self.file.variables else []
        if set(shares.dims) != {self.dimension, along} or set(types) != set(_TYPES):
            raise InputError(f"{self.path}: variable {name}: dimensions {shares.dims}; sites and {', '.join(_TYPES)} "
                             "are due")  # fmt: skip
        values = shares.transpose(self.dimension, along).values.astype(float)
        if not ((values >= 0) & (values <= 1)).all() or (values.sum(1) > 1 + 1e-3).any():
            raise InputError(f"{self.path}: variable {name}: shares from 0 to 1 that add up to no more than 1 are due")
        return {key: 100 * values[:, types.index(key)] for key in _TYPES}
