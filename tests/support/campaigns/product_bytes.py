"""Everything in a merged product, as bytes: what two runs of the same science must have in common."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np


def product_bytes(path: Path, provenance: Collection[str] = ()) -> dict[str, Any]:
    """Return dimensions and bytes of all variables but those of provenance, and the attributes but the history."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        found: dict[str, Any] = {
            name: (variable.dimensions, np.asarray(variable[...]).tobytes())
            for name, variable in file.variables.items()
            if name not in provenance
        }
        found["attributes"] = {key: value for key, value in file.__dict__.items() if key != "history"}
    return found
