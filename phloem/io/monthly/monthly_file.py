"""Files of monthly drivers and observations, (time, site) or (time, lat, lon) in CF-NetCDF, or CARDAMOM's of one place.

What is read is arrays of places by months; what becomes of them is in `monthly_cells`. All of a file is in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr

from phloem.errors import InputError, some
from phloem.io.drivers.grid_cell import cell_name, place_name
from phloem.io.drivers.humidity import is_vapour_pressure
from phloem.io.drivers.moisture import MOISTURES, PLACE_OF_VPD, PRESSURE, deficit, find_moisture, outweighed
from phloem.io.drivers.quality import TURNED_WORDS, looks_turned
from phloem.io.drivers.store import STATICS
from phloem.io.drivers.variables import BURNED_AREA, Variable
from phloem.io.files.own_variables import OwnVariable, OwnVariables
from phloem.io.files.stored_dataset import as_the_user_says, decoded_values, open_stored, storage
from phloem.io.files.stored_values import StoredValues
from phloem.io.files.time_axis import STAMPED_AT_FIRSTS, StampsAt
from phloem.io.files.units import is_same_unit, of_month, of_steps
from phloem.io.ingest.cf_grid_file import coordinates_of, dated, step_of
from phloem.io.ingest.grid_findings import MAX_IMPOSSIBLE_SHARE
from phloem.io.ingest.plausibility import DIM, DRY, FLOORS, is_too_small
from phloem.io.monthly.cardamom_file import as_places, is_one_place, with_time_axis
from phloem.io.monthly.downscaling import month_lengths
from phloem.io.monthly.variable_names import CLASSES, NAMES, PRIORS, QUANTITIES, SUFFIXES, SUMS, WITHHELD, names_of
from phloem.names import FORCING


@dataclass(frozen=True, eq=False)
class Monthly:
    """Contents of a file of monthly drivers.

    Attributes:
        path: the file.
        first_year, last_year: its whole years.
        calendar: `standard` or `noleap`.
        step: degrees of its cells; None where they are places on no regular grid of squares.
        names, latitude, longitude: of the places, degrees north and east (-180 to 180).
        values: by quantity (`monthly_names.QUANTITIES`), in its unit, float32 (places, months), NaN where missing.
        withheld: the same of values that no calibration may see.
        numbers: further numbers of the places by name, (places,), with their units.
        classes: vegetation class of each place, empty where the file has none.
        notes: what was seen, for the log.
    """

    path: Path
    first_year: int
    last_year: int
    calendar: str
    step: float | None
    names: list[str]
    latitude: np.ndarray
    longitude: np.ndarray
    values: dict[str, np.ndarray]
    withheld: dict[str, np.ndarray]
    numbers: dict[str, tuple[np.ndarray, str]]
    classes: list[str]
    notes: list[str]

    @property
    def lengths(self) -> np.ndarray:
        """Days of each month, (months,)."""
        return month_lengths(self.first_year, self.last_year, self.calendar)


def read_monthly(
    path: Path,
    stamps: StampsAt = "begin",
    own: OwnVariables = MappingProxyType({}),
    absent: Collection[str] = (),
) -> Monthly:
    """Read a file of monthly drivers.

    Args:
        path: the file.
        stamps: where the stamps of months stand, if the file has no time bounds.
        own: what the user says of its variables.
        absent: names here of variables that the file need not have though the user says something of them.

    Raises:
        InputError: naming file and variable: what is missing, a unit that is not known or not what the values show,
            months that do not follow one another, places without a name or with one name.
    """
    with open_stored(path) as opened:
        notes: list[str] = []
        file = with_time_axis(opened.load(), notes)
        file = as_places(file, path, notes) if is_one_place(file) else file
        whole = with_withheld(own, set(map(str, file.variables)))
        held = whole.keys() - own.keys()
        loaded = as_the_user_says(file, path, whole, _usual_names, (*_VALID, *held), absent)
        loaded = loaded.drop_vars(outweighed(own), errors="ignore")
        stored = storage(loaded, path)
        return _Reader(decoded_values(loaded, stored), path, stamps, stored, notes, whole).read()


_MOIST = {one.variable.name: one for one in MOISTURES}
_HELD = tuple(f"{key}{suffix}" for key in WITHHELD for suffix in SUFFIXES)
_VALID = (*QUANTITIES, *_MOIST, PRESSURE.name, *PRIORS, *_HELD)


def with_withheld(own: OwnVariables, have: Collection[str]) -> dict[str, OwnVariable]:
    """Return what the user says, and the same of the withheld values of a variable, where a file has them.

    Args:
        own: what the user says.
        have: variables of the file.
    """
    whole = dict(own)
    for key in WITHHELD:
        one = own.get(key)
        if one is None or any(f"{key}{suffix}" in own for suffix in SUFFIXES):
            continue
        names = [one.name] if one.name else names_of(key)
        for suffix in SUFFIXES:
            found = next((f"{name}{suffix}" for name in names if f"{name}{suffix}" in have), "")
            if found:
                whole[f"{key}{suffix}"] = OwnVariable(found, one.units, one.sign)
    return whole


def _usual_names(key: str) -> Sequence[str]:
    if key in QUANTITIES:
        return names_of(key)
    if key in PRIORS:
        return PRIORS[key]
    return _MOIST[key].names if key in _MOIST else (key,)


class _Reader:
    """One file being read."""

    def __init__(
        self,
        file: xr.Dataset,
        path: Path,
        stamps: StampsAt,
        stored: Mapping[str, StoredValues],
        notes: list[str],
        own: OwnVariables,
    ) -> None:
        self.file, self.path, self.stamps, self.stored = file, path, stamps, stored
        self.notes, self.own = notes, own
        self.used: dict[str, None] = {}

    def read(self) -> Monthly:
        """Read everything."""
        self.first_year, self.months = self._months()
        north, east = coordinates_of(self.file, self.path)
        self.dims = tuple(dict.fromkeys(map(str, (*self.file[north].dims, *self.file[east].dims))))
        gridded = len(self.dims) == 2
        latitude, longitude = (
            self.file[name].astype(float).broadcast_like(self._places()).transpose(*self.dims).values.reshape(-1)
            for name in (north, east)
        )
        longitude = np.where(longitude >= 180.0, longitude - 360.0, longitude)
        step = step_of(self.file, (north, east)) if gridded else None
        names = _cell_names(latitude, longitude, step) if gridded else self._names()
        self._refuse_vapour_pressure()
        values = {key: self._quantity(QUANTITIES[key][0], key, names_of(key)) for key in QUANTITIES}
        if values["vpd"] is None and values["tasmin"] is not None and values["tasmax"] is not None:
            values["vpd"] = self._deficit(values["tasmin"], values["tasmax"])
        if missing := [key for key in FORCING if values[key] is None]:
            due = "; ".join(" or ".join(names_of(key)) for key in missing)
            due += f" (or {PLACE_OF_VPD})" if "vpd" in missing else ""
            raise InputError(f"{self.path}: variable {missing[0]}: is missing; due are {due}; {self._there()}")
        withheld = {key: self._quantity(QUANTITIES[key][0], key, names_of(key, True)) for key in WITHHELD}
        for key in ("gpp", "reco"):
            if (found := values[key]) is not None and looks_turned(found):
                self.notes.append(f"{key}: {TURNED_WORDS.format(key)}")
        for name in BURNED_AREA:
            if name in self.file.variables and self.file[name].dtype.kind in "fiu" and (self.file[name] > 0).any():
                self.notes.append(f"{name}: above 0 in some months, and not read: the model has no fire")
        self._check_size({key: found for key, found in values.items() if found is not None})
        numbers = self._numbers({north, east})
        self.notes += [f"{name}: {text}" for name in self.used for text in self.stored[name].told()]
        return Monthly(
            path=self.path,
            first_year=self.first_year,
            last_year=self.first_year + (self.months.stop - self.months.start) // 12 - 1,
            calendar=self.calendar,
            step=step,
            names=names,
            latitude=latitude,
            longitude=longitude,
            values={key: found for key, found in values.items() if found is not None},
            withheld={key: found for key, found in withheld.items() if found is not None},
            numbers=numbers,
            classes=self._classes(),
            notes=self.notes,
        )

    def _refuse_vapour_pressure(self) -> None:
        for name in names_of("vpd"):
            said = str(self.file[name].attrs.get("standard_name", "")) if name in self.file.variables else ""
            if is_vapour_pressure(said):
                raise self._error(name, f"standard_name {said!r}; the deficit is due, or {PLACE_OF_VPD} in its place")

    def _there(self) -> str:
        return f"the file has {', '.join(map(str, self.file.variables))}"

    def _error(self, name: object, message: str) -> InputError:
        return InputError(f"{self.path}: variable {name}: {message}")

    def _months(self) -> tuple[int, slice]:
        """Return the first whole year, and the places of the months of all whole years."""
        if "time" not in self.file.variables or self.file["time"].dims != ("time",) or not self.file.sizes["time"]:
            raise self._error("time", f"one axis of months is due; {self._there()}")
        stamps = dated(self.file, self.path)
        self.calendar = stamps.calendar
        if self.stamps == "begin" and stamps.leaves_month_open:
            self.notes.append(f"time: {STAMPED_AT_FIRSTS}")
        number = stamps.days_within(self.stamps).astype("datetime64[M]").astype(np.int64) + 12 * 1970
        odd = np.flatnonzero(np.diff(number) != 1)
        if len(odd):
            a, b = (f"{n // 12:04d}-{n % 12 + 1:02d}" for n in number[odd[0] : odd[0] + 2])
            raise self._error("time", f"months that follow one another are due; after {a} comes {b}")
        start = int(-number[0] % 12)
        stop = len(number) - int((number[-1] + 1) % 12)
        if stop <= start:
            raise self._error("time", "no whole year from January to December")
        if (start, stop) != (0, len(number)):
            self.notes.append(f"{start + len(number) - stop} months before and after whole years are left out")
        return int(number[start] // 12), slice(start, stop)

    def _places(self) -> xr.DataArray:
        sizes = [self.file.sizes[dimension] for dimension in self.dims]
        return xr.DataArray(np.zeros(sizes), dims=self.dims)

    def _texts(self, wanted: Sequence[str]) -> tuple[str, list[str]] | None:
        """Return a variable of texts, one a place: the first there is of some names."""
        for name in wanted:
            if name in self.file.variables and self.file[name].dims == self.dims:
                values = self.file[name].values.reshape(-1)
                if values.dtype.kind in "OUS":
                    return name, [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]
        return None

    def _names(self) -> list[str]:
        said = self._texts([*(str(n) for n in self.file.variables if _is_id(self.file[n])), *NAMES])
        if said is None:
            due = f"a name of each place is due, as text along {self.dims[0]}: {', '.join(NAMES)}"
            raise self._error(NAMES[0], f"{due}; {self._there()}")
        variable, names = said
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not all(name.strip() for name in names):
            raise self._error(variable, f"each place needs a name of its own; {some(twice) or 'one has none'}")
        return names

    def _classes(self) -> list[str]:
        said = self._texts(CLASSES)
        return [] if said is None else said[1]

    def _deficit(self, tasmin: np.ndarray, tasmax: np.ndarray) -> np.ndarray | None:
        """Return the deficit by what else says how moist the air is, None where nothing does."""
        found = find_moisture(set(map(str, self.file.variables)))
        if found is None:
            return None
        moisture, name = found
        values = self._quantity(moisture.variable, moisture.variable.name, [name])
        pressure = self._quantity(PRESSURE, PRESSURE.name, [PRESSURE.name]) if moisture.pressure else np.zeros(1)
        if values is None or pressure is None:
            return None
        self.notes.append(f"vpd: made of the months' {name}: the mean of the deficits at tasmin and tasmax")
        return deficit(moisture, values, tasmin, tasmax, pressure).astype(np.float32)

    def _quantity(self, variable: Variable, key: str, names: Sequence[str]) -> np.ndarray | None:
        """Return a quantity in its unit, (places, months), or None where the file does not have it.

        Of several names the first counts whose variable has a value.
        """
        there = [name for name in names if name in self.file.variables]
        there = [name for name in there if name in self.own][:1] or there
        if not there:
            return None
        name = next((name for name in there if self._has_value(name)), there[0])
        data = self.file[name]
        dims = {str(dimension) for dimension in data.dims}
        still = "time" not in dims and key not in ("soil_carbon", "biomass")
        if not dims <= {"time", *self.dims} or (key != "co2" and not set(self.dims) <= dims) or still:
            raise self._error(name, f"dimensions {data.dims}; (time, {', '.join(self.dims)}) are due")
        if data.dtype.kind not in "fiu":
            raise self._error(name, f"numbers are due, not {data.dtype}")
        full = data.astype(float)
        full = full.broadcast_like(self._places()).transpose(*self.dims, ...)
        values = full.values.reshape(self._places().size, -1)
        values = values[:, self.months] if "time" in dims else values
        return self._clean(name, variable, self._converted(name, key, variable, values))

    def _has_value(self, name: str) -> bool:
        return self.file[name].dtype.kind in "fiu" and bool(np.isfinite(self.file[name].values).any())

    def _converted(self, name: str, key: str, variable: Variable, values: np.ndarray) -> np.ndarray:
        given = str(self.file[name].attrs.get("units", "")).strip()
        self.used[name] = None
        if not given and name == variable.layout:
            self.notes.append(f"{name}: no units attribute; taken as {variable.unit}")
            return values
        unit = of_steps(given, "month-1")
        a_day = of_month(unit) if key in SUMS else None
        if a_day is not None:
            years = values.shape[1] // 12
            unit = a_day
            values = values / month_lengths(self.first_year, self.first_year + years - 1, self.calendar)
        converted = variable.convert(values, unit)
        if converted is None:
            more = f", and the sum of a month, as {variable.unit.replace('d-1', 'month-1')}" if key in SUMS else ""
            unit = given
            raise self._error(name, f"unknown unit {unit!r}; accepted are {variable.accepted}{more}")
        return converted

    def _clean(self, name: str, variable: Variable, values: np.ndarray) -> np.ndarray:
        """Return values without what is impossible, and slightly negative ones of what cannot be negative as 0."""
        if variable.lowest == 0.0:
            values = np.where((values < 0) & (values >= -variable.slack), 0.0, values)
        wrong = (values < variable.lowest) | (values > variable.highest)
        if wrong.sum() > MAX_IMPOSSIBLE_SHARE * max(np.isfinite(values).sum(), 1):
            least, most = np.nanmin(values), np.nanmax(values)
            raise self._error(
                name,
                f"{least:.3g} to {most:.3g} {variable.unit}, where {variable.lowest:g} to {variable.highest:g} are "
                f"possible; the file says {self.file[name].attrs.get('units')!r}",
            )
        if wrong.any():
            self.notes.append(f"{name}: {int(wrong.sum())} impossible values count as missing")
        return np.where(wrong, np.nan, values).astype(np.float32)

    def _check_size(self, values: Mapping[str, np.ndarray]) -> None:
        """Refuse radiation, rain, fluxes and leaf areas that are far too small in all seasons.

        Raises:
            InputError: which variable has another unit than the file says.
        """
        months = np.datetime64(f"{self.first_year:04d}-01") + np.arange(self.months.stop - self.months.start)
        wet = bool(np.nanmax(values["pr"], initial=0) >= DRY)
        for key, floor in {"rsds": DIM, **FLOORS}.items():
            if key not in values or (key in ("gpp", "reco", "et", "lai") and not wet):
                continue
            if is_too_small(values[key].T, months.astype("datetime64[D]"), floor):
                name = next(name for name in names_of(key) if name in self.file.variables)
                raise self._error(
                    name,
                    f"at most {np.nanmax(values[key]):.2g} {QUANTITIES[key][0].unit} in all seasons; the file says "
                    f"{self.file[name].attrs.get('units')!r}",
                )

    def _numbers(self, apart: set[str]) -> dict[str, tuple[np.ndarray, str]]:
        """Return further numbers of the places: priors by the names in `store.STATICS`, others for predictors.

        Raises:
            InputError: a prior with another unit.
        """
        known = {name for key in QUANTITIES for name in (*names_of(key), *names_of(key, True))}
        numbers = {}
        for name, data in self.file.variables.items():
            text = str(name)
            if data.dims != self.dims or data.dtype.kind not in "fiu" or text in known | apart | set(self.dims):
                continue
            if not np.isfinite(data.values.astype(float)).any():
                continue  # as files of CARDAMOM have it of what nobody knows
            if "lat" in text.lower() or "lon" in text.lower():
                continue  # another coordinate, such as that of the cell a place lies in
            values = data.values.astype(float).reshape(-1)
            self.used[text] = None
            text = next((key for key, names in PRIORS.items() if text in names), text)
            unit = str(data.attrs.get("units", "1"))
            if text in STATICS and not is_same_unit(unit, STATICS[text][0]):
                raise self._error(text, f"unit {unit!r}; due is {STATICS[text][0]!r}")
            numbers[text.lower()] = (values, unit)
        return numbers


def _is_id(variable: xr.DataArray) -> bool:
    return variable.attrs.get("cf_role") == "timeseries_id"


def _cell_names(latitude: np.ndarray, longitude: np.ndarray, step: float | None) -> list[str]:
    """Return the ids of cells of a file of two axes."""
    places = zip(latitude.tolist(), longitude.tolist(), strict=True)
    return [place_name(*at) if step is None else cell_name(*at, step) for at in places]
