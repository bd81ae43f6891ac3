"""NetCDF files that are whole or not there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import netCDF4

from phloem.io.atomic import write_atomically


def write_netcdf(path: Path, fill: Callable[[netCDF4.Dataset], None]) -> None:
    """Write a NetCDF-4 file atomically.

    Built aside and then written as one block of bytes. A file that netCDF4 makes in memory would spare the detour,
    but netCDF cannot open it for appending (library 4.10.1: "Can't write file").

    Args:
        path: the file.
        fill: puts dimensions and variables into the empty file.
    """
    with tempfile.TemporaryDirectory() as aside:
        draft = Path(aside) / path.name
        with netCDF4.Dataset(str(draft), "w") as file:
            fill(file)
        data = draft.read_bytes()
    write_atomically(path, data)
