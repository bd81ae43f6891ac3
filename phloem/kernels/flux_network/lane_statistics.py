"""Means and spreads of a lane's own rows, by which its network sees predictors and writes fluxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float

from phloem.errors import InputError
from phloem.kernels.flux_network.flux_network_options import FLUX_NAMES

Numbers = Array | np.ndarray


class LaneStatistics(NamedTuple):
    """Statistics of one lane, or of many with lanes first; float32.

    Attributes:
        mean: of each predictor, which stands for it where it is missing, (predictors,).
        spread: standard deviation of each predictor; 1 where it does not vary, (predictors,).
        flux_mean: of each observed flux, or of what its baseline leaves over, in its unit, (4,).
        flux_spread: standard deviation of the same; 1 where it does not vary, (4,).
    """

    mean: Float[Numbers, "*lanes predictors"]
    spread: Float[Numbers, "*lanes predictors"]
    flux_mean: Float[Numbers, "*lanes 4"]
    flux_spread: Float[Numbers, "*lanes 4"]


def lane_statistics(
    x: Float[np.ndarray, "rows predictors"],
    targets: Float[np.ndarray, "rows 4"],
    weight: Float[np.ndarray, " rows"],
) -> LaneStatistics:
    """Return the weighted statistics of one lane; rows of weight 0 are not looked at.

    Args:
        x: predictors, not finite where missing.
        targets: what the network is fitted to, not finite where missing.
        weight: of each row.

    Raises:
        InputError: a flux has no row of positive weight.
    """
    used = weight > 0
    share = weight[used].astype(np.float64)
    mean, spread = _moments(x[used], share)
    flux_mean, flux_spread = _moments(targets[used], share)
    seen = np.isfinite(targets[used]).any(0)
    if not seen.all():
        raise InputError(f"no row of positive weight has {FLUX_NAMES[int(np.argmin(seen))]}")
    return LaneStatistics(mean, spread, flux_mean, flux_spread)


def _moments(values: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation by column, 0 and 1 for one without numbers."""
    there = np.isfinite(values)
    weights = there * share[:, None]
    total = weights.sum(0)
    numbers = np.where(there, values, 0.0).astype(np.float64)
    mean = (weights * numbers).sum(0) / np.where(total > 0, total, 1)
    spread = np.sqrt((weights * (numbers - mean) ** 2).sum(0) / np.where(total > 0, total, 1))
    # What rounding leaves of a column that does not vary must not become its scale.
    varies = spread > 1e-6 * np.maximum(np.abs(mean), 1e-6)
    return mean.astype(np.float32), np.where(varies, spread, 1.0).astype(np.float32)


def stack(statistics: list[LaneStatistics]) -> LaneStatistics:
    """Return the statistics of many lanes, lanes first."""
    return LaneStatistics(*(np.stack(parts) for parts in zip(*statistics, strict=True)))


def flat_statistics(statistics: LaneStatistics) -> Float[np.ndarray, "lanes numbers"]:
    """Return the statistics of lanes as one row of 2 predictors + 8 numbers each."""
    return np.concatenate([np.asarray(part) for part in statistics], axis=-1)


def statistics_of_flat(numbers: Float[np.ndarray, "lanes numbers"], predictors: int) -> LaneStatistics:
    """Return the statistics of rows of `flat_statistics`.

    Raises:
        ValueError: another length than so many predictors have.
    """
    fluxes = len(FLUX_NAMES)
    if numbers.shape[-1] != 2 * (predictors + fluxes):
        raise ValueError(f"{numbers.shape[-1]} numbers; {predictors} predictors have {2 * (predictors + fluxes)}")
    ends = np.cumsum([predictors, predictors, fluxes])
    return LaneStatistics(*np.split(numbers, ends, axis=-1))
