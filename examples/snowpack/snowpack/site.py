"""From a tower's arrays to what the loss reads, and the loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from phloem.io.drivers.tower_cell import Cell
from phloem.kernels.objective.bounded_log import log_physical
from phloem.kernels.objective.objective import Objective, SiteData, nnse
from phloem.kernels.objective.site import Site, weighted
from snowpack.model import SNOWPACK, Observed, Weather
from snowpack.tables import PARAMETERS, TABLES

USUAL_MELT = 3.0
"""mm degC-1 d-1, about which the melt factor is expected."""

PRIOR_WEIGHT = 0.01


class NoFacts(NamedTuple):
    """Numbers of a site that the loss reads beside its series."""

    days: Any


class Terms(NamedTuple):
    """Parts of the loss, each of shape (lanes,)."""

    observations: Array
    prior: Array


@dataclass(frozen=True)
class SnowSite(Site):
    """One site. `month_share` is 1 over the days of a month on its last day, else 0."""

    record: ClassVar[Any] = Observed
    month_share: np.ndarray

    @property
    def facts(self) -> NoFacts:
        """Its days."""
        return NoFacts(float(self.days))

    def observed(self, window: str) -> tuple[Any, list[float]]:
        """Return the observations and weights of a window; see `Site.observed`."""
        inside = np.zeros(self.days, bool)
        inside[slice(0, self.training_days) if window == "calibration" else self.validation] = True
        values, spread = {"month_share": self.month_share}, []
        for name in self.streams:
            values[name], values[f"{name}_weight"], squares = weighted(self.observations[name], inside)
            spread.append(squares)
        return Observed(**values), spread

    def cut(self, days: slice) -> SnowSite:
        """Return some whole years of the calibration window; see `Site.cut`."""
        return replace(super().cut(days), month_share=self.month_share[days])


def snow_site(cell: Cell) -> SnowSite:
    """Prepare one tower.

    Args:
        cell: with the forcing tas (degC) and pr (mm d-1).
    """
    temperature, water = cell.forcing["tas"], cell.forcing["pr"]
    month = cell.dates.astype("datetime64[M]")
    first = np.append(True, month[1:] != month[:-1])
    last = np.append(first[1:], True)
    length = np.diff(np.append(np.flatnonzero(first), len(month)))
    share = np.zeros(len(month))
    share[last] = 1 / length
    cold = temperature < 0
    return SnowSite(
        weather=Weather(
            rain=np.where(cold, 0.0, water),
            snowfall=np.where(cold, water, 0.0),
            warmth=np.maximum(temperature, 0.0),
            same_month=1.0 - first,
        ),
        observations=cell.observations,
        year_end=np.append(cell.doy[1:] == 1, True).astype(float),
        training_days=cell.training_days,
        month_share=share,
    )


@dataclass(frozen=True)
class SnowObjective(Objective):
    """Efficiencies of both streams, and a weak prior on the melt factor."""

    @property
    def streams(self) -> tuple[str, ...]:
        """Observed streams, in the order of the tables."""
        return TABLES.streams

    def parts(
        self, raw: Array, inputs: Any, pools: Array, sums: Any, sharpness: Array, data: SiteData, lane_cell: Array
    ) -> Terms:
        """Return the parts of the loss; see `Objective.parts`."""
        melt = log_physical(raw[:1], PARAMETERS[:1])[0]
        return Terms(
            observations=-reduce(add, nnse(sums, data, lane_cell, self.streams).values()),
            prior=PRIOR_WEIGHT * (melt - jnp.log(USUAL_MELT)) ** 2,
        )


def snow_objective(backend: str) -> SnowObjective:
    """Return the loss."""
    return SnowObjective(SNOWPACK, backend)
