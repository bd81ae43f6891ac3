"""The variables of a tower file by the names that they have here: found, decoded, and in the package's units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import netCDF4
import numpy as np

from phloem.io.drivers import quality as checks
from phloem.io.drivers.findings import Audit
from phloem.io.drivers.humidity import is_vapour_pressure
from phloem.io.drivers.moisture import (
    MOISTURES,
    PLACE_OF_VPD,
    PRESSURE,
    Moisture,
    find_moisture,
    told_moisture,
)
from phloem.io.drivers.tower_arrays import in_own_unit
from phloem.io.drivers.variables import EVAPORATIVE_FRACTION, DriverVariables, Variable
from phloem.io.files.own_variables import AS_USUAL, OwnVariables, found_names
from phloem.io.files.stored_values import SENTINEL, stored_values
from phloem.io.files.units import of_steps


def text_of(variable: netCDF4.Variable, attribute: str) -> str:
    """A text attribute; empty where it is absent or a number, such as the placeholder -9999."""
    value = getattr(variable, attribute, "")
    return value.strip() if isinstance(value, str) and value.strip() != "-9999" else ""


def missing_of(file: netCDF4.Dataset, names: Iterable[str]) -> tuple[str, str]:
    """How an error calls a variable that the file does not have, and what it says."""
    have = ", ".join(sorted(file.variables)) or "no variable"
    return " or ".join(dict.fromkeys(names)), f"is missing; the file has {have}"


def decoded(variable: netCDF4.Variable, audit: Audit, piece: Any = ..., coordinate: bool = False) -> np.ndarray:
    """Values of numbers, float64, NaN where missing; what a valid range takes away is reported."""
    attributes = {key: variable.getncattr(key) for key in variable.ncattrs()}
    where = f"{audit.path}: cell {audit.cell}: variable {variable.name}"
    stored = stored_values(attributes, np.dtype(variable.dtype), where, coordinate=coordinate)
    values = stored.decode(np.asarray(variable[piece]))
    stored.counts.pop(SENTINEL, None)  # the layout's own
    for text in stored.told():
        audit.add(variable.name, "warning" if stored.counts else "note", text)
    return values


def daily_series(variable: netCDF4.Variable, days: int, audit: Audit) -> np.ndarray:
    """The values of a daily variable, float64 (days,), NaN where missing."""
    if variable.shape != (days,) or not np.issubdtype(variable.dtype, np.number):
        raise audit.error(
            variable.name,
            f"has shape {variable.shape} of {variable.dtype}; numbers of shape ({days},) are due",
        )
    return checks.mark_missing(decoded(variable, audit))


class TowerVariables:
    """The variables of a tower file by the names that they have here.

    Attributes:
        file: open.
        audit: takes findings.
        own: what the user says of them.
    """

    def __init__(
        self, file: netCDF4.Dataset, audit: Audit, own: OwnVariables, variables: DriverVariables, compared: bool
    ) -> None:
        self.file, self.audit, self.own = file, audit, own
        daily = (*variables.all, EVAPORATIVE_FRACTION)
        self._usual: dict[str, tuple[str, ...]] = {spec.name: (spec.layout, spec.name) for spec in daily}
        self._usual |= {one.variable.name: one.names for one in MOISTURES} | {PRESSURE.name: (PRESSURE.name,)}
        have = file.variables.keys()
        listed = ", ".join(sorted(have)) or "no variable"
        needless = () if compared else (*(spec.name for spec in variables.streams), EVAPORATIVE_FRACTION.name)
        self._named = found_names(own, self._usual.__getitem__, self._usual, have, audit.path, listed, needless)

    def name(self, key: str) -> str | None:
        """What the file calls a variable, None where it does not have it."""
        if key == "vpd" and told_moisture(self.own):
            return None
        if key in self._named:
            return self._named[key]
        return next((name for name in self._usual[key] if name in self.file.variables), None)

    def missing(self, keys: Sequence[str]) -> tuple[str, str]:
        """How an error calls variables that the file does not have, and what it says."""
        return missing_of(self.file, [name for key in keys for name in self._usual[key]])

    def units(self, key: str) -> str:
        """What the user or else the file says that the values are; empty where neither does."""
        own = self.own.get(key, AS_USUAL).units
        return of_steps(own or text_of(self.file[str(self.name(key))], "units"), "d-1")

    def values(self, key: str, spec: Variable, days: int) -> np.ndarray:
        """The values of a daily variable in the package's unit, float64 (days,), NaN where missing."""
        variable = self.file[str(self.name(key))]
        said = text_of(variable, "standard_name")
        if key == "vpd" and is_vapour_pressure(said):
            self.audit.refuse(
                variable.name, f"standard_name {said!r}; the deficit is due, or {PLACE_OF_VPD} in its place"
            )
        series = self.own.get(key, AS_USUAL).sign * daily_series(variable, days, self.audit)
        return in_own_unit(variable.name, self.units(key), spec, series, self.audit)

    def moisture(self) -> Moisture | None:
        """How the file says how moist the air is, None where it does not."""
        present = {key for key in self._usual if self.name(key) is not None}
        if told_moisture(self.own):
            present &= {*self.own, PRESSURE.name}
        found = find_moisture(present)
        return None if found is None else found[0]

    def note_attributes(self, specs: Sequence[Variable]) -> None:
        """Note attributes that are absent or contradict the data; each is one finding for all its variables."""
        names = {spec.name: str(self.name(spec.name)) for spec in specs}
        bare = [spec for spec in specs if not self.units(spec.name)]
        if bare:
            taken = ", ".join(spec.unit for spec in bare)
            told = " ".join(names[spec.name] for spec in bare)
            self.audit.add(told, "note", f"no units attribute; taken as {taken}")
        weekly = [name for name in names.values() if "weekly" in text_of(self.file[name], "info").lower()]
        if weekly:
            self.audit.add(" ".join(weekly), "note", "the info attribute says weekly; the time step is one day")
