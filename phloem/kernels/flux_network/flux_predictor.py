"""Trained networks of fluxes applied to rows: flat weights and statistics, nothing of the training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jax import Array
from jaxtyping import Float

from phloem.errors import InputError
from phloem.kernels.flux_network.flux_network import count_flux_weights, predicted_fluxes
from phloem.kernels.flux_network.flux_network_options import FLUX_NAMES, FluxNetworkOptions
from phloem.kernels.flux_network.lane_statistics import LaneStatistics, statistics_of_flat

ROWS = 2048
"""Rows that one call takes: bits do not hang on how many there are in all."""


@partial(jax.jit, static_argnames="options")
def _block(
    options: FluxNetworkOptions, weights: Array, statistics: LaneStatistics, x: Array, baselines: Array
) -> Array:
    return predicted_fluxes(options, weights, statistics, x, baselines)


@dataclass(frozen=True, eq=False)
class FluxPredictor:
    """Networks of lanes.

    Attributes:
        options: head and activation.
        weights: laid flat, (lanes, weights).
        statistics: of each lane.
    """

    options: FluxNetworkOptions
    weights: Float[np.ndarray, "lanes weights"]
    statistics: LaneStatistics

    def predict(
        self, x: Float[np.ndarray, "rows predictors"], baselines: Float[np.ndarray, "rows 4"]
    ) -> Float[np.ndarray, "lanes rows 4"]:
        """Return gpp, reco, nee, le of each lane, gC m-2 d-1 and W m-2; NaN where a baseline it stands on is missing.

        Args:
            x: predictors in the order of training, not finite where missing.
            baselines: process baselines in the fluxes' units; read by the residual head.

        Raises:
            InputError: another number of predictors, or baselines of other rows.
        """
        predictors = self.statistics.mean.shape[-1]
        if x.ndim != 2 or x.shape[1] != predictors or baselines.shape != (len(x), len(FLUX_NAMES)):
            due = f"(rows, {predictors}) and (rows, {len(FLUX_NAMES)})"
            raise InputError(f"predictors {x.shape} and baselines {baselines.shape}: {due} are due")
        fluxes = np.empty((len(self.weights), len(x), len(FLUX_NAMES)), np.float32)
        for first in range(0, len(x), ROWS):
            end = min(first + ROWS, len(x))
            filled = ((0, ROWS - (end - first)), (0, 0))
            parts = [
                jax.device_put(np.pad(np.asarray(part[first:end], np.float32), filled, constant_values=np.nan))
                for part in (x, baselines)
            ]
            for lane, weights in enumerate(self.weights):
                own = LaneStatistics(*(np.asarray(part[lane]) for part in self.statistics))
                fluxes[lane, first:end] = np.asarray(_block(self.options, weights, own, *parts))[: end - first]
        return fluxes


def predictor_of_flat(
    options: FluxNetworkOptions,
    weights: Float[np.ndarray, "lanes weights"],
    statistics: Float[np.ndarray, "lanes numbers"],
) -> FluxPredictor:
    """Return the predictor of flat weights and of the rows of `flat_statistics`.

    Args:
        options: of the training.
        weights: as of `FluxNetworkTraining.weights`.
        statistics: 2 predictors + 8 numbers a lane.

    Raises:
        InputError: sizes that belong to different numbers of predictors or lanes.
    """
    predictors = statistics.shape[-1] // 2 - len(FLUX_NAMES)
    due = (len(statistics), count_flux_weights(predictors))
    if statistics.shape[-1] != 2 * (predictors + len(FLUX_NAMES)) or predictors < 1 or weights.shape != due:
        raise InputError(f"weights {weights.shape} beside statistics {statistics.shape}: {due} are due")
    return FluxPredictor(options, weights, statistics_of_flat(statistics, predictors))
