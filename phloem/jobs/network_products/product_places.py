"""Places of a product that is made patch by patch: which cells of which patches, and where each lies in the file.

On a grid the axes run from edge to edge of the patches' boxes, and chunks hold whole boxes: each is written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError, some
from phloem.io.files.netcdf import FILL, UNSTRUCTURED, filled
from phloem.io.grids.placed_cells import Grid, PlacedCells, place_cells
from phloem.io.merge.place_axes import define_cell_axis, define_grid_axes
from phloem.io.patches.patch_store import PatchStore

CHUNK_BYTES = 2**19
"""Bytes of a chunk, about."""

LEAST_CHUNK_BYTES = 2**16
"""Of smaller ones the library's own overhead is most; then several boxes of a band lie in a chunk."""


@dataclass(frozen=True, eq=False)
class ProductPlaces:
    """Cells of a product, in the order of their patches.

    Attributes:
        positions: of the patches that have any, in their store.
        rows: of each patch: which of its cells, in its own order.
        names: of all cells.
        latitude, longitude: of them, degrees.
        placed: where they lie on a grid; None of places on none.
        box: rows and columns of a patch on the grid.
    """

    positions: Sequence[int]
    rows: Sequence[np.ndarray]
    names: Sequence[str]
    latitude: np.ndarray
    longitude: np.ndarray
    placed: PlacedCells | None
    box: tuple[int, int]

    @property
    def starts(self) -> np.ndarray:
        """Number of the first cell of each patch, and of all cells behind them."""
        return np.concatenate([[0], np.cumsum([len(rows) for rows in self.rows])]).astype(int)

    def define(self, file: netCDF4.Dataset) -> tuple[str, ...]:
        """Create and write the axes; return the dimensions of places. The file has a dimension `bnds`."""
        if self.placed is not None:
            return define_grid_axes(file, self.placed.grid)
        return define_cell_axis(file, self.names, self.latitude, self.longitude)

    def create(
        self, file: netCDF4.Dataset, name: str, kind: Any, leading: Sequence[str], texts: Mapping[str, Any]
    ) -> netCDF4.Variable:
        """Create a compressed variable whose last dimensions are those of places."""
        size, places = np.dtype(kind).itemsize, ("lat", "lon") if self.placed is not None else ("cell",)
        room = size
        chunk: list[int] = []
        for dimension in reversed(leading):
            length = len(file.dimensions[dimension])
            chunk.insert(0, max(1, min(length, CHUNK_BYTES // (room * int(np.prod(self.box))))))
            room *= chunk[0]
        chunks = [*chunk, *self._places_of_chunk(room)]
        variable = file.createVariable(
            name, kind, (*leading, *places), zlib=True, complevel=1, shuffle=True,
            chunksizes=chunks, chunk_cache=2 * size * int(np.prod(chunks)),
            fill_value=FILL if np.dtype(kind).kind == "f" else np.array(-1, kind),
        )  # fmt: skip
        variable.setncatts(texts)
        if self.placed is None:
            variable.setncatts({"coordinates": "latitude longitude", "CDI_grid_type": UNSTRUCTURED})
        variable.set_auto_maskandscale(False)
        return variable

    def _places_of_chunk(self, room: int) -> tuple[int, ...]:
        """Rows and columns of a chunk, or its cells, of which each takes so many bytes."""
        height, width = self.box
        boxes = max(1, LEAST_CHUNK_BYTES // (room * height * width))
        if self.placed is None:
            return (min(len(self.names), boxes * height * width),)
        rows, columns = self.placed.grid.shape
        return min(rows, height), min(columns, boxes * width)

    def put(self, variable: netCDF4.Variable, patch: int, values: np.ndarray) -> None:
        """Write the values of a patch, (..., all cells of the patch).

        Args:
            variable: as of `create`.
            patch: its number among `positions`.
            values: NaN where missing.
        """
        kept = filled(np.asarray(values[..., self.rows[patch]], variable.dtype))
        start, stop = self.starts[patch : patch + 2]
        if self.placed is None:
            variable[..., start:stop] = kept
            return
        rows, columns = np.divmod(self.placed.slots_of(self.names[start:stop]), self.placed.grid.shape[1])
        south, north, west, east = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        # Read back first: boxes that are not those of the grid's tiling may lie across one another.
        block = variable[..., south:north, west:east]
        block[..., rows - south, columns - west] = kept
        variable[..., south:north, west:east] = block


def places_of(store: PatchStore, wanted: str = "") -> ProductPlaces:
    """Look for the cells of a product; patches are proved by their checksums.

    Args:
        store: the patches.
        wanted: names of patches or cells with commas between them; empty: all.

    Raises:
        InputError: a name that is neither, a damaged patch, or two cells in one place of the grid.
    """
    asked = list(dict.fromkeys(part.strip() for part in wanted.split(","))) if wanted.strip() else []
    left = set(asked) - set(store.names)
    positions, rows, names, coordinates = [], [], [], []
    for position, (cells, north, east) in _cells(store, asked, bool(left)):
        whole = not asked or store.names[position] in asked
        chosen = [place for place, cell in enumerate(cells) if whole or cell in left]
        if not chosen:
            continue
        left.difference_update(cells[place] for place in chosen)
        positions.append(position)
        rows.append(np.array(chosen))
        names += [cells[place] for place in chosen]
        coordinates.append(np.stack([north[chosen], east[chosen]]))
    if left:
        raise InputError(
            f"--cells: {store.paths.root} has no patch and no cell {some(sorted(left))}; its patches are "
            f"{some(store.names)}"
        )
    latitude, longitude = np.concatenate(coordinates, 1)
    placed, box = None, (1, store.rows)
    if store.step is not None:
        placed = _on_boxes(store, positions, names, latitude, longitude)
        height, width = store.facts.get("box", (store.step, store.step))
        box = max(1, round(height / store.step)), max(1, round(width / store.step))
    return ProductPlaces(positions, rows, names, latitude, longitude, placed, box)


Found = tuple[tuple[str, ...], np.ndarray, np.ndarray]


def _cells(store: PatchStore, asked: Sequence[str], everywhere: bool) -> Iterator[tuple[int, Found]]:
    """Cells and coordinates of the patches that may have some that were asked for."""
    for position, name in enumerate(store.names):
        if not asked or everywhere or name in asked:
            patch = store.read(position)
            yield position, (patch.cells, patch.latitude, patch.longitude)


def _on_boxes(
    store: PatchStore, positions: Sequence[int], names: Sequence[str], latitude: np.ndarray, longitude: np.ndarray
) -> PlacedCells:
    """Cells on a grid that begins where the boxes of their patches do, where these lie on the edges of cells."""
    step = store.step
    assert step is not None
    centres = latitude.tolist(), longitude.tolist()
    plain = place_cells(names, *centres, step)
    if "box" not in store.facts:
        return plain
    height, width = store.facts["box"]
    south, west = (np.array([store.table[key][place] for place in positions], float) for key in ("south", "west"))
    corners = (
        np.concatenate([latitude, south + step / 2, south + height - step / 2]),
        np.concatenate([longitude, west + step / 2, west + width - step / 2]),
    )
    try:
        whole = Grid.around(*corners, step)
        return whole.place(names, *centres)
    except InputError:
        return plain
