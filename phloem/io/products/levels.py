"""Levels of a variable along further dimensions, and the places that a choice of them means."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phloem.errors import InputError, some
from phloem.io.products.raw_files import Header, RawFile, decoded
from phloem.io.products.times import read_stamps

Level = float | str | Sequence[float]
Select = Mapping[str, Level]
"""Dimension -> a number or text along it, `mean`, or the first and last of several."""


def labels(file: RawFile, dimension: str) -> list[str]:
    """Return labels along a dimension: its coordinate variable of texts, else one that says it is a station's name."""
    candidates = [dimension, *(n for n in file.names() if file.header(n).text("cf_role") == "timeseries_id")]
    for name in candidates:
        if name not in file.names() or file.header(name).dimensions[:1] != (dimension,):
            continue
        if found := texts_of(file, name):
            return found
    return []


def texts_of(file: RawFile, name: str) -> list[str]:
    """Return the texts of a variable, of strings or of rows of characters; empty where it has none."""
    values = np.asarray(file.read(name, (slice(None),) * len(file.header(name).shape)))
    if values.dtype.kind == "S" and values.ndim == 2:
        return [b"".join(row.tolist()).decode(errors="replace").strip("\x00 ") for row in values]
    if values.dtype.kind in "OUS" and values.ndim == 1:
        return [str(value) for value in values.tolist()]
    return []


def resolve(file: RawFile, path: Path, header: Header, plane: frozenset[str], select: Select) -> list[dict[str, int]]:
    """Turn levels by coordinate into indices; several where a mean is asked for.

    Raises:
        InputError: a dimension of several levels that is not told, one that is not there, a level that it has not.
    """
    further = {n: k for n, k in zip(header.dimensions, header.shape, strict=True) if n not in plane}
    for name in select:
        if name not in further:
            raise InputError(
                f"{path}: select has {name!r}; further dimensions of the variable: {', '.join(further) or 'none'}"
            )
    chosen: list[list[tuple[str, int]]] = []
    for name, length in further.items():
        if name not in select and length > 1:
            raise InputError(
                f"{path}: the variable has {length} levels along {name} ({_shown(file, path, name, length)}); choose "
                f'one by select = {{ {name} = ... }}, or "mean"'
            )
        places = _levels(file, path, name, length, select[name]) if name in select else [0]
        chosen.append([(name, place) for place in places])
    return [dict(level) for level in itertools.product(*chosen)]


def _levels(file: RawFile, path: Path, name: str, length: int, wanted: Level) -> list[int]:
    if wanted == "mean":
        return list(range(length))
    if " since " in units_of(file, name):
        stamps = read_stamps(file, path, name, length, "", "")
        years = stamps.days_within().astype("datetime64[Y]").astype(int) + 1970
        first, last = wanted if isinstance(wanted, (list, tuple)) else (wanted, wanted)
        if isinstance(first, str) or isinstance(last, str):
            raise InputError(f'{path}: {name}: {wanted!r}; a year, [first, last] or "mean" is due')
        places = np.flatnonzero((years >= first) & (years <= last))
    elif texts := labels(file, name):
        places = np.flatnonzero(np.array(texts) == str(wanted))
    else:
        values = np.arange(length, dtype=float) if name not in file.names() else decoded(file, path, name)
        try:
            low, high = wanted if isinstance(wanted, (list, tuple)) else (float(wanted), float(wanted))  # type: ignore[arg-type]
        except ValueError:
            low = high = np.nan
        slack = 1e-6 * max(abs(low), abs(high))
        places = np.flatnonzero((values >= low - slack) & (values <= high + slack))
    if not len(places):
        raise InputError(f"{path}: {name} has no {wanted!r}; it has {_shown(file, path, name, length)}")
    return [int(place) for place in places]


def units_of(file: RawFile, name: str) -> str:
    """Return units of a coordinate variable, empty where there is none."""
    return file.header(name).text("units") if name in file.names() else ""


def _shown(file: RawFile, path: Path, name: str, length: int) -> str:
    if " since " in units_of(file, name):
        date = read_stamps(file, path, name, length, "", "").date
        return f"{date.min()} to {date.max()}"
    if texts := labels(file, name):
        return some(texts, most=40)
    values: Any = range(length) if name not in file.names() else decoded(file, path, name)
    return some([f"{value:g}" for value in values], most=40)
