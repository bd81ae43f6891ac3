"""A model text as the generated folds read it: flat lists of scalars in, flat lists of scalars out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from phloem.kernels.models.model import Model


@dataclass(frozen=True)
class Text:
    """One day of a model, flat; hashable, so that it can key what is compiled from it.

    Attributes:
        model: the model text.
        structure: tree structure of the model's constants.
        segment: days from one checkpoint to the next.
        last: whether the last state is wanted; without it, states that no sum depends on stay as they are.
        kept: outputs of the model that are kept in the place of the sums, added up over periods of days.
        daily: outputs of the model that are kept beside the sums, day by day.
    """

    model: Model
    structure: jax.tree_util.PyTreeDef
    segment: int
    last: bool = True
    kept: tuple[str, ...] = ()
    daily: tuple[str, ...] = ()

    @property
    def constants(self) -> int:
        """Number of constants."""
        return self.structure.num_leaves

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.model.state._fields)  # type: ignore[attr-defined]

    @property
    def weather(self) -> int:
        """Number of forcing terms."""
        return len(self.model.weather._fields)  # type: ignore[attr-defined]

    @property
    def observed(self) -> int:
        """Number of observations and weights."""
        return len(self.model.observed._fields)  # type: ignore[attr-defined]

    @property
    def sums(self) -> int:
        """Number of sums, or of kept outputs."""
        return len(self.kept or self.model.sums._fields)  # type: ignore[attr-defined]

    def sums_shape(self, periods: int, lanes: int) -> tuple[int, ...]:
        """Return the shape of the sums, or of the outputs that are kept by period."""
        return (self.sums, periods, lanes) if self.kept else (self.sums, lanes)

    def value_shapes(self, periods: int, days: int, lanes: int) -> list[tuple[int, ...]]:
        """Return the shapes of what a fold gives: last state, sums, checkpoints, and daily outputs if any."""
        daily = [(len(self.daily), days, lanes)] if self.daily else []
        checkpoints = (days // self.segment, self.states, lanes)
        return [(self.states, lanes), self.sums_shape(periods, lanes), checkpoints, *daily]

    @property
    def rare(self) -> list[int]:
        """Places of the observations that are 0 on most days."""
        if self.kept:
            return []
        return [self.model.observed._fields.index(name) for name in self.model.rare]  # type: ignore[attr-defined]

    def day(
        self, state: Sequence[Any], constants: Sequence[Any], weather: Sequence[Any], observed: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Return the next state, and the contributions to the sums, daily outputs behind them, or the outputs to keep.

        All is elementwise, so arrays of lanes pass as well.
        """
        model = self.model
        tree = jax.tree.unflatten(self.structure, constants)
        new, outputs = model.step(model.state(*state), tree, model.weather(*weather))
        dtype = (*state, *constants, *weather)[0].dtype  # a bare 0.25 among the results has a type of its own
        if self.kept:
            results: tuple[Any, Any] = new, [getattr(outputs, name) for name in self.kept]
        else:
            daily = [getattr(outputs, name) for name in self.daily]
            results = new, [*model.score(outputs, model.observed(*observed)), *daily]
        first, second = ([jnp.asarray(value, dtype) for value in group] for group in results)
        return first, second
