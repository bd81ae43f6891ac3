"""The tables of a model, as files, statistics and pages read them: parameters, pools, streams, terms of the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Parameter:
    """One calibrated quantity.

    Attributes:
        name: name in files; it stays, since other programs rely on it.
        symbol: symbol in the equations of docs/science.md.
        unit: unit as it is written into files.
        lower: smallest value that the transform can reach.
        upper: largest value that the transform can reach.
        meaning: what it is, in a few words.
        source: where the bounds come from.
        read: whether the model reads it at all (fire parameters and the like are carried along unread).
        period: after how much it repeats, as a day of the year does: then its statistics are circular; 0 for a
            quantity that does not repeat.
    """

    name: str
    symbol: str
    unit: str
    lower: float
    upper: float
    meaning: str
    source: str
    read: bool = True
    period: float = 0.0


@dataclass(frozen=True)
class Quantity:
    """Something that a model gives numbers of.

    Attributes:
        name: name in files.
        unit: unit as it is written into files.
        meaning: what it is, in a few words.
    """

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class DriverVariable(Quantity):
    """A daily variable of a model's drivers, forcing or observed.

    Attributes:
        lowest, highest: range outside which a value is physically impossible.
        slack: a negative value of a non-negative quantity down to minus this is instrument noise.
    """

    lowest: float
    highest: float
    slack: float = 0.0


@dataclass(frozen=True)
class Stock(Quantity):
    """What some pools come to together.

    Attributes:
        pools: which are added up.
        scale: from their unit to that of the stock.
    """

    pools: tuple[str, ...]
    scale: float = 1.0


@dataclass(frozen=True)
class Derived:
    """Quantities that follow from a parameter set.

    Attributes:
        quantities: in the order of tables and figures.
        compute: from parameters of shape (..., parameters) to each quantity by name, of shape (...).
        reads: parameters that it reads; empty: all.
    """

    quantities: tuple[Quantity, ...]
    compute: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    reads: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the quantities."""
        return tuple(quantity.name for quantity in self.quantities)


@dataclass(frozen=True)
class Strategy(Derived):
    """Quantities whose principal components over the cells are axes of strategy.

    Attributes:
        leading: which of them loads above 0 on the first components, in their order.
    """

    leading: tuple[str, ...] = ()


NOTHING_DERIVED = Derived((), lambda _: {})


@dataclass(frozen=True)
class ModelTables:
    """What is known of a model without computing anything; nothing outside the model spells its names.

    Attributes:
        parameters: in the order of files.
        pools: states that are calibrated as initial values, in the order of files.
        streams: observed streams of the experiment, in the order of files.
        terms: parts of the loss, which add up to it.
        forcing: daily variables that its drivers must have, complete.
        variables: variables of its drivers that `io.drivers.variables` does not know.
        fluxes: daily outputs beside the pools.
        derived: what follows from the parameters.
        attributed: names of derived quantities and parameters that are attributed where nobody names others; empty:
            all of them.
        strategy: whose axes are sought; None: none.
        stocks: what a benchmark adds pools up to.
        compared: daily outputs that can be compared with observations.
    """

    parameters: tuple[Parameter, ...]
    pools: tuple[Parameter, ...]
    streams: tuple[str, ...]
    terms: tuple[str, ...]
    forcing: tuple[str, ...]
    variables: tuple[DriverVariable, ...] = ()
    fluxes: tuple[Quantity, ...] = ()
    derived: Derived = NOTHING_DERIVED
    attributed: tuple[str, ...] = ()
    strategy: Strategy | None = None
    stocks: tuple[Stock, ...] = ()
    compared: tuple[Quantity, ...] = ()

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def pool_names(self) -> tuple[str, ...]:
        """Names of the pools."""
        return tuple(pool.name for pool in self.pools)

    @cached_property
    def unknowns(self) -> tuple[Parameter, ...]:
        """Parameters and initial pools: what a lane looks for, in the order of the unbounded vector."""
        return self.parameters + self.pools

    @cached_property
    def unknown_names(self) -> tuple[str, ...]:
        """Names of the unknowns in parameters files: an initial pool is `initial_` and its name."""
        return (*self.parameter_names, *(f"initial_{name}" for name in self.pool_names))

    @cached_property
    def shown(self) -> tuple[Parameter, ...]:
        """Parameters that the model reads."""
        return tuple(parameter for parameter in self.parameters if parameter.read)

    @cached_property
    def periods(self) -> dict[str, float]:
        """Periods of the parameters that repeat, by name."""
        return {parameter.name: parameter.period for parameter in self.parameters if parameter.period}

    def compared_output(self, name: str) -> Quantity:
        """Return a daily output that can be compared with observations."""
        return next(one for one in self.compared if one.name == name)

    def parameter(self, name: str) -> Parameter:
        """Return a parameter."""
        return self.parameters[self.column(name)]

    def column(self, name: str) -> int:
        """Return the place of a parameter."""
        return self.parameter_names.index(name)
