"""Means and central sums of pairs, place by place: all that scores need of pairs that are no longer held.

Sums are about the means of the place (two passes over its pairs), and are joined as of Chan, Golub and LeVeque (1983):
no large numbers are subtracted from each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from phloem.analysis.benchmark.pair_means import PairMeans, measures, varying
from phloem.analysis.benchmark.skill_scores import NO_PAIRS, Metrics


@dataclass(frozen=True, eq=False)
class PlaceMoments:
    """Pairs of some places, each field (places,); x is simulated, y observed.

    Attributes:
        count: pairs.
        mean_x, mean_y, mean_error: means of x, y and x - y, 0 without pairs.
        xx, yy, xy, error_spread: sums of squares and products of the deviations of x, y and x - y from them.
        absolute_error: sum of |x - y|.
        absolute_y: sum of |y|.
        relative_error: sum of 100 (x - y) / |y| over the pairs with y other than 0.
        nonzero: number of those.
    """

    count: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    mean_error: np.ndarray
    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray
    error_spread: np.ndarray
    absolute_error: np.ndarray
    absolute_y: np.ndarray
    relative_error: np.ndarray
    nonzero: np.ndarray

    @classmethod
    def of(cls, simulated: np.ndarray, observed: np.ndarray) -> PlaceMoments:
        """Return the moments of the pairs of which both values are finite.

        Args:
            simulated: (times, places).
            observed: of the same shape.
        """
        x, y = np.asarray(simulated, float), np.asarray(observed, float)
        both = np.isfinite(x) & np.isfinite(y)
        x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
        off, count = x - y, both.sum(0).astype(float)
        among = np.maximum(count, 1.0)
        mean_x, mean_y, mean_error = (values.sum(0) / among for values in (x, y, off))
        dx, dy, d_error = (np.where(both, values - mean, 0.0) for values, mean in
                           ((x, mean_x), (y, mean_y), (off, mean_error)))  # fmt: skip
        nonzero = both & (y != 0)
        relative = np.where(nonzero, 100 * off / np.where(nonzero, np.abs(y), 1.0), 0.0)
        return cls(
            count, mean_x, mean_y, mean_error,
            xx=(dx**2).sum(0), yy=(dy**2).sum(0), xy=(dx * dy).sum(0), error_spread=(d_error**2).sum(0),
            absolute_error=np.abs(off).sum(0), absolute_y=np.abs(y).sum(0),
            relative_error=relative.sum(0), nonzero=nonzero.sum(0).astype(float),
        )  # fmt: skip

    @classmethod
    def none(cls, places: int) -> PlaceMoments:
        """Return the moments of places without pairs, which take no memory: views of one 0."""
        return cls(*(np.broadcast_to(0.0, (places,)) for _ in fields(cls)))

    @classmethod
    def beside(cls, several: Sequence[PlaceMoments]) -> PlaceMoments:
        """Return the moments of the places of several, in their order."""
        return cls(*(np.concatenate([getattr(one, part.name) for one in several]) for part in fields(cls)))

    def joined(self, later: PlaceMoments) -> PlaceMoments:
        """Return the moments of the same places with further pairs."""
        both = PlaceMoments(*(np.stack([getattr(one, part.name) for one in (self, later)]) for part in fields(self)))
        return both._summed()

    def together(self) -> PlaceMoments:
        """Return the moments of all pairs as of one place."""
        return PlaceMoments(*(getattr(self, part.name)[:, None] for part in fields(self)))._summed()

    def _summed(self) -> PlaceMoments:
        """Join along the first axis."""
        count = self.count.sum(0)
        among = np.maximum(count, 1.0)
        mean_x, mean_y, mean_error = (
            (self.count * mean).sum(0) / among for mean in (self.mean_x, self.mean_y, self.mean_error)
        )
        dx, dy, d_error = self.mean_x - mean_x, self.mean_y - mean_y, self.mean_error - mean_error
        return PlaceMoments(
            count, mean_x, mean_y, mean_error,
            xx=(self.xx + self.count * dx**2).sum(0),
            yy=(self.yy + self.count * dy**2).sum(0),
            xy=(self.xy + self.count * dx * dy).sum(0),
            error_spread=(self.error_spread + self.count * d_error**2).sum(0),
            absolute_error=self.absolute_error.sum(0), absolute_y=self.absolute_y.sum(0),
            relative_error=self.relative_error.sum(0), nonzero=self.nonzero.sum(0),
        )  # fmt: skip

    def by_place(self, least: int = 1, *, has_zero: bool = True) -> dict[str, np.ndarray]:
        """Return all that `Metrics` has beside `pairs`, by its names, each (places,).

        Args:
            least: pairs that a place has at least; others are NaN.
            has_zero: as of `skill_scores.metrics`.
        """
        enough = self.count >= max(1, least)
        found = measures(self._means(), has_zero=has_zero)
        return {name: np.where(enough & np.isfinite(values), values, np.nan) for name, values in found.items()}

    def metrics(self, *, has_zero: bool = True) -> Metrics:
        """Return the metrics of all pairs together."""
        whole = self.together()
        pairs = int(whole.count[0])
        if not pairs:
            return NO_PAIRS
        found = measures(whole._means(), has_zero=has_zero)
        return Metrics(pairs, **{name: float(values[0]) for name, values in found.items()})

    def _means(self) -> PairMeans:
        among = np.maximum(self.count, 1.0)
        xx, yy = self.xx / among, self.yy / among
        with np.errstate(divide="ignore", invalid="ignore"):
            return PairMeans(
                mean_x=self.mean_x,
                mean_y=self.mean_y,
                xx=varying(xx, xx + self.mean_x**2),
                yy=varying(yy, yy + self.mean_y**2),
                xy=self.xy / among,
                error=self.error_spread / among + self.mean_error**2,
                error_spread=self.error_spread / among,
                absolute_error=self.absolute_error / among,
                relative_error=self.relative_error / self.nonzero,
                around_zero=np.abs(self.mean_y * among) < 0.5 * self.absolute_y,
            )
