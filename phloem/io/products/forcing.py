"""Daily forcing of cells, from six-hourly or daily products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.humidity import vapour_pressure_deficit
from phloem.io.drivers.moisture import MOISTURES, PLACE_OF_VPD, PRESSURE, Moisture, deficit, find_moisture, outweighed
from phloem.io.grids.file_grid import Gather
from phloem.io.products.catalogue import SIX_HOURS, Choice
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries, check_days, names_in, scan
from phloem.io.products.times import Days, days_of

WEATHER = ("tasmin", "tasmax", "rsds", "vpd", "pr")
"""Forcing that comes from gridded products; CO2 is one number a year."""

_DAILY = ("tasmin", "tasmax", "rsds", "pr")
_TEMPORARIES = 12
"""Arrays of float64 (steps, cells) that live at once while a block is computed."""


@dataclass(frozen=True, eq=False)
class Forcing:
    """The weather of all days of a store, still in its files.

    Attributes:
        series: variables of the product by name.
        days: of the store; their calendar is the product's.
        a_day: steps of a day.
        starts: step of the first day, by variable.
        notes: what was chosen, for the log.
        moisture: what the deficit of daily forcing is made of, None where it is there itself.
    """

    series: Mapping[str, ProductSeries]
    days: Days
    a_day: int
    starts: Mapping[str, int]
    notes: tuple[str, ...]
    moisture: Moisture | None = None

    @property
    def lead(self) -> ProductSeries:
        """The variable whose files set the pace."""
        return next(iter(self.series.values()))

    def bytes_a_day(self, gathers: Mapping[str, Gather]) -> int:
        """Return the memory that a day of a block needs."""
        total = 0
        for key, one in self.series.items():
            rows, columns = gathers[key].window
            pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
            total += 2 * pixels * one.layouts[0].itemsize
        return self.a_day * (total + 8 * _TEMPORARIES * len(gathers[self.lead.key].weights))

    def read(self, files: OpenFiles, gathers: Mapping[str, Gather], first: int, last: int) -> dict[str, np.ndarray]:
        """Return weather of some days.

        Args:
            files: open files.
            gathers: pixels of the cells, by variable.
            first: place of the first day.
            last: place after the last day.

        Returns:
            float64 (days, cells) by the names in `WEATHER`; NaN where a value is missing.
        """

        def steps(key: str) -> np.ndarray:
            begin = self.starts[key] + first * self.a_day
            return self.series[key].read(files, gathers[key], begin, begin + (last - first) * self.a_day)

        if self.a_day == 1:
            made = {key: steps(key) for key in _DAILY}
            if self.moisture is None:
                made["vpd"] = steps("vpd")
            else:
                pressure = steps("ps") if self.moisture.pressure else np.zeros(1)
                values = steps(self.moisture.variable.name)
                made["vpd"] = deficit(self.moisture, values, made["tasmin"], made["tasmax"], pressure)
            return made

        def daily(values: np.ndarray) -> np.ndarray:
            return values.reshape(last - first, self.a_day, -1)

        air = steps("tas")
        made = {"vpd": _mean(daily(vapour_pressure_deficit(air, steps("huss"), steps("ps"))))}
        made["tasmin"], made["tasmax"] = _extreme(daily(air), np.minimum), _extreme(daily(air), np.maximum)
        made["rsds"], made["pr"] = _mean(daily(steps("rsds"))), _mean(daily(steps("pr")))
        return made


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of the values of a day (days, steps, cells), summed in the order of time."""
    total = values[:, 0].copy()
    for step in range(1, values.shape[1]):
        total += values[:, step]
    return total / values.shape[1]


def _extreme(values: np.ndarray, keep: np.ufunc) -> np.ndarray:
    """Minimum or maximum of the values of a day (days, steps, cells); NaN where one is missing."""
    return np.asarray(keep.reduce(values, axis=1))


def find_forcing(choice: Choice, years: tuple[int, int], files: OpenFiles) -> Forcing:
    """Read the headers of the forcing, and refuse what is not complete.

    Args:
        choice: the product.
        years: first and last of the store.
        files: open files.

    Raises:
        InputError: a variable that no file has, calendars that differ, a hole in time.
    """
    a_day = 4 if choice.product.step == SIX_HOURS else 1
    there = names_in(choice, files)
    told = {*choice.variables, *choice.units, *(key for key, sign in choice.signs.items() if sign != 1)}
    needless = set(outweighed(told)) if a_day == 1 else set()
    by_deficit = a_day == 1 and "vpd" in there and "vpd" not in needless
    if by_deficit:
        needless |= {*(one.variable.name for one in MOISTURES), PRESSURE.name} - told
    scanned = scan(choice, files, needless)
    notes: list[str] = []
    wanted = list(choice.product.fields)
    moisture = None
    if a_day == 1:
        found = None if by_deficit else find_moisture(scanned.keys())
        wanted = [*_DAILY, "vpd"]
        if found is not None:
            moisture, _ = found
            made_of = [moisture.variable.name, *([PRESSURE.name] if moisture.pressure else [])]
            wanted = [*_DAILY, *made_of]
            notes.append(f"vpd from daily {' and '.join(made_of)}: the mean of the deficits at tasmin and tasmax")
    missing = [key for key in wanted if key not in scanned]
    if missing:
        fields = choice.product.fields
        named = ", ".join(choice.variables.get(key) or " or ".join(fields[key].names) for key in missing)
        alternative = f" ({PLACE_OF_VPD} would do in the place of vpd)" if "vpd" in missing else ""
        raise InputError(
            f"[products.{choice.name}]: no file has {named}{alternative}; there are "
            f"{', '.join(variable.layouts[0].name for variable in scanned.values())} in {', '.join(choice.patterns)}"
        )
    series = {key: scanned[key] for key in wanted}
    lead = next(iter(series.values()))
    for variable in series.values():
        if variable.calendar != lead.calendar:
            raise InputError(f"{variable.paths[0]}: calendar {variable.calendar}; {lead.paths[0]} has {lead.calendar}")
    days = days_of(*years, lead.calendar)
    starts = {}
    for key, variable in series.items():
        places = check_days(variable, days, slice(0, len(days)), a_day)
        starts[key] = int(np.flatnonzero(places == 0)[0])
        hours = variable.hour[starts[key] : starts[key] + len(days) * a_day].reshape(-1, a_day)
        uneven = np.flatnonzero((hours != hours[0]).any(axis=1))
        if a_day > 1 and (len(uneven) or (np.diff(hours[0]) != 24.0 / a_day).any()):
            day = int(uneven[0]) if len(uneven) else 0
            raise InputError(
                f"{variable.where(starts[key] + a_day * day)}: hours {', '.join(f'{h:g}' for h in hours[day])}; "
                f"{a_day} values a day, {24 // a_day} hours apart, at the same hours every day, are due"
            )
    return Forcing(series, days, a_day, starts, tuple(notes), moisture)


def blocks(series: ProductSeries, start: int, days: slice, a_day: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut days into blocks that end with files and, where they can, with storage chunks.

    Args:
        series: whose files.
        start: its step of day 0.
        days: places of the days.
        a_day: steps of a day.
        most: days of a block.
    """
    for layout, places, steps in series.runs(start + days.start * a_day, start + days.stop * a_day):
        chunk = max(1, layout.chunk // a_day)
        size = most // chunk * chunk if most >= chunk else most
        begin, end = days.start + steps.start // a_day, days.start + steps.stop // a_day
        offset = (places.start // a_day) % chunk
        while begin < end:
            stop = min(end, begin + max(1, size - offset if size > offset else size))
            yield begin, stop
            begin, offset = stop, 0
