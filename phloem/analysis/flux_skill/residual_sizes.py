"""Residuals of towers left out, and the size that errors have by ensemble spread and |prediction|.

Sizes are fitted from sums by tower, each tower's months together counting as one: leaving a tower out is a subtraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from phloem.errors import InputError

SMALLEST_SHARE = 0.1
"""Least size of an error, as a share of the mean absolute residual: no interval closes where members agree."""


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows with all their numbers, and sums over towers from which sizes follow without any of them.

    Attributes:
        used: which of the rows given, bool.
        names: index of each tower, as given.
        tower: position in `names`, (rows,).
        terms: 1, spread, |prediction|, (rows, 3).
        error: |residual|, (rows,).
        gram, moment, absolute: tower means of the products of terms, of terms x error, and of the error.
    """

    used: np.ndarray
    names: np.ndarray
    tower: np.ndarray
    terms: np.ndarray
    error: np.ndarray
    gram: np.ndarray
    moment: np.ndarray
    absolute: np.ndarray

    @classmethod
    def of(cls, observed: np.ndarray, predicted: np.ndarray, spread: np.ndarray, tower: np.ndarray) -> ScoredRows:
        """Return the rows of which all numbers are finite.

        Args:
            observed: flux, (rows,).
            predicted: mean over members, (rows,).
            spread: standard deviation over members, (rows,).
            tower: index of each row's tower, (rows,).

        Raises:
            InputError: arrays that do not fit together, or a negative spread.
        """
        arrays = [np.asarray(values, float) for values in (observed, predicted, spread)]
        if len({values.shape for values in arrays} | {np.shape(tower)}) > 1 or arrays[0].ndim != 1:
            shapes = ", ".join(str(np.shape(values)) for values in (*arrays, tower))
            raise InputError(
                f"conformal intervals: observed, predicted, spread and tower must be (rows,), not {shapes}"
            )
        used = np.all([np.isfinite(values) for values in arrays], axis=0)
        if (arrays[2][used] < 0).any():
            raise InputError("conformal intervals: a spread of members is negative; it is their standard deviation")
        names, place = np.unique(np.asarray(tower)[used], return_inverse=True)
        terms, error = terms_of(arrays[1][used], arrays[2][used]), np.abs(arrays[0] - arrays[1])[used]
        share = 1 / np.bincount(place, minlength=len(names))[place]

        def means(values: np.ndarray) -> np.ndarray:
            return np.bincount(place, values * share, len(names))

        gram = np.stack([[means(terms[:, i] * terms[:, j]) for j in range(3)] for i in range(3)])
        moment = np.stack([means(terms[:, i] * error) for i in range(3)])
        return cls(used, names, place, terms, error, np.moveaxis(gram, -1, 0), moment.T, means(error))


def terms_of(predicted: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return what the size of an error is made of: 1, spread and |prediction|, (..., 3).

    Args:
        predicted: mean over members, any shape.
        spread: standard deviation over members, of the same shape.
    """
    centre = np.asarray(predicted, float)
    return np.stack([np.ones_like(centre), np.asarray(spread, float), np.abs(centre)], -1)


def size_of(terms: np.ndarray, size: np.ndarray, floor: float) -> np.ndarray:
    """Return a + b spread + c |prediction|, at least the floor; terms whose coefficient is 0 may be missing.

    Args:
        terms: as of `terms_of`.
        size: a, b and c, (3,).
        floor: in the flux's unit.
    """
    used = size != 0
    used[0] = True
    return np.maximum(terms[..., used] @ size[used], floor)


def fit_size(gram: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Fit |error| to the terms by least squares with coefficients of 0 or more.

    Args:
        gram: sum over towers of `ScoredRows.gram`, (3, 3).
        moment: sum over them of `ScoredRows.moment`, (3,).

    Returns:
        a, b and c, (3,).
    """
    unit = np.sqrt(np.maximum(np.diag(gram), 0))
    unit[unit == 0] = 1.0
    values, vectors = np.linalg.eigh(gram / np.outer(unit, unit))
    kept = values > 1e-12 * values[-1]
    root = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
    found, _ = nnls(root, (vectors[:, kept].T @ (moment / unit)) / np.sqrt(values[kept]))
    return found / unit
