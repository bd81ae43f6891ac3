"""A synthetic boreal domain: where its cells lie, what grows there, and the true parameters that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.jobs.synthetic.transect import EVERYWHERE
from phloem.kernels.calibrations.dalec_daily.experiment import LeafLine
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS
from phloem.kernels.models.dalec_daily.phenology import yearly
from phloem.names import PERIOD

SOUTH, NORTH, WEST, EAST = 55.0, 69.5, 5.0, 60.0
"""Northern Europe: the boreal forest and its southern ecotone, degrees."""

STEP = 0.5
LEAST_FOREST = 0.3
"""Share of a cell under forest or woody savanna from which on it belongs to the domain."""

LAPSE = 0.0065
"""K m-1."""

LEAF_LINE = LeafLine(alpha=-8.3, gamma=2.06, sigma=0.3)
"""The domain's leaf economics: half a year at 40, four years at 110 gC m-2; the truth scatters by half of sigma."""


@dataclass(frozen=True)
class Place:
    """One cell of the domain.

    Attributes:
        latitude, longitude: of the centre, degrees.
        elevation: m.
        needle: share of needle-leaved trees in the forest.
        fractions: of needle-leaved, broad-leaved and other cover.
    """

    latitude: float
    longitude: float
    elevation: float
    needle: float
    fractions: dict[str, float]


def places(cells: int, data: Path | None) -> list[Place]:
    """Choose cells evenly from the domain, from south to north and from west to east.

    Args:
        cells: how many.
        data: folder of the real data sets, whose `static_0p5` gives land, cover and elevation; without it they are
            made up by a smooth formula.

    Raises:
        InputError: the domain has fewer cells.
    """
    path = data / "static_0p5" / "static_0p5.nc" if data else None
    found = _real(path) if path is not None and path.is_file() else _analytic()
    if cells > len(found):
        raise InputError(f"data.cells = {cells}: the boreal domain has {len(found)} cells")
    return [found[int(n)] for n in np.linspace(0, len(found) - 1, cells).round()]


def _real(path: Path) -> list[Place]:
    with netCDF4.Dataset(str(path)) as file:
        file.set_auto_mask(False)
        latitude, longitude = file["lat"][:], file["lon"][:]
        rows = np.flatnonzero((latitude > SOUTH) & (latitude < NORTH))[::-1]
        columns = np.flatnonzero((longitude > WEST) & (longitude < EAST))
        cover = np.nan_to_num(file["igbp_fraction"][:, rows, columns])
        height = file["elevation"][rows, columns].astype(float)
    # 1 evergreen needle, 2 evergreen broad, 3 deciduous needle, 4 deciduous broad, 5 mixed, 8 woody savanna
    forest = cover[[1, 2, 3, 4, 5, 8]].sum(0)
    needle = cover[1] + cover[3] + 0.5 * cover[5] + 0.6 * cover[8]
    found = []
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if forest[i, j] >= LEAST_FOREST and cover[0, i, j] < 0.5:
                share = float(needle[i, j] / forest[i, j])
                found.append(_place(latitude[row], longitude[column], max(height[i, j], 0), share, forest[i, j]))
    return found


def _analytic() -> list[Place]:
    found = []
    for latitude in np.arange(SOUTH + STEP / 2, NORTH, STEP):
        for longitude in np.arange(WEST + STEP / 2, EAST, STEP):
            land = np.sin(longitude / 6.0) + np.cos(latitude / 2.5 + longitude / 17.0) + 0.6
            if land > 0:
                north = (latitude - SOUTH) / (NORTH - SOUTH)
                needle = float(np.clip(0.25 + 0.6 * north + 0.15 * np.sin(longitude / 4.0), 0.05, 0.95))
                height = 120 * land * (1 + np.sin(longitude / 9.0))
                found.append(_place(latitude, longitude, height, needle, min(1.0, 0.4 + 0.2 * land)))
    return found


def _place(latitude: float, longitude: float, elevation: float, needle: float, forest: float) -> Place:
    fractions = {
        "pft_needleleaf": float(forest * needle),
        "pft_broadleaf": float(forest * (1 - needle)),
        "pft_other": float(1 - forest),
    }
    return Place(float(latitude), float(longitude), float(elevation), float(needle), fractions)


def true_parameters(mean_temperature: float, needle: float, rng: np.random.Generator) -> np.ndarray:
    """Return parameters that follow climate and plant type, (30,) in physical units.

    Colder: slower wood and soil, more roots, later and shorter seasons. Needles: dense leaves that last, as EDC7's line
    has it, and less carbon spent on them.

    Args:
        mean_temperature: of the cell, degC.
        needle: share of needle-leaved trees.
        rng: source of the scatter.
    """
    cold = float(np.clip((8.0 - mean_temperature) / 14.0, 0, 1))
    lcma = (42.0 + 62.0 * needle + 6.0 * cold) * np.exp(0.05 * rng.standard_normal())
    scatter = 0.5 * LEAF_LINE.sigma * rng.standard_normal()
    lifespan = np.exp(LEAF_LINE.alpha + LEAF_LINE.gamma * np.log(lcma) + scatter)
    period = 45.0 + 25.0 * needle
    canopy = 0.33 - 0.14 * needle  # of NPP
    labile = canopy * (0.70 - 0.35 * needle)
    foliar = canopy - labile
    truth = {
        **EVERYWHERE,
        "decomposition_rate": 1.1e-3,
        "f_auto": 0.48 + 0.05 * cold + 0.01 * rng.standard_normal(),
        "f_foliar": foliar,
        "f_root": 0.40 + 0.18 * cold,
        "leaf_lifespan": 1 + _excess(lifespan, period),
        "turnover_wood": (8.0e-5 - 3.4e-5 * cold - 0.8e-5 * needle) * np.exp(0.08 * rng.standard_normal()),
        "turnover_root": 2.4e-3 - 8e-4 * cold,
        "turnover_litter": 3.0e-3 - 1e-3 * cold,
        "turnover_som": 4.0e-5 - 1.6e-5 * cold,
        "temperature_sensitivity": 0.045 + 0.012 * cold,
        "canopy_efficiency": 13.5 - 4.0 * cold - 2.0 * needle,
        "bud_burst_day": PERIOD + 118.0 + 24.0 * cold,
        "f_labile": labile / (1 - foliar),
        "labile_release_period": 42.0 - 8.0 * cold,
        "leaf_fall_day": PERIOD + 284.0 - 16.0 * cold,
        "leaf_fall_period": period,
        "lcma": lcma,
        "uwue": 11.0 - 2.0 * cold,
        "field_capacity": 125.0 - 30.0 * cold,
        "labile_lifespan": 1.10 + 0.05 * cold,
    }
    values = [(truth[p.name], p) for p in PARAMETERS]
    return np.array([np.clip(value, 1.01 * p.lower, 0.99 * p.upper) for value, p in values])


def _excess(lifespan: float, period: float) -> float:
    """Return the shape L - 1 whose yearly rate is 1 over a lifespan in years, by bisection of its logarithm."""
    low, high = np.log(1.2e-3), np.log(6.9)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if float(yearly(jnp.exp(middle), jnp.asarray(period))) > 1 / lifespan:  # too short a life
            low = middle
        else:
            high = middle
    return float(np.exp(0.5 * (low + high)))
