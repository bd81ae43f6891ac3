"""Monthly files of single places, many of them, as one: the places of all over the years that all have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from phloem.errors import InputError, some
from phloem.io.files.own_variables import OwnVariables
from phloem.io.files.time_axis import StampsAt
from phloem.io.monthly.monthly_file import Monthly, read_monthly
from phloem.io.monthly.variable_names import WITHHELD

MAY_LACK = WITHHELD
"""Variables that some files of a folder need not have though the user says something of them; one must."""

MOST_TOLD = 20
"""Files whose defects a refusal tells, at most."""


def monthly_paths(given: Path) -> list[Path]:
    """Return the files that a path means: itself, or the NetCDF files of a folder by name.

    Raises:
        InputError: there is none.
    """
    if given.is_file():
        return [given]
    if not given.is_dir():
        raise InputError(
            f"{given}: no such file; --what monthly reads a NetCDF file of monthly drivers, or a folder of them"
        )
    found = sorted(path for path in given.iterdir() if path.suffix == ".nc" and not path.name.startswith("."))
    if not found:
        raise InputError(f"{given}: holds no NetCDF file (.nc)")
    return found


def read_monthly_files(paths: Sequence[Path], stamps: StampsAt, own: OwnVariables) -> Monthly:
    """Read files of monthly drivers as one.

    Args:
        paths: the files; where they are several, each of places.
        stamps: where the stamps of months stand, if a file has no time bounds.
        own: what the user says of their variables.

    Raises:
        InputError: what is wrong with each, all of them at once; or files that do not go together.
    """
    read: list[Monthly] = []
    bad: list[str] = []
    for path in paths:
        try:
            read.append(read_monthly(path, stamps, own, absent=MAY_LACK if len(paths) > 1 else ()))
        except InputError as error:
            bad.append(str(error))
    lacking = [key for key in own if key in MAY_LACK and read and all(key not in one.values for one in read)]
    if lacking and not bad and len(paths) > 1:
        bad = [f"{paths[0].parent}: variable {key}: no file has it (variables.{key})" for key in lacking]
    if bad:
        more = [f"and {len(bad) - MOST_TOLD} more"] if len(bad) > MOST_TOLD else []
        counted = [f"{len(bad)} of {len(paths)} files cannot be used"] if len(paths) > 1 else []
        raise InputError("\n".join([*bad[:MOST_TOLD], *more, *counted]))
    return read[0] if len(read) == 1 else joined(read)


def joined(files: Sequence[Monthly]) -> Monthly:
    """Return the places of several files as those of one, over the years that all files have.

    Raises:
        InputError: grids, calendars that differ, no year that all have, a place that stands twice, numbers in other
            units.
    """
    first = files[0]
    for other in files:
        if other.step is not None:
            raise InputError(f"{other.path}: cells of a grid; of several files each must hold places")
        if other.calendar != first.calendar:
            raise InputError(f"{other.path}: calendar {other.calendar}; {first.path.name} has {first.calendar}")
    latest, earliest = max(files, key=lambda one: one.first_year), min(files, key=lambda one: one.last_year)
    begin, end = latest.first_year, earliest.last_year
    if begin > end:
        raise InputError(
            f"{latest.path}: begins in {begin}, when {earliest.path.name} has ended ({end}): there is no year that all "
            "files have; ingest them apart"
        )
    at: dict[str, Path] = {}
    for one in files:
        for name in one.names:
            if name in at:
                raise InputError(f"{one.path}: place {name}: stands in {at[name].name} too")
            at[name] = one.path
    places, months = sum(len(one.names) for one in files), 12 * (end - begin + 1)
    parts = [slice(12 * (begin - one.first_year), 12 * (begin - one.first_year) + months) for one in files]

    def together(keys: Sequence[str], of: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        still = {key for key in keys if any(values[key].shape[1] == 1 for values in of if key in values)}
        whole = {key: np.full((places, 1 if key in still else months), np.nan, np.float32) for key in keys}
        row = 0
        for one, values, part in zip(files, of, parts, strict=True):
            rows = slice(row, row + len(one.names))
            for key, series in values.items():
                cut = series if series.shape[1] == 1 else series[:, part]
                # Where some files have a number of no month, the last of the others stands beside it.
                whole[key][rows] = last_known(cut) if key in still else cut
            row = rows.stop
        return whole

    keys, held = (list(dict.fromkeys(key for one in of for key in one)) for of in _values_of(files))
    cut = [one.path.name for one in files if (one.first_year, one.last_year) != (begin, end)]
    notes = [f"{some(cut)}: only the years that all files have, {begin} to {end}"] if cut else []
    return replace(
        first,
        first_year=begin,
        last_year=end,
        names=[name for one in files for name in one.names],
        latitude=np.concatenate([one.latitude for one in files]),
        longitude=np.concatenate([one.longitude for one in files]),
        values=together(keys, [one.values for one in files]),
        withheld=together(held, [one.withheld for one in files]),
        numbers=_numbers(files),
        classes=_classes(files),
        notes=notes + _notes(files),
    )


def last_known(series: np.ndarray) -> np.ndarray:
    """Return the last value of each place that is not missing, (places, 1)."""
    known = np.isfinite(series)
    last = series.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return np.where(known.any(1), series[np.arange(len(series)), last], np.nan)[:, None]


def _values_of(files: Sequence[Monthly]) -> tuple[list[dict[str, np.ndarray]], list[dict[str, np.ndarray]]]:
    return [one.values for one in files], [one.withheld for one in files]


def _numbers(files: Sequence[Monthly]) -> dict[str, tuple[np.ndarray, str]]:
    """Numbers of the places; NaN where a file does not have one."""
    units: dict[str, tuple[str, Path]] = {}
    for one in files:
        for key, (_, unit) in one.numbers.items():
            known, where = units.setdefault(key, (unit, one.path))
            if known != unit:
                raise InputError(f"{one.path}: variable {key}: unit {unit!r}; {where.name} has {known!r}")

    def of(one: Monthly, key: str) -> np.ndarray:
        return one.numbers[key][0] if key in one.numbers else np.full(len(one.names), np.nan)

    return {key: (np.concatenate([of(one, key) for one in files]), unit) for key, (unit, _) in units.items()}


def _classes(files: Sequence[Monthly]) -> list[str]:
    """Vegetation class of each place, empty where a file has none; an empty list where no file has any."""
    if not any(one.classes for one in files):
        return []
    return [label for one in files for label in (one.classes or [""] * len(one.names))]


def _notes(files: Sequence[Monthly]) -> list[str]:
    """What was seen of the files: what is said of all of them once, the rest with the file's name."""
    count = Counter(note for one in files for note in dict.fromkeys(one.notes))
    common = [note for note, times in count.items() if times == len(files)]
    others = [f"{one.path.name}: {note}" for one in files for note in one.notes if count[note] < len(files)]
    return [f"{note} (all {len(files)} files)" for note in common] + others
