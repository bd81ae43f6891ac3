"""Patches of random outputs and labels, as a network's evaluation reads them."""

from __future__ import annotations

import numpy as np

from phloem.analysis.network.patch_pairs import SIMULATED, live_biomass
from phloem.kernels.models.dalec_monthly.records import OUTPUTS
from phloem.kernels.network.patch_labels import STREAMS

Arrays = dict[str, np.ndarray]


def random_outputs(months: int, cells: int, seed: int = 0) -> Arrays:
    """Return all outputs of the model, with a season and differences between cells and years, and live biomass."""
    rng = np.random.default_rng(seed)
    season = np.sin(2 * np.pi * np.arange(months) / 12)[:, None]
    year = np.repeat(rng.normal(0, 0.3, (months // 12 + 1, cells)), 12, axis=0)[:months]
    outputs = {}
    for name in OUTPUTS:
        steady = 5 + season * rng.uniform(0.5, 1.5, cells) + rng.normal(0, 1, cells)
        outputs[name] = steady + year + rng.normal(0, 0.2, (months, cells))
    return outputs | {"biomass": live_biomass(outputs)}


def labels_near(outputs: Arrays, seed: int = 1, gaps: float = 0.0) -> Arrays:
    """Return labels of all streams: outputs with noise, NaN in a share of months and cells."""
    rng = np.random.default_rng(seed)
    labels = {}
    for stream in STREAMS:
        truth = np.sum([outputs[name] for name in SIMULATED[stream]], axis=0)
        label = truth + rng.normal(0, 0.3, truth.shape)
        labels[stream] = np.where(rng.random(truth.shape) < gaps, np.nan, label)
    labels["soil_carbon"] = np.broadcast_to(outputs["som"].mean(0) + 1, outputs["som"].shape).copy()
    labels["nbe"] = np.broadcast_to(labels["nbe"].mean(1, keepdims=True), outputs["nbe"].shape).copy()
    anomaly = (outputs["water"] - outputs["water"].mean(0)).mean(1, keepdims=True)
    labels["water_storage"] = np.broadcast_to(anomaly + rng.normal(0, 0.2, anomaly.shape), outputs["nbe"].shape).copy()
    return labels
