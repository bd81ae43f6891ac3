"""Observed streams of cells: daily fluxes, window means, composites, each on the days that the store gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.variables import Variable
from phloem.io.grids.file_grid import Gather
from phloem.io.products.catalogue import DAY, EIGHT_DAYS, TEN_DAYS, Choice
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries, check_days, scan
from phloem.io.products.times import Days

STREAM_PRODUCTS = ("gpp", "et", "potential_et", "reco", "lai")
"""Products that vary in time and are observed, by the name of their table in the ingest file."""

_TEMPORARIES = 6


@dataclass(frozen=True, eq=False)
class Stream:
    """One observed stream, still in its files.

    Attributes:
        key: one of `STREAM_PRODUCTS`.
        series: its variable.
        step: time step.
        steps: which of the series' steps are used, ascending, int64 (used,).
        day: the day on which each stands, int64 (used,).
        windows: first days of its windows, and the years they are said for; both empty but for window means.
        notes: for the log.
    """

    key: str
    series: ProductSeries
    step: str
    steps: np.ndarray
    day: np.ndarray
    windows: np.ndarray
    years: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def quantity(self) -> Variable:
        """What it is, with its physical range."""
        return self.series.quantity

    def blocks(self, gather: Gather, budget: int) -> Iterator[tuple[int, int]]:
        """Cut the used steps into blocks whose memory is bounded, that end with files and storage chunks."""
        rows, columns = gather.window
        pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
        a_step = 2 * pixels * self.series.layouts[0].itemsize + 8 * _TEMPORARIES * len(gather.weights)
        most = max(1, budget // max(a_step, 1))
        place = 0
        while place < len(self.steps):
            step = int(self.steps[place])
            layout = self.series.layouts[int(self.series.file[step])]
            size = most // layout.chunk * layout.chunk if most >= layout.chunk else most
            inside = int(self.series.place[step]) % layout.chunk
            stop = min(len(self.steps), place + max(1, size - inside if size > inside else size))
            same = self.series.file[self.steps[place:stop]] == self.series.file[step]
            stop = place + (int(np.argmin(same)) if not same.all() else len(same))
            yield place, stop
            place = stop

    def read(self, files: OpenFiles, gather: Gather, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Return values of some used steps: the days they stand on, and float64 (steps, cells)."""
        steps = self.steps[first:last]
        values = self.series.read(files, gather, int(steps[0]), int(steps[-1]) + 1)
        return self.day[first:last], values[steps - steps[0]]


def find_stream(key: str, choice: Choice, days: Days, observed: tuple[int, int] | None, files: OpenFiles) -> Stream:
    """Read the headers of an observed product, and refuse what has holes.

    Args:
        key: of the stream.
        choice: the product.
        days: of the store.
        observed: years that must be complete; by default all that the product has.
        files: open files.

    Raises:
        InputError: no such variable, a hole in time, years that are not covered, windows that do not tile.
    """
    scanned = scan(choice, files)
    if key not in scanned:
        raise InputError(
            f"[products.{choice.name}]: {', '.join(choice.patterns)}: no variable for {key}; there are "
            f"{', '.join(one.layouts[0].name for one in scanned.values())}"
        )
    series = scanned[key]
    step = _step(series, choice)
    notes: list[str] = []
    if series.calendar != days.calendar:
        lost = "29 February is left out" if days.calendar == "noleap" else "29 February has no value"
        notes.append(f"calendar {series.calendar}, the forcing's is {days.calendar}: {lost}")
    places = days.places(series.date)
    inside = np.flatnonzero(places >= 0)
    if not len(inside):
        raise InputError(f"{series.where(0)} to {series.date[-1]}: no day of {days.first_year} to {days.last_year}")
    span = days.span(*observed) if observed else slice(int(places[inside[0]]), int(places[inside[-1]]) + 1)
    if step == DAY:
        check_days(series, days, span, 1)
        starts = np.arange(span.start, span.stop) if key == "reco" else np.empty(0, np.int64)
        years = tuple(range(int(days.year[span.start]), int(days.year[span.stop - 1]) + 1)) if key == "reco" else ()
        used = inside[(places[inside] >= span.start) & (places[inside] < span.stop)]
        return Stream(key, series, step, used, places[used], starts, years, tuple(notes))
    if step == EIGHT_DAYS:
        used = _composites(series, days, span, observed is not None)
        return Stream(key, series, step, used, places[used], np.empty(0, np.int64), (), tuple(notes))
    used, day, starts, years, note = _windows(series, days, span)
    return Stream(key, series, step, used, day, starts, years, (*notes, note))


def _step(series: ProductSeries, choice: Choice) -> str:
    """The time step: the product's, or for plain CF files what the dates say."""
    if choice.product.key != "cf" or len(series) < 2 or series.key not in ("reco", "lai"):
        return choice.product.step
    typical = float(np.median(np.diff(series.date).astype(int)))
    if typical == 1.0:
        return DAY
    if typical == 8.0 and series.key == "lai":
        return EIGHT_DAYS
    if 9.0 <= typical <= 11.0 and series.key == "reco":
        return TEN_DAYS
    raise InputError(
        f"{series.where(0)}: steps of {typical:g} days; {series.key} is read daily"
        f"{', or every 8 days' if series.key == 'lai' else ', or as means over 10 days'}"
    )


def _composites(series: ProductSeries, days: Days, span: slice, complete: bool) -> np.ndarray:
    """Steps of the 8-day composites of a span; all must be there, on the days 1, 9, ..., 361 of each year."""
    new_year = series.date.astype("datetime64[Y]").astype("datetime64[D]")
    odd = np.flatnonzero((series.date - new_year).astype(int) % 8 != 0)
    if len(odd):
        raise InputError(f"{series.where(int(odd[0]))}: not the first day of an 8-day composite (1, 9, ..., 361)")
    years = range(int(days.year[span.start]), int(days.year[span.stop - 1]) + 1)
    due = np.concatenate([np.datetime64(f"{year:04d}-01-01") + 8 * np.arange(46) for year in years])
    if not complete:
        due = due[(due >= series.date[0]) & (due <= series.date[-1])]
    missing = due[~np.isin(due, series.date)]
    if len(missing):
        before = np.flatnonzero(series.date < missing[0])
        near = series.where(int(before[-1])) if len(before) else series.where(0)
        raise InputError(
            f"{near} is the last before a hole in time: {len(missing)} composites are missing, first {missing[0]}"
        )
    places = days.places(series.date)
    return np.flatnonzero(np.isin(series.date, due) & (places >= 0))


def dekads(year: int) -> np.ndarray:
    """Return first days of the dekads of a year: 1, 11 and 21 of each month, datetime64[D] (36,)."""
    months = np.datetime64(f"{year:04d}-01") + np.arange(12)
    return (months.astype("datetime64[D]")[:, None] + np.array([0, 10, 20])).reshape(-1)


def window_starts(days: Days, stream: Stream | None) -> np.ndarray:
    """Return flags of the first days of `reco`'s windows: the product's, and dekads in years it does not cover."""
    flags = np.zeros(len(days), np.int8)
    covered = set(stream.years) if stream else set()
    for year in range(days.first_year, days.last_year + 1):
        if year not in covered:
            flags[days.places(dekads(year))] = 1
    if stream is not None:
        partly = stream.step == DAY
        flags[stream.windows] = 1
        if partly and len(stream.windows):
            # A daily record may begin or end inside a year: the rest of that year is one window each.
            flags[days.span(stream.years[0], stream.years[0]).start] = 1
            if stream.windows[-1] + 1 < len(days):
                flags[stream.windows[-1] + 1] = 1
    return flags


def _windows(
    series: ProductSeries, days: Days, span: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...], str]:
    """Steps, last days and first days of the windows of whole years."""
    begins = series.edges[:, 0] if series.edges is not None else series.date
    year_of = begins.astype("datetime64[Y]").astype(int) + 1970
    years = range(int(days.year[span.start]), int(days.year[span.stop - 1]) + 1)
    used, last, first, scheme = [], [], [], "time bounds"
    for year in years:
        steps = np.flatnonzero(year_of == year)
        if series.edges is not None:
            starts, stops = _bounded(series, steps, year)
        else:
            starts, stops, scheme = _counted(series, steps, year)
        place = days.places(starts)
        late = place < 0  # 29 February, in a store without it
        place[late] = days.places(starts[late] + 1)
        ends = np.append(place[1:], days.places(np.array([np.datetime64(f"{year:04d}-01-01")]))[0]) - 1
        ends[-1] = days.span(year, year).stop - 1
        if stops[-1] != np.datetime64(f"{year + 1:04d}-01-01"):
            raise InputError(f"{series.where(int(steps[-1]))}: the last window of {year} ends before {stops[-1]}")
        used.append(steps)
        last.append(ends)
        first.append(place)
    joined = [np.concatenate(parts) for parts in (used, last, first)]
    return joined[0], joined[1], joined[2], tuple(years), f"windows by {scheme}"


def _bounded(series: ProductSeries, steps: np.ndarray, year: int) -> tuple[np.ndarray, np.ndarray]:
    assert series.edges is not None
    if not len(steps):
        raise InputError(f"[products.{series.choice.name}]: a hole in time: no window begins in {year}")
    starts, stops = series.edges[steps, 0], series.edges[steps, 1]
    if len(starts) > 1 and (starts[1:] - stops[:-1] == np.timedelta64(1, "D")).all():
        stops = stops + 1  # bounds that name the last day
    wrong = np.flatnonzero(starts[1:] != stops[:-1])
    if len(wrong) or starts[0] != np.datetime64(f"{year:04d}-01-01"):
        step = int(steps[wrong[0] + 1]) if len(wrong) else int(steps[0])
        raise InputError(
            f"{series.where(step)}: its time bounds begin on {series.edges[step, 0]}; the windows of a year "
            "must follow one another from 1 January"
        )
    return starts, stops


def _counted(series: ProductSeries, steps: np.ndarray, year: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Windows where there are no bounds: 36 steps are dekads, 37 are ten days each, the last one short."""
    new_year = np.datetime64(f"{year:04d}-01-01")
    if len(steps) == 36:
        starts, scheme = dekads(year), "dekads (36 a year)"
    elif len(steps) == 37:
        starts, scheme = new_year + 10 * np.arange(37), "ten days from 1 January (37 a year)"
    else:
        near = series.where(int(steps[-1])) if len(steps) else f"[products.{series.choice.name}]"
        raise InputError(
            f"{near}: a hole in time: {len(steps)} means in {year}; 36 dekads, or 37 windows of ten days, are due"
        )
    stops = np.append(starts[1:], np.datetime64(f"{year + 1:04d}-01-01"))
    stamps = series.date[steps]
    odd = np.flatnonzero((stamps < starts) | (stamps > stops))
    if len(odd):
        raise InputError(
            f"{series.where(int(steps[odd[0]]))}: not inside window {odd[0] + 1} of the year, {starts[odd[0]]} to "
            f"{stops[odd[0]] - 1}; give time bounds"
        )
    return starts, stops, scheme


def tame(values: np.ndarray, variable: Variable) -> tuple[np.ndarray, int]:
    """Set impossible values to missing and slightly negative ones of a non-negative quantity to 0.

    Returns:
        The values, changed in place, and how many were impossible.
    """
    if variable.lowest == 0.0:
        values[(values < 0.0) & (values >= -variable.slack)] = 0.0
    wrong = (values < variable.lowest) | (values > variable.highest)
    values[wrong] = np.nan
    return values, int(wrong.sum())


def evaporative_fraction(actual: np.ndarray, potential: np.ndarray) -> np.ndarray:
    """Return E / Ep, float32, NaN where Ep is not positive or either is missing (docs/ingest.md)."""
    fraction = np.full(actual.shape, np.nan, np.float32)
    np.divide(actual, potential, out=fraction, where=potential > 0)
    return fraction
