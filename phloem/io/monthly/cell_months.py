"""Months of forcing of one cell, as the public code of the monthly model orders them, or by CF names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.variables import EPOCH, VARIABLES, Variable
from phloem.io.files.atomic import checksum
from phloem.io.files.stored_dataset import decoded_values, open_stored, storage
from phloem.io.files.time_axis import decode_dates
from phloem.io.files.units import of_month
from phloem.io.grids.axis_names import LATITUDE, NAMES
from phloem.io.ingest.cf_grid_file import dated
from phloem.io.ingest.plausibility import DIM, FLOORS, is_too_small
from phloem.io.monthly.variable_names import QUANTITIES, SUMS, names_of
from phloem.names import PERIOD

COLUMNS = {
    "tasmin": "t_min",
    "tasmax": "t_max",
    "rsds": "shortwave",
    "co2": "co2",
    "vpd": "vpd",
    "pr": "precipitation",
    "burned_area": "burned_fraction",
}
"""Forcing by its name here: its column in files of the public code; other files may have the names of an ingest."""

STAMPS = ("days", "doy", "dt")
"""Columns that date the months there: days since 2001-01-01, day of the year, length in days."""

REFERENCE = {
    "mean_temperature": replace(VARIABLES["tasmin"], name="mean_temperature", long_name="long-term mean temperature"),
    "mean_precipitation": replace(
        VARIABLES["pr"], name="mean_precipitation", highest=60.0, long_name="long-term mean precipitation"
    ),
}
"""Reference climate of the cell: degC, and mm d-1, of which the wettest places on Earth have 33 a day."""

LENGTHS = (28.0, 31.0)
"""Days of a month, from and to."""

_STEPS = (27.0, 32.5)
"""Days between two stamps of neighbouring months, from and to."""

_PLAIN_DAYS = ("", "1", "d", "day", "days")
_FLOORS = {"rsds": DIM, "pr": FLOORS["pr"]}


@dataclass(frozen=True, eq=False)
class CellMonths:
    """Forcing of one cell, month by month.

    Attributes:
        path: the file.
        time: stamp of each month, days since 2001-01-01, float64 (months,).
        doy: the same as a day of the year.
        latitude: degrees north.
        forcing: tasmin, tasmax (degC), rsds (MJ m-2 d-1), co2 (umol mol-1), vpd (hPa), pr (mm d-1) and burned_area (1),
            float64 (months,) each, complete.
        reference: long-term mean temperature, degC, and precipitation, mm d-1.
        edges: first day of each month of the calendar and of the next one, days since 2001-01-01, (months, 2); None
            where the stamps are no months of the calendar, one after another.
        dt: length of each month as the file says it, None where it does not.
        checksum: sha256 of the file's bytes, hexadecimal.
    """

    path: Path
    time: np.ndarray
    doy: np.ndarray
    latitude: float
    forcing: dict[str, np.ndarray]
    reference: tuple[float, float]
    edges: np.ndarray | None
    dt: np.ndarray | None
    checksum: str


def read_cell_months(path: Path) -> CellMonths:
    """Read the months of one cell.

    Raises:
        InputError: naming file, variable and what is valid: a variable that is missing or of another shape or unit, a
            value that is missing or impossible, months that do not follow one another.
    """
    with open_stored(path) as opened:
        file = opened.load()
        decoded = decoded_values(file, storage(file, path))
    return _CellReader(decoded, path).read()


class _CellReader:
    """An open file and the dimension of its months."""

    def __init__(self, file: xr.Dataset, path: Path) -> None:
        self.file, self.path = file, path
        self.names, missing = self._find()
        if missing:
            there = ", ".join(map(str, file.variables)) or "nothing"
            raise InputError(f"{path}: missing forcing: {'; '.join(missing)}. The file has: {there}")
        wide = {key: self._wide(self.names[key]) for key in COLUMNS}
        self.dimension = next((dims[0] for dims in wide.values() if dims), None)
        self.months = 1 if self.dimension is None else file.sizes[self.dimension]

    def read(self) -> CellMonths:
        """Return the months, or refuse them."""
        time, doy, edges, dt = self._columns_of_time() if "days" in self.names else self._time_axis()
        label = [f"month {place}" for place in range(self.months)]
        if edges is not None:
            starts = (EPOCH + edges[:, 0].astype(np.int64)).astype("datetime64[M]")
            label = [f"{text} ({start})" for text, start in zip(label, starts, strict=True)]
        lengths = None if edges is None else edges[:, 1] - edges[:, 0]
        forcing = {key: self._forcing(key, label, lengths) for key in COLUMNS}
        if (crossed := np.flatnonzero(forcing["tasmin"] > forcing["tasmax"])).size:
            place = int(crossed[0])
            raise self._error(
                self.names["tasmin"],
                f"{label[place]}: {forcing['tasmin'][place]:g} degC, above {self.names['tasmax']} "
                f"{forcing['tasmax'][place]:g} degC",
            )
        if edges is not None:
            self._check_size(forcing, EPOCH + edges[:, 0].astype(np.int64))
        latitude = self._constant("latitude")
        if not -90.0 <= latitude <= 90.0:
            raise self._error(self.names["latitude"], f"{latitude:g}; -90 to 90 degrees north are due")
        mean, rain = (
            float(self._checked(name, variable, np.array([self._constant(name)]), [""])[0])
            for name, variable in REFERENCE.items()
        )
        sha = checksum(self.path.read_bytes())
        return CellMonths(self.path, time, doy, latitude, forcing, (mean, rain), edges, dt, sha)

    def _find(self) -> tuple[dict[str, str], list[str]]:
        """Return the names of what is read, by those here, and in words what is missing."""
        choices = {key: list(dict.fromkeys([column, *names_of(key)])) for key, column in COLUMNS.items()}
        choices |= {"latitude": list(dict.fromkeys([LATITUDE, *NAMES[LATITUDE]]))}
        choices |= {name: [name] for name in REFERENCE}
        has_axis = "time" in self.file.variables and " since " in str(self.file["time"].attrs.get("units", ""))
        if "days" in self.file.variables or not has_axis:
            choices |= {name: [name] for name in STAMPS}
        found, missing = {}, []
        for key, names in choices.items():
            there = [name for name in names if name in self.file.variables]
            if len(there) > 1:
                raise InputError(f"{self.path}: {' and '.join(there)} are one and the same; one of them is due")
            if there:
                found[key] = there[0]
            else:
                other = f" (or {', '.join(names[1:])})" if names[1:] else ""
                other = " (or a CF time axis `time` in place of days, doy and dt)" if key == "days" else other
                missing.append(f"{names[0]}{other}")
        return found, missing

    def _wide(self, name: str) -> list[str]:
        """Return the dimensions along which a variable has several values, one at most."""
        one = self.file[name]
        wide = [str(dim) for dim in one.dims if one.sizes[dim] != 1]
        if len(wide) > 1:
            sizes = ", ".join(f"{dim}: {one.sizes[dim]}" for dim in one.dims)
            raise self._error(name, f"dimensions ({sizes}); one cell is due, of months alone")
        return wide

    def _series(self, name: str) -> np.ndarray:
        """Return the values of a variable, (months,), or (1,) where it has one value."""
        one = self.file[name]
        if one.dtype.kind not in "fiu":
            raise self._error(name, f"numbers are due, not {one.dtype}")
        wide = self._wide(name)
        if wide and wide != [self.dimension]:
            raise self._error(name, f"has dimension {wide[0]}, the forcing {self.dimension}")
        values = one.values.reshape(-1).astype(float)
        if not values.size:
            raise self._error(name, "no month")
        return values

    def _monthly(self, name: str) -> np.ndarray:
        """Return complete values of a variable, (months,)."""
        values = self._series(name)
        if len(values) != self.months:
            raise self._error(name, f"{len(values)} value; one a month is due, {self.months} in all")
        return self._complete(name, values)

    def _complete(self, name: str, values: np.ndarray) -> np.ndarray:
        if (missing := np.flatnonzero(~np.isfinite(values))).size:
            raise self._error(name, f"missing in {missing.size} of {values.size} months, first in month {missing[0]}")
        return values

    def _constant(self, key: str) -> float:
        """Return the one value of a variable, which may be repeated in every month."""
        name = self.names[key]
        values = self._complete(name, self._series(name))
        if np.ptp(values) > 1e-6 * max(1.0, float(np.abs(values).max())):
            raise self._error(name, f"changes from {values.min():g} to {values.max():g}; one value a cell is due")
        return float(values[0])

    def _forcing(self, key: str, label: list[str], lengths: np.ndarray | None) -> np.ndarray:
        name = self.names[key]
        values = self._monthly(name)
        unit = of_month(str(self.file[name].attrs.get("units", ""))) if key in SUMS else None
        if unit is not None and lengths is not None:
            values = values / lengths
        return self._checked(name, QUANTITIES[key][0], values, label, unit)

    def _checked(
        self, name: str, variable: Variable, values: np.ndarray, label: list[str], unit: str | None = None
    ) -> np.ndarray:
        """Return values in the program's unit, none of them impossible."""
        given = str(self.file[name].attrs.get("units", "")).strip()
        named = given or name in (*COLUMNS.values(), *REFERENCE)
        converted = variable.convert(values, unit or given) if given else values if named else None
        if converted is None:
            raise self._error(name, f"unit {given!r}; due is {variable.unit}, accepted are {variable.accepted}")
        if variable.lowest == 0.0:
            converted = np.where((converted < 0) & (converted >= -variable.slack), 0.0, converted)
        if (wrong := np.flatnonzero((converted < variable.lowest) | (converted > variable.highest))).size:
            place = int(wrong[0])
            where = f"{label[place]}: " if label[place] else ""
            raise self._error(
                name,
                f"{where}{converted[place]:g} {variable.unit}, where {variable.lowest:g} to {variable.highest:g} are "
                f"possible; {_stated(given, variable)}",
            )
        return converted

    def _check_size(self, forcing: dict[str, np.ndarray], dates: np.ndarray) -> None:
        """Refuse radiation and rain without units that are far too small in all seasons."""
        for key, floor in _FLOORS.items():
            name, variable = self.names[key], QUANTITIES[key][0]
            if not self.file[name].attrs.get("units") and is_too_small(forcing[key][:, None], dates, floor):
                most = f"at most {forcing[key].max():.2g} {variable.unit} in all seasons"
                raise self._error(name, f"{most}; {_stated('', variable)}")

    def _columns_of_time(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
        """Return time, day of the year, edges and lengths of months by the columns of the public code."""
        units = str(self.file["days"].attrs.get("units", "")).strip()
        step, _, since = units.partition(" since ")
        if step not in _PLAIN_DAYS:
            raise self._error("days", f"unit {units!r}; days since 2001-01-01 are due")
        time = self._monthly("days")
        if since:
            date, hour = decode_dates(np.zeros(1), units, "", f"{self.path}: variable days")
            time = time + (float((date[0] - EPOCH).astype(np.int64)) + float(hour[0]) / 24)
        edges = self._calendar(time, "days")
        doy, dt = self._monthly("doy"), self._monthly("dt")
        if not ((doy >= 0) & (doy <= 367)).all():
            raise self._error("doy", f"{doy.min():g} to {doy.max():g}; days of the year are due")
        if edges is not None:
            first = (EPOCH + edges[:, 0].astype(np.int64)).astype("datetime64[Y]").astype("datetime64[D]")
            away = (doy - (time - (first - EPOCH).astype(float)) + PERIOD / 2) % PERIOD - PERIOD / 2
            if (odd := np.flatnonzero(np.abs(away) > LENGTHS[1])).size:
                place = int(odd[0])
                raise self._error("doy", f"month {place}: {doy[place]:g}, where days = {time[place]:g}")
        if not ((dt >= LENGTHS[0]) & (dt <= LENGTHS[1])).all():
            raise self._error("dt", f"{dt.min():g} to {dt.max():g}; lengths of months in days are due, 28 to 31")
        return time, doy, edges, dt

    def _time_axis(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, None]:
        """Return time, day of the year (from 1) and edges of months by a CF time axis: means over a month's days."""
        self._monthly("time")
        stamps = dated(self.file, self.path)
        if stamps.calendar != "standard":
            raise self._error("time", f"calendar {stamps.calendar!r}; standard is due, with 29 February")
        edges = self._calendar((stamps.days_within() - EPOCH).astype(float), "time")
        if edges is None:
            raise self._error("time", "one stamp in each month of the calendar is due")
        time = edges.mean(axis=1) - 0.5
        years = (EPOCH + edges[:, 0].astype(np.int64)).astype("datetime64[Y]").astype("datetime64[D]")
        return time, time - (years - EPOCH).astype(float) + 1, edges, None

    def _calendar(self, time: np.ndarray, name: str) -> np.ndarray | None:
        """Return first days of the stamps' months and of the next, None where they are not one after another.

        Raises:
            InputError: they step back, or a month is left out or stands twice.
        """
        months = (EPOCH + np.floor(time).astype(np.int64)).astype("datetime64[M]")
        if (np.diff(months).astype(int) == 1).all():
            return np.stack([(one.astype("datetime64[D]") - EPOCH).astype(float) for one in (months, months + 1)], 1)
        steps = np.diff(time)
        odd = np.flatnonzero((steps < _STEPS[0]) | (steps > _STEPS[1]))
        if not odd.size:
            return None
        place = int(odd[0])
        raise self._error(
            name,
            f"month {place + 1} ({months[place + 1]}) stands behind month {place} ({months[place]}); months one after "
            f"another are due",
        )

    def _error(self, name: str, text: str) -> InputError:
        return InputError(f"{self.path}: variable {name}: {text}")


def _stated(given: str, variable: Variable) -> str:
    return f"the file says {given!r}" if given else f"without units, values are taken as {variable.unit}"
