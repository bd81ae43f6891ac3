"""From monthly means to days: the smoothest series with these means, and rain that adds up.

What the months do not say is not made up, apart from the order of wet days: see docs/monthly.md for what that costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.sparse import bmat, csc_matrix, diags
from scipy.sparse.linalg import splu

RAIN = ("even", "wet-days")
"""How a month's rain falls: the same on every day, or on some days, as it does at towers."""

WET_AMOUNT, WET_POWER = 4.28, 0.5
"""Rain of a wet day, mm, is WET_AMOUNT P^WET_POWER, P the month's mean in mm d-1: a line through the logarithms of the
1,188 months at the 11 daily towers (a day is wet above 0.2 mm). The amounts of wet days scatter there about as much as
they are large (0.9 to 1.3), as exponential ones do."""


def month_lengths(first_year: int, last_year: int, calendar: str) -> np.ndarray:
    """Return the days of each month of some whole years of a calendar (`standard`, `noleap`), int64 (months,)."""
    months = np.datetime64(f"{first_year:04d}-01") + np.arange(12 * (last_year - first_year + 1) + 1)
    lengths = np.diff(months.astype("datetime64[D]")).astype(np.int64)
    if calendar == "noleap":
        lengths[1::12] = 28
    return lengths


@lru_cache(maxsize=4)
def _solver(lengths: tuple[int, ...]) -> Any:
    """Return the factors of the equations of `smooth_days`, for months of these lengths."""
    days, months = sum(lengths), len(lengths)
    change = diags([-np.ones(days), np.ones(days - 1)], [0, 1], shape=(days - 1, days))
    of_month = np.repeat(np.arange(months), lengths)
    mean = csc_matrix((1.0 / np.repeat(lengths, lengths), (of_month, np.arange(days))), shape=(months, days))
    return splu(csc_matrix(bmat([[change.T @ change, mean.T], [mean, None]])))


def smooth_days(means: np.ndarray, lengths: np.ndarray, positive: bool = False) -> np.ndarray:
    """Return the daily values with these monthly means whose squared change from day to day is least in sum.

    Within a month they are a parabola, and they go on without a kink into the next. Where a quantity cannot be negative
    and the parabola is, the month's negative days become 0 and its others are scaled back to the mean.

    Args:
        means: monthly means, (months,); where `positive`, none is negative.
        lengths: days of each month, (months,).
        positive: whether the quantity cannot be negative.

    Returns:
        float64 (days,), whose means over the months are `means` to rounding.
    """
    means = np.asarray(means, float)
    days = int(lengths.sum())
    if days == 1:
        return means.copy()
    found: np.ndarray = _solver(tuple(int(n) for n in lengths)).solve(np.concatenate([np.zeros(days), means]))[:days]
    if not positive:
        return found
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    lowest = np.minimum.reduceat(found, starts)
    for month in np.flatnonzero(lowest < 0):
        part = slice(starts[month], starts[month] + lengths[month])
        kept = np.maximum(found[part], 0.0)
        total = kept.sum()
        found[part] = kept * (means[month] * lengths[month] / total) if total > 0 else means[month]
    return found


def _draws(cell: str, year: int, month: int, count: int) -> np.ndarray:
    """Return numbers between 0 and 1 that depend on the cell and the month alone, whatever the program's version."""
    stream = hashlib.shake_256(f"{cell} {year:04d}-{month:02d}".encode()).digest(4 * count)
    return (np.frombuffer(stream, "<u4") + 0.5) / 2.0**32


def rain_days(
    means: np.ndarray, lengths: np.ndarray, cell: str, first_year: int, manner: str = "wet-days"
) -> np.ndarray:
    """Return daily rain whose sum over each month is the month's.

    `wet-days`: as many days are wet as rain of a usual amount makes (`WET_AMOUNT`), at least one; which, and how much
    falls on each (exponential), follows from the cell's id and the month alone. Rounding goes to the wettest day.

    Args:
        means: mm d-1, (months,), none negative; the first is a January.
        lengths: days of each month, (months,).
        cell: id of the cell.
        first_year: year of the first month.
        manner: one of `RAIN`.

    Returns:
        mm d-1, float32 (days,).

    Raises:
        ValueError: an unknown manner.
    """
    if manner not in RAIN:
        raise ValueError(f"rain {manner!r}; valid are {', '.join(RAIN)}")
    means = np.asarray(means, float)
    if manner == "even":
        return np.repeat(means, lengths).astype(np.float32)
    found = np.zeros(int(lengths.sum()), np.float32)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    for number, (mean, length, start) in enumerate(zip(means, lengths.tolist(), starts, strict=True)):
        if mean <= 0:
            continue
        draws = _draws(cell, first_year + number // 12, number % 12 + 1, 2 * length)
        wet = round(length * mean ** (1 - WET_POWER) / WET_AMOUNT)
        days = np.argsort(draws[:length], kind="stable")[: min(max(wet, 1), length)]
        amounts = -np.log(draws[length:][days])
        amounts = (amounts * (mean * length / amounts.sum())).astype(np.float32)
        most = int(np.argmax(amounts))
        amounts[most] += np.float32(mean * length - amounts.sum(dtype=float))
        found[start + days] = amounts
    return found


def daily_forcing(
    monthly: Mapping[str, np.ndarray], lengths: np.ndarray, cell: str, first_year: int, rain: str = "wet-days"
) -> dict[str, np.ndarray]:
    """Return daily forcing with the means of monthly forcing.

    Mean temperature and daily range are downscaled, so that tasmin never exceeds tasmax; radiation, deficit and range
    are never negative.

    Args:
        monthly: tasmin, tasmax (degC), rsds (MJ m-2 d-1), co2 (ppm), vpd (hPa) and pr (mm d-1), each (months,).
        lengths: days of each month, (months,).
        cell: id of the cell, which its wet days follow from.
        first_year: year of the first month, a January.
        rain: one of `RAIN`.

    Returns:
        float32 (days,) by the same names.
    """
    middle = smooth_days(0.5 * (monthly["tasmin"] + monthly["tasmax"]), lengths)
    half = 0.5 * smooth_days(monthly["tasmax"] - monthly["tasmin"], lengths, positive=True)
    found = {"tasmin": middle - half, "tasmax": middle + half}
    found |= {name: smooth_days(monthly[name], lengths, positive=True) for name in ("rsds", "co2", "vpd")}
    found["pr"] = rain_days(monthly["pr"], lengths, cell, first_year, rain)
    return {name: values.astype(np.float32) for name, values in found.items()}
