"""Set-ups of predictors: which maps a network sees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from phloem.errors import did_you_mean
from phloem.names import PREDICTOR_GROUPS

GROUPS = PREDICTOR_GROUPS
"""Groups of predictors in the order of their columns; behind the hemisphere, which every set-up has."""

CONTROLS: dict[str, tuple[str, ...]] = {"LATLON": ("latitude", "longitude"), "CONTROL": ()}
"""Set-ups beside those of groups: places alone, and nothing, which is one set of quantities for each hemisphere."""

HEMISPHERE = "hemisphere"


def all_set_ups() -> list[tuple[str, ...]]:
    """Return the fifteen set-ups: every choice of groups but none."""
    names = tuple(GROUPS)
    return [chosen for size in range(1, len(names) + 1) for chosen in combinations(names, size)]


def columns(set_up: Sequence[str]) -> tuple[str, ...]:
    """Return the predictors of a set-up in the order of a network's inputs; the first is the hemisphere.

    Raises:
        ValueError: a group that there is not, twice, or none at all; the valid ones are named.
    """
    known = {**GROUPS, **CONTROLS}
    for name in set_up:
        if name not in known:
            raise ValueError(f"group of predictors {name!r}: valid are {', '.join(known)}.{did_you_mean(name, known)}")
    if not set_up or len(set(set_up)) < len(set_up):
        raise ValueError(f"set-up {list(set_up)}: some of {', '.join(known)}, each once")
    ordered = [name for name in known if name in set_up]
    return (HEMISPHERE, *(column for name in ordered for column in known[name]))


def standardised(values: np.ndarray, mean: np.ndarray, deviation: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return predictors less their mean, over their standard deviation.

    Args:
        values: (cells, predictors).
        mean: of the training cells, (predictors,).
        deviation: their population standard deviation, (predictors,).
        names: of the predictors, for messages.

    Raises:
        ValueError: a predictor that is the same everywhere.
    """
    constant = [name for name, one in zip(names, deviation, strict=True) if not one > 0]
    if constant:
        raise ValueError(f"predictors {', '.join(constant)}: the same in all training cells; leave them out")
    return (values - mean) / deviation
