"""Monthly carbon fluxes and stocks on a grid, of CF files: headers first, then bands of latitude."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.files.units import conversion
from phloem.io.grids.file_grid import FileGrid
from phloem.io.grids.placed_cells import EARTH_RADIUS
from phloem.io.products.catalogue import MONTH, Choice, Field, Product, any_layer
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries, scan

FLUXES = ("gpp", "reco", "nee", "nep", "npp", "ra", "rh")
STOCKS = ("cVeg", "cLitter", "cSoil")
"""Stocks whose sum is all carbon."""

PARTS = ("cLeaf", "cWood", "cRoot")
"""Parts of cVeg."""

UNITS = dict.fromkeys(FLUXES, "gC m-2 d-1") | dict.fromkeys((*STOCKS, *PARTS), "gC m-2")

BAND_BYTES = 200_000_000
"""Of all fields of a band of rows, unpacked."""


@dataclass(frozen=True, eq=False)
class FluxFields:
    """Fields of one grid, ready to be read.

    Attributes:
        series: by the names in `UNITS`.
        months: months since 1970-01 of the fluxes, int64 ascending (months,); empty without any.
        stock_months: likewise of the stocks and their parts; of annual ones the month that their stamp lies in.
        days: of each month of the fluxes by the files' calendar, (months,).
        grid: of all of them.
        files: open.
    """

    series: Mapping[str, ProductSeries]
    months: np.ndarray
    stock_months: np.ndarray
    days: np.ndarray
    grid: FileGrid
    files: OpenFiles

    @property
    def fluxes(self) -> tuple[str, ...]:
        """Fluxes that there are."""
        return tuple(name for name in FLUXES if name in self.series)

    @property
    def stocks(self) -> tuple[str, ...]:
        """Stocks that there are."""
        return tuple(name for name in STOCKS if name in self.series)

    @property
    def area(self) -> np.ndarray:
        """Area of a cell of each row of the file, m2, (rows,)."""
        latitude = self.grid.latitude
        edges = [np.clip(latitude.centres + way * 0.5 * latitude.step, -90.0, 90.0) for way in (1, -1)]
        sines = [np.sin(np.deg2rad(edge)) for edge in edges]
        return np.asarray(EARTH_RADIUS**2 * (sines[0] - sines[1]) * np.deg2rad(self.grid.longitude.step))

    def bands(self, band_bytes: int = BAND_BYTES) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Give rows of the file, and all fields there: float64 (months, rows, columns), NaN where missing.

        Args:
            band_bytes: of all fields of a band; a band has one row at least.
        """
        steps = sum(len(one) for one in self.series.values())
        rows, columns = self.grid.latitude.length, self.grid.longitude.length
        tall = max(1, band_bytes // (8 * steps * columns))
        for first in range(0, rows, tall):
            band = slice(first, min(first + tall, rows))
            yield band, {name: self.read(name, band) for name in self.series}

    def read(self, name: str, rows: slice) -> np.ndarray:
        """Return some rows of a field in its unit of `UNITS`, float64 (months, rows, columns), NaN where missing."""
        one = self.series[name]
        window = (rows, slice(0, self.grid.longitude.length))
        values = np.empty((len(one), rows.stop - rows.start, self.grid.longitude.length))
        for layout, places, steps in one.runs(0, len(one)):
            raw = layout.arrange(self.files.read(layout.path, layout.name, layout.piece(places, window)))
            factor = conversion(layout.unit, UNITS[name])
            assert factor is not None
            values[steps] = layout.packing.unpack(raw) * factor[0]
        return values


def open_flux_fields(
    paths: Sequence[Path],
    files: OpenFiles,
    names: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> FluxFields:
    """Read the headers of fluxes and stocks.

    Args:
        paths: CF files on one grid; each may hold some of the fields, or some of the months.
        files: kept open by the caller.
        names: what files call a field, by the names in `UNITS`; by default their own names.
        units: what the values are, by the same names, where the files do not say it or are wrong.

    Raises:
        InputError: no such file, none of the fields, a unit that is not one of a flux or stock, grids that differ,
            months that differ between fields, are missing or stand twice; the message names file and variable.
    """
    for path in paths:
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file")
    named = {name: (names or {}).get(name, name) for name in UNITS}
    for key in (*(names or {}), *(units or {})):
        if key not in UNITS:
            raise InputError(f"field {key}: choose of {', '.join(UNITS)}")
    product = Product(
        "fields", ("fields",), "carbon fluxes and stocks", "*.nc", "", MONTH,
        {name: Field(any_layer(name), (own,)) for name, own in named.items()},
    )  # fmt: skip
    series = scan(Choice("fields", product, tuple(map(str, paths)), units=units or {}), files)
    first = next(iter(series.values()))
    for name, one in series.items():
        where = f"{one.paths[0]}: variable {one.layouts[0].name}"
        for layout in one.layouts:
            factor = conversion(layout.unit, UNITS[name])
            if factor is None or not layout.unit:
                raise InputError(
                    f"{layout.path}: variable {layout.name}: unit {layout.unit!r}; due is {UNITS[name]} or what "
                    f'converts to it; say it with units = {{ {name} = "..." }}'
                )
        if one.grid != first.grid:
            raise InputError(f"{where}: {one.grid}; {first.paths[0].name} has {first.grid}")
    months, stock_months = (
        _shared_months({name: one for name, one in series.items() if (name in FLUXES) == is_flux})
        for is_flux in (True, False)
    )
    _refuse_gaps(months, series)
    edges = (months[:, None] + [0, 1]).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days = (edges[:, 1] - edges[:, 0]).astype(float)
    if any(one.calendar == "noleap" for name, one in series.items() if name in FLUXES):
        days = np.where(months % 12 == 1, 28.0, days)
    return FluxFields(series, months, stock_months, days, first.grid, files)


def _shared_months(series: Mapping[str, ProductSeries]) -> np.ndarray:
    """Return the months that all have, one and the same."""
    found = np.zeros(0, np.int64)
    for number, (name, one) in enumerate(series.items()):
        stamps = one.date if one.edges is None else one.edges[:, 0] + (one.edges[:, 1] - one.edges[:, 0]) // 2
        months = stamps.astype("datetime64[M]").astype(np.int64)
        twice = months[:-1][np.diff(months) == 0]
        if len(twice):
            raise InputError(f"{one.paths[0]}: {name}: month {np.datetime64(int(twice[0]), 'M')} stands twice")
        if number and not np.array_equal(months, found):
            spans = [f"{np.datetime64(int(m[0]), 'M')} to {np.datetime64(int(m[-1]), 'M')}" for m in (months, found)]
            raise InputError(
                f"{one.paths[0]}: {name} has {len(months)} steps, {spans[0]}; {next(iter(series))} has {len(found)}, "
                f"{spans[1]}"
            )
        found = months
    return found


def _refuse_gaps(months: np.ndarray, series: Mapping[str, ProductSeries]) -> None:
    gaps = np.flatnonzero(np.diff(months) != 1)
    if len(gaps):
        one = next(series[name] for name in FLUXES if name in series)
        missing = np.datetime64(int(months[gaps[0]]) + 1, "M")
        raise InputError(f"{one.paths[0]}: variable {one.layouts[0].name}: month {missing} is missing")
