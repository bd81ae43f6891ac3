"""From a cell's arrays to what the objective reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from phloem.arithmetic import ceil_div
from phloem.kernels.models.dalec_daily.forcing_terms import weather, year_ends
from phloem.kernels.models.dalec_daily.mode_switches import Switches
from phloem.kernels.models.dalec_daily.records import Observed
from phloem.kernels.objective.canopy_calibration import canopy_efficiency
from phloem.kernels.objective.site_objective import SiteData
from phloem.kernels.time_loop.day_tables import series
from phloem.names import STREAMS

ROW = 64
"""Numbers a cell come in rows of a multiple of this: XLA's code for another length may have other last bits."""

CONSTANT = 1e-20
"""Observations whose squared deviations are below this share of their squares are constant: only rounding is left."""


@dataclass(frozen=True)
class Site:
    """One cell, ready for the folds.

    Attributes:
        weather: forcing-only terms, a NamedTuple of float64 (rows,); a row a day, unless `weather_row` says otherwise.
        observations: gpp, reco (gC m-2 d-1), et (mm d-1), lai; float64 (days,), NaN where missing.
        year_end: 1 on marked year ends, (days,).
        training_days: length of the calibration window at the start of the record.
        ce_opt: pre-calibrated canopy efficiency, NaN where there is none.
        mean_temperature: reference mean temperature, degC.
    """

    weather: Any
    observations: Mapping[str, np.ndarray]
    year_end: np.ndarray
    training_days: int
    ce_opt: float
    mean_temperature: float

    @property
    def days(self) -> int:
        """Number of days."""
        return len(self.year_end)

    @property
    def rows(self) -> int:
        """Number of rows that its longest table has."""
        return max(self.days, len(self.weather[0])) if self.weather_row is None else len(self.weather[0])

    @property
    def weather_row(self) -> np.ndarray | None:
        """Row of the weather for each day, None where each has its own."""
        return None

    @property
    def observed_row(self) -> np.ndarray | None:
        """Row of the observations for each day, None where each has its own."""
        return None

    @property
    def validation(self) -> slice:
        """Days after the calibration window."""
        return slice(self.training_days, self.days)

    @property
    def priors(self) -> tuple[float, float]:
        """Mapped leaf carbon per area (gC m-2) and autotrophic fraction, NaN where there is none."""
        return float("nan"), float("nan")

    def observed(self, window: str) -> tuple[Any, list[float]]:
        """Return the observations and weights of a window, and what each stream's squared errors are measured by.

        Args:
            window: `calibration` or `validation`.

        Returns:
            A NamedTuple of float64 (rows,), 0 with weight 0 where missing, so that NaN never enters a sum; and the sum
            of squared deviations of each stream, 0 where it is not observed or constant.
        """
        days = slice(0, self.training_days) if window == "calibration" else self.validation
        inside = np.zeros(self.days, bool)
        inside[days] = True
        values: dict[str, np.ndarray] = {"year_end": self.year_end}
        spread = []
        for name in STREAMS:
            values[name], values[f"{name}_weight"], squares = weighted(self.observations[name], inside)
            spread.append(squares)
        return Observed(**values), spread

    def cut(self, days: slice) -> Site:
        """Return some whole years of the calibration window, all of them calibration days.

        The last day's mark is left out, as a record ends before its last year's mean can be compared with another's
        start.
        """
        marks = np.array(self.year_end[days])
        marks[-1] = 0
        return replace(
            self,
            weather=type(self.weather)(*(values[days] for values in self.weather)),
            observations={name: values[days] for name, values in self.observations.items()},
            year_end=marks,
            training_days=len(marks),
        )


def site(
    time: np.ndarray,
    doy: np.ndarray,
    latitude: float,
    forcing: Mapping[str, np.ndarray],
    observations: Mapping[str, np.ndarray],
    evaporative_fraction: np.ndarray,
    training_days: int,
    switches: Switches,
) -> Site:
    """Prepare one cell, the canopy efficiency's pre-calibration included.

    Args:
        time: days since 2001-01-01, (days,).
        doy: day of the year, (days,).
        latitude: degrees north.
        forcing: as in `features.weather`.
        observations: by stream, NaN where missing.
        evaporative_fraction: (days,), NaN where missing.
        training_days: length of the calibration window.
        switches: named differences.
    """
    terms = weather(time, doy, latitude, forcing, training_days, switches)
    mean = 0.5 * (np.asarray(forcing["tasmin"]) + np.asarray(forcing["tasmax"]))
    return Site(
        weather=terms,
        observations=observations,
        year_end=year_ends(doy),
        training_days=training_days,
        ce_opt=canopy_efficiency(terms, observations["gpp"], observations["lai"], evaporative_fraction, training_days),
        mean_temperature=float(mean[:training_days].mean()),
    )


def site_data(sites: Sequence[Site], dtype: Any, window: str = "calibration", least: int = 0) -> SiteData:
    """Stack cells for the objective.

    Args:
        sites: the cells.
        dtype: floating type of tables and results.
        window: `calibration` or `validation`: the days on which observations weigh.
        least: days that the tables have at least, so that those of other cells can have their shape.

    Returns:
        The tables; masked observations are 0 with weight 0, so that NaN never enters a sum. A lone cell stands in
        them twice.
    """
    if len(sites) == 1:  # a table of one cell compiles to other code, with other last bits, than one of several
        sites = [*sites, *sites]
    found = [one.observed(window) for one in sites]
    one = sites[0]
    tables = series(
        [one.weather for one in sites],
        [observed for observed, _ in found],
        dtype,
        weather_row=one.weather_row,
        observed_row=one.observed_row,
        least=least if one.weather_row is None else 0,
    )
    priors = np.nan_to_num(np.array([one.priors for one in sites]))
    return SiteData(
        series=tables,
        variance=_row([spread for _, spread in found], dtype).T,
        marked=_row([one.year_end.sum() for one in sites], dtype),
        days=_row([one.days for one in sites], dtype),
        ce_opt=_row([0.0 if np.isnan(one.ce_opt) else one.ce_opt for one in sites], dtype),
        mean_temperature=_row([one.mean_temperature for one in sites], dtype),
        lcma=_row(priors[:, 0], dtype),
        f_auto=_row(priors[:, 1], dtype),
    )


def weighted(seen: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return observations with 0 where there is none, their weights, and the sum of their squared deviations.

    Args:
        seen: NaN where missing, (rows,).
        inside: which rows count, bool (rows,).
    """
    seen = np.asarray(seen, float)
    weight = np.zeros(len(seen))
    weight[inside] = np.isfinite(seen[inside])
    filled = np.where(weight > 0, seen, 0.0)
    count = weight.sum()
    mean = filled.sum() / count if count else 0.0
    squares = (weight * (filled - mean) ** 2).sum()
    return filled, weight, float(squares) if squares > CONSTANT * (filled**2).sum() else 0.0


def _row(numbers: Any, dtype: Any) -> Array:
    """Return one number (or row) a cell, repeated from the first cell on up to the next multiple of ROW cells."""
    values = np.array(numbers, dtype)
    return jnp.asarray(np.resize(values, (ceil_div(len(values), ROW) * ROW, *values.shape[1:])))
