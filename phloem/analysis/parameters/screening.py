"""Which parameters the members agree on: identifiability screens of two kinds behind one interface (attribution.md 3).

"std": CV = SD / |mean| over the members (ddof 1), kept below 0.6 in the spatial median (Fang et al.).
"mad": robust CV = 1.4826 median |x - median| / |median|, kept cell by cell up to 0.3 (Wu et al. 2026).
The CV of a day of the year is the spread in radians about the circular mean or median.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.errors import InputError
from phloem.io.merge.member_statistics import LEAST_MEMBERS, SCREENING_RCV, circular_median_and_rcv, median_and_rcv
from phloem.names import CIRCULAR_PARAMETERS, FIRE_PARAMETERS, PARAMETERS, PERIOD, POOLS

STANDARD_LIMIT = 0.6
"""Limit of the spatial median of SD / |mean| (Fang et al.)."""

KINDS = ("std", "mad")
AGGREGATIONS = ("cell", "median")


@dataclass(frozen=True)
class Screen:
    """Which parameters pass a screen.

    Attributes:
        names: what was screened.
        spread: (cells, k) CV or robust CV, NaN with fewer than three members.
        median: (k,) spatial median of the spread over the cells that have one; NaN where none has.
        cells: (k,) how many cells have one.
        kept: boolean, (cells, k) for the aggregation "cell", (k,) for "median".
    """

    names: tuple[str, ...]
    spread: np.ndarray
    median: np.ndarray
    cells: np.ndarray
    kept: np.ndarray

    @property
    def share_kept(self) -> np.ndarray:
        """(k,) share of the cells with a spread that are kept; 0 or 1 for "median"; NaN where no cell has one."""
        if self.kept.ndim == 1:
            return np.where(self.cells > 0, self.kept.astype(float), np.nan)
        with np.errstate(invalid="ignore"):
            return np.asarray(self.kept.sum(axis=0) / np.where(self.cells > 0, self.cells, np.nan))


def screen(
    values: np.ndarray,
    names: Sequence[str],
    cv: str,
    threshold: float | None = None,
    aggregation: str | None = None,
    circular: Sequence[str] = CIRCULAR_PARAMETERS,
) -> Screen:
    """Screen parameters by how much the members of a cell differ.

    Args:
        values: (cells, members, k) physical values, NaN = missing.
        names: of the k parameters.
        cv: "std" or "mad".
        threshold: "std" keeps what is below it, by default 0.6; "mad" keeps up to it, by default 0.3.
        aggregation: "cell" or "median" (over the cells); by default "median" for std and "cell" for mad.
        circular: names of those that are days of the year.

    Raises:
        InputError: no such kind or aggregation, or shapes that do not fit.
    """
    if cv not in KINDS:
        raise InputError(f"screen: cv = {cv!r} is not one of {', '.join(KINDS)}")
    aggregation = aggregation or ("median" if cv == "std" else "cell")
    if aggregation not in AGGREGATIONS:
        raise InputError(f"screen: aggregation = {aggregation!r} is not one of {', '.join(AGGREGATIONS)}")
    if values.ndim != 3 or values.shape[2] != len(names):
        raise InputError(f"screen: values of shape {values.shape} are not (cells, members, {len(names)})")
    members = np.moveaxis(np.where(np.isfinite(values), values, np.nan), 1, 2)
    round_ = np.array([name in circular for name in names])
    spread = np.empty(members.shape[:2])
    spread[:, ~round_] = _spread(members[:, ~round_], cv, turning=False)
    spread[:, round_] = _spread(members[:, round_], cv, turning=True)
    known = ~np.isnan(spread)
    cells = known.sum(axis=0)
    median = np.full(len(names), np.nan)
    for column in np.flatnonzero(cells):
        median[column] = np.median(spread[known[:, column], column])
    if threshold is None:
        threshold = STANDARD_LIMIT if cv == "std" else SCREENING_RCV
    measure = spread if aggregation == "cell" else median
    with np.errstate(invalid="ignore"):
        kept = measure < threshold if cv == "std" else measure <= threshold
    return Screen(tuple(names), spread, median, cells, kept)


def _spread(members: np.ndarray, cv: str, turning: bool) -> np.ndarray:
    """CV of (cells, k, members): (cells, k)."""
    valid = np.isfinite(members)
    if cv == "mad":
        statistic = circular_median_and_rcv if turning else median_and_rcv
        return statistic(members, valid)[1]
    count = valid.sum(axis=-1)
    enough = count >= LEAST_MEMBERS
    filled = np.where(valid, members, 0.0)
    at_least = np.maximum(count, 1)
    if turning:
        angles = 2.0 * np.pi * filled / PERIOD
        centre = np.angle(np.where(valid, np.exp(1j * angles), 0.0).sum(axis=-1))
        away = np.mod(angles - centre[..., None] + np.pi, 2.0 * np.pi) - np.pi
        scale = np.ones(count.shape)
    else:
        centre = filled.sum(axis=-1) / at_least
        away = members - centre[..., None]
        scale = np.abs(centre)
    squares = np.where(valid, away, 0.0) ** 2
    deviation = np.sqrt(squares.sum(axis=-1) / np.maximum(count - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(deviation == 0.0, 0.0, deviation / scale)
    return np.where(enough, found, np.nan)


def identifiability(
    parameters: np.ndarray,
    initial_pools: np.ndarray | None = None,
    std_limit: float = STANDARD_LIMIT,
    mad_limit: float = SCREENING_RCV,
) -> Mapping[str, Any]:
    """Both screens of all parameters that the model reads, and of the initial pools: a part of attribution.json.

    Args:
        parameters: (cells, members, 30), NaN for lanes without a result. The four fire parameters are left out.
        initial_pools: (cells, members, 8) likewise.
        std_limit: of the spatial median of SD / |mean|.
        mad_limit: of the robust CV of a cell.
    """
    columns = [column for column, name in enumerate(PARAMETERS) if name not in FIRE_PARAMETERS]
    names = [PARAMETERS[column] for column in columns]
    values = np.asarray(parameters, float)[..., columns]
    if initial_pools is not None:
        names += [f"initial_{name}" for name in POOLS]
        values = np.concatenate([values, np.asarray(initial_pools, float)], axis=-1)
    std, mad = screen(values, names, "std", std_limit), screen(values, names, "mad", mad_limit)
    return {
        "std": {
            "limit": std_limit,
            "rows": [
                {"parameter": name, "median_cv": _number(std.median[n]), "cells": int(std.cells[n]),
                 "kept": bool(std.kept[n])}
                for n, name in enumerate(names)
            ],
        },
        "mad": {
            "limit": mad_limit,
            "rows": [
                {"parameter": name, "median_cv": _number(mad.median[n]), "cells": int(mad.cells[n]),
                 "share_kept": _number(mad.share_kept[n])}
                for n, name in enumerate(names)
            ],
        },
    }  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
