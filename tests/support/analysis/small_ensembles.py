"""Ensembles of networks for tests: published weights on real cells, and small ones with weights drawn anew."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from phloem.analysis.interpret.physical_ensemble import PhysicalEnsemble, TrainedMember
from phloem.analysis.interpret.predictor_table import PredictorTable
from phloem.kernels.models.dalec_monthly.parameters import as_published
from phloem.kernels.network.parameter_network import first_weights
from phloem.kernels.network.set_ups import GROUPS, columns
from tests.support.kernels.global_oracle import arrays, golden_network

FULL = tuple(GROUPS)
AGNOSTIC = ("CLIM", "AGE", "SOIL")


@cache
def published_cells(folder: Path) -> PredictorTable:
    """Return the authors' 1000 cells: standardised predictors."""
    return PredictorTable(columns(FULL), arrays(folder / "oracle/global_shap.nc")["predictors"])


@cache
def published_ensemble(folder: Path, name: str = "published_2024") -> PhysicalEnsemble:
    """Return a published network as an ensemble of one, of predictors that are standardised already."""
    member = TrainedMember(golden_network(folder / "oracle", name), np.zeros(21), np.ones(21))
    return PhysicalEnsemble(FULL, (member,), table=as_published())


def drawn_ensemble(
    set_up: tuple[str, ...], members: int = 3, seed: int = 0, precision: str = "float64"
) -> PhysicalEnsemble:
    """Return untrained networks, each with a mean and standard deviation of its own."""
    rng = np.random.default_rng(seed)
    names = columns(set_up)
    made = []
    for number in range(members):
        weights = first_weights(jax.random.key(100 * seed + number), len(names) - 1, jnp.float64)
        mean, deviation = rng.normal(0, 0.3, len(names)), rng.uniform(0.6, 1.6, len(names))
        made.append(TrainedMember(weights, mean, deviation))
    return PhysicalEnsemble(set_up, tuple(made), precision=precision)


def world(cells: int = 60, seed: int = 1) -> PredictorTable:
    """Return cells with every predictor of the full set-up; their plant types add up to 100 per cent."""
    rng = np.random.default_rng(seed)
    names = columns(FULL)
    values = rng.normal(size=(cells, len(names)))
    fractions = rng.dirichlet(np.full(10, 0.15), cells) * 100
    values[:, 1:11] = fractions
    values[:, 0] = rng.integers(0, 2, cells)
    return PredictorTable(names, values)
