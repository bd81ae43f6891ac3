"""NetCDF files that are whole or not there."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import netCDF4

from phloem.errors import WorkError
from phloem.io.files.atomic import sync_file, write_atomically

CONVENTIONS = "CF-1.11"
"""The conventions that every NetCDF file of this program follows."""


@contextlib.contextmanager
def new_netcdf(path: Path) -> Iterator[netCDF4.Dataset]:
    """Open a new NetCDF-4 file whose bytes are on disk before it is closed.

    Where close(2) itself fails, as it can on a network file system when a quota is exhausted, netCDF-C 4.10.1 ends
    the process by a segmentation fault. So what can fail does so before, and a file that failed is never closed.

    Args:
        path: the file.
    """
    file = netCDF4.Dataset(str(path), "w")
    try:
        yield file
        file.sync()
        sync_file(path)
    except WorkError:
        file.close()
        raise
    except (OSError, RuntimeError):
        file._isopen = 0
        raise
    file.close()


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
        with new_netcdf(draft) as file:
            fill(file)
        data = draft.read_bytes()
    write_atomically(path, data)
