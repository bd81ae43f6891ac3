"""A merged product read label by label, so that a map of one parameter costs the memory of one parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError, WorkError, unreadable


@dataclass(frozen=True)
class Lattice:
    """The regular grid that cells lie on.

    Attributes:
        latitude, longitude: centres of the first row and column, degrees north and east.
        step: degrees between rows (signed) and between columns.
        rows, columns: how many.
        row, column: of each cell, (cells,).
    """

    latitude: float
    longitude: float
    step: tuple[float, float]
    rows: int
    columns: int
    row: np.ndarray
    column: np.ndarray


class MergedSlices:
    """An open merged.nc, of one dimension of cells or two of latitude and longitude."""

    def __init__(self, path: Path, cells: Sequence[str]) -> None:
        """Open a product.

        Args:
            path: the product.
            cells: ids of the cells to take, in this order.

        Raises:
            InputError: no such cell.
            WorkError: the file cannot be read.
        """
        self.path = path
        try:
            self.file = netCDF4.Dataset(str(path))
            ids = np.ma.filled(self.file["cell"][...], "").astype(str)
        except (OSError, RuntimeError, IndexError) as error:
            raise self._unreadable(error) from error
        self.leading = ids.ndim
        self.shape = ids.shape
        places = {name: place for place, name in enumerate(ids.reshape(-1).tolist()) if name}
        absent = [name for name in cells if name not in places]
        if absent:
            self.file.close()
            raise InputError(f"{path}: has no cell {', '.join(absent[:5])}; write it again: phloem merge {path.parent}")
        self.index = np.array([places[name] for name in cells], int)

    def __enter__(self) -> MergedSlices:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def _unreadable(self, error: Exception) -> WorkError:
        return unreadable(self.path, error, f"phloem merge {self.path.parent}")

    def size(self, dimension: str) -> int:
        """Return the length of a dimension."""
        return len(self.file.dimensions[dimension])

    def labels(self, dimension: str) -> list[str]:
        """Return the labels along a dimension, such as the parameters."""
        return [str(name) for name in self.file[dimension][...]]

    def read(self, name: str, *rest: int | slice) -> np.ndarray:
        """Read a variable of the cells.

        Args:
            name: a variable whose first dimensions are the cells'.
            rest: indices of its further dimensions; what is left out is taken whole.

        Returns:
            The values with one leading dimension of cells; floating ones are float64, NaN where missing.

        Raises:
            InputError: no such variable.
            WorkError: the file cannot be read.
        """
        if name not in self.file.variables:
            raise InputError(f"{self.path}: lacks {name}; write it again: phloem merge {self.path.parent}")
        key: tuple[Any, ...] = (*[slice(None)] * self.leading, *rest)
        try:
            values = self.file[name][key]
        except (OSError, RuntimeError) as error:
            raise self._unreadable(error) from error
        values = np.ma.filled(values.astype(np.float64), np.nan) if values.dtype.kind == "f" else np.ma.filled(values)
        taken: np.ndarray = values.reshape(-1, *values.shape[self.leading :])[self.index]
        return taken

    @property
    def lattice(self) -> Lattice | None:
        """The grid of a product that has latitude and longitude, else None."""
        if self.leading == 1:
            return None
        lat, lon = (np.asarray(self.file[name][...], float) for name in ("lat", "lon"))
        steps = [
            float(axis[1] - axis[0]) if len(axis) > 1 else float(np.ptp(self.file[f"{name}_bnds"][0]))
            for name, axis in (("lat", lat), ("lon", lon))
        ]
        row, column = np.divmod(self.index, self.shape[1])
        return Lattice(float(lat[0]), float(lon[0]), (steps[0], steps[1]), len(lat), len(lon), row, column)
