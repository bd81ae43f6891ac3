"""A merged product as a list of cells, whether it has one dimension of cells or two of latitude and longitude."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import InputError, WorkError, unreadable


def list_cells(path: Path) -> list[str]:
    """Return the ids of the cells of a product; errors as of `read_merged`."""
    return [str(name) for name in read_merged(path, ())["cell"]]


def read_merged(path: Path, names: Sequence[str], cells: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Read variables of merged.nc by cell.

    Args:
        path: the product.
        names: variables whose first dimensions are the cells'.
        cells: ids of the cells to take, in this order; by default all.

    Returns:
        The variables with one leading dimension of cells, NaN where floating values are missing; and `cell`.

    Raises:
        InputError: no such cell or variable.
        WorkError: the product cannot be read.
    """
    try:
        with netCDF4.Dataset(str(path)) as file:
            if missing := [name for name in names if name not in file.variables]:
                raise InputError(f"{path}: lacks {', '.join(missing)}; write it again with `phloem merge`")
            ids = np.ma.filled(file["cell"][...], "").astype(str)
            leading = ids.ndim
            ids = ids.reshape(-1)
            places = {name: place for place, name in enumerate(ids.tolist()) if name}
            wanted = list(places) if cells is None else list(cells)
            if absent := [name for name in wanted if name not in places]:
                raise InputError(f"{path}: has no cell {', '.join(absent[:5])}")
            index = np.array([places[name] for name in wanted], int)
            arrays = {"cell": np.array(wanted)}
            for name in names:
                values = file[name][...]
                values = np.ma.filled(values, np.nan) if values.dtype.kind == "f" else np.ma.filled(values)
                arrays[name] = values.reshape(-1, *values.shape[leading:])[index]
            return arrays
    except (OSError, RuntimeError) as error:
        if isinstance(error, (InputError, WorkError)):
            raise
        raise unreadable(path, error, f"phloem merge {path.parent}") from error
