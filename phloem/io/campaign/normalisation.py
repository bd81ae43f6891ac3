"""normalisation.nc: what each variable of a campaign is normalised by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.io.drivers.variables import Variable
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf

COLUMNS = {
    "count": ("i8", "days of all cells with a value", "1"),
    "mean": ("f8", "mean over all days of all cells", ""),
    "standard_deviation": ("f8", "standard deviation over all days of all cells", ""),
    "minimum": ("f8", "smallest value of all days and cells", ""),
    "maximum": ("f8", "largest value of all days and cells", ""),
}
"""Type, long name and units of each column; without units where they are the variable's own."""

_COMMENTS = {
    "mean": "the exact mean, rounded once",
    "standard_deviation": "of the population (divided by the count); the exact one, rounded once",
}


def write_normalisation(
    path: Path, rows: Sequence[tuple[Variable, Mapping[str, float]]], attributes: Mapping[str, Any]
) -> None:
    """Write the statistics of some variables atomically.

    Args:
        path: the file.
        rows: each variable with its `COLUMNS`, NaN where there is none.
        attributes: global attributes.
    """

    def fill(file: netCDF4.Dataset) -> None:
        file.createDimension("variable", len(rows))
        texts = {
            "variable": ("forcing or observed stream", [spec.name for spec, _ in rows]),
            "variable_long_name": ("long names of the variables", [spec.long_name for spec, _ in rows]),
            "variable_units": ("units of the variables", [spec.unit for spec, _ in rows]),
        }
        for name, (long_name, values) in texts.items():
            variable = file.createVariable(name, str, ("variable",))
            variable.long_name = long_name
            variable[:] = np.array(values, dtype=object)
        for name, (kind, long_name, units) in COLUMNS.items():
            variable = file.createVariable(name, kind, ("variable",), fill_value=np.nan if kind == "f8" else None)
            variable.long_name = long_name
            if units:
                variable.units = units
            else:
                variable.comment = "; ".join(filter(None, [_COMMENTS.get(name), "units in variable_units"]))
            variable[:] = np.array([row[name] for _, row in rows], kind)
        file.Conventions = CONVENTIONS
        for key in sorted(attributes):
            file.setncattr(key, attributes[key])

    write_netcdf(path, fill)
