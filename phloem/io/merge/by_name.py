"""Variables of merged.nc of one parameter or one initial pool each, by their names: what other tools can open.

The compact arrays `parameters` and `initial_pools` hold the same values; a tool that draws maps wants (member, lat,
lon) and a name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from phloem.model_tables import ModelTables

NAMED = ("member", "cell")
"""Dimensions of such a variable; on a grid (member, lat, lon)."""

UNREAD = ", not read by the model"
"""Stands behind the long name of a parameter that is carried along."""

Texts = dict[str, Any]


def named_variables(tables: ModelTables) -> dict[str, Texts]:
    """Return the attributes of each variable, by name: units, long name, valid range, whether the model reads it."""
    names = tables.unknown_names
    count = len(tables.parameters)
    texts: dict[str, Texts] = {}
    for place, (name, one) in enumerate(zip(names, tables.unknowns, strict=True)):
        read = place >= count or tables.parameters[place].read
        texts[name] = {
            "long_name": (one.meaning if place < count else f"initial {one.meaning}") + ("" if read else UNREAD),
            "units": one.unit,
            "valid_range": np.array([one.lower, one.upper]),
        }
        if not read:
            texts[name]["comment"] = "the model does not read this parameter: no observation constrains it"
    return texts


def named_values(parameters: np.ndarray, initial_pools: np.ndarray, tables: ModelTables) -> dict[str, np.ndarray]:
    """Return the values of each variable, (member, cell), from (cell, member, parameter) and (cell, member, pool).

    What rounding took a hair beyond a bound is put on it, or readers that go by `valid_range` would hide it.
    """
    values = np.concatenate([parameters, initial_pools], axis=-1)
    limits = [(one.lower, one.upper) for one in tables.unknowns]
    return {name: np.clip(values[..., place], *limits[place]).T for place, name in enumerate(tables.unknown_names)}
