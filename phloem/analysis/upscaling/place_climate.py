"""Climate and recent months of places as columns of their rows: means of the year, anomalies, the months before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from phloem.analysis.upscaling.baseline_fluxes import fixed_baselines
from phloem.analysis.upscaling.conditions import Conditions, conditions_of
from phloem.analysis.upscaling.flux_rows import Columns
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions

FOLLOWED = ("TA", "VPD", "SWIN", "P", "fapar", "baseline_gpp")
"""Quantities whose year, anomaly and months before are told."""
OF_YEAR = tuple(f"{name}_{part}" for name in FOLLOWED for part in ("year", "low", "high"))
"""Of the mean year of a place: its mean, its least and its greatest month."""
ANOMALIES = tuple(f"{name}_anomaly" for name in FOLLOWED)
"""Difference from the mean of the same month of the year."""
BEFORE = (*(f"{name}_{part}" for name in FOLLOWED for part in ("before", "season")), "P_half_year")
"""The month before; the mean of three and, of rain, of six months that end with this one."""
PLACE_COLUMNS = (*OF_YEAR, "aridity", *ANOMALIES, *BEFORE)
"""Columns that `complete_rows` adds and that are predictors; also TOPT."""
WATER_OF_ENERGY = 28.4  # W m-2 that evaporate 1 mm d-1 at 2.45e6 J kg-1


@dataclass(frozen=True, eq=False)
class CompleteRows:
    """Rows with all that models read.

    Attributes:
        columns: drivers, and `PLACE_COLUMNS`.
        conditions: of the rows.
        fixed: of `baseline_fluxes.fixed_baselines`.
    """

    columns: Columns
    conditions: Conditions
    fixed: Mapping[str, np.ndarray]

    def at(self, rows: np.ndarray) -> CompleteRows:
        """Return some of the rows, by their positions."""
        conditions = {one.name: getattr(self.conditions, one.name)[rows] for one in fields(self.conditions)}
        columns, fixed = ({name: values[rows] for name, values in part.items()} for part in (self.columns, self.fixed))
        return CompleteRows(columns, Conditions(**conditions), fixed)


def complete_rows(columns: Columns, place: np.ndarray, options: BaselineOptions) -> CompleteRows:
    """Add to rows what their places' other rows tell, and what the baselines need.

    A place's numbers come from its own drivers alone, never from fluxes, in the order of its rows; other places change
    no bit. Give all months that a place has, also those without fluxes: a month that is not there is missing in those
    that follow it.

    Args:
        columns: drivers of the rows, each month of a place once.
        place: number of the place of each row, from 0 on, int64 (rows,).
        options: choices of the baselines.
    """
    conditions = conditions_of(columns, options)
    best = _best_temperature(conditions, place)
    columns = {**columns, "TOPT": columns.get("TOPT", best)}
    fixed = fixed_baselines(columns, conditions, options)
    missing = np.full(len(place), np.nan)
    followed = {
        "TA": conditions.ta,
        "VPD": columns["VPD"],
        "SWIN": conditions.swin,
        "P": columns.get("P", missing),
        "fapar": conditions.fapar,
        "baseline_gpp": fixed["gpp"],
    }
    month = np.asarray(columns["month"]).astype(np.int64)
    added: dict[str, np.ndarray] = {}
    for name, values in followed.items():
        year = _mean_year(values, place, month)
        added[f"{name}_year"], added[f"{name}_low"], added[f"{name}_high"] = (part[place] for part in _of_year(year))
        added[f"{name}_anomaly"] = values - year[place, month % 12]
        earlier = _earlier(values, place, month, 5 if name == "P" else 2)
        added[f"{name}_before"] = earlier[1]
        added[f"{name}_season"] = _mean(earlier[:3])
        if name == "P":
            added["P_half_year"] = _mean(earlier)
    radiation = _of_year(_mean_year(conditions.rnet, place, month))[0][place]
    added["aridity"] = added["P_year"] / np.maximum(radiation / WATER_OF_ENERGY, 0.1)
    return CompleteRows({**columns, **added}, conditions, fixed)


def _best_temperature(conditions: Conditions, place: np.ndarray) -> np.ndarray:
    """Return where Rn fAPAR T / D is greatest at each place, degC, (rows,) (Fisher et al. 2008)."""
    c = conditions
    vigour = c.rnet * c.fapar * c.ta / np.maximum(c.vpd, 1.0)
    known = np.flatnonzero(np.isfinite(vigour))
    best = np.full(int(place.max(initial=-1)) + 1, np.nan)
    # The last of a place's rows in rising order is its greatest; of equal ones the first row.
    order = known[np.lexsort((-known, vigour[known], place[known]))]
    best[place[order]] = c.ta[order]
    return np.asarray(best[place])


def _mean_year(values: np.ndarray, place: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Return means by place and month of the year, (places, 12), NaN where a place has none."""
    places = int(place.max(initial=-1)) + 1
    known = np.isfinite(values)
    key = place[known] * 12 + month[known] % 12
    count = np.bincount(key, minlength=places * 12).reshape(places, 12)
    total = np.bincount(key, values[known], minlength=places * 12).reshape(places, 12)
    return np.divide(total, count, out=np.full((places, 12), np.nan), where=count > 0)


def _of_year(year: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, least and greatest of the months that are known, each (places,)."""
    known = np.isfinite(year)
    any_known = known.any(axis=1)
    low = np.where(any_known, np.where(known, year, np.inf).min(axis=1), np.nan)
    high = np.where(any_known, np.where(known, year, -np.inf).max(axis=1), np.nan)
    return _mean(year.T), low, high


def _earlier(values: np.ndarray, place: np.ndarray, month: np.ndarray, most: int) -> np.ndarray:
    """Return the values of rows and of the months before them, (most + 1, rows), NaN where there is no such row."""
    first = month.min(initial=0) - most
    span = int(month.max(initial=0) - first) + 1
    key = place * span + (month - first)
    order = np.argsort(key, kind="stable")
    ranked = key[order]
    found = np.full((most + 1, len(values)), np.nan)
    found[0] = values
    for back in range(1, most + 1):
        at = np.minimum(np.searchsorted(ranked, key - back), max(len(ranked) - 1, 0))
        found[back] = np.where(ranked[at] == key - back, values[order[at]], np.nan)
    return found


def _mean(values: np.ndarray) -> np.ndarray:
    """Return means over the first axis of what is known, added up in its order; NaN where nothing is."""
    total, count = np.zeros(values.shape[1:]), np.zeros(values.shape[1:])
    for row in values:
        known = np.isfinite(row)
        total += np.where(known, row, 0.0)
        count += known
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
