"""ESA CCI above-ground biomass, v5 and v6: maps of 100 m, a file a year or several tiles, as means of a coarse grid.

The published NetCDF files hold `agb` and `agb_sd` (`agb_se` in older ones), Mg ha-1 of dry matter in whole numbers, on
(time, lat, lon) from north to south. Tiles that were GeoTIFF may be given as NetCDF with one band, `Band1`. Pixels
without forest hold 0, pixels of water 0 or the fill value. As `non_forest = "zero"` both count as nothing grows there,
so that a mean is a cell's carbon over its whole area, sea and lakes in it included; as "missing" a mean is over the
pixels with biomass. The files are read in squares of ten degrees, their storage chunks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from phloem.errors import InputError, some
from phloem.io.files.units import conversion
from phloem.io.products.catalogue import Choice, layer
from phloem.io.products.layouts import VariableLayout, read_layout
from phloem.io.products.levels import units_of
from phloem.io.products.raw_files import OpenFiles, RawFile
from phloem.io.products.times import read_stamps
from phloem.io.references.fine_map_means import coarse_means
from phloem.io.references.growth_curves import GRAMS_PER_AREA

CARBON_FRACTION = 0.47
"""Carbon in dry matter, g g-1 (IPCC 2006, table 4.3; Zhu et al. 2026)."""

DRY_MATTER = "Mg ha-1"
VERSIONS = ("5", "6")
BIOMASS = ("agb", "AGB")
SPREAD = ("agb_sd", "agb_se", "AGB_SD", "AGB_SE")
BAND = "Band1"
"""What a GeoTIFF's only band is called once it is a NetCDF file."""

NonForest = Literal["zero", "missing"]

_PUBLISHED = re.compile(
    r"ESACCI-BIOMASS-L4-AGB(?P<spread>_S[DE])?-MERGED-\w+-(?P<year>20\d\d)-fv(?P<version>\d+)(?:\.\d+)?", re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class BiomassMaps:
    """Carbon of above-ground biomass on a coarse grid.

    Attributes:
        years: of the maps, int64 ascending (years,).
        latitude: of the rows' centres, degrees north, ascending (rows,).
        longitude: of the columns' centres, degrees east, (columns,).
        carbon: MgC ha-1, float64 (years, rows, columns), NaN where no file covers a cell.
        spread: mean of the pixels' standard deviations, likewise: that of a mean whose pixels err together, which
            bounds it from above; None where no file has any.
        covered: share of each cell's area that the files cover, (years, rows, columns).
        non_forest: what pixels without biomass count as.
        versions: of the files, as their names say.
    """

    years: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    carbon: np.ndarray
    spread: np.ndarray | None
    covered: np.ndarray
    non_forest: NonForest
    versions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Map:
    """A year's biomass or its spread in one file."""

    layout: VariableLayout
    step: int
    year: int
    is_spread: bool


def to_carbon(agb: np.ndarray, unit: str = "MgC ha-1") -> np.ndarray:
    """Return the carbon of dry above-ground biomass.

    Args:
        agb: Mg ha-1.
        unit: `MgC ha-1`, `kgC m-2` or `gC m-2`.

    Raises:
        InputError: another unit.
    """
    return from_carbon_density(np.asarray(agb, float) * CARBON_FRACTION, unit)


def from_carbon_density(carbon: np.ndarray, unit: str) -> np.ndarray:
    """Return MgC ha-1 in `MgC ha-1`, `kgC m-2` or `gC m-2`.

    Raises:
        InputError: another unit.
    """
    factors = {"MgC ha-1": 1.0, "kgC m-2": GRAMS_PER_AREA / 1000.0, "gC m-2": GRAMS_PER_AREA}
    if unit not in factors:
        raise InputError(f"unit {unit!r}: choose of {', '.join(factors)}")
    return np.asarray(carbon, float) * factors[unit]


def read_cci_biomass(
    paths: Sequence[Path],
    latitude: np.ndarray,
    longitude: np.ndarray,
    step: float = 0.5,
    non_forest: NonForest = "zero",
    *,
    any_version: bool = False,
) -> BiomassMaps:
    """Read maps of biomass as area-weighted means over the cells of a grid.

    Args:
        paths: files of one or several years, whole or in tiles.
        latitude: of the rows' centres, degrees north, ascending (rows,).
        longitude: of the columns' centres, degrees east, -180 to 180, (columns,).
        step: size of a cell in degrees.
        non_forest: what pixels without biomass count as.
        any_version: whether files of other versions, and of names that tell none, are read too.

    Raises:
        InputError: no such file, a file of another version or that holds no biomass, another unit, no grid, no year,
            or tiles of one year that overlap; the message names the file.
    """
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    with OpenFiles() as files:
        found = [one for path in paths for one in _maps_of(Path(path), files, any_version)]
        biomass = [one for one in found if not one.is_spread]
        if not biomass:
            raise InputError(f"{some(list(paths)) or 'no files'}: no biomass; due are variables {' or '.join(BIOMASS)}")
        years = sorted({one.year for one in biomass})
        shape = len(years), len(latitude), len(longitude)
        carbon, covered, spread = np.full(shape, np.nan), np.zeros(shape), np.full(shape, np.nan)
        for n, year in enumerate(years):
            parts = [one for one in biomass if one.year == year]
            _refuse_overlaps(parts)
            layouts, zeros = [one.layout for one in parts], non_forest == "zero"
            means, covered[n] = coarse_means(layouts, files, latitude, longitude, step, zeros_count=zeros)
            carbon[n] = to_carbon(means)
            spreads = [one for one in found if one.is_spread and one.year == year]
            if spreads:
                _refuse_overlaps(spreads)
                layouts = [one.layout for one in spreads]
                means, _ = coarse_means(layouts, files, latitude, longitude, step, zeros_count=zeros)
                spread[n] = to_carbon(means)
    has_spread = any(one.is_spread for one in found)
    versions = tuple(sorted({_version(one.layout.path) for one in biomass}))
    return BiomassMaps(
        np.array(years, np.int64), latitude, longitude, carbon, spread if has_spread else None, covered, non_forest,
        versions,
    )  # fmt: skip


def _version(path: Path) -> str:
    match = _PUBLISHED.search(path.name)
    return match["version"] if match else "unknown"


def _maps_of(path: Path, files: OpenFiles, any_version: bool) -> list[_Map]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if not any_version and _version(path) not in VERSIONS:
        raise InputError(
            f"{path}: not a file of CCI Biomass version {' or '.join(VERSIONS)} by its name; due is such as "
            "ESACCI-BIOMASS-L4-AGB-MERGED-100m-2020-fv6.0.nc (any_version takes it all the same)"
        )
    file = files.get(path)
    named = _PUBLISHED.search(path.name)
    is_spread = bool(named and named["spread"])
    wanted: Mapping[str, bool] = {
        **dict.fromkeys(BIOMASS, False), **dict.fromkeys(SPREAD, True), **({BAND: is_spread} if named else {}),
    }  # fmt: skip
    there = [name for name in wanted if name in file.names()]
    if not there:
        raise InputError(
            f"{path}: no variable {', '.join(BIOMASS)}; the file has {some(sorted(file.names())) or 'none'}"
        )
    return [one for name in there for one in _steps_of(path, file, name, wanted[name])]


def _steps_of(path: Path, file: RawFile, name: str, is_spread: bool) -> list[_Map]:
    header = file.header(name)
    product = layer(name, name)
    choice = Choice(name, product, (str(path),))
    further = {one: 0 for one in header.dimensions if one == "time" or " since " in units_of(file, one)}
    layout = read_layout(file, path, name, name, product.fields[name], choice, None, further)
    unit = header.text("units") or (DRY_MATTER if name == BAND else "")
    factor = conversion(unit, DRY_MATTER) if unit else None
    if factor is None or layout.packing.stored.kind.kind not in "iuf":
        raise InputError(f"{path}: variable {name}: unit {unit!r}; due is {DRY_MATTER} or what converts to it")
    layout = replace(layout, packing=replace(layout.packing, factor=factor[0], shift=factor[1]))
    time = next(iter(further), "")
    count = header.shape[header.dimensions.index(time)] if time else 1
    published = _PUBLISHED.search(path.name)
    if time and " since " in units_of(file, time):
        years = read_stamps(file, path, time, count, "", "").days_within().astype("datetime64[Y]").astype(int) + 1970
    elif published and count == 1:
        years = np.array([int(published["year"])])
    else:
        raise InputError(f"{path}: variable {name}: no year: neither a time axis nor one in the file's name")
    place = header.dimensions.index(time) if time else -1
    found = []
    for number, year in enumerate(years.tolist()):
        fixed = {**layout.fixed, **({place: number} if time else {})}
        found.append(_Map(replace(layout, fixed=fixed), number, year, is_spread))
    return found


def _refuse_overlaps(parts: Sequence[_Map]) -> None:
    """Refuse maps of one year that hold the same pixels, which would count twice."""
    boxes = []
    for one in parts:
        edges = []
        for axis in (one.layout.grid.latitude, one.layout.grid.longitude):
            low = axis.origin + axis.first * axis.step
            edges.append((low, low + axis.length * axis.step, 0.5 * axis.step))
        boxes.append(edges)
    for n, a in enumerate(boxes):
        for m in range(n):
            (south, north, slack), (west, east, _) = a
            (low, high, _), (left, right, _) = boxes[m]
            shift = np.round((left + right - west - east) / 720.0) * 360.0
            if (
                min(north, high) - max(south, low) > slack
                and min(east + shift, right) - max(west + shift, left) > slack
            ):
                paths = [parts[k].layout.path for k in (m, n)]
                raise InputError(f"{paths[0]} and {paths[1]}: both hold {parts[n].year} of the same place; give one")
