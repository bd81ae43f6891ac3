"""From a cell's arrays to what the objective reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from phloem.kernels.canopy import canopy_efficiency
from phloem.kernels.features import Weather, weather, year_ends
from phloem.kernels.objective import SiteData
from phloem.kernels.records import Observed
from phloem.kernels.series import series
from phloem.kernels.switches import Switches
from phloem.names import STREAMS

ROW = 64
"""Numbers a cell come in rows of a multiple of this: XLA's code for another length may have other last bits."""

CONSTANT = 1e-20
"""Observations whose squared deviations are below this share of their squares are constant: only rounding is left."""


@dataclass(frozen=True)
class Site:
    """One cell, ready for the folds.

    Attributes:
        weather: forcing-only terms, float64 (days,).
        observations: gpp, reco (gC m-2 d-1), et (mm d-1), lai; float64 (days,), NaN where missing.
        year_end: 1 on marked year ends, (days,).
        training_days: length of the calibration window at the start of the record.
        ce_opt: pre-calibrated canopy efficiency, NaN where there is none.
        mean_temperature: reference mean temperature, degC.
    """

    weather: Weather
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
    def validation(self) -> slice:
        """Days after the calibration window."""
        return slice(self.training_days, self.days)


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
    observed, variances = [], []
    for one in sites:
        days = slice(0, one.training_days) if window == "calibration" else one.validation
        values: dict[str, np.ndarray] = {"year_end": one.year_end}
        spread = []
        for name in STREAMS:
            seen = np.asarray(one.observations[name], float)
            weight = np.zeros(one.days)
            weight[days] = np.isfinite(seen[days])
            filled = np.where(weight > 0, seen, 0.0)
            values[name], values[f"{name}_weight"] = filled, weight
            count = weight.sum()
            mean = filled.sum() / count if count else 0.0
            squares = (weight * (filled - mean) ** 2).sum()
            spread.append(squares if squares > CONSTANT * (filled**2).sum() else 0.0)
        observed.append(Observed(**values))
        variances.append(spread)
    return SiteData(
        series=series([one.weather for one in sites], observed, dtype, least=least),
        variance=_row(variances, dtype).T,
        marked=_row([one.year_end.sum() for one in sites], dtype),
        days=_row([one.days for one in sites], dtype),
        ce_opt=_row([0.0 if np.isnan(one.ce_opt) else one.ce_opt for one in sites], dtype),
        mean_temperature=_row([one.mean_temperature for one in sites], dtype),
    )


def _row(numbers: Sequence[Any], dtype: Any) -> Array:
    """Return one number (or row) a cell, repeated from the first cell on up to the next multiple of ROW cells."""
    values = np.array(numbers, dtype)
    return jnp.asarray(np.resize(values, (-(-len(values) // ROW) * ROW, *values.shape[1:])))
