"""Conformal intervals of fluxes at places never seen, from residuals of towers that were left out.

Months of one tower share that tower's error, so towers are the exchangeable units and not months. A tower's months
weigh 1 / ((K + 1) n_k), and 1 / (K + 1) stands for the tower to come, beyond all scores (hierarchical conformal
prediction: Lee, Barber & Willett 2023, arXiv:2306.06342; Dunn, Wasserman & Ramdas 2022,
doi:10.1080/01621459.2022.2060112). For towers of one population a month drawn from a new one lies within the interval
with at least the stated probability, whatever the model is. The guarantee is of the mean over towers of one population:
at a single tower, in one plant class or far from all towers the share may be anything. Of one side alone nothing is
said either: carbon fluxes and evaporation of towers lie above the interval twice as often as below; sides calibrated
apart were a tenth wider and held no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.stats import norm

from phloem.analysis.flux_skill.residual_sizes import SMALLEST_SHARE, ScoredRows, fit_size, size_of, terms_of
from phloem.errors import InputError


class ConformalMethod(StrEnum):
    """How residuals become a width.

    Attributes:
        SCALED: |e| over a size that grows with ensemble spread and with |prediction|; towers count alike.
        CONSTANT: |e|, one width everywhere; towers count alike.
        POOLED: |e|, months count alike: wrong where towers differ, for comparison.
    """

    SCALED = "scaled"
    CONSTANT = "constant"
    POOLED = "pooled"


NO_SIZE = 1e-30
"""What stands for a size of 0, where all other towers were predicted exactly, in the flux's unit."""


@dataclass(frozen=True)
class Conformal:
    """A calibrated interval of one flux: prediction -/+ quantile x size.

    Attributes:
        level: share that is to be held, in (0, 1).
        method: how it was calibrated.
        quantile: of the scores, in units of the size.
        size: a, b and c of a + b spread + c |prediction|, the flux's unit, 1 and 1.
        floor: least size, the flux's unit.
        towers: that it rests on.
        rows: months of them.
    """

    level: float
    method: ConformalMethod
    quantile: float
    size: tuple[float, float, float]
    floor: float
    towers: int
    rows: int

    def interval(self, predicted: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends.

        Args:
            predicted: mean over members, any shape, the flux's unit.
            spread: standard deviation over members, of the same shape.

        Returns:
            Both of that shape, float64; NaN where the prediction is missing, or the spread and the method uses it.
        """
        width = self.quantile * size_of(terms_of(predicted, spread), np.asarray(self.size), self.floor)
        centre = np.asarray(predicted, float)
        return centre - width, centre + width

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the numbers by name, for a file of results; the method as its position in `ConformalMethod`."""
        return {
            "level": np.asarray(self.level),
            "method": np.asarray(list(ConformalMethod).index(self.method)),
            "quantile": np.asarray(self.quantile),
            "size": np.asarray(self.size, float),
            "floor": np.asarray(self.floor),
            "towers": np.asarray(self.towers),
            "rows": np.asarray(self.rows),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Conformal:
        """Return what `to_arrays` wrote."""
        a, b, c = (float(value) for value in arrays["size"])
        return cls(
            level=float(arrays["level"]),
            method=list(ConformalMethod)[int(arrays["method"])],
            quantile=float(arrays["quantile"]),
            size=(a, b, c),
            floor=float(arrays["floor"]),
            towers=int(arrays["towers"]),
            rows=int(arrays["rows"]),
        )


@dataclass(frozen=True, eq=False)
class Coverage:
    """Shares of observed months that intervals held at towers that had no part in them.

    Attributes:
        level: that was asked for.
        share: of all months.
        tower_share: mean over towers of their shares, what conformal prediction speaks of.
        by_tower: share of each tower, by its index.
        held: whether each row was, 1 or 0, NaN for rows that were not used, (rows,): for shares by class or season.
        mean_width: of the intervals, the flux's unit, over all months.
        ensemble_share: of all months within the band of the members at the same level.
        ensemble_width: of that band.
    """

    level: float
    share: float
    tower_share: float
    by_tower: Mapping[int, float]
    held: np.ndarray
    mean_width: float
    ensemble_share: float
    ensemble_width: float

    def to_json(self) -> dict[str, float]:
        """Return all but single towers and rows, by the names above."""
        return {
            name: getattr(self, name)
            for name in ("level", "share", "tower_share", "mean_width", "ensemble_share", "ensemble_width")
        }


def calibrate(
    observed: np.ndarray,
    predicted: np.ndarray,
    spread: np.ndarray,
    tower: np.ndarray,
    level: float = 0.9,
    method: ConformalMethod | str = ConformalMethod.SCALED,
) -> Conformal:
    """Calibrate intervals on predictions of towers by models that had not seen them.

    The size of the scaled method is fitted, for the scores of each tower, to the other towers: it has then no more part
    in the size than the tower to come.

    Args:
        observed: flux, (rows,), NaN where missing.
        predicted: mean over members fitted without the row's tower, (rows,).
        spread: standard deviation over those members, (rows,).
        tower: index of each row's tower, (rows,), int.
        level: share to hold.
        method: of `ConformalMethod`.

    Raises:
        InputError: level outside (0, 1), an unknown method, arrays that do not fit together, or too few towers for the
            level (the tower to come has a share 1 / (K + 1), which must be below 1 - level).
    """
    rows = ScoredRows.of(observed, predicted, spread, tower)
    return _calibrate(rows, np.arange(len(rows.names)), _level(level), _method(method))


def leave_tower_out_coverage(
    observed: np.ndarray,
    predicted: np.ndarray,
    spread: np.ndarray,
    tower: np.ndarray,
    level: float = 0.9,
    method: ConformalMethod | str = ConformalMethod.SCALED,
    band: tuple[np.ndarray, np.ndarray] | None = None,
) -> Coverage:
    """Measure what intervals hold at each tower when calibrated on all others.

    Args:
        observed: as of `calibrate`.
        predicted: as of `calibrate`.
        spread: as of `calibrate`.
        tower: as of `calibrate`.
        level: as of `calibrate`.
        method: as of `calibrate`.
        band: lower and upper quantile of the members, each (rows,); None: the normal band of mean and spread.

    Raises:
        InputError: as of `calibrate`; one tower more is needed.
    """
    level, method = _level(level), _method(method)
    rows = ScoredRows.of(observed, predicted, spread, tower)
    held = np.zeros(len(rows.error), bool)
    width = np.zeros(len(rows.error))
    everyone = np.arange(len(rows.names))
    for left_out in everyone:
        found = _calibrate(rows, np.delete(everyone, left_out), level, method)
        own = rows.tower == left_out
        half = found.quantile * size_of(rows.terms[own], np.asarray(found.size), found.floor)
        held[own], width[own] = rows.error[own] <= half, 2 * half
    shares = np.bincount(rows.tower, held) / np.bincount(rows.tower)
    of_rows = np.full(len(rows.used), np.nan)
    of_rows[rows.used] = held
    if band is None:
        half = norm.ppf(0.5 + level / 2) * rows.terms[:, 1]
        inside, band_width = rows.error <= half, 2 * half
    else:
        low, high = (np.asarray(end, float)[rows.used] for end in band)
        seen = np.asarray(observed, float)[rows.used]
        inside, band_width = (low <= seen) & (seen <= high), high - low
    return Coverage(
        level=level,
        share=float(held.mean()),
        tower_share=float(shares.mean()),
        by_tower={int(name): float(share) for name, share in zip(rows.names, shares, strict=True)},
        held=of_rows,
        mean_width=float(width.mean()),
        ensemble_share=float(inside.mean()),
        ensemble_width=float(band_width.mean()),
    )


def least_towers(level: float) -> int:
    """Return how many towers can hold a level at one to come: 9 for 0.9."""
    return max(2, int(np.ceil(round(level / (1 - level), 9))))


def _calibrate(rows: ScoredRows, towers: np.ndarray, level: float, method: ConformalMethod) -> Conformal:
    least = least_towers(level)
    if len(towers) < least:
        raise InputError(
            f"conformal intervals: {len(towers)} towers cannot hold {level:g} at a new one; {least} or more can "
            "(give more towers or a lower level)"
        )
    sizes = np.tile([1.0, 0.0, 0.0], (len(rows.names), 1))
    size, floors, floor = sizes[0], np.zeros(len(rows.names)), 0.0
    if method is ConformalMethod.SCALED:
        gram, moment, absolute = (part[towers].sum(0) for part in (rows.gram, rows.moment, rows.absolute))
        size, floor = fit_size(gram, moment), SMALLEST_SHARE * absolute / len(towers)
        for one in towers:
            sizes[one] = fit_size(gram - rows.gram[one], moment - rows.moment[one])
        floors = SMALLEST_SHARE * (absolute - rows.absolute) / (len(towers) - 1)
    taken = np.zeros(len(rows.names), bool)
    taken[towers] = True
    chosen = taken[rows.tower]
    place = rows.tower[chosen]
    sized = np.maximum((rows.terms[chosen] * sizes[place]).sum(1), floors[place])
    scores = rows.error[chosen] / np.maximum(sized, NO_SIZE)
    months = np.bincount(place, minlength=len(rows.names))
    if method is ConformalMethod.POOLED:
        weights = np.full(len(scores), 1 / (len(scores) + 1))
    else:
        weights = 1 / ((len(towers) + 1) * months[place])
    order = np.argsort(scores, kind="stable")
    reached = np.searchsorted(np.cumsum(weights[order]), level * (1 - 1e-12))
    quantile = float(scores[order][min(reached, len(scores) - 1)])
    a, b, c = (float(value) for value in size)
    return Conformal(level, method, quantile, (a, b, c), float(floor), len(towers), int(chosen.sum()))


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"conformal intervals: level {level} is not between 0 and 1, such as 0.9")
    return float(level)


def _method(method: ConformalMethod | str) -> ConformalMethod:
    try:
        return ConformalMethod(method)
    except ValueError:
        raise InputError(f"conformal intervals: method {method!r} is not one of {', '.join(ConformalMethod)}") from None
