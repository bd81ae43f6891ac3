"""Identifiability screens: the parameters on which the members agree, by two measures.

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
from phloem.io.merge.at_bounds import mostly_at_bounds
from phloem.io.merge.member_statistics import LEAST_MEMBERS, SCREENING_RCV, circular_median_and_rcv, median_and_rcv
from phloem.model_tables import ModelTables

STANDARD_LIMIT = 0.6
"""Limit of the spatial median of SD / |mean| (Fang et al.)."""

KINDS = ("std", "mad")
AGGREGATIONS = ("cell", "median")


@dataclass(frozen=True)
class Screen:
    """Result of a screen of the parameters.

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
    periods: Mapping[str, float] | None = None,
    stopped: np.ndarray | None = None,
) -> Screen:
    """Screen parameters by how much the members of a cell differ.

    Args:
        values: (cells, members, k) physical values, NaN = missing.
        names: of the k parameters.
        cv: "std" or "mad".
        threshold: "std" keeps what is below it, by default 0.6; "mad" keeps up to it, by default 0.3.
        aggregation: "cell" or "median" (over the cells); by default "median" for std and "cell" for mad.
        periods: of those that repeat, by name: their spread is circular.
        stopped: (cells, k), true where most members stand at a bound, which is no agreement: such a cell has a spread
            that is not kept, whatever it is.

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
    period_of = np.array([(periods or {}).get(name, 0.0) for name in names])
    spread = np.empty(members.shape[:2])
    for period in np.unique(period_of):
        some = period_of == period
        spread[:, some] = _spread(members[:, some], cv, float(period))
    known = ~np.isnan(spread)
    if stopped is not None:
        spread = np.where(stopped & known, np.inf, spread)
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


def _spread(members: np.ndarray, cv: str, period: float) -> np.ndarray:
    """CV of (cells, k, members), circular where there is a period: (cells, k)."""
    valid = np.isfinite(members)
    if cv == "mad":
        return (circular_median_and_rcv(members, valid, period) if period else median_and_rcv(members, valid))[1]
    count = valid.sum(axis=-1)
    enough = count >= LEAST_MEMBERS
    filled = np.where(valid, members, 0.0)
    at_least = np.maximum(count, 1)
    if period:
        angles = 2.0 * np.pi * filled / period
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
        spread = np.where(deviation == 0.0, 0.0, deviation / scale)
    return np.where(enough, spread, np.nan)


def identifiability(
    parameters: np.ndarray,
    tables: ModelTables,
    initial_pools: np.ndarray | None = None,
    std_limit: float = STANDARD_LIMIT,
    mad_limit: float = SCREENING_RCV,
) -> Mapping[str, Any]:
    """Return both screens of all parameters that the model reads, and of the initial pools: a part of attribution.json.

    Args:
        parameters: (cells, members, parameters), NaN for lanes without a result.
        tables: of the model.
        initial_pools: (cells, members, pools) likewise.
        std_limit: of the spatial median of SD / |mean|.
        mad_limit: of the robust CV of a cell.
    """
    columns = [column for column, parameter in enumerate(tables.parameters) if parameter.read]
    names = [parameter.name for parameter in tables.shown]
    values = np.asarray(parameters, float)[..., columns]
    if initial_pools is not None:
        names += [f"initial_{name}" for name in tables.pool_names]
        values = np.concatenate([values, np.asarray(initial_pools, float)], axis=-1)
    quantities = [*tables.shown, *(tables.pools if initial_pools is not None else ())]
    stopped = mostly_at_bounds(values, np.isfinite(values).any(axis=-1), quantities)
    std = screen(values, names, "std", std_limit, periods=tables.periods, stopped=stopped)
    mad = screen(values, names, "mad", mad_limit, periods=tables.periods, stopped=stopped)
    at_bounds = [int(count) for count in stopped.sum(axis=0)]
    return {
        "std": {
            "limit": std_limit,
            "rows": [
                {"parameter": name, "median_cv": _number(std.median[n]), "cells": int(std.cells[n]),
                 "cells_at_bounds": at_bounds[n], "kept": bool(std.kept[n])}
                for n, name in enumerate(names)
            ],
        },
        "mad": {
            "limit": mad_limit,
            "rows": [
                {"parameter": name, "median_cv": _number(mad.median[n]), "cells": int(mad.cells[n]),
                 "cells_at_bounds": at_bounds[n], "share_kept": _number(mad.share_kept[n])}
                for n, name in enumerate(names)
            ],
        },
    }  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
