"""Terms of the monthly model that depend on the forcing alone, in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Real

from phloem.kernels.models.dalec_daily.forcing_terms import weather as daily_terms
from phloem.kernels.models.dalec_daily.mode_switches import Switches
from phloem.kernels.models.dalec_monthly.mode_switches import MonthlySwitches
from phloem.kernels.models.dalec_monthly.records import MonthlyWeather

MONTH = 30.0
"""Days of every month in `compat`."""

PUBLISHED_YEAR = 365.22
"""Days by which the public code divides a year's precipitation: a slip of the pen for 365.25 (preprocessing.py:71)."""


def weather(
    time: Real[np.ndarray, "months ..."],
    doy: Real[np.ndarray, "months ..."],
    latitude: float | np.ndarray,
    forcing: Mapping[str, Real[np.ndarray, "months ..."]],
    reference: tuple[float, float] | tuple[np.ndarray, np.ndarray],
    lengths: Real[np.ndarray, "months ..."],
    switches: MonthlySwitches,
) -> MonthlyWeather:
    """Turn a cell's months into what the step reads; or those of several cells, (months, cells), in one call.

    Args:
        time: middle of each month, days since 2001-01-01, (months,).
        doy: the same as a day of the year.
        latitude: degrees north.
        forcing: means of tasmin, tasmax (degC), rsds (MJ m-2 d-1), co2 (umol mol-1), vpd (hPa), pr (mm d-1) and
            burned_area (share of the area), each of shape (months,).
        reference: long-term mean temperature in degC and precipitation in mm d-1.
        lengths: days of each month, (months,).
        switches: `pole_guard` and `month_length` are read.

    Returns:
        Thirteen float64 arrays of shape (months,), or of what the arguments have in common, as (months, 1).
    """
    guard = Switches(pole_guard=switches.pole_guard)
    terms = daily_terms(time, doy, latitude, forcing, len(np.asarray(time)), guard, reference)
    days = np.asarray(lengths, float) if switches.month_length == "true" else np.full(np.shape(lengths), MONTH)
    return MonthlyWeather(*terms, burned=np.asarray(forcing["burned_area"], float), days=days)
