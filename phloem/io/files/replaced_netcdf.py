"""NetCDF files too large for memory: written aside, part by part, and put in their place when they are whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import netCDF4

from phloem.errors import WorkError
from phloem.io.files.atomic import sync_directory, sync_file
from phloem.io.files.disk_space import not_written
from phloem.io.files.netcdf import new_netcdf


def file_aside(out: Path, process: int) -> Path:
    """Return the file that a process writes before it is put in the place of another."""
    return out.with_name(f"{out.name}.{process}.tmp")


@contextlib.contextmanager
def replaced_netcdf(out: Path, again: str) -> Iterator[netCDF4.Dataset]:
    """Open a new file, which takes the place of what is there where all goes well; else that stays.

    Args:
        out: the file.
        again: what writes it, in words.

    Raises:
        WorkError: it cannot be written.
    """
    temporary = file_aside(out, os.getpid())
    try:
        with new_netcdf(temporary) as file:
            yield file
        sync_file(temporary)
        os.replace(temporary, out)
        sync_directory(out.parent)
    except (OSError, RuntimeError) as error:
        if isinstance(error, WorkError):
            raise
        raise not_written(out, error, again) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
