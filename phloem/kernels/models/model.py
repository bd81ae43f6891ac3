"""What a model is to the folds: names, and three pure functions of scalars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Tuple = Any
"""A NamedTuple of scalars; the folds pass arrays of one number a lane in the scalars' place."""


@dataclass(frozen=True)
class Parameter:
    """One calibrated quantity.

    Attributes:
        name: name in files, as in the stable interface.
        symbol: symbol in the specification's equations.
        unit: unit as it is written into files.
        lower: smallest value that the transform can reach.
        upper: largest value that the transform can reach.
        meaning: what it is, in a few words.
        source: where the bounds come from.
        read: whether the model reads it at all (fire parameters and the like are carried along unread).
    """

    name: str
    symbol: str
    unit: str
    lower: float
    upper: float
    meaning: str
    source: str
    read: bool = True


@dataclass(frozen=True)
class Model:
    """A model text: tables of names, and functions of scalars written in `jax.numpy`.

    The functions hold no arrays, loops or branches, so that one text serves every backend.

    Attributes:
        name: name of the model and mode, used in error messages and cache keys.
        parameters: table of the parameters, in the order of files.
        pools: table of the states that are calibrated as initial values, in the order of files.
        inputs: NamedTuple class of the parameters that `prepare` reads.
        state: NamedTuple class of the state.
        weather: NamedTuple class of one day's forcing.
        outputs: NamedTuple class of one day's outputs.
        observed: NamedTuple class of one day's observations and weights.
        sums: NamedTuple class of the sums that the loss needs.
        prepare: `(inputs) -> constants`, once a lane.
        step: `(state, constants, weather) -> (state, outputs)`, once a day.
        score: `(outputs, observed) -> contributions to the sums`, once a day.
        rare: fields of `observed` that are 0 on most days, which then have a shorter text.
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
    prepare: Callable[[Tuple], Tuple]
    step: Callable[[Tuple, Tuple, Tuple], tuple[Tuple, Tuple]]
    score: Callable[[Tuple, Tuple], Tuple]
    rare: tuple[str, ...] = ()
