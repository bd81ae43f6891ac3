"""Atmospheric CO2 by year or by month, from published tables."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.variables import VARIABLES

_UNNAMED = (("date", "decimal date", "average", "trend"), 6)
"""The table with dates is published with two columns of uncertainties that its header does not name."""

_FILLS = (-9.99, -99.99, -999.99, -9999.0)
"""NOAA's marks of missing values."""

_MEANS = ("mean", "average", "co2", "value", "ppm", "trend")


def read_co2(path: Path, years: tuple[int, int]) -> tuple[np.ndarray, str]:
    """Return annual means of CO2.

    Four layouts: NOAA's annual table (`Year,Mean,...`), its monthly table as NOAA publishes it (`year,month,decimal,
    average,...`) and as others do (`Date,...,Average,...` with dates as 1979-01), averaged over the twelve months, and
    two columns of text without a header, year and value (TRENDY). -99.99 and the like are missing months.

    Args:
        path: the table; lines that begin with # are passed over.
        years: first and last that are due.

    Returns:
        ppm, float64 (years,), and how the table was understood.

    Raises:
        InputError: another layout, a value that cannot be, a year that is missing or incomplete.
    """
    table = _read_table(path, years)
    table.refuse_holes(years, 12 if table.monthly else 1)
    means = np.array(
        [np.mean([table.values[year][month] for month in sorted(table.values[year])]) for year in _all(years)]
    )
    return means, f"{table.columns}{', mean of twelve months' if table.monthly else ''}"


def read_monthly_co2(path: Path, years: tuple[int, int]) -> tuple[np.ndarray, str]:
    """Return CO2 of each month, ppm, float64 (12 x years,), and how the table was understood.

    Args:
        path: a monthly table, as `read_co2` takes it.
        years: first and last that are due.

    Raises:
        InputError: as of `read_co2`; a table of years.
    """
    table = _read_table(path, years)
    if not table.monthly:
        raise InputError(f"{path}: a table of years; one of months is due, as NOAA's co2_mm_gl.csv")
    table.refuse_holes(years, 12)
    months = [table.values[year][month] for year in _all(years) for month in range(1, 13)]
    return np.array(months), table.columns


def _all(years: tuple[int, int]) -> range:
    return range(years[0], years[1] + 1)


@dataclass(frozen=True)
class _Co2Table:
    """A table as read.

    Attributes:
        path: the file.
        values: ppm by year and month; of a table of years all months are 1.
        monthly: whether it is of months.
        columns: which were read, in words.
    """

    path: Path
    values: dict[int, dict[int, float]]
    monthly: bool
    columns: str

    def refuse_holes(self, years: tuple[int, int], due: int) -> None:
        """Refuse years that have other than so many values."""
        values = self.values
        wrong = [year for year in _all(years) if len(values.get(year, {})) != due]
        if wrong:
            what = f"{due} months" if self.monthly else "one value"
            raise InputError(
                f"{self.path}: a hole in time: {what} a year are due; {', '.join(str(y) for y in wrong[:10])} "
                f"{'has' if len(wrong) == 1 else 'have'} {', '.join(str(len(values.get(y, {}))) for y in wrong[:10])} "
                f"(the table goes from {min(values)} to {max(values)})"
            )


def _read_table(path: Path, years: tuple[int, int]) -> _Co2Table:
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
    values: dict[int, dict[int, float]] = {}
    apart = head.index("month") if first and "month" in head else -1
    monthly = apart >= 0 or (len(rows) > first and _is_month(rows[first][0]))
    low, high = VARIABLES["co2"].lowest, VARIABLES["co2"].highest
    for line, row in enumerate(rows[first:], 1):
        if first and len(row) != len(head) and (tuple(head), len(row)) != _UNNAMED:
            raise InputError(f"{path}: row {line}: {len(row)} fields; the header has {len(head)}")
        try:
            year = int(row[0].strip()[:4]) if monthly else int(float(row[0]))
            month = (int(row[apart]) if apart >= 0 else int(row[0].strip()[5:])) if monthly else 1
            value = float(row[column])
        except (ValueError, IndexError, OverflowError):
            raise InputError(f"{path}: row {line}: {', '.join(row)!r} is not a year and a number") from None
        when = f"{year}-{month:02d}" if monthly else f"{year}"
        if not 1 <= month <= 12:
            raise InputError(f"{path}: row {line}: month {month} of {year}")
        if value in _FILLS and not years[0] <= year <= years[1]:
            continue
        if not low <= value <= high:
            missing = ", which stands for a missing value" if value in _FILLS else f", outside {low:g}..{high:g}"
            raise InputError(f"{path}: row {line}: {value:g} ppm in {when}{missing}")
        if month in values.setdefault(year, {}):
            raise InputError(f"{path}: row {line}: {when} stands twice")
        values[year][month] = value
    return _Co2Table(path, values, monthly, expected)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_month(text: str) -> bool:
    return len(text.strip()) == 7 and text.strip()[4] == "-" and text.strip().replace("-", "").isdigit()
