"""Sites of the daily DALEC in grid cells: cycled years, means over windows, composites and biomass."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from phloem.kernels.calibrations.dalec_daily.canopy_calibration import canopy_efficiency
from phloem.kernels.calibrations.dalec_daily.site import DalecSite
from phloem.kernels.calibrations.protocol import RunProtocol, Years
from phloem.kernels.models.dalec_daily.forcing_terms import weather, year_ends
from phloem.kernels.models.dalec_daily.grid_operators import GridObserved, GridWeather
from phloem.kernels.models.dalec_daily.mode_switches import Switches
from phloem.kernels.objective.site import weighted
from phloem.names import ALL_STREAMS, STREAMS, WINDOW_MEANS


@dataclass(frozen=True)
class GridSite(DalecSite):
    """One grid cell, ready for the folds. Observations are kept by row: a day without any has row 0 if years cycle.

    Attributes:
        rows_of_days: rows of forcing and of observations for each simulated day, None where each day has its own.
        calibration_rows, validation_rows: which rows of the observations belong to which years, bool.
        window_share: 1 over the days of the window that ends on the row's day, else 0.
        year_end_rows: marks of year ends by row of the observations.
        biomass_spread: what the single biomass is measured by, gC m-2, NaN where there is a trajectory or nothing.
        map_priors: mapped leaf carbon per area (gC m-2) and autotrophic fraction, NaN where there is none.
        windowed: streams that are compared as means over windows.
        withheld: values that only the validation sees, as `observations`, by some streams.
    """

    record: ClassVar[Any] = GridObserved
    rows_of_days: tuple[np.ndarray, np.ndarray] | None
    calibration_rows: np.ndarray
    validation_rows: np.ndarray
    window_share: np.ndarray
    year_end_rows: np.ndarray
    biomass_spread: float
    map_priors: tuple[float, float]
    windowed: tuple[str, ...] = WINDOW_MEANS
    withheld: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def weather_row(self) -> np.ndarray | None:
        """Row of the weather for each day, None where each has its own."""
        return None if self.rows_of_days is None else self.rows_of_days[0]

    @property
    def observed_row(self) -> np.ndarray | None:
        """Row of the observations for each day, None where each has its own."""
        return None if self.rows_of_days is None else self.rows_of_days[1]

    @property
    def priors(self) -> tuple[float, float]:
        """Mapped leaf carbon per area (gC m-2) and autotrophic fraction, NaN where there is none."""
        return self.map_priors

    def observed(self, window: str) -> tuple[Any, list[float]]:
        """Return the observations and weights of a window, as for a tower.

        Biomass counts in the calibration only. What is withheld counts in the validation, whichever year it is of, and
        does not even stand in the tables of the calibration.
        """
        values: dict[str, np.ndarray] = {"year_end": self.year_end_rows, "window_share": self.window_share}
        rows = self.calibration_rows if window == "calibration" else self.validation_rows
        spread = []
        for name in ALL_STREAMS:
            seen, inside = self.observations[name], rows
            if name == "biomass":
                inside = np.full(len(rows), window == "calibration")
            elif window == "validation" and name in self.withheld:
                held = np.isfinite(self.withheld[name])
                seen, inside = np.where(held, self.withheld[name], seen), rows | held
            values[name], weight, squares = weighted(seen, inside)
            values[f"{name}_weight"] = weight
            if name == "biomass" and np.isfinite(self.biomass_spread):
                squares = self.biomass_spread**2 if weight.any() else 0.0
            spread.append(squares)
        return GridObserved(**values), spread

    def cut(self, days: slice) -> GridSite:
        """Return some whole years of the calibration window, all of them calibration days; see `Site.cut`.

        Raises:
            ValueError: the years of this cell are cycled.
        """
        if self.rows_of_days is not None:
            raise ValueError("a run over cycled years cannot be cut")
        part = super().cut(days)
        assert isinstance(part, GridSite)
        count = np.ones(part.days, bool)
        marks, share = part.year_end, np.array(self.window_share[days])
        means = {name: np.array(part.observations[name]) for name in self.windowed}
        first = int(np.argmax(part.weather.window_keep == 0))  # a window that had begun before is not whole
        share[:first] = 0
        for values in means.values():
            values[:first] = np.nan
        return replace(
            part,
            observations={**part.observations, **means},
            calibration_rows=count,
            validation_rows=~count,
            window_share=share,
            year_end_rows=marks,
            withheld={},
        )


@dataclass(frozen=True, eq=False)
class RunDays:
    """The days of a run: what a cell's calendar and the protocol say of them, whatever its drivers and observations.

    Attributes:
        record: days of the cell's record that are forcing.
        window: of these, those of the calibration years.
        window_start: 1 on the first day of each window of the record, else 0.
        row: of the record, for each simulated day.
        observed: whether the run meets the day's year for the last time, and it may be compared.
        marks: 1 on marked year ends.
        ends: last day of each simulated year.
        inside, after: whether the day belongs to the calibration or the validation years.
        share: 1 over the length of each window on its last day, of the record's.
    """

    record: slice
    window: slice
    window_start: np.ndarray
    row: np.ndarray
    observed: np.ndarray
    marks: np.ndarray
    ends: np.ndarray
    inside: np.ndarray
    after: np.ndarray
    share: np.ndarray


def calendar_of(cell: Any, protocol: RunProtocol) -> RunDays:
    """Return the days of a cell's run; worked out once for all cells of one calendar.

    Raises:
        ValueError: years of the protocol that the record or the run does not have.
    """
    year, doy, starts = (np.asarray(values) for values in (cell.year, cell.doy, cell.window_start))
    described = tuple((values.tobytes(), values.dtype.str) for values in (year, doy, starts))
    return _run_days(*described, protocol)


@functools.lru_cache(maxsize=8)
def _run_days(
    year_bytes: tuple[bytes, str],
    doy_bytes: tuple[bytes, str],
    start_bytes: tuple[bytes, str],
    protocol: RunProtocol,
) -> RunDays:
    all_years, all_doy, all_starts = (np.frombuffer(*given) for given in (year_bytes, doy_bytes, start_bytes))
    record = years_of(all_years, protocol.forcing)
    year, doy, window_start = (values[record] for values in (all_years, all_doy, all_starts))
    # Where the run meets each day of the record last; where nothing is observed the day has row 0.
    starts = {y: years_of(year, (y, y)) for y in sorted(set(map(int, protocol.years)))}
    row = np.concatenate([np.arange(starts[y].start, starts[y].stop) for y in map(int, protocol.years)])
    sim_year = np.concatenate(
        [np.full(starts[y].stop - starts[y].start, n) for n, y in enumerate(map(int, protocol.years), 1)]
    )
    meetings = [protocol.last_met(y) for y in range(protocol.calibration[0], protocol.validation[1] + 1)]
    observed = np.isin(sim_year, meetings)
    inside, after = (
        observed & (year[row] >= span[0]) & (year[row] <= span[1])
        for span in (protocol.calibration, protocol.validation)
    )
    return RunDays(
        record=record,
        window=years_of(year, protocol.calibration),
        window_start=window_start,
        row=row,
        observed=observed,
        marks=year_ends(doy[row]),
        ends=np.flatnonzero(np.diff(np.append(sim_year, 0))),
        inside=inside,
        after=after,
        share=_shares(window_start),
    )


def grid_site(
    cell: Any,
    protocol: RunProtocol,
    switches: Switches,
    windowed: tuple[str, ...] = WINDOW_MEANS,
    efficiency: float | None = None,
) -> GridSite:
    """Prepare one grid cell, the canopy efficiency's pre-calibration included.

    Where GPP is a mean over windows there is no pre-calibration: it needs the GPP of single days.

    Args:
        cell: as `io.drivers.grid_cell.GridCell`. Observations that are `windowed` stand on the last day of each window,
            `lai` else on the first day of each composite; the trajectory is live biomass at ages 1, 2, ..., gC m-2, of
            which age 1 is the end of the first simulated year; the statics `biomass_snapshot` (live biomass on the last
            day of the last observed year, gC m-2), `lcma` (gC m-2) and `cue` may be missing. Withheld values count in
            the validation only, on days of the calibration and validation years.
        protocol: what is simulated and compared.
        switches: named differences.
        windowed: streams that are compared as means over the windows, as in `grid_dalec`.
        efficiency: what the pre-calibration found before over the same calibration years.

    Raises:
        ValueError: years of the protocol that the record or the run does not have.
    """
    days = calendar_of(cell, protocol)
    record, window = days.record, days.window
    time, doy, fraction = (np.asarray(values)[record] for values in (cell.time, cell.doy, cell.evaporative_fraction))
    forcing, trajectory = cell.forcing, cell.trajectory
    snapshot = float(cell.statics.get("biomass_snapshot", np.nan))
    seen = {name: np.asarray(cell.observations[name], float)[record] for name in STREAMS}
    terms = weather(
        time, doy, cell.latitude, {name: np.asarray(v)[record] for name, v in forcing.items()}, window, switches
    )
    mean = 0.5 * (np.asarray(forcing["tasmin"], float) + np.asarray(forcing["tasmax"], float))[record]

    biomass = np.full(len(days.row), np.nan)
    if protocol.biomass == "trajectory":
        count = min(len(days.ends), len(trajectory))
        biomass[days.ends[:count]] = np.asarray(trajectory, float)[:count]
    elif protocol.biomass == "snapshot":
        biomass[days.ends[protocol.last_met(protocol.validation[1]) - 1]] = snapshot
    by_day = {name: np.where(days.observed, seen[name][days.row], np.nan) for name in STREAMS} | {"biomass": biomass}
    held = {
        name: np.where(days.observed, np.asarray(values, float)[record][days.row], np.nan)
        for name, values in cell.withheld.items()
    }
    if protocol.cycled:
        kept = np.flatnonzero(days.observed | (days.marks > 0) | np.isfinite(biomass))
        observed_row = np.zeros(len(days.row), int)
        observed_row[kept] = 1 + np.arange(len(kept))
        rows = np.concatenate([[np.flatnonzero(~days.observed)[0] if (~days.observed).any() else 0], kept])
        nothing = np.arange(len(rows)) == 0
        index = (days.row, observed_row)
    else:
        rows, index = np.arange(len(days.row)), None
        nothing = np.zeros(len(rows), bool)

    if efficiency is None:
        lai = _daily(seen["lai"])
        if "gpp" in windowed:
            fraction = np.full(len(fraction), np.nan)
        part = {name: values[window] for name, values in (("gpp", seen["gpp"]), ("lai", lai), ("ef", fraction))}
        efficiency = canopy_efficiency(
            type(terms)(*(values[window] for values in terms)), part["gpp"], part["lai"], part["ef"], len(part["gpp"])
        )
    return GridSite(
        weather=GridWeather(*terms, 1.0 - np.asarray(days.window_start, float)),
        observations={name: np.where(nothing, np.nan, values[rows]) for name, values in by_day.items()},
        year_end=days.marks,
        training_days=int(np.flatnonzero(days.inside)[-1]) + 1,
        ce_opt=efficiency,
        mean_temperature=float(mean[window].mean()),
        rows_of_days=index,
        calibration_rows=days.inside[rows] & ~nothing,
        validation_rows=days.after[rows] & ~nothing,
        window_share=np.where(nothing, 0.0, days.share[days.row][rows]),
        year_end_rows=np.where(nothing, 0.0, days.marks[rows]),
        biomass_spread=protocol.snapshot_spread * snapshot if protocol.biomass == "snapshot" else float("nan"),
        map_priors=(float(cell.statics.get("lcma", np.nan)), 1 - float(cell.statics.get("cue", np.nan))),
        windowed=windowed,
        withheld={name: np.where(nothing, np.nan, values[rows]) for name, values in held.items()},
    )


def years_of(year: np.ndarray, span: Years) -> slice:
    """Return the days of some years of a record.

    Raises:
        ValueError: it does not hold them.
    """
    days = np.flatnonzero((year >= span[0]) & (year <= span[1]))
    if not len(days) or year[days[0]] != span[0] or year[days[-1]] != span[1]:
        raise ValueError(f"the record has the years {year[0]} to {year[-1]}; {span[0]} to {span[1]} are asked for")
    return slice(int(days[0]), int(days[-1]) + 1)


def _shares(window_start: np.ndarray) -> np.ndarray:
    """Return 1 over the length of each window on its last day, else 0."""
    starts = np.flatnonzero(np.asarray(window_start) > 0)
    stops = np.append(starts[1:], len(window_start))
    share = np.zeros(len(window_start))
    share[stops - 1] = 1 / (stops - starts)
    return share


def _daily(values: np.ndarray) -> np.ndarray:
    """Return a series of composites as daily values, linear between them, NaN before the first and after the last."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values
    return np.interp(np.arange(len(values)), known, values[known], left=np.nan, right=np.nan)
