"""merged.nc on a grid, streamed from the tiles band after band of grid rows.

Every chunk of the file is written once and whole. The plan's cells are sorted into bands of rows as high as a chunk,
and neighbouring bands into windows that fit into memory; the tiles of a window are read, and a band is written as soon
as all its cells are there. Where a plan follows the rows of the grid, a tile is read once (twice where windows meet);
where it does not, a tile is read once for each window that it has cells in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import netCDF4
import numpy as np

from phloem.arithmetic import ceil_div
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.files.netcdf import FILL, filled
from phloem.io.grids.placed_cells import Grid
from phloem.io.merge.by_name import named_values
from phloem.io.merge.grid_layout import BUFFER_BYTES, block_shape, cell_bytes
from phloem.io.merge.member_statistics import LEAST_MEMBERS, member_statistics
from phloem.io.merge.retried_lanes import Mended
from phloem.io.merge.tile_reader import Rows, TileReader
from phloem.model_tables import ModelTables
from phloem.names import CELL_STATUS, STATUS

_FROM_THE_PLAN = ("cell", "latitude", "longitude")
"""What is known of a cell without its tile."""


def write_bands(
    file: netCDF4.Dataset,
    reader: TileReader,
    mended: Mended,
    grid: Grid,
    tables: ModelTables,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write all cells into a file made by `define_grid`; what is wrong with tiles is left to `refuse_problems`.

    Args:
        file: open for writing.
        reader: has looked ahead.
        mended: the lanes that were calibrated again.
        grid: on which the reader's cells are placed.
        tables: of the model.
        on_progress: called with the number of tiles done and of all tiles.
    """
    bands = _Bands(reader, grid)
    windows = list(bands.windows())
    visits = np.bincount(np.concatenate([bands.tiles_of(window) for window in windows]), minlength=len(reader.plan))
    for window in windows:
        open_bands: dict[int, _Band] = {}
        for tile in bands.tiles_of(window).tolist():
            rows = reader.read(tile)
            if rows is not None:
                for band in bands.sort(tile, rows, window, open_bands):
                    _write_band(file, band, mended, tables, bands.columns)
            visits[tile] -= 1
            if on_progress is not None and visits[tile] == 0:
                on_progress(int(np.sum(visits == 0)), len(visits))


class _Band:
    """The cells of some rows of the grid, in the order of their places, while they come in.

    Attributes:
        cells: their names.
        places: row and column on the grid of each.
        first, after: rows of the grid.
        rows: what is known of the cells so far.
        waiting: cells that have not come yet.
    """

    def __init__(self, cells: np.ndarray, places: tuple[np.ndarray, np.ndarray], first: int, after: int):
        self.cells, self.places, self.first, self.after = cells, places, first, after
        self.rows: Rows = {}
        self.waiting = len(cells)

    def add(self, numbers: np.ndarray, rows: Rows, chosen: np.ndarray) -> None:
        """Take the chosen entries of some rows as the cells with these numbers."""
        for name in rows:
            if name not in _FROM_THE_PLAN:
                values = rows[name]
                if name not in self.rows:
                    self.rows[name] = np.empty((len(self.cells), *values.shape[1:]), values.dtype)
                self.rows[name][numbers] = values[chosen]
        self.waiting -= len(numbers)


class _Bands:
    """The plan's cells, sorted by their place on the grid into bands, and those into windows.

    Attributes:
        rows, columns: of a block of the product.
        order: positions in the plan of the cells, in the order of their places.
        rank: of each cell of the plan, its number in that order.
        edges: numbers at which the bands begin, and the number of cells.
    """

    def __init__(self, reader: TileReader, grid: Grid):
        self.height, self.width = grid.shape
        self.slots = reader.slots
        self.names = np.array([cell for cells in reader.plan for cell in cells], dtype=object)
        self.rows, self.columns = block_shape(self.width, reader.schema, reader.lengths)
        self.order = np.argsort(self.slots, kind="stable")
        self.rank = np.empty_like(self.order)
        self.rank[self.order] = np.arange(len(self.order))
        self.edges = np.searchsorted(
            self.slots[self.order], np.arange(ceil_div(self.height, self.rows) + 1) * self.rows * self.width
        )
        lengths = [len(cells) for cells in reader.plan]
        self.tiles = np.repeat(np.arange(len(lengths)), lengths)
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.most = max(1, BUFFER_BYTES // cell_bytes(reader.schema, reader.lengths))

    def windows(self) -> Iterator[tuple[int, int]]:
        """Return the first band and the one after the last of each window; one band where that alone is too much."""
        first, count = 0, len(self.edges) - 1
        while first < count:
            after = first + 1
            while after < count and self.edges[after + 1] - self.edges[first] <= self.most:
                after += 1
            yield first, after
            first = after

    def tiles_of(self, window: tuple[int, int]) -> np.ndarray:
        """Return the tiles that have cells in a window, in the plan's order."""
        low, high = self.edges[window[0]], self.edges[window[1]]
        return np.unique(self.tiles[self.order[low:high]])

    def sort(self, tile: int, rows: Rows, window: tuple[int, int], open_bands: dict[int, _Band]) -> Iterator[_Band]:
        """Put a tile's cells into the bands of a window; yield the bands that are whole and forget them."""
        ranks = self.rank[self.starts[tile] : self.starts[tile + 1]]
        of_cell = np.searchsorted(self.edges, ranks, side="right") - 1
        for number in np.unique(of_cell).tolist():
            if not window[0] <= number < window[1]:
                continue
            if number not in open_bands:
                open_bands[number] = self._open(number)
            band = open_bands[number]
            chosen = np.flatnonzero(of_cell == number)
            band.add(ranks[chosen] - self.edges[number], rows, chosen)
            if not band.waiting:
                yield open_bands.pop(number)

    def _open(self, number: int) -> _Band:
        positions = self.order[self.edges[number] : self.edges[number + 1]]
        row, column = np.divmod(self.slots[positions], self.width)
        first = number * self.rows
        return _Band(self.names[positions], (row, column), first, min(first + self.rows, self.height))


def _write_band(file: netCDF4.Dataset, band: _Band, mended: Mended, tables: ModelTables, columns: int) -> None:
    """Write the blocks of a band that have cells; the others are never stored and read as fill values."""
    text = len(file.dimensions["cell_characters"])
    block = band.places[1] // columns
    for number in np.unique(block).tolist():
        chosen = np.flatnonzero(block == number)
        rows = {name: values[chosen] for name, values in band.rows.items()}
        rows["cell"] = band.cells[chosen]
        mended.apply(rows)
        valid = good_lanes(rows["status"])
        rows |= member_statistics(rows["parameters"], rows["initial_pools"], valid, tables)
        rows |= {"members_calibrated": valid.sum(axis=1), "status_map": _cell_status(rows["status"], valid)}
        encoded = np.array([cell.encode() for cell in rows["cell"]], dtype=f"S{text}")
        rows["cell"] = encoded.view("S1").reshape(len(chosen), text)
        first = number * columns
        after = min(first + columns, len(file.dimensions["lon"]))
        where = band.places[0][chosen] - band.first, band.places[1][chosen] - first
        for name, values in rows.items():
            variable = file[name]
            shape = (band.after - band.first, after - first, *values.shape[1:])
            if 0 in shape:
                continue
            fill = b"" if name == "cell" else variable.getncattr("_FillValue")
            block_values = np.full(shape, fill, variable.dtype)
            block_values[where] = filled(values)
            variable[band.first : band.after, first:after] = block_values
        for name, named in named_values(rows["parameters"], rows["initial_pools"], tables).items():
            by_member = np.full((len(named), band.after - band.first, after - first), FILL)
            by_member[:, where[0], where[1]] = filled(named)
            file[name][:, band.first : band.after, first:after] = by_member


def _cell_status(status: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """One value of `CELL_STATUS` for each cell, from status and validity of its members (cell, member)."""
    count = valid.sum(axis=1)
    names = ("missing", "all_calibrated", "some_calibrated", "too_few_calibrated", "set_aside")
    code = np.select(
        [
            (status == STATUS["missing"]).all(axis=1),
            valid.all(axis=1),
            count >= LEAST_MEMBERS,
            count > 0,
            (status == STATUS["set_aside"]).any(axis=1),
        ],
        [CELL_STATUS[name] for name in names],
        CELL_STATUS["none_calibrated"],
    )
    return code.astype(np.int8)
