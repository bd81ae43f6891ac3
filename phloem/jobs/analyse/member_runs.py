"""Runs of a campaign's good members for a benchmark: daily outputs of its last years, and pools at year ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.arithmetic import ceil_div
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.tower_cell import Cell
from phloem.jobs.calibration.merged_members import Members
from phloem.jobs.calibration.run_dates import calendar_dates, simulated_days
from phloem.jobs.progress import INTERRUPTS, ProgressBar
from phloem.kernels.objective.site import Site
from phloem.kernels.simulate.outputs_from_day import outputs_from_day
from phloem.kernels.simulate.pools_at_year_ends import yearly_pools
from phloem.model_tables import ModelTables
from phloem.sharding.lanes.blocks import runs_at_once

WINDOWS = ("calibration", "validation")


@dataclass(frozen=True, eq=False)
class Run:
    """The last years of one cell.

    Attributes:
        place: among the members' cells.
        calendar: `standard` or `noleap`.
        year, doy: of each simulated day, int (days,).
        last: whether the run meets this day's year for the last time, bool (days,).
        window: number of the window of means that each day lies in, int (days,).
        windowed: streams that are compared as means over the windows, on their last days.
        simulated: by field, (members, days), NaN for members without result.
        reference: by stream, observations that no calibration saw, (days,), NaN where there is none.
        observed: by stream, those that it saw, likewise.
        statics: numbers of the cell by name.
    """

    place: int
    calendar: str
    year: np.ndarray
    doy: np.ndarray
    last: np.ndarray
    window: np.ndarray
    windowed: tuple[str, ...]
    simulated: dict[str, np.ndarray]
    reference: dict[str, np.ndarray]
    observed: dict[str, np.ndarray]
    statics: dict[str, float]

    @property
    def _dates(self) -> np.ndarray:
        return calendar_dates(self.calendar, self.year, self.doy)

    @property
    def month(self) -> np.ndarray:
        """Month of each day, 1 to 12."""
        return self._dates.astype("datetime64[M]").astype(int) % 12 + 1

    @property
    def day_of_month(self) -> np.ndarray:
        """Day of the month of each day, from 1."""
        days = self._dates
        return (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(int) + 1


def late_runs(
    members: Members, places: Sequence[int], fields: tuple[str, ...], first_year: int | None, withheld: bool
) -> Iterator[Run]:
    """Run all good members of some cells, and keep their days from the last meeting of a year on.

    Args:
        members: of a campaign.
        places: of the cells.
        fields: daily outputs, names of `kernels.records.Outputs`.
        first_year: from which days are kept, the last time that the run meets it.
        withheld: days are also kept from the first year on that has an observation which no calibration saw.
    """
    experiment = members.campaign.configuration.calibration
    model = experiment.forward_model()
    planned = {cell.name: cell for cell in members.campaign.cells}
    width = members.good.shape[1]
    share = max(2, runs_at_once(experiment.time_loop) // width)
    longest = max((members.campaign.cells[n].days for n in range(len(members.campaign.cells))), default=0)
    with ProgressBar(f"simulating {members.name}", len(places)) as bar:
        for begin in range(0, len(places), share):
            INTERRUPTS.check()
            part = list(places[begin : begin + share])
            cells = [members.campaign.read_unit(planned[members.cells[place]]) for place in part]
            sites = [experiment.site(cell) for cell in cells]
            days = [simulated_days(cell, experiment, site) for cell, site in zip(cells, sites, strict=True)]
            seen = [{window: _seen(site, members.tables, window) for window in WINDOWS} for site in sites]
            starts = [
                _start(one, both["validation"], first_year, withheld) for one, both in zip(days, seen, strict=True)
            ]
            first = min(starts)
            weather = [_padded(experiment.forward_weather(site), site.weather_row, longest) for site in sites]
            weather += weather[:1] * (share - len(weather))
            seats = [(n, m) for n, place in enumerate(part) for m in np.flatnonzero(members.good[place]).tolist()]
            if seats:
                lanes = (seats * (share * width))[: share * width]
                outputs = outputs_from_day(
                    model, weather, sites[0].weather_row,
                    np.array([members.parameters[part[n], m] for n, m in lanes]),
                    np.array([members.pools[part[n], m] for n, m in lanes]),
                    np.array([n for n, _ in lanes]), fields, first, experiment.precision, experiment.time_loop,
                )  # fmt: skip
            for n, (place, cell, site) in enumerate(zip(part, cells, sites, strict=True)):
                count = site.days - first
                simulated = {name: np.full((width, count), np.nan, np.dtype(experiment.precision)) for name in fields}
                for lane, (owner, member) in enumerate(seats):
                    if owner == n:
                        for name in fields:
                            simulated[name][member] = outputs[name][lane, :count]
                yield _run(place, cell, site, days[n], first, simulated, seen[n])
            bar.update(begin + len(part), members.cells[part[-1]])


def _padded(weather: Any, weather_row: np.ndarray | None, longest: int) -> Any:
    """The forcing of a cell; of towers, whose records differ, stretched to one length, so that one program does."""
    if weather_row is not None or len(weather[0]) >= longest:
        return weather
    return type(weather)(*(np.pad(np.asarray(one), (0, longest - len(one)), "edge") for one in weather))


def _seen(site: Site, tables: ModelTables, window: str) -> dict[str, np.ndarray]:
    """Observations of a window by stream, on the simulated days, NaN where there is none."""
    observed, _ = site.observed(window)
    rows = np.arange(site.days) if site.observed_row is None else site.observed_row
    return {
        name: np.where(getattr(observed, f"{name}_weight")[rows] > 0, np.asarray(getattr(observed, name))[rows], np.nan)
        for name in (one.name for one in tables.compared)
        if name in site.streams
    }


def _start(
    days: tuple[np.ndarray, np.ndarray], reference: dict[str, np.ndarray], first_year: int | None, withheld: bool
) -> int:
    """The simulated day, the first of a year, from which on a cell's days are kept."""
    year, doy = days
    starts = [len(year) - 1]
    if withheld:
        seen = np.flatnonzero(np.logical_or.reduce([np.isfinite(values) for values in reference.values()]))
        starts += seen[:1].tolist()
    if first_year is not None:
        later = [y for y in np.unique(year).tolist() if y >= first_year]
        starts += [int(np.flatnonzero((year == y) & (doy == doy[year == y].min()))[-1]) for y in later]
    first = min(starts)
    before = np.flatnonzero(np.diff(year[: first + 1], prepend=year[0] - 1))
    return int(before[-1])


def _run(
    place: int, cell: Cell | GridCell, site: Site, days: tuple[np.ndarray, np.ndarray], first: int,
    simulated: dict[str, np.ndarray], seen: dict[str, dict[str, np.ndarray]],
) -> Run:  # fmt: skip
    year, doy = days[0][first:], days[1][first:]
    spans, windowed = np.arange(len(year)), ()
    if isinstance(cell, GridCell):
        kept = np.asarray(site.weather[-1])
        kept = (kept if site.weather_row is None else kept[site.weather_row])[first:]
        spans, windowed = np.cumsum(kept == 0), tuple(getattr(site, "windowed", ("reco",)))
    begins = np.flatnonzero(np.diff(year, prepend=year[0] - 1))
    last = np.zeros(len(year), bool)
    for number, begin in enumerate(begins):
        end = begins[number + 1] if number + 1 < len(begins) else len(year)
        last[begin:end] = year[begin] not in year[end:]
    statics = dict(cell.statics) if isinstance(cell, GridCell) else {}
    calendar = cell.calendar if isinstance(cell, GridCell) else "standard"
    return Run(
        place,
        calendar,
        year,
        doy,
        last,
        spans,
        windowed,
        simulated,
        {name: values[first:] for name, values in seen["validation"].items()},
        {name: values[first:] for name, values in seen["calibration"].items()},
        statics,
    )


def pools_at(members: Members, years: Sequence[int]) -> np.ndarray:
    """Run all good members and return their pools at the ends of some calendar years, or of the whole run.

    Args:
        members: of a grid campaign.
        years: the last time that the run meets them; none: the end of the run.

    Returns:
        float32 (cells, members, years or 1, pools), NaN for members without result and for years that the run does not
        meet.
    """
    experiment = members.campaign.configuration.calibration
    model, protocol = experiment.forward_model(), experiment.protocol
    met = protocol.years.tolist()
    wanted = [len(met) - 1 - met[::-1].index(year) if year in met else -1 for year in years] or [len(met) - 1]
    planned = {cell.name: cell for cell in members.campaign.cells}
    count, width = members.good.shape
    pools = np.full((count, width, len(wanted), members.pools.shape[2]), np.nan, np.float32)
    block = runs_at_once(experiment.time_loop)
    share = max(2, 4 * block // width)
    with ProgressBar(f"pools of {members.name}", count) as bar:
        for begin in range(0, count, share):
            INTERRUPTS.check()
            part = range(begin, min(begin + share, count))
            sites = [experiment.site(members.campaign.read_unit(planned[members.cells[n]])) for n in part]
            weather = [experiment.forward_weather(site) for site in sites]
            weather += weather[:1] * (share - len(weather))
            seats = [(n, m) for n in range(len(part)) for m in np.flatnonzero(members.good[begin + n]).tolist()]
            if not seats:
                continue
            size = ceil_div(share * width, block) * block
            lanes = (seats * size)[:size]
            runs = yearly_pools(
                model, weather, _spans(sites[0])[: max(wanted) + 1],
                np.array([members.parameters[begin + n, m] for n, m in lanes]),
                np.array([members.pools[begin + n, m] for n, m in lanes]),
                np.array([n for n, _ in lanes]), None, experiment.precision, experiment.backend,
            )  # fmt: skip
            index = tuple(np.array(seats).T + np.array([[begin], [0]]))
            for number, (ends, _) in enumerate(runs):
                for place in (place for place, one in enumerate(wanted) if one == number):
                    pools[(*index, place)] = ends[: len(seats)]
            bar.update(part.stop, members.cells[part[-1]])
    return pools


def _spans(site: Any) -> list[slice]:
    """Rows of forcing of each simulated year."""
    rows = np.arange(site.days) if site.weather_row is None else site.weather_row
    stops = np.append(np.flatnonzero(site.year_end) + 1, len(rows))
    starts = np.concatenate([[0], stops[:-1]])
    return [slice(int(rows[a]), int(rows[b - 1]) + 1) for a, b in zip(starts, stops, strict=True) if b > a]
