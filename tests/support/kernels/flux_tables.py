"""Small tables of tower months with four fluxes, for the tests of networks of fluxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from phloem.kernels.flux_network.flux_network_options import FluxNetworkOptions
from phloem.kernels.optimise.lanes import lane_keys
from phloem.sharding.training.flux_network_training import FluxNetworkTraining

NAMES = ("TA", "SWIN", "VPD", "LAI", "P")
TOWERS = 12
OPTIONS = FluxNetworkOptions(lanes_per_block=4, batch_rows=32, max_epochs=6, patience=3)


def made_table(rows: int = 300, seed: int = 0) -> dict[str, Any]:
    """Return months of towers: a tenth of observations missing, a tenth of predictors too but for the first two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (rows, len(NAMES))).astype(np.float32)
    x[:, 0], x[:, 1] = 10 + 8 * x[:, 0], np.clip(150 + 80 * x[:, 1], 0, None)
    gpp = np.maximum(0, 0.03 * x[:, 1] + 0.1 * x[:, 0] + x[:, 3] + 0.3 * rng.normal(0, 1, rows))
    reco = np.maximum(0.2, 0.15 * x[:, 0] + x[:, 4] ** 2 + 0.3 * rng.normal(0, 1, rows))
    observed = np.stack([gpp, reco, reco - gpp, 0.4 * x[:, 1] + 10 * x[:, 2]], 1)
    observed[rng.random(observed.shape) < 0.1] = np.nan
    x[:, 2:][rng.random((rows, len(NAMES) - 2)) < 0.1] = np.nan
    baselines = np.stack([0.03 * x[:, 1], np.maximum(0.1, 0.1 * x[:, 0]), -0.01 * x[:, 1], 0.4 * x[:, 1]], 1)
    return {
        "x": x,
        "names": NAMES,
        "observed": observed.astype(np.float32),
        "baselines": baselines.astype(np.float32),
        "tower": np.sort(rng.integers(0, TOWERS, rows)),
    }


def folds(tower: np.ndarray, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and keys of lanes, each of which leaves a tower out."""
    weight = np.stack([tower != lane % TOWERS for lane in range(lanes)]).astype(np.float32)
    return weight, lane_keys(3, list(range(lanes)), [0] * lanes)


def training(
    table: dict[str, Any], lanes: int, which: Any = slice(None), devices: int = 1, **changed: Any
) -> FluxNetworkTraining:
    """Return some of so many lanes at their first epoch."""
    weight, keys = folds(table["tower"], lanes)
    options = replace(OPTIONS, **changed)
    there = jax.local_devices()[:devices]
    assert len(there) == devices
    return FluxNetworkTraining(**table, weight=weight[which], keys=keys[which], options=options, devices=there)
