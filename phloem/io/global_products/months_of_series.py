"""The steps of a product among the months of a store: months, shorter steps that are averaged, and years."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError
from phloem.io.files.time_axis import STAMPED_AT_FIRSTS, days_within, leaves_month_open
from phloem.io.files.units import conversion, of_month
from phloem.io.grids.placed_cells import EARTH_RADIUS
from phloem.io.products.catalogue import YEAR
from phloem.io.products.layouts import VariableLayout
from phloem.io.products.series import ProductSeries
from phloem.names import PERIOD

_SHORT = 15.0
"""Days; of shorter steps it is known how many a month has."""
_LEAST_OF_MONTH = 0.5
"""Share of a month's steps that must have values, and of its days that short steps must cover."""


@dataclass(frozen=True)
class StoreMonths:
    """The months of a store.

    Attributes:
        first: January, datetime64[M].
        count: multiple of 12.
    """

    first: np.datetime64
    count: int

    @property
    def days(self) -> np.ndarray:
        """Days of each month, (months,)."""
        edges = (self.first + np.arange(self.count + 1)).astype("datetime64[D]")
        return np.diff(edges).astype(float)

    def places(self, dates: np.ndarray) -> np.ndarray:
        """Return places of dates among the months, -1 outside."""
        place = (dates.astype("datetime64[M]") - self.first).astype(np.int64)
        return np.where((place >= 0) & (place < self.count), place, -1)

    def name(self, place: int) -> str:
        """Return a month for people."""
        return str(self.first + place)


def months_of_years(first: int, last: int) -> StoreMonths:
    """Return the months of whole years."""
    return StoreMonths(np.datetime64(f"{first:04d}-01", "M"), 12 * (last - first + 1))


@dataclass(frozen=True, eq=False)
class MonthlySeries:
    """A variable of a product, by the months of a store.

    Attributes:
        name: of the table in the ingest file, for messages.
        key: what it is in the store.
        series: over its files.
        steps: those that are read, ascending, int64 (steps,).
        months: place of each among the store's months; of annual products of the year's first month.
        span: months that each step stands for: 1, or 12.
        factor: of each step's values: of sums over a month the mean month over its own, else 1.
        notes: for the log.
    """

    name: str
    key: str
    series: ProductSeries
    steps: np.ndarray
    months: np.ndarray
    span: int
    factor: np.ndarray
    notes: tuple[str, ...]

    @property
    def covered(self) -> np.ndarray:
        """Places of the months that have a step."""
        return np.unique((self.months[:, None] + np.arange(self.span)).reshape(-1))

    def least(self, month: int) -> float:
        """Return how many steps of a month must have a value."""
        return _LEAST_OF_MONTH * float((self.months == month).sum())

    def only(self, months: np.ndarray) -> MonthlySeries:
        """Return what falls into some months."""
        kept = np.isin(self.months, months)
        return MonthlySeries(
            self.name, self.key, self.series, self.steps[kept], self.months[kept], self.span, self.factor[kept],
            self.notes,
        )  # fmt: skip


def monthly_series(name: str, key: str, series: ProductSeries, months: StoreMonths, stamps: str) -> MonthlySeries:
    """Find the steps of a variable that fall into a store's months.

    Args:
        name: of the table in the ingest file.
        key: what it is in the store.
        series: the variable.
        months: of the store.
        stamps: what the user says of stamps without time bounds: `begin`, `end`, or empty.

    Raises:
        InputError: no step in the store's years, or stamps that must be those of months that end.
    """
    annual = series.choice.product.step == YEAR
    notes: list[str] = []
    if not annual and not stamps and leaves_month_open(series.date, series.hour, series.edges):
        _refuse_shifted(series)
        notes.append(STAMPED_AT_FIRSTS)
    inside = months.places(days_within(series.date, series.hour, series.edges, "begin"))
    if annual:
        inside = np.where(inside >= 0, inside // 12 * 12, -1)
    steps = np.flatnonzero(inside >= 0)
    places = inside[steps]
    lengths = months.days
    days = _step_days(series)
    if not annual and days < _SHORT and len(steps):
        counts = np.bincount(places, minlength=months.count)
        full = counts * days >= _LEAST_OF_MONTH * lengths
        steps, places = steps[full[places]], places[full[places]]
        notes.append(f"steps of {days:g} days, averaged over the months")
    if not len(steps):
        last = months.name(months.count - 1)
        raise InputError(
            f"{series.where(0)} to {series.date[-1]}: [products.{name}] has no month of {months.first} to {last}"
        )
    if annual and len(np.unique(places)) < len(places):
        twice = int(steps[np.flatnonzero(np.diff(np.sort(places)) == 0)[0]])
        raise InputError(f"{series.where(twice)}: [products.{name}]: more than one step a year; annual values are due")
    sums = np.array([key != "burned_area" and of_month(one.unit) is not None for one in series.layouts])
    factor = np.where(sums[series.file[steps]], PERIOD / 12.0 / lengths[places], 1.0)
    if sums.any():
        notes.append("sums over months, divided by their days")
    return MonthlySeries(name, key, series, steps, places, 12 if annual else 1, factor, tuple(notes))


def _step_days(series: ProductSeries) -> float:
    """Days from one step to the next, the median; infinite of a lone one."""
    return float(np.median(np.diff(series.date).astype(float))) if len(series) > 1 else np.inf


def _refuse_shifted(series: ProductSeries) -> None:
    """Refuse months stamped at 00:00 on firsts that go from February to January: they are those of whole years."""
    month = series.date.astype("datetime64[M]").astype(np.int64) % 12
    if len(series) > 1 and len(series) % 12 == 0 and (month[0], month[-1]) == (1, 0):
        raise InputError(
            f"{series.where(0)} to {series.date[-1]}: whole years that begin in February: the stamps seem to end their "
            f'months; say stamps = "end" in [products.{series.choice.name}], or "begin" if they do not'
        )


def joined(first: MonthlySeries, later: MonthlySeries) -> MonthlySeries | None:
    """Return of a later product the months that the first one does not have; None where there are none."""
    rest = np.setdiff1d(later.months, first.covered)
    return later.only(rest) if len(rest) else None


def areas_of_pixels(layout: VariableLayout) -> np.ndarray | None:
    """Return one over the area of a pixel in each row of a file, in the unit of its values; None: they are no areas."""
    factors = conversion(layout.unit.replace("month-1", "").strip(), "m2")
    if factors is None:
        return None
    axis = layout.grid.latitude
    half = 0.5 * axis.step
    edges = [np.sin(np.deg2rad(np.clip(axis.centres + side * half, -90.0, 90.0))) for side in (-1, 1)]
    area = EARTH_RADIUS**2 * np.deg2rad(layout.grid.longitude.step) * (edges[1] - edges[0])
    return np.asarray(factors[0] / area)
