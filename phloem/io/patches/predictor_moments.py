"""Counts, means and spreads of predictors over the cells of patches, of which any set can be put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from phloem.errors import InputError
from phloem.names import PREDICTORS

Moments = Mapping[str, tuple[int, float, float]]
"""Count, mean and sum of squared deviations, by column."""

HEMISPHERE = "hemisphere"

COLUMNS = (HEMISPHERE, *PREDICTORS, "latitude", "longitude")
"""Columns of all set-ups, in the order of a network's inputs."""


def column_values(
    predictors: Mapping[str, np.ndarray], latitude: np.ndarray, longitude: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the columns of cells in their own units, each (cells,).

    The hemisphere is the logistic function of the latitude in degrees: 0 in the south, 1 in the north.
    """
    north = np.asarray(latitude, float)
    return {
        "hemisphere": 1 / (1 + np.exp(-north)),
        **{name: np.asarray(predictors[name], float) for name in PREDICTORS},
        "latitude": north,
        "longitude": np.asarray(longitude, float),
    }


def moments_of(values: Mapping[str, np.ndarray]) -> dict[str, tuple[int, float, float]]:
    """Return the moments of columns over the cells that have a value."""
    found = {}
    for name, column in values.items():
        there = np.asarray(column, float)[np.isfinite(column)]
        mean = float(there.mean()) if len(there) else 0.0
        found[name] = len(there), mean, float(((there - mean) ** 2).sum())
    return found


def add_moments(parts: Iterable[Moments]) -> dict[str, tuple[int, float, float]]:
    """Put the moments of several patches together, in the order given (Chan, Golub and LeVeque 1979)."""
    total: dict[str, tuple[int, float, float]] = {}
    for part in parts:
        for name, (count, mean, squares) in part.items():
            before, middle, spread = total.get(name, (0, 0.0, 0.0))
            both = before + count
            if not both:
                total[name] = 0, 0.0, 0.0
                continue
            away = mean - middle
            total[name] = (
                both,
                middle + away * count / both,
                spread + squares + away**2 * before * count / both,
            )
    return total


def mean_and_deviation(moments: Moments, columns: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return mean and population standard deviation of some columns.

    The hemisphere may be the same everywhere, as in a region of the north alone: it has the deviation 1 then, and acts
    as a bias.

    Raises:
        InputError: a predictor that is the same in all cells, or that no cell has; it is named.
    """
    found = {}
    for name in columns:
        count, mean, squares = moments[name]
        if not count:
            raise InputError(f"predictor {name}: no cell has a value; leave its group out of experiment.set_ups")
        deviation = float(np.sqrt(squares / count))
        if not deviation > 1e-9 * abs(mean) and name == HEMISPHERE:
            deviation = 1.0
        elif not deviation > 1e-9 * abs(mean):
            raise InputError(
                f"predictor {name}: {mean:g} in all training cells, so nothing can be learned from it; leave its group "
                "out of experiment.set_ups"
            )
        found[name] = mean, deviation
    return found
