"""Boxes of cells on the Earth: which there are, and where their cells lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.patches.patch_store import PatchStorePaths, box_name
from phloem.io.products.lattice_means import BoxLattice

_DIGITS = 9


@dataclass(frozen=True)
class BoxGrid:
    """All boxes of one size around the Earth, from the south pole and from 180 W.

    Attributes:
        step: degrees of a cell.
        height, width: degrees of a box, multiples of the step.
    """

    step: float
    height: float
    width: float

    @property
    def rows(self) -> int:
        """Rows of cells in a box."""
        return round(self.height / self.step)

    @property
    def columns(self) -> int:
        """Columns of cells in a box."""
        return round(self.width / self.step)

    @property
    def cells(self) -> int:
        """Cells of a box."""
        return self.rows * self.columns

    @property
    def boxes_around(self) -> int:
        """Boxes around the Earth."""
        return round(360.0 / self.width)

    def corner(self, number: int) -> tuple[float, float]:
        """Return the southern and the western edge of a box, degrees."""
        band, place = divmod(number, self.boxes_around)
        return round(-90.0 + band * self.height, _DIGITS), round(-180.0 + place * self.width, _DIGITS)

    def name(self, number: int) -> str:
        """Return the name of a box."""
        return box_name(*self.corner(number))

    def centre(self, number: int) -> tuple[float, float]:
        """Return latitude and longitude of a box's centre, degrees."""
        south, west = self.corner(number)
        return south + 0.5 * self.height, west + 0.5 * self.width

    def inside(self, south: float, north: float, west: float, east: float) -> np.ndarray:
        """Return the numbers of the boxes whose centres lie in a region, from south to north and west to east.

        Raises:
            InputError: there is none.
        """
        numbers = np.arange(round(180.0 / self.height) * self.boxes_around)
        latitude = -90.0 + (numbers // self.boxes_around + 0.5) * self.height
        longitude = -180.0 + (numbers % self.boxes_around + 0.5) * self.width
        across = (longitude > west) & (longitude < east) if west < east else (longitude > west) | (longitude < east)
        found = numbers[(latitude > south) & (latitude < north) & across]
        if not len(found):
            raise InputError(f"store.region: holds no centre of a box of {self.height:g} x {self.width:g} degrees")
        return found

    def cells_of(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and columns of a box's cells around the Earth, from south to north and from west to east."""
        band, place = divmod(number, self.boxes_around)
        row = band * self.rows + np.arange(self.rows)
        column = place * self.columns + np.arange(self.columns)
        rows, columns = np.meshgrid(row, column, indexing="ij")
        return rows.reshape(-1), columns.reshape(-1)

    def latitude(self, row: np.ndarray) -> np.ndarray:
        """Return latitudes of rows of cells, degrees."""
        return np.round(-90.0 + (row + 0.5) * self.step, _DIGITS)

    def longitude(self, column: np.ndarray) -> np.ndarray:
        """Return longitudes of columns of cells, degrees, -180 to 180."""
        return np.round(-180.0 + (column + 0.5) * self.step, _DIGITS)

    def areas(self, row: np.ndarray) -> np.ndarray:
        """Return the area of a cell in each row, relative to one another."""
        edges = np.deg2rad(-90.0 + np.stack([row, row + 1]) * self.step)
        return np.sin(edges[1]) - np.sin(edges[0])

    def lattice(self, rows: np.ndarray, columns: np.ndarray) -> BoxLattice:
        """Return the cells of some rows and columns, both ascending."""
        south = np.round(-90.0 + rows * self.step, _DIGITS)
        return BoxLattice(south, np.round(-180.0 + columns * self.step, _DIGITS), self.step)


@dataclass(frozen=True)
class NumberedPatches(PatchStorePaths):
    """The files of a patch store in the making, in which each box has its number.

    Attributes:
        grid: of the boxes.
    """

    grid: BoxGrid

    def chunk(self, number: int) -> Path:
        """Return the file of the patch of a box."""
        return self.patch(self.grid.name(number))
