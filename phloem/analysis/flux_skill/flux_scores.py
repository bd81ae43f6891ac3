"""Scores of predicted fluxes at towers: all rows, by plant class, season, climate and tower, and by part of the signal.

The metrics are those of `skill_scores`, under their names there. `nrmse` of net exchange is None: its mean is a balance
and no measure of its size (uflux.md section 10, 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import metrics
from phloem.analysis.upscaling.flux_rows import Columns, FluxRows
from phloem.io.flux_towers.tower_quantities import IGBP

Score = dict[str, Any]
"""Metrics by name, None where there is none; and breakdowns by what they are by, of names, of metrics."""

NAMES = {
    "n": "pairs",
    "nse": "nse",
    "r2_pearson": "r2_pearson",
    "rmse": "rmse",
    "nrmse": "nrmse",
    "mae": "mae",
    "bias": "bias",
    "slope_obs_on_pred": "slope_obs_on_pred",
    "intercept_obs_on_pred": "intercept_obs_on_pred",
    "slope_pred_on_obs": "slope_pred_on_obs",
    "intercept_pred_on_obs": "intercept_pred_on_obs",
    "mean_observed": "mean_observed",
}
"""Names in scores.json, and in `skill_scores.Metrics`."""

BALANCES = ("nee",)
"""Fluxes whose zero is no absence but a balance: nothing is relative to their mean."""

SEASONS = ("winter", "spring", "summer", "autumn")
"""December to February and so on in the north, six months later in the south."""

CLIMATES = ("tropical", "arid", "temperate", "continental", "polar")
"""Main classes of Koeppen and Geiger, A to E, in the order of their numbers from 1 on."""

UNKNOWN = "unknown"
"""Group of rows whose class is not known."""

LEAST_ROWS = 6
"""Rows below which a group's scores say nothing: it is told with its n alone."""


def score_table(rows: FluxRows, predicted: Mapping[str, np.ndarray]) -> dict[str, Score]:
    """Return the scores of each flux, as scores.json has them.

    Args:
        rows: months of towers.
        predicted: by flux, (rows,), in the unit of the observed ones, NaN where missing.

    Returns:
        By flux: the metrics of all rows by the names in `NAMES`; `by_class`, `by_season`, `by_climate` and `by_tower`,
        each by group; and `parts`: `between_towers` (means of towers), `seasonal` (mean cycle of a tower less its mean)
        and `anomalies` (what is left).
    """
    groups = {
        "by_class": plant_classes(rows.columns, len(rows)),
        "by_season": seasons(rows.columns, rows.month),
        "by_climate": climates(rows.columns, len(rows)),
        "by_tower": np.asarray(rows.sites)[rows.site],
    }
    table = {}
    for flux, values in predicted.items():
        observed = np.asarray(rows.observed[flux], float)
        score = scores_of(flux, values, observed)
        for name, group in groups.items():
            score[name] = _by_group(flux, values, observed, group)
        score["parts"] = {
            name: scores_of(flux, *pair) for name, pair in parts(values, observed, rows.site, rows.month).items()
        }
        table[flux] = score
    return table


def score_document(rows: FluxRows, predicted: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]) -> dict[str, Any]:
    """Return what scores.json holds: score tables by scheme; by way and scheme where several ways were learned.

    Args:
        rows: months of towers.
        predicted: by way (`WAYS`), by scheme of cross-validation (`SCHEMES`), by flux, (rows,).
    """
    document = {
        way: {scheme: score_table(rows, fluxes) for scheme, fluxes in schemes.items()}
        for way, schemes in predicted.items()
    }
    return document if len(document) > 1 else next(iter(document.values()), {})


def scores_of(flux: str, predicted: np.ndarray, observed: np.ndarray) -> Score:
    """Return metrics of pairs of which both are finite, by the names in `NAMES`, None where there is none.

    Args:
        flux: name, as in `tower_quantities.FLUXES`.
        predicted: (rows,).
        observed: (rows,), in the same unit.
    """
    found = metrics(predicted, observed, has_zero=flux not in BALANCES).to_json()
    return {name: found[source] for name, source in NAMES.items()}


def parts(
    predicted: np.ndarray, observed: np.ndarray, site: np.ndarray, month: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Split a flux, over the rows where both values are, into means of towers, mean cycles and anomalies.

    A tower's value is the sum of its mean, of its mean of the month of the year less that mean, and of an anomaly.
    Anomalies are of months of the year that a tower has in two years or more: of one, the anomaly is 0 by itself.

    Args:
        predicted: (rows,).
        observed: (rows,).
        site: tower of each row, int, (rows,).
        month: since 1970-01, int, (rows,).

    Returns:
        By part, predicted and observed: `between_towers` (towers,), `seasonal` (tower and month of year,) and
        `anomalies` (rows,).
    """
    both = np.isfinite(predicted) & np.isfinite(observed)
    towers, tower = np.unique(site[both], return_inverse=True)
    cycles, cycle, years = np.unique(tower * 12 + month[both] % 12, return_inverse=True, return_counts=True)
    split = []
    for values in (predicted, observed):
        known = np.asarray(values, float)[both]
        of_tower = np.bincount(tower, known, len(towers)) / np.bincount(tower, minlength=len(towers))
        of_cycle = np.bincount(cycle, known, len(cycles)) / np.maximum(years, 1)
        split.append((of_tower, of_cycle - of_tower[cycles // 12], (known - of_cycle[cycle])[years[cycle] > 1]))
    return {
        name: (split[0][place], split[1][place])
        for place, name in enumerate(("between_towers", "seasonal", "anomalies"))
    }


def plant_classes(columns: Columns, rows: int) -> np.ndarray:
    """Return the plant class of rows by its short name, (rows,)."""
    return _named(columns, "igbp", IGBP, rows)


def climates(columns: Columns, rows: int) -> np.ndarray:
    """Return the main climate of rows, (rows,)."""
    return _named(columns, "koppen", CLIMATES, rows)


def seasons(columns: Columns, month: np.ndarray) -> np.ndarray:
    """Return the season of rows, of the hemisphere they lie in, (rows,).

    Args:
        columns: with `lat`, degrees north.
        month: since 1970-01, int, (rows,).
    """
    latitude = np.asarray(columns.get("lat", np.full(len(month), np.nan)), float)
    place = (month + 1 + np.where(latitude < 0, 6, 0)) % 12 // 3
    return np.where(np.isfinite(latitude), np.asarray(SEASONS)[place], UNKNOWN)


def _named(columns: Columns, column: str, names: tuple[str, ...], rows: int) -> np.ndarray:
    number = np.asarray(columns.get(column, np.full(rows, np.nan)), float)
    known = (number >= 1) & (number <= len(names))
    return np.where(known, np.asarray(names)[np.where(known, number, 1).astype(int) - 1], UNKNOWN)


def _by_group(flux: str, predicted: np.ndarray, observed: np.ndarray, group: np.ndarray) -> dict[str, Score]:
    both = np.isfinite(predicted) & np.isfinite(observed)
    if not both.any():
        return {}
    names, place = np.unique(group[both], return_inverse=True)
    order = np.split(np.flatnonzero(both)[np.argsort(place, kind="stable")], np.cumsum(np.bincount(place))[:-1])
    found = {}
    for name, chosen in zip(names, order, strict=True):
        few = len(chosen) < LEAST_ROWS
        found[str(name)] = {"n": len(chosen)} if few else scores_of(flux, predicted[chosen], observed[chosen])
    return found
