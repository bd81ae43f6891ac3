"""Towers from arrays: the same checks, units and names as of tower files, for what somebody holds in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cftime
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers import quality as checks
from phloem.io.drivers.calendar_days import CALENDARS, DaysOfRecord, at_midnight, on_gregorian_days
from phloem.io.drivers.findings import QUALITY, Audit, Issue
from phloem.io.drivers.tower_cell import Cell, count_training_days, day_of_year
from phloem.io.drivers.variables import DAILY, EVAPORATIVE_FRACTION, DriverVariables, Variable
from phloem.io.files.time_axis import STANDARD

TIME_UNITS = "days since 2001-01-01"


@dataclass(frozen=True, eq=False)
class TowerArrays:
    """What is known of one site, as it was given.

    Attributes:
        name: of the site.
        latitude: degrees north.
        longitude: degrees east, NaN where it is not known.
        stamps: the time axis, float64 (days,), NaN where missing.
        time_units: CF text; empty: days since 2001-01-01.
        calendar: CF name; empty: standard.
        values: float64 (days,) by name of the variable, here or in the tower layout; NaN where missing.
        units: of some variables, as they are spelt; the others are in the package's own.
        others: names of what else was given, for messages.
    """

    name: str
    latitude: float
    longitude: float
    stamps: np.ndarray
    time_units: str
    calendar: str
    values: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    others: tuple[str, ...] = ()

    def named(self, spec: Variable) -> str | None:
        """The name under which a variable was given, None where it was not."""
        return next((name for name in (spec.layout, spec.name) if name in self.values), None)


def tower_of_arrays(
    given: TowerArrays, *, quality: str = "repair", compared: bool = True, variables: DriverVariables = DAILY
) -> Cell:
    """Check arrays as a tower file is checked, and return the cell.

    Args:
        given: forcing is needed; observed streams and the evaporative fraction may be left out.
        quality: as of `read_tower`.
        compared: whether observations will be compared with: then there must be some in the calibration window.
        variables: what the model needs.

    Raises:
        InputError: a defect that the mode does not accept; the message names the cell, the variable, how many days and
            the first of them.
    """
    if quality not in QUALITY:
        raise InputError(f"quality = {quality!r}; the choices are {', '.join(QUALITY)}")
    audit = Audit(Path("drivers"), quality, name=given.name)
    record = decode_days(given.stamps, given.time_units, given.calendar, audit)
    audit.raise_defects()
    audit.apply_quality("time", checks.check_time(record.stamps), {})
    audit.raise_defects()
    time, days = record.stamps.astype(np.int64), len(given.stamps)
    found = {spec.name: given.named(spec) for spec in variables.all}
    missing = [spec.name for spec in variables.forcing if found[spec.name] is None]
    if missing:
        have = ", ".join(sorted({*given.values, *given.others})) or "none"
        raise audit.error(", ".join(missing), f"not among the arrays, which are {have}")
    streams = [spec.name for spec in variables.streams]
    if compared and not any(found[name] for name in streams):
        raise audit.error(" ".join(streams), "none is given; at least one observed stream is needed to compare with")
    fraction = record.spread(_series(given, EVAPORATIVE_FRACTION, days, audit), False)
    values = {
        spec.name: record.spread(_series(given, spec, days, audit), spec in variables.forcing) for spec in variables.all
    }
    if not -90.0 <= given.latitude <= 90.0:
        raise audit.error("latitude", f"{given.latitude} is not in -90..90")
    names = {name: own or name for name, own in found.items()}
    audit.raise_defects()
    checks.control(values, names, time, audit, variables, compared)
    return Cell(
        name=given.name,
        latitude=given.latitude,
        longitude=given.longitude,
        time=time,
        doy=day_of_year(time),
        forcing={spec.name: values[spec.name] for spec in variables.forcing},
        observations={name: values[name] for name in streams},
        evaporative_fraction=fraction,
        training_days=count_training_days(time),
        findings=tuple(audit.findings),
        source="arrays",
        checksum=_checksum(given),
    )


def _series(given: TowerArrays, spec: Variable, days: int, audit: Audit) -> np.ndarray:
    """A variable in the package's unit, float64 (days,); NaN where it is missing or was not given."""
    own = given.named(spec)
    if own is None:
        return np.full(days, np.nan)
    series = given.values[own]
    if series.shape != (days,):
        raise audit.error(own, f"has shape {series.shape}; numbers of shape ({days},) are due, one for each of time")
    return in_own_unit(own, given.units.get(own, ""), spec, checks.mark_missing(series), audit)


def _checksum(given: TowerArrays) -> str:
    """Return a sha256 of all that was given, hexadecimal."""
    sha = hashlib.sha256(f"{given.latitude!r} {given.longitude!r} {given.time_units} {given.calendar}".encode())
    for name, values in sorted({**given.values, "time": given.stamps}.items()):
        sha.update(f"{name} {given.units.get(name, '')} {len(values)}".encode())
        sha.update(np.ascontiguousarray(values, "<f8").tobytes())
    return sha.hexdigest()


def decode_days(stamps: np.ndarray, units: str, calendar: str, audit: Audit) -> DaysOfRecord:
    """Return the days of a time axis, in days since 2001-01-01.

    Args:
        stamps: float64 (days,), NaN where missing.
        units: CF text; empty is taken as days since 2001-01-01, and noted.
        calendar: CF name; empty is `standard`.
        audit: takes the finding, and what cannot be accepted.

    Raises:
        InputError: units that are not understood, or a calendar that is not known.
    """
    calendar = calendar.lower() or "standard"
    if not units:
        audit.add("time", "note", f"no units attribute; taken as {TIME_UNITS}")
    if calendar not in CALENDARS:
        raise audit.error("time", f"calendar {calendar!r}; accepted are {', '.join(CALENDARS)}")
    try:
        if calendar not in STANDARD and np.isfinite(stamps).all() and len(stamps):
            found = on_gregorian_days(np.floor(stamps) if "days" in units else stamps, units or TIME_UNITS, calendar)
            issue = Issue("mendable", found.said, "") if found.known is not None else None
            audit.apply_quality("time", issue, {})
            return found
        days = _since_2001(stamps, units, calendar) if units else stamps
    except (ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise audit.error("time", str(error)) from error
        raise audit.error("time", f"units {units!r} are not understood; due is {TIME_UNITS!r}") from error
    days, said = at_midnight(days)
    if said:
        audit.add("time", "note", said)
    return DaysOfRecord(days)


def _since_2001(stamps: np.ndarray, units: str, calendar: str) -> np.ndarray:
    first = cftime.num2date([0, 1], units, calendar)
    zero, one = (int(n) for n in cftime.date2num(first, "microseconds since 2001-01-01", calendar))
    return np.round((zero + (one - zero) * stamps) / 86400e6, 6)


def in_own_unit(name: str, unit: str, spec: Variable, values: np.ndarray, audit: Audit) -> np.ndarray:
    """Values in the package's unit; a conversion is reported, an unknown unit refused with all else.

    Args:
        name: what the file calls the variable.
        unit: as the file spells it; empty is taken as the package's.
        spec: the variable.
        values: float64 (days,).
        audit: takes the finding, and an unknown unit among its defects.
    """
    if not unit:
        return values
    converted = spec.convert(values, unit)
    if converted is None:
        audit.refuse(name, f"unknown unit {unit!r}; due is {spec.unit!r}, accepted are {spec.accepted}")
        return values
    if not spec.is_own_unit(unit):
        audit.add(name, "note", f"converted from {unit} to {spec.unit}")
    return converted
