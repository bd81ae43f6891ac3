"""Trained networks as one function: from predictors to the members' mean of each physical quantity.

M(x) = mean over members of M(x; theta), each standardising x by its own training cells (docs/monthly.md). Days of the
year have a circular mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from phloem.analysis.interpret.explained_quantity import SOURCES, ExplainedQuantity
from phloem.analysis.interpret.predictor_table import PredictorTable
from phloem.errors import InputError
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.models.dalec_monthly.strategy import UNKNOWN_NAMES
from phloem.kernels.models.ecological_variables import READS, ecological_variables
from phloem.kernels.network.parameter_network import Layer, Weights, unbounded_quantities
from phloem.kernels.network.set_ups import columns
from phloem.kernels.network.training_step import ALL_COLUMNS
from phloem.kernels.objective.bounded_log import physical
from phloem.model_tables import Parameter

MAX_ROWS = 16_384
"""Rows of a call: all quantities of ten members are 52 MB then."""

REPEATING = tuple(row for row, one in enumerate(UNKNOWNS) if one.period)
"""Places of the days of the year."""


@dataclass(frozen=True, eq=False)
class TrainedMember:
    """A network and the statistics of the cells that it was trained on.

    Attributes:
        weights: of a network that sees the predictors of its set-up alone.
        mean: of the predictors over the training cells, the hemisphere first, (columns,).
        deviation: their population standard deviation, (columns,).
    """

    weights: Weights
    mean: np.ndarray
    deviation: np.ndarray


def own_columns(weights: Weights, set_up: Sequence[str]) -> Weights:
    """Return the weights of a network that sees its own predictors alone, from one with rows for those of all set-ups.

    Args:
        weights: as networks are trained side by side, first layer (predictors of all set-ups, units).
        set_up: groups of predictors that it was trained on.
    """
    first = weights.embedding[0]
    seen = np.array([ALL_COLUMNS.index(name) - 1 for name in columns(set_up)[1:]])
    return weights._replace(embedding=(Layer(first.w[seen], first.b), *weights.embedding[1:]))


@dataclass(frozen=True, eq=False)
class PhysicalEnsemble:
    """Networks of one set-up.

    Attributes:
        set_up: groups of predictors.
        members: at least one.
        table: the 40 quantities with their bounds.
        precision: `float32` or `float64`, of the arithmetic.
    """

    set_up: tuple[str, ...]
    members: tuple[TrainedMember, ...]
    table: tuple[Parameter, ...] = UNKNOWNS
    precision: str = "float64"

    def __post_init__(self) -> None:
        try:
            names = columns(self.set_up)
        except ValueError as error:
            raise InputError(str(error)) from None
        if self.precision not in ("float32", "float64"):
            raise InputError(f"precision {self.precision!r}: valid are float32, float64")
        if not self.members:
            raise InputError("an ensemble needs at least one member")
        for number, member in enumerate(self.members):
            _check_member(number, member, names)

    @property
    def names(self) -> tuple[str, ...]:
        """Predictors in the order of the networks' inputs, the hemisphere first."""
        return columns(self.set_up)

    @cached_property
    def _arrays(self) -> tuple[Weights, Array, Array]:
        """Weights, mean and deviation, each with the members along the first axis."""
        parts = [(one.weights, jnp.asarray(one.mean), jnp.asarray(one.deviation)) for one in self.members]
        stacked: Any = jax.tree.map(lambda *each: jnp.stack(each).astype(self.precision), *parts)
        return stacked

    def members_at(self, cells: PredictorTable) -> np.ndarray:
        """Return the physical quantities of each member, as `UNKNOWN_NAMES` has them; days in one year or a later one.

        Returns:
            (members, cells, quantities).

        Raises:
            InputError: a predictor that is missing, or not finite.
        """
        parts = [
            np.asarray(_member_quantities(self._arrays, rows, self.table))[..., :count]
            for rows, count in self._pieces(cells.columns(self.names))
        ]
        return np.concatenate(parts, -1).swapaxes(1, 2)

    def means_at(self, cells: PredictorTable) -> np.ndarray:
        """Return the members' mean of the physical quantities; of the days, the circular mean in the year.

        Returns:
            (cells, quantities).

        Raises:
            InputError: a predictor that is missing, or not finite.
        """
        parts = [
            np.asarray(_mean_quantities(self._arrays, rows, self.table))[:, :count]
            for rows, count in self._pieces(cells.columns(self.names))
        ]
        return np.concatenate(parts, -1).T

    def by_name(self, cells: PredictorTable) -> dict[str, np.ndarray]:
        """Return the same means by name of the quantity, (cells,) each."""
        return dict(zip(UNKNOWN_NAMES, self.means_at(cells).T, strict=True))

    def day_centres(self, cells: PredictorTable) -> np.ndarray:
        """Return the circular mean over cells of each of the days of the year, (days,).

        Around it days are counted where they are explained: a Shapley value is made of differences, which have no
        seam then but half a year away.
        """
        days = self.means_at(cells)[:, REPEATING].T
        periods = [UNKNOWNS[row].period for row in REPEATING]
        return np.array([float(circular_mean(jnp.asarray(one), by)) for one, by in zip(days, periods, strict=True)])

    def explained_at(
        self,
        rows: np.ndarray,
        quantities: Sequence[ExplainedQuantity],
        centres: np.ndarray,
    ) -> np.ndarray:
        """Return explained quantities for rows of predictors in the order of `names`, in their own units.

        Args:
            rows: (rows, columns), all finite.
            quantities: combinations of the ensemble's means.
            centres: of `day_centres`.

        Returns:
            (rows, explained).
        """
        used = tuple(name for name in SOURCES if any(name in one.coefficients for one in quantities))
        mixing = np.array([[one.coefficients.get(name, 0.0) for name in used] for one in quantities], self.precision)
        constants = np.array([[one.constant] for one in quantities], self.precision)
        days = np.asarray(centres, self.precision)
        parts = [
            np.asarray(_explained(self._arrays, piece, mixing, constants, days, used, self.table))[:, :count]
            for piece, count in self._pieces(np.asarray(rows, float))
        ]
        return np.concatenate(parts, -1).T.astype(float)

    def _pieces(self, rows: np.ndarray) -> Iterator[tuple[Array, int]]:
        """Rows in pieces of a few sizes, so that few programs are compiled; the last row is repeated at the end."""
        size = min(MAX_ROWS, 1 << max(0, len(rows) - 1).bit_length())
        for begin in range(0, len(rows), size):
            piece = rows[begin : begin + size]
            yield jnp.asarray(np.pad(piece, ((0, size - len(piece)), (0, 0)), mode="edge"), self.precision), len(piece)


def circular_mean(days: Array, period: float) -> Array:
    """Return the mean direction over the first axis of what repeats, in [0, period).

    Where directions cancel, as of two days half a year apart, it is any.
    """
    turn = (2 * np.pi / period) * days
    found = jnp.mod(jnp.arctan2(jnp.sin(turn).mean(0), jnp.cos(turn).mean(0)) * (period / (2 * np.pi)), period)
    return jnp.where(found >= period, 0.0, found)


def _check_member(number: int, member: TrainedMember, names: Sequence[str]) -> None:
    inputs = member.weights.embedding[0].w.shape[0]
    if inputs != len(names) - 1:
        raise InputError(f"member {number}: a network of {inputs} predictors, its set-up has {len(names) - 1}")
    for what, values in (("mean", member.mean), ("standard deviation", member.deviation)):
        if np.shape(values) != (len(names),):
            raise InputError(f"member {number}: {what} of shape {np.shape(values)}, due are {len(names)} predictors")
    for name, mean, deviation in zip(names, member.mean, member.deviation, strict=True):
        if not (np.isfinite(mean) and np.isfinite(deviation)):
            raise InputError(f"member {number}: statistics of predictor {name} are not finite")
        if not deviation > 0:
            raise InputError(f"member {number}: predictor {name} is the same in all training cells; leave it out")
    if not all(np.isfinite(np.asarray(one)).all() for one in jax.tree.leaves(member.weights)):
        raise InputError(f"member {number}: weights that are not finite")


ALL = tuple(range(len(UNKNOWNS)))
"""Places of all quantities."""


@partial(jax.jit, static_argnames=("table", "needed"))
def _member_quantities(
    arrays: tuple[Weights, Array, Array], rows: Array, table: tuple[Parameter, ...], needed: tuple[int, ...] = ALL
) -> Array:
    """Physical values of each member, (members, needed, rows)."""
    bounds, places = [table[place] for place in needed], np.array(needed)

    def one(weights: Weights, mean: Array, deviation: Array) -> Array:
        raw = unbounded_quantities(weights, (rows - mean) / deviation)
        # Of the needed alone: arctan and exp of all 40 took three times as long as the network.
        return physical(raw[places], bounds)

    found: Array = jax.vmap(one)(*arrays)
    return found


@partial(jax.jit, static_argnames=("table", "needed"))
def _mean_quantities(
    arrays: tuple[Weights, Array, Array], rows: Array, table: tuple[Parameter, ...], needed: tuple[int, ...] = ALL
) -> Array:
    """Means over the members, circular those of days, (needed, rows)."""
    each = _member_quantities(arrays, rows, table, needed)
    mean = each.mean(0)
    for row, place in enumerate(needed):
        if place in REPEATING:
            mean = mean.at[row].set(circular_mean(each[:, row], UNKNOWNS[place].period))
    return mean


@partial(jax.jit, static_argnames=("used", "table"))
def _explained(
    arrays: tuple[Weights, Array, Array],
    rows: Array,
    mixing: Array,
    constants: Array,
    centres: Array,
    used: tuple[str, ...],
    table: tuple[Parameter, ...],
) -> Array:
    """Mixing (explained, used) of the sources that are used, (explained, rows)."""
    is_derived = not set(used) <= set(UNKNOWN_NAMES)
    read = {*used, *(READS if is_derived else ())}
    needed = [row for row, name in enumerate(UNKNOWN_NAMES) if name in read]
    mean = dict(zip(needed, _mean_quantities(arrays, rows, table, tuple(needed)), strict=True))
    for row, centre in zip(REPEATING, centres, strict=True):
        if row in mean:
            half = 0.5 * UNKNOWNS[row].period
            mean[row] = centre + jnp.mod(mean[row] - centre + half, 2 * half) - half
    sources = {UNKNOWN_NAMES[row]: values for row, values in mean.items()}
    if is_derived:
        sources = {**ecological_variables(sources, jnp.exp), **sources}
    return jnp.matmul(mixing, jnp.stack([sources[name] for name in used]), precision="highest") + constants
