"""A merged product as xarray: values are read when they are looked at, and the file is not held open between reads.

A file with texts that is opened again while it is open crashes the netCDF library (netcdf4-python, issues 796, 1444): a
Dataset of `xarray.open_dataset` in a notebook, and four reads of the same product beside it, ended the kernel here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from xarray.backends.locks import HDF5_LOCK, NETCDFC_LOCK, combine_locks
from xarray.core import indexing

from phloem.errors import WorkError, unreadable

FileState = tuple[int, int]

_TEXT = np.dtype("O", metadata={"element_type": str})
"""How xarray marks texts of any length."""

_ONE_AT_A_TIME = combine_locks([NETCDFC_LOCK, HDF5_LOCK])
"""xarray's own lock: neither library may be called by two threads at once."""


def file_state(path: Path) -> FileState:
    """Return what changes when a file is written anew."""
    state = os.stat(path)
    return state.st_mtime_ns, state.st_ino


def open_product(path: Path) -> xr.Dataset:
    """Return a product as `xarray.open_dataset` does, without its file held open.

    Raises:
        WorkError: the file cannot be read. Reading values raises it too, where the product has been written anew since.
    """
    try:
        state = file_state(path)
        with _ONE_AT_A_TIME, netCDF4.Dataset(str(path)) as file:
            variables = {name: _variable(path, state, variable) for name, variable in file.variables.items()}
            texts = _attributes(file)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error
    return xr.decode_cf(xr.Dataset(variables, attrs=texts))


def _variable(path: Path, state: FileState, variable: netCDF4.Variable) -> xr.Variable:
    stored = indexing.LazilyIndexedArray(_StoredArray(path, state, variable))
    return xr.Variable(variable.dimensions, stored, _attributes(variable))


def _attributes(owner: netCDF4.Dataset | netCDF4.Variable) -> dict[str, Any]:
    return {name: owner.getncattr(name) for name in owner.ncattrs()}


def _unreadable(path: Path, error: Exception) -> WorkError:
    return unreadable(path, error, f"phloem merge {path.parent}")


class _StoredArray(xr.backends.BackendArray):
    """One variable of a product that is opened for each read."""

    def __init__(self, path: Path, state: FileState, variable: netCDF4.Variable) -> None:
        self.path, self.state, self.name = path, state, variable.name
        self.shape = variable.shape
        self.dtype = _TEXT if variable.dtype is str else variable.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        try:
            if file_state(self.path) != self.state:
                raise WorkError(f"{self.path} was merged anew since it was opened: open it again, with .merged")
            with _ONE_AT_A_TIME, netCDF4.Dataset(str(self.path)) as file:
                file.set_auto_maskandscale(False)
                file.set_auto_chartostring(False)
                return np.asarray(file[self.name][key])
        except (OSError, RuntimeError) as error:
            if isinstance(error, WorkError):
                raise
            raise _unreadable(self.path, error) from error
