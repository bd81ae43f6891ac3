"""Mean and spread over the members of an ensemble, linear and circular.

Of a quantity that repeats, such as a day of the year, both are of directions: with the resultant length R of the
members' unit vectors the spread is period / (2 pi) sqrt(-2 ln R) (Mardia and Jupp 2000, eq. 2.3.14).
"""

from __future__ import annotations

import numpy as np

LEAST_RESULTANT = 1e-9
"""Below this resultant length directions have no mean: they cancel to rounding."""


def ensemble_moments(values: np.ndarray, period: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over members.

    Args:
        values: (members, ...), finite.
        period: after how much the quantity repeats; 0 where it does not.

    Returns:
        Mean, in [0, period) of what repeats, and standard deviation with the number of members as divisor; float64
        (...). Of one member there is no deviation, and of directions that cancel neither: NaN.
    """
    # Added member by member: numpy's own order of a sum depends on the layout of the array.
    if not period:
        mean = _mean(values)
        return mean, _of_several(values, np.sqrt(_mean((np.asarray(values, float) - mean) ** 2)))
    turn = 2 * np.pi / period
    angles = turn * np.asarray(values, float)
    east, north = _mean(np.cos(angles)), _mean(np.sin(angles))
    length = np.minimum(np.hypot(east, north), 1.0)
    known = length > LEAST_RESULTANT
    mean = np.mod(np.arctan2(north, east) / turn, period)
    mean = np.where(mean >= period, 0.0, mean)
    deviation = np.sqrt(-2 * np.log(np.where(known, length, 1.0))) / turn
    return np.where(known, mean, np.nan), _of_several(values, np.where(known, deviation, np.nan))


def _mean(values: np.ndarray) -> np.ndarray:
    total = np.zeros(np.shape(values)[1:])
    for one in values:
        total += one
    return total / len(values)


def _of_several(values: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    return deviation if len(values) > 1 else np.full_like(deviation, np.nan)
