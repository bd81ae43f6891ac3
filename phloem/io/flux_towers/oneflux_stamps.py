"""Time stamps of ONEFlux tables, in local standard time: which step each row is, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError, some

START, END, PLAIN = "TIMESTAMP_START", "TIMESTAMP_END", "TIMESTAMP"

STEP_MINUTES = {"HH": 30, "HR": 60, "DD": 1440}

_DIGITS = {"HH": 12, "HR": 12, "DD": 8, "MM": 6}
_FORM = {12: "YYYYMMDDhhmm", 8: "YYYYMMDD", 6: "YYYYMM"}


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of a table.

    Attributes:
        order: rows in the order of time, int64 (rows,).
        month: of each of them, datetime64[M] (rows,).
        notes: what was seen, in words.
    """

    order: np.ndarray
    month: np.ndarray
    notes: tuple[str, ...]


def stamp_columns(header: Sequence[str], resolution: str) -> tuple[str, ...]:
    """Return the columns of a table that say when its rows are, empty where it has none that do.

    Args:
        header: names of its columns.
        resolution: of `oneflux_files.RESOLUTIONS`.
    """
    if resolution in ("HH", "HR"):
        return tuple(name for name in (START, END) if name in header) or ((PLAIN,) if PLAIN in header else ())
    return next(((name,) for name in (PLAIN, START) if name in header), ())


def read_steps(columns: dict[str, np.ndarray], line: np.ndarray, resolution: str, where: str) -> Steps:
    """Return the steps of a table's rows.

    Rows may be out of order and steps may be absent. A stamp that stands twice, lies between the steps, or is no date
    is refused: which of two rows is right, nobody knows.

    Args:
        columns: stamps as numbers by the names of `stamp_columns`, float64 (rows,).
        line: of each row in the file, (rows,).
        resolution: of `oneflux_files.RESOLUTIONS`.
        where: file, for messages.

    Raises:
        InputError: naming line and column.
    """
    notes: list[str] = []
    read = {name: _moments(values, line, name, _DIGITS[resolution], where) for name, values in columns.items()}
    if resolution == "MM":
        (name, at), *_ = read.items()
        month = at.astype("datetime64[M]")
        order = _ascending(month.astype(np.int64), columns[name], line, name, where, notes)
        gaps = int(np.diff(month[order].astype(np.int64)).sum()) + 1 - len(order)
        return Steps(order, month[order], (*notes, *([f"{gaps} months have no row"] if gaps else [])))
    step = STEP_MINUTES[resolution]
    name, begin = _begins(read, step, columns, line, where, notes)
    minutes = begin.astype(np.int64)
    off = minutes % step != 0
    if off.any():
        at_row = int(np.argmax(off))
        raise _error(where, line, at_row, name, columns[name], f"is no multiple of {step} minutes")
    order = _ascending(minutes, columns[name], line, name, where, notes)
    gaps = int(minutes[order[-1]] - minutes[order[0]]) // step + 1 - len(order)
    if gaps:
        notes.append(f"{gaps:,} steps have no row")
    return Steps(order, begin[order].astype("datetime64[M]"), tuple(notes))


def _begins(
    read: dict[str, np.ndarray], step: int, columns: dict[str, np.ndarray], line: np.ndarray, where: str,
    notes: list[str],
) -> tuple[str, np.ndarray]:  # fmt: skip
    """The column that dates the steps, and their beginnings."""
    if START in read and END in read:
        odd = (read[END] - read[START]).astype(np.int64) != step
        if odd.any():
            row = int(np.argmax(odd))
            raise _error(where, line, row, END, columns[END], f"is not {step} minutes after {START}")
    if START in read:
        return START, read[START]
    if END in read:
        return END, read[END] - step
    (at,) = read.values()
    if step == STEP_MINUTES["DD"]:
        return PLAIN, at
    first = int(at.min().astype(np.int64) % 1440)
    if first not in (0, step):
        raise InputError(f"{where}: column {PLAIN}: whether it begins or ends the steps is not clear; "
                         f"{START} or {END} is due")  # fmt: skip
    notes.append(f"{PLAIN} is taken to {'end' if first else 'begin'} the steps, as the first of them shows")
    return PLAIN, at - first


def _moments(values: np.ndarray, line: np.ndarray, name: str, digits: int, where: str) -> np.ndarray:
    """Stamps such as 200301312330 as datetime64[m]."""
    missing = ~np.isfinite(values)
    if missing.any():
        raise InputError(f"{where}, line {line[np.argmax(missing)]}: column {name}: no time")
    whole = values.astype(np.int64)
    fits = (whole == values) & (whole >= 10 ** (digits - 1)) & (whole < 10**digits)
    if not fits.all():
        raise _error(where, line, int(np.argmax(~fits)), name, values, f"is no {_FORM[digits]}")
    full = whole * 10 ** (12 - digits) + {12: 0, 8: 0, 6: 10_000}[digits]
    year, month, day = full // 10**8, full // 10**6 % 100, full // 10**4 % 100
    hour, minute = full // 100 % 100, full % 100
    months = (year - 1970) * 12 + month - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[M]").astype("datetime64[D]") - first).astype(np.int64)
    good = (month >= 1) & (month <= 12) & (day >= 1) & (day <= length) & (year >= 1900) & (year <= 2200)
    good &= (minute < 60) & ((hour < 24) | ((hour == 24) & (minute == 0)))
    if not good.all():
        raise _error(where, line, int(np.argmax(~good)), name, values, f"is no {_FORM[digits]} that there is")
    minutes = (first.astype(np.int64) + day - 1) * 1440 + hour * 60 + minute
    return np.asarray(minutes.astype("datetime64[m]"))


def _ascending(
    key: np.ndarray, stamps: np.ndarray, line: np.ndarray, name: str, where: str, notes: list[str]
) -> np.ndarray:
    """Rows in the order of time."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    twice = np.diff(ordered) == 0
    if twice.any():
        at = int(np.argmax(twice))
        lines = line[order[ordered == ordered[at]]].tolist()
        raise InputError(f"{where}, line {lines[-1]}: column {name}: {stamps[order[at]]:.0f} stands there and on line "
                         f"{some(lines[:-1])}; which of them is right is not known: leave one")  # fmt: skip
    late = int((np.diff(key) < 0).sum())
    if late:
        notes.append(f"rows are out of order at {late} places, and put in order")
    return order


def _error(where: str, line: np.ndarray, row: int, name: str, values: np.ndarray, what: str) -> InputError:
    return InputError(f"{where}, line {line[row]}: column {name}: {values[row]:.0f} {what}")
