"""A grid of drivers in one daily CF-NetCDF file, (time, lat, lon) or (time, cell): CMIP names, units by attributes.

For those who have such a file already; raw products go through `phloem ingest`. Forcing: tasmin, tasmax, rsds, pr, co2,
and vpd, or vap, tdps, hurs, or huss with ps. Observations: gpp, reco, et, lai, ef, daily. Maps: those of
`store.STATICS`, and `trajectory`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import GridCell, calendar_days, cell_name, place_name
from phloem.io.drivers.humidity import is_vapour_pressure
from phloem.io.drivers.moisture import MOISTURES, PLACE_OF_VPD, PRESSURE, deficit, find_moisture, outweighed
from phloem.io.drivers.store import STATICS
from phloem.io.drivers.variables import BURNED_AREA, EVAPORATIVE_FRACTION, VARIABLES, Variable
from phloem.io.files.own_variables import OwnVariables
from phloem.io.files.stored_dataset import as_the_user_says, decoded_values, open_stored, storage
from phloem.io.files.time_axis import StampsAt, bounds_name, decode_dates, usable_calendar
from phloem.io.files.units import is_same_unit, of_steps
from phloem.io.grids.axis_names import LATITUDE, LONGITUDE, horizontal_word
from phloem.io.grids.step_of_file import step_of_axes, step_of_list
from phloem.io.ingest.grid_findings import GridFindings
from phloem.io.products.observations import window_starts
from phloem.io.products.times import Stamps, days_of
from phloem.io.references.growth_curves import richards_chapman, total_biomass
from phloem.names import FORCING, STREAMS

AGES = 107
LEAST_OF_WINDOW = 0.5
"""Share of a dekad's days that must have RECO for its mean to count."""

BLOCK = 64


def read_cf_grid(
    path: Path,
    found: GridFindings | None = None,
    own: OwnVariables = MappingProxyType({}),
    stamps: StampsAt = "begin",
    compared: bool = True,
) -> Iterator[GridCell]:
    """Yield the cells of a file, from south to north and west to east; those without complete forcing are left out.

    Args:
        path: the file.
        found: takes what is seen on the way, which is judged when the last cell was read.
        own: what the user says of the file's variables.
        stamps: where stamps stand in their days, if the file has no time bounds.
        compared: whether observations will be compared with; else those of which the user says something may be absent.

    Raises:
        InputError: naming file and variable: what is missing, a unit that is not known, days that are not whole years
            one after another, a calendar of other years, values that cannot be.
    """
    found = found if found is not None else GridFindings(path)
    with open_stored(path) as opened:
        needless = () if compared else (*STREAMS, EVAPORATIVE_FRACTION.name)
        file = as_the_user_says(opened, path, own, lambda key: _USUAL.get(key, (key,)), _VALID, needless)
        file = file.drop_vars(outweighed(own), errors="ignore")
        calendar, year, doy = _days(file, path, stamps)
        names = coordinates_of(file, path)
        step = step_of(file, names)
        east = file[names[1]]
        file = file.assign_coords({names[1]: (east.dims, (east.values.astype(float) + 180.0) % 360.0 - 180.0)})
        stored = storage(file, path)
        units = {str(name): of_steps(str(file[name].attrs.get("units", "")), "d-1") for name in file.variables}
        found.units, found.stored = units, {name: stored[name] for name in stored if name in _READ}
        gridded = "lat" if file[names[0]].dims != file[names[1]].dims else ""
        if gridded:
            rows, columns = file[names[0]].dims[0], file[names[1]].dims[0]
            if _is_round(east.values):
                file = file.isel({columns: slice(0, -1)})
            ordered = file.sortby(names[1]).rename_dims({columns: "cell"})
            parts = (ordered.isel({rows: int(i)}) for i in np.argsort(file[names[0]].values))
        else:
            (dimension,) = file[names[0]].dims
            order = np.lexsort((file[names[1]].values, file[names[0]].values))
            ordered = file.isel({dimension: order}).rename_dims({dimension: "cell"} if dimension != "cell" else {})
            parts = (ordered.isel(cell=slice(n, n + BLOCK)) for n in range(0, ordered.sizes["cell"], BLOCK))
        for part in parts:
            yield from _cells(decoded_values(part.load(), stored), path, names, found, calendar, year, doy, step)
    found.refuse()


def read_step(path: Path) -> float | None:
    """Return the size of a file's cells in degrees, None where they lie on no grid of squares.

    Raises:
        InputError: not a readable file, or one without latitudes and longitudes.
    """
    with open_stored(path) as file:
        return step_of(file, coordinates_of(file, path))


def step_of(file: xr.Dataset, names: tuple[str, str]) -> float | None:
    """Return the size of an open file's cells in degrees, None where they lie on no grid of squares.

    Args:
        file: open.
        names: of its latitudes and longitudes (`coordinates_of`).
    """
    centres = [file[name].values.astype(float) for name in names]
    edges = [file.get(str(file[name].attrs.get("bounds", ""))) for name in names]
    bounds = [
        one.values.astype(float) if one is not None and one.shape == (len(values), 2) else None
        for one, values in zip(edges, centres, strict=True)
    ]
    if not all(np.isfinite(values).all() and len(values) for values in centres):
        return None
    of = step_of_list if file[names[0]].dims == file[names[1]].dims else step_of_axes
    return of(centres[0], centres[1], bounds[0], bounds[1])


def _days(file: xr.Dataset, path: Path, at: StampsAt) -> tuple[str, np.ndarray, np.ndarray]:
    if "time" not in file.variables or file["time"].dims != ("time",):
        raise InputError(
            f"{path}: variable time: one axis of days is due; the file has {', '.join(map(str, file.variables))}"
        )
    stamps = dated(file, path)
    calendar, begins = stamps.calendar, stamps.days_within(at)
    days = np.stack([begins.astype("datetime64[Y]").astype(np.int64) + 1970, day_of_year(begins, calendar)], 1)
    year, doy = calendar_days(int(days[0, 0]), int(days[-1, 0]), calendar)
    if len(days) != len(year) or not (days == np.stack([year, doy], 1)).all():
        short = min(len(days), len(year))
        odd = np.flatnonzero((days[:short] != np.stack([year, doy], 1)[:short]).any(1))
        place = begins[int(odd[0])] if len(odd) else begins[-1]
        raise InputError(f"{path}: variable time: whole years of days one after another are due; not so at {place}")
    return calendar, year, doy


def dated(file: xr.Dataset, path: Path) -> Stamps:
    """Return the times of a file's steps.

    Raises:
        InputError: a calendar of other days, a time that is missing, units that are not understood.
    """
    attributes, where = file["time"].attrs, f"{path}: variable time"
    kind, units = str(attributes.get("calendar", "")), str(attributes.get("units", ""))
    calendar = usable_calendar(kind, where)
    dates, hour = decode_dates(file["time"].values, units, kind, where)
    name = bounds_name(str(attributes.get("bounds", "")), "time", set(map(str, file.variables)))
    if not name or file[name].shape != (len(dates), 2):
        return Stamps(dates, hour, calendar)
    own = file[name].attrs
    edges, _ = decode_dates(
        file[name].values, str(own.get("units", units)), str(own.get("calendar", kind)), f"{path}: variable {name}"
    )
    return Stamps(dates, hour, calendar, edges)


def day_of_year(dates: np.ndarray, calendar: str) -> np.ndarray:
    """Return the days of the year, from 1, of dates by year, month and day of a calendar."""
    years = dates.astype("datetime64[Y]")
    doy = (dates - years.astype("datetime64[D]")).astype(np.int64) + 1
    if calendar == "standard":
        return doy
    leap = (years + 1).astype("datetime64[D]") - years.astype("datetime64[D]") == np.timedelta64(366, "D")
    return doy - (leap & (doy > 59)).astype(np.int64)  # there is no 29 February in the calendar


def coordinates_of(file: xr.Dataset, path: Path) -> tuple[str, str]:
    """Return the names of the variables that hold latitude and longitude.

    Raises:
        InputError: there are none of one dimension.
    """
    axes = []
    for short, word in (("lat", LATITUDE), ("lon", LONGITUDE)):
        names = [
            str(n)
            for n, one in file.variables.items()
            if horizontal_word(str(n), *(str(one.attrs.get(key, "")) for key in ("standard_name", "units"))) == word
        ]
        names.sort(key=lambda name: file[name].ndim != 1)
        if not names or file[names[0]].ndim != 1:
            raise InputError(f"{path}: variable {short}: one axis of {word}s, or one {word} a cell, is due")
        axes.append(names[0])
    return axes[0], axes[1]


def _is_round(longitude: np.ndarray) -> bool:
    """Whether an axis ends with the meridian with which it begins."""
    steps = np.diff(np.asarray(longitude, float))
    return len(steps) > 1 and bool(
        np.isclose(abs(steps.sum()), 360.0, atol=1e-4) and np.allclose(steps, steps[0], atol=1e-3)
    )


def _values(part: xr.Dataset, path: Path, spec: Variable, found: GridFindings) -> np.ndarray:
    """Return a variable in the package's unit, float64 (days, cells)."""
    values = part[spec.name].astype(float)
    if "cell" not in values.dims:
        values = values.expand_dims(cell=part.sizes["cell"])
    if "time" not in values.dims:
        values = values.expand_dims(time=part.sizes["time"])
    if set(values.dims) != {"time", "cell"}:
        raise InputError(f"{path}: variable {spec.name}: dimensions {values.dims}; time and cells are due")
    unit = found.units[spec.name]
    converted = spec.convert(values.transpose("time", "cell").values, unit)
    if converted is None:
        raise InputError(f"{path}: variable {spec.name}: unknown unit {unit!r}; accepted are {spec.accepted}")
    return found.clean(spec, converted)


def _forcing(part: xr.Dataset, path: Path, found: GridFindings) -> dict[str, np.ndarray]:
    moist = "vpd" not in part
    if not moist and is_vapour_pressure(str(part["vpd"].attrs.get("standard_name", ""))):
        raise InputError(
            f"{path}: variable vpd: standard_name {part['vpd'].attrs['standard_name']!r}; the deficit is due, or "
            f"{PLACE_OF_VPD} in its place"
        )
    wanted = [name for name in FORCING if name != "vpd" or not moist]
    other = find_moisture({str(name) for name in part.variables}) if moist else None
    missing = [*(name for name in wanted if name not in part), *(["vpd"] if moist and other is None else [])]
    if missing:
        due = f"{', '.join(FORCING)} (or {PLACE_OF_VPD} for vpd)"
        raise InputError(f"{path}: variable {missing[0]}: is missing; due are {due}")
    forcing = {name: _values(part, path, VARIABLES[name], found) for name in wanted}
    for name in ("rsds", "pr"):
        forcing[name] = np.maximum(forcing[name], 0)
    if other is not None:
        moisture, name = other
        pressure = _values(part, path, PRESSURE, found) if moisture.pressure else np.zeros(1)
        values = _values(part, path, replace(moisture.variable, name=name), found)
        forcing["vpd"] = deficit(moisture, values, forcing["tasmin"], forcing["tasmax"], pressure)
    return forcing


_USUAL = {one.variable.name: one.names for one in MOISTURES}
_VALID = (*FORCING, *STREAMS, *_USUAL, PRESSURE.name, EVAPORATIVE_FRACTION.name, *STATICS)
"""Variables of which a user may say what the file calls them."""

_READ = {*_VALID, *(name for one in MOISTURES for name in one.names)}
"""Variables whose values are used."""


def _cells(
    part: xr.Dataset,
    path: Path,
    names: tuple[str, str],
    found: GridFindings,
    calendar: str,
    year: np.ndarray,
    doy: np.ndarray,
    step: float | None,
) -> Iterator[GridCell]:
    forcing, units = _forcing(part, path, found), found.units
    for burned in BURNED_AREA:
        if burned in part and bool((part[burned] > 0).any()):
            found.burned = burned
    found.check_weather(forcing)
    nothing = np.full((len(year), part.sizes["cell"]), np.nan)
    seen = {name: _values(part, path, VARIABLES[name], found) if name in part else nothing for name in STREAMS}
    fraction = part["ef"].transpose("time", "cell").values if "ef" in part else nothing
    if "window_start" in part:
        start = part["window_start"].values.astype(np.int8)
    else:
        start = window_starts(days_of(int(year[0]), int(year[-1]), calendar), None)
        seen["reco"] = window_means(seen["reco"], start)
    seen["lai"] = np.where(((doy - 1) % 8 == 0)[:, None], seen["lai"], np.nan)
    maps = {name: _map(part, path, name, units) for name in STATICS if name in part}
    latitudes, longitudes = (np.broadcast_to(part[name].values, part.sizes["cell"]) for name in names)
    checked = False
    for n in range(part.sizes["cell"]):
        drivers = {name: values[:, n].astype(np.float32) for name, values in forcing.items()}
        north, east = float(latitudes[n]), float(longitudes[n])
        name = cell_name(north, east, step) if step else place_name(north, east)
        missing = {key: int((~np.isfinite(values)).sum()) for key, values in drivers.items()}
        if any(missing.values()):
            found.drop(name, north, east, missing, len(year))
            continue
        if not checked and "vpd" in part:
            found.check_deficit(drivers, np.arange(len(year)))
            checked = True
        statics = {name: float(values[n]) for name, values in maps.items()}
        yield GridCell(
            name=name, latitude=north, longitude=east, calendar=calendar, year=year, doy=doy, forcing=drivers,
            observations={name: values[:, n].astype(np.float32) for name, values in seen.items()},
            window_start=start, evaporative_fraction=fraction[:, n].astype(np.float32),
            trajectory=_trajectory(part, path, n, statics), statics=statics,
        )  # fmt: skip


def _map(part: xr.Dataset, path: Path, name: str, units: Mapping[str, str]) -> np.ndarray:
    wanted = STATICS[name][0]
    if not is_same_unit(units[name], wanted):  # a mass may be of carbon or of dry matter: none is converted
        raise InputError(f"{path}: variable {name}: unit {units[name]!r}; due is {wanted!r}")
    if not set(part[name].dims) <= {"cell"}:
        raise InputError(f"{path}: variable {name}: dimensions {part[name].dims}; one number a cell is due")
    return np.broadcast_to(part[name].values.astype(float), part.sizes["cell"])


def _trajectory(part: xr.Dataset, path: Path, n: int, statics: dict[str, float]) -> np.ndarray:
    if "trajectory" in part:
        return part["trajectory"].transpose("cell", ...).values[n].astype(np.float32)
    shape = [statics.get(f"growth_{key}", np.nan) for key in ("amax", "k", "c")]
    if not np.isfinite(shape).all():
        return np.full(AGES, np.nan, np.float32)
    ratio = statics.get("root_shoot", np.nan)
    if not np.isfinite(ratio):
        raise InputError(f"{path}: variable root_shoot: is missing, and growth curves are of above-ground biomass")
    return total_biomass(richards_chapman(np.arange(1.0, AGES + 1), *shape), ratio).astype(np.float32)


def window_means(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the mean of each window on its last day, NaN elsewhere and where too few days have a value.

    Args:
        values: (days, cells), NaN where missing.
        start: 1 on the first day of each window, (days,).
    """
    first = np.flatnonzero(start)
    stops = np.append(first[1:], len(start))
    known = np.isfinite(values)
    total, count = (np.add.reduceat(np.where(known, field, 0.0), first) for field in (values, np.ones_like(values)))
    enough = count >= LEAST_OF_WINDOW * (stops - first)[:, None]
    means = np.full(values.shape, np.nan)
    means[stops - 1] = np.where(enough, total / np.maximum(count, 1), np.nan)
    return means
