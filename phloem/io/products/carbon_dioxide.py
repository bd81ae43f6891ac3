"""Atmospheric CO2 by year, from published tables."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.variables import VARIABLES

_MEANS = ("mean", "average", "co2", "value", "ppm", "trend")


def read_co2(path: Path, years: tuple[int, int]) -> tuple[np.ndarray, str]:
    """Return annual means of CO2.

    Three layouts: NOAA's annual table (`Year,Mean,...`), its monthly table (`Date,...,Average,...` with dates as
    1979-01, averaged over the twelve months), and two columns of text without a header, year and value (TRENDY).

    Args:
        path: the table; lines that begin with # are passed over.
        years: first and last that are due.

    Returns:
        ppm, float64 (years,), and how the table was understood.

    Raises:
        InputError: another layout, a value that cannot be, a year that is missing or incomplete.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable table of CO2 ({error})") from error
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    rows = list(csv.reader(line if "," in line else ",".join(line.split()) for line in lines))
    if not rows:
        raise InputError(f"{path}: empty; years and ppm are due")
    head = [name.strip().lower() for name in rows[0]]
    first, column, expected = 0, 1, "year and value"
    if not _is_number(head[0]) and not _is_month(head[0]):
        named = [head.index(name) for name in _MEANS if name in head]
        if head[0] not in ("year", "yr", "date", "time") or not named:
            raise InputError(f"{path}: columns {', '.join(rows[0])}; due are Year and Mean, or Date and Average")
        first, column, expected = 1, named[0], f"columns {rows[0][0]} and {rows[0][named[0]]}"
    values: dict[int, list[float]] = {}
    monthly = len(rows) > first and _is_month(rows[first][0])
    low, high = VARIABLES["co2"].lowest, VARIABLES["co2"].highest
    for line, row in enumerate(rows[first:], 1):
        try:
            year, value = int(row[0].strip()[:4]) if monthly else int(float(row[0])), float(row[column])
        except (ValueError, IndexError, OverflowError):
            raise InputError(f"{path}: row {line}: {', '.join(row)!r} is not a year and a number") from None
        if not low <= value <= high:
            raise InputError(f"{path}: row {line}: {value:g} ppm in {year}, outside {low:g}..{high:g}")
        values.setdefault(year, []).append(value)
    due = 12 if monthly else 1
    wanted = range(years[0], years[1] + 1)
    wrong = [year for year in wanted if len(values.get(year, [])) != due]
    if wrong:
        what = f"{due} months" if monthly else "one value"
        raise InputError(
            f"{path}: a hole in time: {what} a year are due; {', '.join(str(y) for y in wrong[:10])} "
            f"{'has' if len(wrong) == 1 else 'have'} {', '.join(str(len(values.get(y, []))) for y in wrong[:10])} "
            f"(the table goes from {min(values)} to {max(values)})"
        )
    means = np.array([np.mean(values[year]) for year in wanted])
    return means, f"{expected}{', mean of twelve months' if monthly else ''}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_month(text: str) -> bool:
    return len(text.strip()) == 7 and text.strip()[4] == "-" and text.strip().replace("-", "").isdigit()
