"""Days from monthly means: the smoothest series with these means, rain that adds up, light of clear and dull days.

Light that is the same on all days is used better than light that varies, so that days without weather have 7 % too much
GPP (docs/monthly.md). How much daily clearness varies follows from its monthly mean; on which days it is dull, and on
which it rains, is drawn from the cell's id and the month alone.
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
"""How a month's rain falls: the same on every day, or on some days, as it does at towers. The first is the default: wet
days that are not the true ones make monthly fluxes worse (benchmarks/downscaling.py)."""

LIGHT = ("smooth", "cloudy")
"""How a month's radiation and deficit are spread: smoothly, or over clear and dull days."""

WET_AMOUNT, WET_POWER = 4.28, 0.5
"""Rain of a wet day, mm, is WET_AMOUNT P^WET_POWER, P the month's mean in mm d-1: a line through the logarithms of the
1,188 months at the 11 daily towers (a day is wet above 0.2 mm). The amounts of wet days scatter there about as much as
they are large (0.9 to 1.3), as exponential ones do."""

SOLAR = 0.0820
"""MJ m-2 min-1, the solar constant (FAO-56)."""

DULLEST = 0.05
"""Least daily clearness (Bendt et al. 1981); the greatest is that of Hollands and Huget (1983)."""

DARK = 1.0
"""MJ m-2 d-1 above the atmosphere below which a month's radiation is spread smoothly: there is no day to speak of."""

DRY_LEAD = 0.4
"""By how much, against draws from 0 to 1, dry days come before wet ones when clear days are given out: wet days then
have 0.55 to 0.77 of the radiation of dry ones; at the eight towers 0.55 to 0.76."""

DRYING = 0.7
"""Of a day's relative excess of radiation, what the deficit has of it: the regression at eight daily towers."""


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
    daily: np.ndarray = _solver(tuple(int(n) for n in lengths)).solve(np.concatenate([np.zeros(days), means]))[:days]
    if not positive:
        return daily
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    lowest = np.minimum.reduceat(daily, starts)
    for month in np.flatnonzero(lowest < 0):
        part = slice(starts[month], starts[month] + lengths[month])
        kept = np.maximum(daily[part], 0.0)
        total = kept.sum()
        daily[part] = kept * (means[month] * lengths[month] / total) if total > 0 else means[month]
    return daily


def _draws(cell: str, year: int, month: int, count: int) -> np.ndarray:
    """Return numbers between 0 and 1 that depend on the cell and the month alone, whatever the program's version."""
    stream = hashlib.shake_256(f"{cell} {year:04d}-{month:02d}".encode()).digest(4 * count)
    return (np.frombuffer(stream, "<u4") + 0.5) / 2.0**32


def rain_days(means: np.ndarray, lengths: np.ndarray, cell: str, first_year: int, manner: str = "even") -> np.ndarray:
    """Return daily rain whose sum over each month is the month's.

    `even`: the same on every day. `wet-days`: as many days are wet as rain of a usual amount makes (`WET_AMOUNT`), at
    least one; which, and how much falls on each (exponential), follows from the cell's id and the month alone. Rounding
    goes to the wettest day.

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
    rain = np.zeros(int(lengths.sum()), np.float32)
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
        rain[start + days] = amounts
    return rain


def above_the_atmosphere(latitude: float, doy: np.ndarray) -> np.ndarray:
    """Return the radiation on a horizontal plane above the atmosphere, MJ m-2 d-1 (FAO-56, eq. 21 to 25).

    Args:
        latitude: degrees north.
        doy: day of the year, (days,).
    """
    angle = 2 * np.pi * np.asarray(doy, float) / 365
    declination = 0.409 * np.sin(angle - 1.39)
    phi = np.deg2rad(latitude)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1, 1))
    height = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    return 24 * 60 / np.pi * SOLAR * (1 + 0.033 * np.cos(angle)) * np.maximum(height, 0.0)


def clearness(mean: float, count: int) -> np.ndarray:
    """Return the daily clearness of a month, ascending: the quantiles of the usual distribution with this mean.

    Daily clearness (radiation over that above the atmosphere) has a density that grows or falls exponentially between
    its least and greatest value, whatever the place (Liu and Jordan 1960; Bendt, Collares-Pereira and Rabl 1981).

    Args:
        mean: the month's clearness.
        count: days.
    """
    mean = min(max(mean, DULLEST + 0.01), 0.78)
    span = max(0.6313 + 0.267 * mean - 11.9 * (mean - 0.75) ** 8, mean + 0.02) - DULLEST
    low, high = -60.0, 60.0
    for _ in range(60):
        rate = 0.5 * (low + high)
        z = rate * span
        found = 0.5 if abs(z) < 1e-6 else 1 / -np.expm1(-z) - 1 / z  # mean of the density, as a share of the span
        low, high = (rate, high) if DULLEST + span * found < mean else (low, rate)
    share = (np.arange(count) + 0.5) / count
    if abs(rate * span) < 1e-6:
        return DULLEST + span * share
    return DULLEST + np.log1p(share * np.expm1(rate * span)) / rate


def light_days(
    means: np.ndarray, lengths: np.ndarray, latitude: float, cell: str, first_year: int, rain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return daily radiation whose monthly means are the months', and its ratio to that of an average day.

    Each month has the clear and dull days that are usual at its clearness; wet days are dull more often.

    Args:
        means: MJ m-2 d-1, (months,), none negative; the first is a January.
        lengths: days of each month, (months,).
        latitude: degrees north.
        cell: id of the cell.
        first_year: year of the first month.
        rain: daily, (days,).

    Returns:
        MJ m-2 d-1, float64 (days,), and clearness over the month's mean, (days,); 1 where the sun hardly rises.
    """
    light = smooth_days(means, lengths, positive=True)
    ratio = np.ones(len(light))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    for number, (mean, length, start) in enumerate(zip(means, lengths.tolist(), starts, strict=True)):
        days = slice(start, start + length)
        year_start = starts[number - number % 12]
        above = above_the_atmosphere(latitude, np.arange(start, start + length) - year_start + 1)
        if above.mean() < DARK or mean <= 0:
            continue
        sequence = _draws(f"{cell} light", first_year + number // 12, number % 12 + 1, length)
        order = np.argsort(sequence + DRY_LEAD * (rain[days] <= 0), kind="stable")
        daily = np.empty(length)
        daily[order] = clearness(mean / above.mean(), length)
        ratio[days] = daily / daily.mean()
        daily *= above
        light[days] = daily * (mean / daily.mean())
    return light, ratio


def daily_forcing(
    monthly: Mapping[str, np.ndarray],
    lengths: np.ndarray,
    cell: str,
    latitude: float,
    first_year: int,
    rain: str = "even",
    light: str = "cloudy",
) -> dict[str, np.ndarray]:
    """Return daily forcing with the means of monthly forcing.

    Mean temperature and daily range are downscaled, so that tasmin never exceeds tasmax; radiation, deficit and range
    are never negative.

    Args:
        monthly: tasmin, tasmax (degC), rsds (MJ m-2 d-1), co2 (ppm), vpd (hPa) and pr (mm d-1), each (months,).
        lengths: days of each month, (months,).
        cell: id of the cell, which its weather is drawn from.
        latitude: degrees north.
        first_year: year of the first month, a January.
        rain: one of `RAIN`.
        light: one of `LIGHT`.

    Returns:
        float32 (days,) by the same names.

    Raises:
        ValueError: an unknown way.
    """
    if light not in LIGHT:
        raise ValueError(f"light {light!r}; valid are {', '.join(LIGHT)}")
    middle = smooth_days(0.5 * (monthly["tasmin"] + monthly["tasmax"]), lengths)
    half = 0.5 * smooth_days(monthly["tasmax"] - monthly["tasmin"], lengths, positive=True)
    forcing = {"tasmin": middle - half, "tasmax": middle + half}
    forcing |= {name: smooth_days(monthly[name], lengths, positive=True) for name in ("rsds", "co2", "vpd")}
    forcing["pr"] = rain_days(monthly["pr"], lengths, cell, first_year, rain)
    if light == "cloudy":
        forcing["rsds"], ratio = light_days(monthly["rsds"], lengths, latitude, cell, first_year, forcing["pr"])
        drier = forcing["vpd"] * (1 + DRYING * (ratio - 1))
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        dried = np.add.reduceat(drier, starts) / lengths
        scale = np.where(dried > 0, monthly["vpd"] / np.where(dried > 0, dried, 1), 1)
        forcing["vpd"] = drier * np.repeat(scale, lengths)
    return {name: values.astype(np.float32) for name, values in forcing.items()}
