"""Objectives: losses whose terms follow from the sums of a fold over the days and from the parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from phloem.kernels.models.model import Model
from phloem.kernels.objective.bounded_log import log_physical
from phloem.kernels.time_loop.day_tables import DayTables, LaneCells
from phloem.kernels.time_loop.fold import fold
from phloem.model_tables import Parameter

EQUILIBRIUM_FACTOR = 0.6931471805599453
"""ln 2: a pool may drift by this factor (CARDAMOM's EQF = 2)."""

EQUILIBRIUM_TOLERANCE = 0.1
"""Allowed |ratio x drift - ratio| of a steady pool, 1: CARDAMOM's value (docs/science.md#steady-state)."""


class SiteData(NamedTuple):
    """What the objective knows of the cells.

    Attributes:
        tables: tables of forcing and observations.
        variance: sum of squared deviations of the weighted observations from their mean, shape (streams, cells).
        marked: number of marked year ends, shape (cells,).
        days: number of live days, shape (cells,).
        facts: numbers of the cells that this model's loss reads, a NamedTuple of arrays of shape (cells,).
    """

    tables: DayTables
    variance: Float[Array, "streams padded_cells"]
    marked: Float[Array, " padded_cells"]
    days: Float[Array, " padded_cells"]
    facts: Any


@dataclass(frozen=True)
class Objective(ABC):
    """A loss of a model; equal ones are hashed alike, so that they share compiled programs.

    Attributes:
        model: the model text.
        backend: what runs the fold: `auto`, `xla`, `cpu` or `gpu`.
        steady_pools: pools that must be near steady state, of which `balances` tells.
    """

    model: Model
    backend: str = "auto"
    steady_pools: tuple[str, ...] = ()

    @property
    def living(self) -> tuple[int, ...]:
        """Places of the pools without which nothing lives; none where the model tells of none."""
        return ()

    @property
    @abstractmethod
    def streams(self) -> tuple[str, ...]:
        """Observed streams, in the order of the tables; the model has a sum `<stream>_error` of each."""

    @property
    def unknowns(self) -> tuple[Parameter, ...]:
        """Parameters and initial pools with the bounds that they have here."""
        return self.model.unknowns

    @abstractmethod
    def parts(
        self,
        raw: Float[Array, "unknowns lanes"],
        inputs: Any,
        pools: Float[Array, "pools lanes"],
        sums: Any,
        sharpness: Float[Array, " lanes"],
        data: SiteData,
        lane_cell: LaneCells,
    ) -> Any:
        """Return the parts of the loss, a NamedTuple of arrays of shape (lanes,), in the order of the model's tables.

        Args:
            raw: unbounded parameters and initial pools, shape (unknowns, lanes).
            inputs: the model's inputs that follow from them.
            pools: initial pools, shape (pools, lanes).
            sums: the sums of the fold.
            sharpness: annealed k, shape (lanes,).
            data: the cells.
            lane_cell: cell of each lane, shape (lanes,).
        """

    def balances(
        self,
        inputs: Any,
        sums: Any,
        pools: Float[Array, "pools lanes"],
        data: SiteData,
        lane_cell: LaneCells,
    ) -> dict[str, tuple[Float[Array, " lanes"], Float[Array, " lanes"]]]:
        """Return, by steady pool, mean size over initial size, and inflow over outflow; each of shape (lanes,)."""
        return {}

    @property
    def for_line_search(self) -> Objective:
        """The same loss in a form that is finite wherever a line search may look."""
        return self

    def terms(
        self,
        raw: Float[Array, "unknowns lanes"],
        sharpness: Float[Array, " lanes"],
        data: SiteData,
        lane_cell: LaneCells,
    ) -> tuple[Any, Any]:
        """Evaluate all lanes.

        Args:
            raw: unbounded parameters and initial pools, shape (unknowns, lanes).
            sharpness: annealed k, shape (lanes,).
            data: the cells.
            lane_cell: cell of each lane, shape (lanes,).

        Returns:
            The parts of the loss, and the sums they come from.
        """
        logs = log_physical(raw, self.unknowns)
        count = len(self.model.parameters)
        inputs = self.model.inputs_of_logs(logs[:count])
        pools = jnp.exp(logs[count:])
        first = self.model.first_state(pools)
        _, sums = fold(self.model, inputs, first, data.tables, lane_cell, backend=self.backend, last=False)
        return self.parts(raw, inputs, pools, sums, sharpness, data, lane_cell), sums

    def loss(
        self,
        raw: Float[Array, "unknowns lanes"],
        sharpness: Float[Array, " lanes"],
        data: SiteData,
        lane_cell: LaneCells,
    ) -> Float[Array, " lanes"]:
        """Return the loss, shape (lanes,); arguments as in `terms`."""
        return reduce(add, self.terms(raw, sharpness, data, lane_cell)[0])

    def loss_and_gradient(
        self,
        raw: Float[Array, "unknowns lanes"],
        sharpness: Float[Array, " lanes"],
        data: SiteData,
        lane_cell: LaneCells,
    ) -> tuple[Float[Array, " lanes"], Float[Array, "unknowns lanes"]]:
        """Return the loss (lanes,) and its gradient with respect to `raw` (unknowns, lanes).

        Lanes do not mix: the gradient of the sum of losses is each lane's own gradient, and a NaN stays in its lane.
        """

        def total(raw: Array) -> tuple[Array, Array]:
            loss = self.loss(raw, sharpness, data, lane_cell)
            return loss.sum(), loss

        (_, loss), gradient = jax.value_and_grad(total, has_aux=True)(raw)
        return loss, gradient


def nnse(sums: Any, data: SiteData, lane_cell: LaneCells, streams: Sequence[str]) -> dict[str, Float[Array, " lanes"]]:
    """Return the normalised Nash-Sutcliffe efficiency by stream, S / (S + E), each of shape (lanes,).

    A stream without observations, or with constant ones, has S = 0 and counts 0.
    """
    result = {}
    for row, name in enumerate(streams):
        spread = data.variance[row][lane_cell]
        error = getattr(sums, f"{name}_error")
        known = spread > 0
        result[name] = jnp.where(known, spread / jnp.where(known, spread + error, 1), 0)
    return result
