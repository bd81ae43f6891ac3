"""NetCDF files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import WorkError
from phloem.io.files.atomic import sync_file, write_atomically

CONVENTIONS = "CF-1.11"
"""The conventions that every NetCDF file of this program follows."""

FILL = float(netCDF4.default_fillvals["f8"])
"""Stands for a missing floating value in products; NCO and NCL know no NaN there."""


IN_MEMORY = Path("/dev/shm")
"""Where Linux keeps files of memory."""

ROOM = 2**30
"""So many bytes must be free there. In containers there are often 64 MiB."""

UNSTRUCTURED = "unstructured"
"""Value of the attribute `CDI_grid_type` of variables whose last dimension is of places: CDO goes by it."""


def filled(values: np.ndarray) -> np.ndarray:
    """Return values as a product holds them: floating ones that are NaN as its fill value."""
    if values.dtype.kind != "f":
        return values
    missing = np.isnan(values)
    return np.where(missing, values.dtype.type(FILL), values) if missing.any() else values


def create_texts(
    file: netCDF4.Dataset, name: str, dimension: str, width: int, attributes: Mapping[str, str]
) -> netCDF4.Variable:
    """Create a variable of texts along a dimension, as characters.

    NetCDF-4 strings would do for xarray. CDO does not open a file that has them along a dimension, nccopy cannot make
    a classic file of it, and the netCDF library crashes where it is opened twice in a process.

    Args:
        file: open for writing.
        name: of the variable.
        dimension: along which it has texts.
        width: bytes of the longest text.
        attributes: of the variable.
    """
    letters = f"{name}_characters"
    file.createDimension(letters, max(width, 1))
    variable = file.createVariable(name, "S1", (dimension, letters))
    variable.setncatts({**{key: text for key, text in attributes.items() if text}, "_Encoding": "utf-8"})
    variable.set_auto_chartostring(False)
    return variable


def characters(texts: Sequence[str], variable: netCDF4.Variable) -> np.ndarray:
    """Return texts as the characters of a variable of `create_texts`, (texts, width)."""
    width = variable.shape[-1]
    return np.array([text.encode() for text in texts], f"S{width}").view("S1").reshape(len(texts), width)


def put_texts(
    file: netCDF4.Dataset, name: str, dimension: str, texts: Sequence[str], attributes: Mapping[str, str]
) -> None:
    """Create a variable of texts and write them; see `create_texts`."""
    width = max((len(text.encode()) for text in texts), default=1)
    variable = create_texts(file, name, dimension, width, attributes)
    if len(texts):
        variable[:] = characters(texts, variable)


def put_array(
    file: netCDF4.Dataset,
    name: str,
    dimensions: tuple[str, ...],
    values: np.ndarray,
    units: str,
    long_name: str,
    *,
    compressed_from: int,
) -> None:
    """Create a variable of numbers and write them, with the fill value of its type in the place of NaN.

    Args:
        file: open for writing, with the dimensions.
        name: of the variable.
        dimensions: of it.
        values: numbers of that shape.
        units: empty where there are none.
        long_name: empty where there is none.
        compressed_from: dimensions from which on it is compressed.
    """
    fill = netCDF4.default_fillvals[values.dtype.str[1:]] if values.dtype.kind == "f" else None
    compressed = len(dimensions) >= compressed_from
    variable = file.createVariable(name, values.dtype, dimensions, fill_value=fill, zlib=compressed)
    variable.setncatts({key: text for key, text in (("units", units), ("long_name", long_name)) if text})
    variable[...] = filled(values)


def put_flags(variable: netCDF4.Variable, meanings: Mapping[str, int]) -> None:
    """Say what the numbers of a variable of bytes mean, as CF has it."""
    flags = np.array(list(meanings.values()), np.int8)
    variable.setncatts({"flag_values": flags, "flag_meanings": " ".join(meanings)})


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

    Built aside, in memory where there is room, and then written as one block of bytes: netCDF meets no full disk,
    which can end the process. A file that netCDF4 itself makes in memory would spare the detour, but netCDF cannot open
    it for appending (library 4.10.1: "Can't write file"), and HDF5 opens no file that has no path.

    Args:
        path: the file.
        fill: puts dimensions and variables into the empty file.
    """
    aside = _aside()
    try:
        data = _built(path.name, fill, aside)
    except (OSError, RuntimeError):
        if aside is None:
            raise
        data = _built(path.name, fill, None)  # the file is larger than what memory had left
    write_atomically(path, data)


def _built(name: str, fill: Callable[[netCDF4.Dataset], None], aside: Path | None) -> bytes:
    """The bytes of a file that is made in a temporary folder."""
    with tempfile.TemporaryDirectory(dir=aside) as folder:
        draft = Path(folder) / name
        with new_netcdf(draft) as file:
            fill(file)
        return draft.read_bytes()


def _aside() -> Path | None:
    """The folder in which files are built: one of memory if it has room, else that of temporary files."""
    try:
        roomy = shutil.disk_usage(IN_MEMORY).free >= ROOM
    except OSError:
        return None
    return IN_MEMORY if roomy and os.access(IN_MEMORY, os.W_OK | os.X_OK) else None
