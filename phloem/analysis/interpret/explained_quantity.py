"""What is explained: a quantity of the model, a trait, or a linear combination of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phloem.analysis.parameters.strategy_axes import Axes
from phloem.errors import InputError, did_you_mean
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.models.dalec_monthly.strategy import MONTHLY_STRATEGY, UNKNOWN_NAMES

SOURCES = (*UNKNOWN_NAMES, *(name for name in MONTHLY_STRATEGY.names if name not in UNKNOWN_NAMES))
"""What a combination may be of: the 40 quantities and the ecological variables."""


@dataclass(frozen=True)
class ExplainedQuantity:
    """A linear combination of quantities: constant + sum of coefficient x quantity.

    Attributes:
        name: in files.
        unit: as it is written into files.
        meaning: in a few words.
        coefficients: by name, some of `SOURCES`.
        constant: in the unit of the combination.
    """

    name: str
    unit: str
    meaning: str
    coefficients: Mapping[str, float]
    constant: float = 0.0

    def __post_init__(self) -> None:
        if not self.coefficients:
            raise InputError(f"quantity {self.name}: a combination of none")
        for name, coefficient in self.coefficients.items():
            if not math.isfinite(coefficient + self.constant):
                raise InputError(f"quantity {self.name}: coefficient {coefficient} of {name}, constant {self.constant}")
            if name not in SOURCES:
                valid = ", ".join(SOURCES)
                raise InputError(f"quantity {name!r}: valid are {valid}.{did_you_mean(name, SOURCES)}")


CUE = ExplainedQuantity("cue", "1", "carbon-use efficiency, 1 - f_auto", {"f_auto": -1.0}, 1.0)


def explained_quantity(name: str) -> ExplainedQuantity:
    """Return a quantity of the model, an ecological variable, or `cue`, by its name.

    Raises:
        InputError: there is none of this name.
    """
    if name == CUE.name:
        return CUE
    unknowns = zip(UNKNOWN_NAMES, UNKNOWNS, strict=True)
    known = {own: (one.unit, one.meaning) for own, one in unknowns}
    known |= {one.name: (one.unit, one.meaning) for one in MONTHLY_STRATEGY.quantities if one.name not in known}
    unit, meaning = known.get(name, ("", ""))
    return ExplainedQuantity(name, unit, meaning, {name: 1.0})


def explained_quantities(names: Sequence[str]) -> tuple[ExplainedQuantity, ...]:
    """Return quantities by their names, as `explained_quantity` does."""
    return tuple(explained_quantity(name) for name in names)


def principal_component(axes: Axes, number: int) -> ExplainedQuantity:
    """Return the score on a principal component: sum of loading x (variable - mean) / standard deviation.

    Args:
        axes: of the ensemble's mean maps.
        number: from 1 on.

    Raises:
        InputError: there are no axes, or not so many.
    """
    if axes.refused:
        raise InputError(f"principal component {number}: {axes.refused}")
    if not 1 <= number <= len(axes.variables):
        raise InputError(f"principal component {number}: valid are 1 to {len(axes.variables)}")
    weights = axes.loadings[number - 1] / axes.deviation
    return ExplainedQuantity(
        f"pc{number}",
        "1",
        f"score on principal component {number}",
        dict(zip(axes.variables, weights.tolist(), strict=True)),
        -float(weights @ axes.mean),
    )
