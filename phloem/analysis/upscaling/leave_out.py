"""What is left out together: folds of rows by tower, at random, by boxes of degrees, by years."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.analysis.upscaling.upscaling_settings import SCHEMES
from phloem.errors import InputError, did_you_mean
from phloem.io.clustered_towers.tower_clusters import clusters_within

SAME_PLACE_KM = 1.0
"""Towers within such a distance see the same vegetation and weather: one of them would tell of the other."""


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Folds of rows.

    Attributes:
        names: of the folds: a tower, towers of one place as CA-Man+CA-NS1, a box as 40N010E, a year, or a number.
        fold: position in `names` of each row, int64 (rows,).
    """

    names: tuple[str, ...]
    fold: np.ndarray


def leave_out(rows: FluxRows, scheme: str, count: int, block_degrees: float, seed: int) -> LeftOut:
    """Return the folds of a scheme; every fold has rows, every row has one fold.

    Args:
        rows: months of towers.
        scheme: of `SCHEMES`: "tower", each tower's months are a fold, those of towers within `SAME_PLACE_KM` of each
            other, directly or by way of others, together; one without coordinates stands alone; "row", rows at random,
            in folds whose sizes differ by one at most; "block", towers of a box of latitude and longitude; "year", a
            calendar year.
        count: folds of "row"; 0 with the others keeps one fold a tower, box or year, a smaller number than there are
            puts whole towers, boxes or years together at random.
        block_degrees: side of the boxes.
        seed: of what is put together.

    Raises:
        InputError: no such scheme, fewer than two folds, boxes without size, towers without a place.
    """
    if scheme not in SCHEMES:
        raise InputError(f"cv {scheme!r} is none of {', '.join(SCHEMES)}.{did_you_mean(scheme, SCHEMES)}")
    draw = np.random.default_rng(seed)
    if scheme == "row":
        if not 2 <= count <= len(rows):
            raise InputError(f"cv 'row' needs 2 to {len(rows)} folds (one a row at most), not {count}")
        width = len(str(count - 1))
        fold = draw.permutation(np.arange(len(rows)) % count)
        return LeftOut(tuple(f"{i:0{width}d}" for i in range(count)), fold.astype(np.int64))
    labels, fold = np.unique(_labels(rows, scheme, block_degrees), return_inverse=True)
    if len(labels) < 2:
        raise InputError(f"cv {scheme!r} leaves nothing to fit: all rows are of {labels[0] if len(labels) else 'none'}")
    if not 0 < count < len(labels):
        return LeftOut(tuple(map(str, labels)), fold.astype(np.int64))
    if count < 2:
        raise InputError(f"cv {scheme!r} needs at least 2 folds, not {count}")
    width = len(str(count - 1))
    together = draw.permutation(np.arange(len(labels)) % count)
    return LeftOut(tuple(f"{i:0{width}d}" for i in range(count)), together[fold].astype(np.int64))


def _labels(rows: FluxRows, scheme: str, block_degrees: float) -> np.ndarray:
    """Return what each row is left out with, texts (rows,)."""
    if scheme == "tower":
        return _towers_of_a_place(rows)[rows.site]
    if scheme == "year":
        return (1970 + np.floor_divide(rows.month, 12)).astype(str)
    if not block_degrees > 0.0:
        raise InputError(f"boxes of {block_degrees} degrees hold no towers; write a number above 0")
    lat, lon = rows.columns["lat"], rows.columns["lon"]
    nowhere = np.isnan(lat) | np.isnan(lon)
    if nowhere.any():
        raise InputError(f"tower {rows.sites[rows.site[np.argmax(nowhere)]]} has no latitude or longitude for a box")
    south = np.floor(lat / block_degrees) * block_degrees
    west = np.floor(lon / block_degrees) * block_degrees
    return np.asarray([f"{_degrees(a, 'NS')}{_degrees(b, 'EW')}" for a, b in zip(south, west, strict=True)], dtype=str)


def _towers_of_a_place(rows: FluxRows) -> np.ndarray:
    """Return of each tower the names of those at its place, joined with +, texts (towers,)."""
    names = np.array(rows.sites, dtype=object)
    there, first = np.unique(rows.site, return_index=True)
    nowhere = np.full(len(rows), np.nan)
    lat, lon = (np.asarray(rows.columns.get(name, nowhere), float)[first] for name in ("lat", "lon"))
    known = np.isfinite(lat) & np.isfinite(lon)
    if known.any():
        placed = there[known]
        place = clusters_within(lat[known], lon[known], SAME_PLACE_KM)
        for number in np.unique(place):
            together = placed[place == number]
            names[together] = "+".join(sorted(rows.sites[tower] for tower in together))
    return names.astype(str)


def _degrees(value: float, halves: str) -> str:
    """Return a corner of a box as a text, 40N or 7.5S."""
    return f"{abs(value):g}{halves[0] if value >= 0.0 else halves[1]}"
