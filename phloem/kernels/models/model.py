"""Models as the folds read them: tables of names, and pure functions of scalars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from phloem.model_tables import Parameter

Record = Any
"""A NamedTuple of scalars; the folds pass arrays of one number a lane in the scalars' place."""


@dataclass(frozen=True)
class Model:
    """A model text: tables of names, and functions of scalars written in `jax.numpy`.

    The functions hold no arrays, loops or branches, so that one text serves every backend.

    Attributes:
        name: name of the model and mode, used in error messages and cache keys.
        parameters: table of the parameters, in the order of files.
        pools: table of the states that are calibrated as initial values, in the order of files; each is a field of the
            state too.
        inputs: NamedTuple class of what `prepare` reads.
        state: NamedTuple class of the state.
        weather: NamedTuple class of one day's forcing.
        outputs: NamedTuple class of one day's outputs.
        observed: NamedTuple class of one day's observations and weights.
        sums: NamedTuple class of the sums that the loss needs.
        prepare: `(inputs) -> constants`, once a lane.
        step: `(state, constants, weather) -> (state, outputs)`, once a day.
        score: `(outputs, observed) -> contributions to the sums`, once a day.
        rare: fields of `observed` that are 0 on most days, which then have a shorter text.
        from_values: `(parameters, (n, ...)) -> inputs`, of physical values; by default the inputs are the parameters.
        from_logs: the same of their natural logarithms; by default `from_values` of what they are the logarithms of.
        from_pools: `(initial pools, (m, ...)) -> first state`; by default the state is the pools.
    """

    name: str
    parameters: tuple[Parameter, ...]
    pools: tuple[Parameter, ...]
    inputs: type
    state: type
    weather: type
    outputs: type
    observed: type
    sums: type
    prepare: Callable[[Record], Record]
    step: Callable[[Record, Record, Record], tuple[Record, Record]]
    score: Callable[[Record, Record], Record]
    rare: tuple[str, ...] = ()
    from_values: Callable[[Any], Record] | None = None
    from_logs: Callable[[Any], Record] | None = None
    from_pools: Callable[[Any], Record] | None = None

    @property
    def unknowns(self) -> tuple[Parameter, ...]:
        """Parameters and initial pools: what a lane looks for, in the order of the unbounded vector."""
        return self.parameters + self.pools

    def inputs_of_values(self, values: Any) -> Record:
        """Return the inputs of physical parameters, shape (parameters, ...)."""
        return self.inputs(*values) if self.from_values is None else self.from_values(values)

    def inputs_of_logs(self, logs: Any) -> Record:
        """Return the inputs of the natural logarithms of physical parameters, shape (parameters, ...)."""
        return self.inputs_of_values(jnp.exp(logs)) if self.from_logs is None else self.from_logs(logs)

    def first_state(self, pools: Any) -> Record:
        """Return the first state of initial pools, shape (pools, ...)."""
        return self.state(*pools) if self.from_pools is None else self.from_pools(pools)
