"""Dissimilarity index and area of applicability (Meyer & Pebesma 2021, doi:10.1111/2041-210X.13650).

Predictors are standardised by the training rows and weighed by their importance. The index of a row is its distance to
the nearest training row over the mean distance between training rows. The threshold is the largest index, outliers
removed (above Q75 + 1.5 IQR), that training rows have towards training rows of other groups (towers or folds): beyond
it, a prediction has no cross-validated row like it.

A missing predictor stands at the training mean, in training rows as in others: it adds no distance, and an index of
rows of which much is missing is a lower bound. `Applicability.known` tells how much of the importance a row has values
for. A predictor that is constant over the training rows has no scale and does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from phloem.errors import InputError

BLOCK_BYTES = 4 << 20
"""Memory of a block of squared distances: blocks of 40 MB left the cache and took twice the time a row."""

CONSTANT = 1e-9
"""Deviation, as a share of the mean, below which a predictor is constant but for rounding."""


@dataclass(frozen=True, eq=False)
class Applicability:
    """Training rows as an index measures the distance to them, and up to which index they apply.

    Attributes:
        mean: of each predictor over the training rows, its unit, (predictors,).
        deviation: standard deviation, its unit, (predictors,).
        weight: importance, (predictors,); 0 where a predictor does not count.
        rows: standardised and weighed training rows that stand for all, float32 (kept, predictors).
        distance: mean between training rows, 1.
        threshold: largest index within the area of applicability, 1.
        radius: largest distance from a training row to the nearest one kept, over `distance`: an index is between what
            it would be with all rows and that plus the radius.
        training_rows: number of all.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray
    rows: np.ndarray
    distance: float
    threshold: float
    radius: float
    training_rows: int

    def index(self, x: np.ndarray) -> np.ndarray:
        """Return the dissimilarity index, float32 (rows,).

        Takes memory for a block of distances (`BLOCK_BYTES`) and nothing of the size of rows x training rows; one
        thread, as tiles share a machine's cores.

        Args:
            x: predictors, (rows, predictors), NaN where missing, in the training rows' order and units.

        Raises:
            InputError: another number of predictors.
        """
        self._require(x)
        counted = self.weight > 0
        kept = np.ascontiguousarray(self.rows[:, counted])
        # |x - t|^2 = |x|^2 + (|t|^2 - 2 x t): the bracket alone decides which row is nearest, one product gives it
        right = np.concatenate([-2 * kept.T, (kept**2).sum(1)[None]])
        index = np.empty(len(x), np.float32)
        size = max(BLOCK_BYTES // (4 * len(kept)), 1)
        product = np.empty((min(size, len(x)), len(kept)), np.float32)
        # two threads share a product of 100 rows badly: each waits, and a row took four times the processor time
        with threadpool_limits(1, "blas"):
            for start in range(0, len(x), size):
                part = self._weighed(x[start : start + size])[:, counted]
                out = product[: len(part)]
                np.matmul(np.concatenate([part, np.ones((len(part), 1), np.float32)], 1), right, out=out)
                # again from the differences: in float32 the sum above cancels where a row is close
                index[start : start + size] = np.sqrt(((part - kept[out.argmin(1)]) ** 2).sum(1)) / self.distance
        return index

    def applies(self, index: np.ndarray) -> np.ndarray:
        """Tell which rows lie within the area of applicability, by their index."""
        return np.asarray(index) <= self.threshold

    def known(self, x: np.ndarray) -> np.ndarray:
        """Return the share of the importance that rows have values for, float32 (rows,).

        Args:
            x: as of `index`.

        Raises:
            InputError: as of `index`.
        """
        self._require(x)
        return (np.isfinite(x) @ (self.weight / self.weight.sum())).astype(np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the numbers by name, for a file of results."""
        return {
            "mean": self.mean,
            "deviation": self.deviation,
            "weight": self.weight,
            "rows": self.rows,
            "distance": np.asarray(self.distance),
            "threshold": np.asarray(self.threshold),
            "radius": np.asarray(self.radius),
            "training_rows": np.asarray(self.training_rows),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Applicability:
        """Return what `to_arrays` wrote."""
        return cls(
            mean=np.asarray(arrays["mean"], float),
            deviation=np.asarray(arrays["deviation"], float),
            weight=np.asarray(arrays["weight"], float),
            rows=np.asarray(arrays["rows"], np.float32),
            distance=float(arrays["distance"]),
            threshold=float(arrays["threshold"]),
            radius=float(arrays["radius"]),
            training_rows=int(arrays["training_rows"]),
        )

    def _weighed(self, x: np.ndarray) -> np.ndarray:
        return _weighed(x, self.mean, self.deviation, self.weight).astype(np.float32)

    def _require(self, x: np.ndarray) -> None:
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise InputError(
                f"dissimilarity: predictors have shape {x.shape}; (rows, {len(self.mean)}) was due, as in training"
            )


def applicability(x: np.ndarray, group: np.ndarray, importance: np.ndarray, tolerance: float = 0.0) -> Applicability:
    """Return the index of training rows and its threshold.

    Mean distance and threshold are those of all rows. With a tolerance, the rows kept are a greedy cover of them: the
    farthest from those kept is added until none is farther than the tolerance allows (Gonzalez 1985). Months of towers
    resemble each other little in 20 predictors: a tolerance of 0.3 kept 58 to 84 % of 9,482, raised indices by 0.5 to 2
    % of the threshold in the mean, and moved fewer than 0.1 % of places across it.

    Args:
        x: predictors, (rows, predictors), NaN where missing.
        group: of each row, its tower or fold, (rows,): a row's nearest row is sought in other groups.
        importance: of each predictor, (predictors,), 0 or more in any unit, such as the gain of trees; below 0 is 0.
        tolerance: largest radius of the cover as a share of the threshold; 0 keeps all rows, and the index is exact.

    Raises:
        InputError: shapes that do not fit together, one group alone, or no predictor that counts.
    """
    x = np.asarray(x, float)
    if x.ndim != 2 or np.shape(group) != (len(x),) or np.shape(importance) != (x.shape[1],):
        raise InputError(
            f"dissimilarity: {x.shape} predictors, {np.shape(group)} groups and {np.shape(importance)} importances; "
            "(rows, predictors), (rows,) and (predictors,) were due"
        )
    names, place = np.unique(group, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"dissimilarity: {len(names)} group(s) of training rows; a threshold needs two or more")
    mean, deviation = _moments(x)
    weight = np.where((deviation > 0) & np.isfinite(importance), np.maximum(importance, 0), 0.0).astype(float)
    if not weight.any():
        raise InputError("dissimilarity: no predictor varies among the training rows and has an importance above 0")
    rows = _weighed(x, mean, deviation, weight / weight.max())
    distance, nearest = _distances(rows, place)
    threshold = _outlier_removed_maximum(nearest / distance)
    kept, radius = _cover(rows, tolerance * threshold * distance) if tolerance > 0 else (np.arange(len(rows)), 0.0)
    return Applicability(
        mean=mean,
        deviation=deviation,
        weight=weight / weight.max(),
        rows=rows[kept].astype(np.float32),
        distance=distance,
        threshold=threshold,
        radius=radius / distance,
        training_rows=len(rows),
    )


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of what is finite, 0 for predictors of which nothing is, (predictors,)."""
    known = np.isfinite(x)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, x, 0).sum(0) / count
    deviation = np.sqrt((np.where(known, x - mean, 0) ** 2).sum(0) / count)
    return mean, np.where(deviation > CONSTANT * np.abs(mean), deviation, 0)


def _weighed(x: np.ndarray, mean: np.ndarray, deviation: np.ndarray, weight: np.ndarray) -> np.ndarray:
    scale = np.divide(weight, deviation, out=np.zeros(len(weight)), where=deviation > 0)
    values = (np.asarray(x) - mean) * scale
    return np.where(np.isfinite(values), values, 0)


def _distances(rows: np.ndarray, group: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean distance of pairs of rows, and each row's distance to the nearest row of another group."""
    square, total = (rows**2).sum(1), 0.0
    nearest = np.empty(len(rows))
    size = max(BLOCK_BYTES // (8 * len(rows)), 1)
    with threadpool_limits(1, "blas"):
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            apart = np.sqrt(np.maximum(square[part, None] + square - 2 * rows[part] @ rows.T, 0))
            total += float(apart.sum())
            apart[group[part, None] == group] = np.inf
            nearest[part] = apart.min(1)
    return total / (len(rows) * (len(rows) - 1)), nearest


def _outlier_removed_maximum(values: np.ndarray) -> float:
    low, high = np.quantile(values, [0.25, 0.75])
    return float(values[values <= high + 1.5 * (high - low)].max())


def _cover(rows: np.ndarray, radius: float) -> tuple[np.ndarray, float]:
    """Return positions of rows such that none is farther from them than a radius, and the largest distance left."""
    kept = [int((rows**2).sum(1).argmin())]
    left = ((rows - rows[kept[0]]) ** 2).sum(1)
    while left.max() > radius**2:
        kept.append(int(left.argmax()))
        np.minimum(left, ((rows - rows[kept[-1]]) ** 2).sum(1), out=left)
    return np.array(kept), float(np.sqrt(left.max()))
