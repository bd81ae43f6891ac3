"""Functions of single rows, compiled once for blocks of rows of one size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from phloem.arithmetic import ceil_div

ROWS = 4096
"""Of a block. Another shape compiles to other code with other last bits: a row would follow the size of its tile."""


def by_blocks(
    function: Callable[[dict[str, Any]], dict[str, Any]], columns: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Apply a compiled function to rows, block by block, so that what a row gets does not depend on other rows.

    Args:
        function: jitted, of columns (ROWS,) by name, to columns (ROWS,) by name.
        columns: float64 (rows,) by name.

    Returns:
        What the function returns, float64 (rows,) by name.
    """
    rows = len(next(iter(columns.values())))
    blocks = max(1, ceil_div(rows, ROWS))
    padded = {name: np.full(blocks * ROWS, np.nan) for name in columns}
    for name, values in columns.items():
        padded[name][:rows] = values
    parts = []
    for at in range(0, blocks * ROWS, ROWS):
        parts.append(jax.device_get(function({name: values[at : at + ROWS] for name, values in padded.items()})))
    return {name: np.concatenate([part[name] for part in parts])[:rows] for name in parts[0]}
