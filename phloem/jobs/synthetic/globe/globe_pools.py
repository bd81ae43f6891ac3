"""Initial pools of a synthetic Earth: a smooth function of predictors, near what runs of the truth settle to.

Cells all over the land are run to a steady state; what their pools are beyond a pool's share of carbon over its rate is
a quadratic function of climate, plants and soil, fitted by least squares. So pools are quantities as the parameters
are, which a network can find, and cells are near a steady state, not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from phloem.jobs.synthetic.globe.globe_land import PFTS, Places
from phloem.jobs.synthetic.globe.globe_predictors import environment, predictors_of
from phloem.jobs.synthetic.globe.globe_run import simulate, tables_of
from phloem.jobs.synthetic.globe.globe_traits import true_parameters
from phloem.jobs.synthetic.globe.globe_weather import carbon_dioxide, weather_of
from phloem.kernels.models.dalec_daily.daily_step import allocation
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, POOLS
from phloem.kernels.network.parameter_network import hemisphere
from phloem.kernels.network.patch_cells import MonthAxis
from phloem.kernels.network.patch_loss import YEAR, flows
from phloem.model_tables import Parameter

PASSES = 14
SPIN_UP = MonthAxis(np.datetime64("2001-01"), 8 * YEAR)
"""The same whatever the years of a store, so that the truth does not change with them."""

SAMPLE = 2000
"""Cells that are run."""

LIVING = 20.0
"""gC m-2 of roots at which a cell counts half in the fit: where the truth starves, in deserts, any pool is off."""

RIDGE = 1e-2
START = {
    "labile": 150.0,
    "foliar": 150.0,
    "root": 100.0,
    "wood": 4000.0,
    "litter": 200.0,
    "som": 9000.0,
    "water": 300.0,
}
INSIDE = 0.02
"""Share of the range of logarithms that initial pools keep from their bounds."""


@dataclass(frozen=True, eq=False)
class InitialPools:
    """The fitted function.

    Attributes:
        weights: (terms, 7).
        spread: standard deviation of ln of the pools of the steady state about it, (7,).
    """

    weights: np.ndarray
    spread: np.ndarray

    def __call__(self, predictors: Mapping[str, np.ndarray], latitude: np.ndarray) -> np.ndarray:
        """Return the seven initial pools of cells, (7, cells)."""
        parameters = true_parameters(predictors, hemisphere(latitude))
        logs = (_basis(predictors, latitude) @ self.weights).T + _logs_of_turnover(parameters)
        return np.exp(_inside(logs))


def quantities_of(predictors: Mapping[str, np.ndarray], latitude: np.ndarray, pools: InitialPools) -> np.ndarray:
    """Return the 40 true quantities of cells, physical units, (40, cells)."""
    return np.concatenate([true_parameters(predictors, hemisphere(latitude)), pools(predictors, latitude)])


def fit_initial_pools(land: Places, seed: int) -> InitialPools:
    """Run cells all over the land to a steady state, and fit their pools.

    Args:
        land: all valid cells.
        seed: of the Earth.
    """
    count = min(SAMPLE, len(land))
    places = land.take(np.linspace(0, len(land) - 1, count).round().astype(int))
    predictors = predictors_of(places, seed)
    pools = steady_pools(places, predictors, seed)
    living = pools[[pool.name for pool in POOLS].index("root")]
    weight = (living / (living + LIVING))[:, None]
    parameters = true_parameters(predictors, hemisphere(places.latitude))
    wanted = (np.log(pools) - _logs_of_turnover(parameters)).T
    basis = _basis(predictors, places.latitude)
    square = basis.T @ (weight * basis) + RIDGE * count / 1000 * np.eye(basis.shape[1])
    weights = np.linalg.solve(square, basis.T @ (weight * wanted))
    away = basis @ weights - wanted
    return InitialPools(weights, np.sqrt((weight * away**2).sum(0) / weight.sum()))


def steady_pools(places: Places, predictors: Mapping[str, np.ndarray], seed: int) -> np.ndarray:
    """Return the pools to which cells settle, (7, cells): run after run; wood and soil by inflow over outflow."""
    forcing = {**weather_of(places, SPIN_UP, seed), "co2": carbon_dioxide(SPIN_UP)}
    tables = tables_of(forcing, places.latitude, dict(predictors), SPIN_UP)
    parameters = true_parameters(predictors, hemisphere(places.latitude))
    names = [pool.name for pool in POOLS]
    pools = np.repeat(np.array([[START[name]] for name in names]), len(places), 1)
    for _ in range(PASSES):
        o = simulate(np.concatenate([parameters, pools]), tables, SPIN_UP.count)
        into, out = flows(o)
        pools = np.stack([getattr(o, name)[-1] for name in names])
        for name in ("wood", "som"):
            row = names.index(name)
            ratio = into[row].sum(0) / np.maximum(out[row].sum(0), 1e-9)
            pools[row] = getattr(o, name).mean(0) * np.clip(ratio, 0.2, 5.0)
        pools = np.exp(_clipped(np.log(pools)))
    return pools


def _basis(predictors: Mapping[str, np.ndarray], latitude: np.ndarray) -> np.ndarray:
    """Return constant, terms, their squares and products, and cubes of climate, (cells, terms)."""
    share = np.stack([np.asarray(predictors[name], float) for name in PFTS[:-1]]) / 100
    linear = np.stack([*environment(predictors).values(), *share, hemisphere(latitude)], 1)
    first, second = np.triu_indices(linear.shape[1])
    warm, wet = linear[:, :1], linear[:, 1:2]
    cubic = [warm**3, warm**2 * wet, warm * wet**2, wet**3]
    return np.concatenate([np.ones((len(linear), 1)), linear, linear[:, first] * linear[:, second], *cubic], 1)


def _logs_of_turnover(parameters: np.ndarray) -> np.ndarray:
    """Return ln of each pool's share of carbon over its rate, of water the root of its capacity, (7, cells)."""
    p = SimpleNamespace(**{one.name: values for one, values in zip(PARAMETERS, parameters, strict=True)})
    foliar, labile, root, wood = allocation(p)
    return np.log(
        np.stack(
            [
                labile,
                foliar + labile,
                root / p.turnover_root,
                wood / p.turnover_wood,
                (foliar + labile + root) / (p.turnover_litter + p.decomposition_rate),
                wood / p.turnover_som,
                np.sqrt(p.drainage_capacity),
            ]
        )
    )


def _ends(pool: Parameter) -> tuple[float, float]:
    low, high = np.log(pool.lower), np.log(pool.upper)
    return low + INSIDE * (high - low), high - INSIDE * (high - low)


def _clipped(logs: np.ndarray) -> np.ndarray:
    low, high = np.array([_ends(pool) for pool in POOLS]).T[:, :, None]
    return np.clip(logs, low, high)


def _inside(logs: np.ndarray) -> np.ndarray:
    """Return logarithms that end smoothly before their bounds: as they are but for the last tenth or so."""
    low, high = np.array([_ends(pool) for pool in POOLS]).T[:, :, None]
    soft = 0.02 * (high - low)
    above = low + soft * np.logaddexp(0, (logs - low) / soft)
    return np.asarray(high - soft * np.logaddexp(0, (high - above) / soft))
