"""Values of some patches read from products: cell by cell, and as means of whole patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from phloem.io.drivers.moisture import deficit
from phloem.io.global_products.months_of_series import MonthlySeries, areas_of_pixels
from phloem.io.global_products.patch_catalogue import BURNED_SHARE
from phloem.io.global_products.patch_products import PatchProducts
from phloem.io.global_products.valid_cells import ValidCells
from phloem.io.products.lattice_means import lattice_steps
from phloem.io.products.observations import tame
from phloem.io.products.raw_files import OpenFiles
from phloem.names import PATCH_STREAMS, PERIOD

LEAST_AREA = 0.5
"""Share of a patch's area that must have values for its mean to count."""

TURNOVER_YEARS = 1.0
RESPIRED = 0.5
"""Herbaceous biomass is f_h GPP / tau (1 - 0.5) (Fang et al.): the turnover tau in years, and the 0.5."""

Tell = Callable[[int, str], None]


@dataclass
class PatchValues:
    """What was read of some patches.

    Attributes:
        patches: their places among the valid cells' patches, ascending.
        cells: places of their cells, ascending.
        values: of cells, by name, float32 (months, cells).
        means: of patches, by stream, float64 (months, patches).
        impossible: how many values count as missing, by name, of each cell or patch.
    """

    patches: np.ndarray
    cells: np.ndarray
    values: dict[str, np.ndarray] = field(default_factory=dict)
    means: dict[str, np.ndarray] = field(default_factory=dict)
    impossible: dict[str, np.ndarray] = field(default_factory=dict)


def arrays_a_cell(products: PatchProducts) -> int:
    """Return the float32 numbers a cell and month that are held at once."""
    gridded = [stream for stream in products.labels if stream not in PATCH_STREAMS]
    return len(products.forcing) + 1 + len(gridded) + bool(products.gpp)


def read_patches(
    products: PatchProducts, valid: ValidCells, patches: np.ndarray, files: OpenFiles, budget: int, tell: Tell
) -> PatchValues:
    """Read some patches.

    Args:
        products: what is read.
        valid: all cells.
        patches: places of those to read among the patches, ascending.
        files: open files.
        budget: bytes that a piece of a file may have.
        tell: told how many steps were read since it was told last, and of what.

    Raises:
        InputError: a damaged file.
    """
    found = PatchValues(patches, valid.cells_of(patches))
    reader = _BandReader(products, valid, found, files, budget, tell)
    for key, parts in products.forcing.items():
        found.values[key] = reader.cells(key, parts)
    if products.moisture is not None:
        _add_deficit(products, found)
    for stream, parts in products.labels.items():
        if stream in PATCH_STREAMS:
            found.means[stream] = reader.patches(stream, parts)
        else:
            found.values[stream] = reader.cells(stream, parts)
    if products.gpp:
        _add_herbs(products, valid, found, reader.cells("gpp", products.gpp))
    return found


def _add_deficit(products: PatchProducts, found: PatchValues) -> None:
    """Make the deficit of what says how moist the air is, month by month."""
    moisture = products.moisture
    assert moisture is not None
    moist = found.values.pop(moisture.variable.name)
    pressure = found.values.pop("ps") if moisture.pressure else None
    low, high = found.values["tasmin"], found.values["tasmax"]
    for month in range(len(moist)):
        air = pressure[month].astype(float) if pressure is not None else np.zeros(1)
        coldest, warmest = low[month].astype(float), high[month].astype(float)
        moist[month] = deficit(moisture, moist[month].astype(float), coldest, warmest, air)
    found.values["vpd"] = moist


def _add_herbs(products: PatchProducts, valid: ValidCells, found: PatchValues, gpp: np.ndarray) -> None:
    """Add what grows and dies within a year to the biomass of wood: it has none of it."""
    share = np.sum([valid.statics[name][found.cells] for name in products.herbaceous], axis=0) / 100.0
    known = np.isfinite(gpp)
    count = known.sum(axis=0)
    mean = np.divide(np.where(known, gpp, 0.0).sum(axis=0, dtype=float), count, out=np.full(len(count), np.nan),
                     where=count > 0)  # fmt: skip
    herbs = share * mean * PERIOD * TURNOVER_YEARS * (1.0 - RESPIRED)
    found.values["biomass"] += herbs.astype(np.float32)


class _BandReader:
    """Reads variables at the cells of some patches."""

    def __init__(
        self, products: PatchProducts, valid: ValidCells, found: PatchValues, files: OpenFiles, budget: int, tell: Tell
    ) -> None:
        self.products, self.found, self.files, self.budget, self.tell = products, found, files, budget, tell
        self.grid, self.count = products.grid, products.months.count
        every = [self.grid.cells_of(int(number)) for number in valid.boxes[found.patches]]
        self.rows = np.unique(np.concatenate([rows for rows, _ in every]))
        self.columns = np.unique(np.concatenate([columns for _, columns in every]))
        self.lattice = self.grid.lattice(self.rows, self.columns)
        self.row = np.searchsorted(self.rows, valid.row[found.cells])
        self.column = np.searchsorted(self.columns, valid.column[found.cells])
        self.corners = [
            (int(np.searchsorted(self.rows, rows[0])), int(np.searchsorted(self.columns, columns[0])))
            for rows, columns in every
        ]

    def cells(self, key: str, parts: Sequence[MonthlySeries]) -> np.ndarray:
        """Return a variable at the cells, float32 (months, cells)."""
        values = np.full((self.count, len(self.found.cells)), np.nan, np.float32)
        for one in parts:
            for months, cells, means in self._months(one, self.budget):
                there = np.isfinite(means)
                tame(means, one.series.quantity)
                values[months, cells] = np.minimum(means, 1.0) if one.series.quantity is BURNED_SHARE else means
                self._count(key, values.shape[1])[cells] += there & np.isnan(means)
        return values

    def _count(self, key: str, length: int) -> np.ndarray:
        return self.found.impossible.setdefault(key, np.zeros(length, np.int64))

    def patches(self, key: str, parts: Sequence[MonthlySeries]) -> np.ndarray:
        """Return means over whole patches, whatever their cells are; float64 (months, patches)."""
        values = np.full((self.count, len(self.corners)), np.nan)
        tall, wide = self.grid.rows, self.grid.columns
        for one in parts:
            sums = np.zeros((2, self.count, len(self.corners)))
            for place, _, field_ in lattice_steps(
                one.series, one.steps, self.files, self.lattice, self.budget, areas_of_pixels, whole=True
            ):
                means = np.full(len(self.corners), np.nan)
                for number, (row, column) in enumerate(self.corners):
                    box = field_[row : row + tall, column : column + wide]
                    area = np.broadcast_to(self.grid.areas(self.rows[row : row + tall])[:, None], box.shape)
                    there = np.isfinite(box)
                    if (filled := float(area[there].sum())) >= LEAST_AREA * float(area.sum()):
                        means[number] = float((box[there] * area[there]).sum()) / filled
                means *= one.factor[place]
                there = np.isfinite(means)
                tame(means, one.series.quantity)
                known = np.isfinite(means)
                self._count(key, len(means))[:] += there & ~known
                for month in range(one.months[place], one.months[place] + one.span):
                    sums[0, month, known] += means[known]
                    sums[1, month, known] += 1
                self.tell(1, key)
            np.divide(sums[0], sums[1], out=values, where=sums[1] > 0)
        return values

    def _months(self, one: MonthlySeries, budget: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Give means over months of a variable: which months, which cells, and float64 (cells,)."""
        total = count = np.zeros(0)
        cells = np.zeros(0, np.int64)
        begun: tuple[int, int] | None = None

        def finished(month: int) -> tuple[slice, np.ndarray, np.ndarray]:
            enough = (count > 0) & (count >= one.least(month))
            means = np.divide(total, count, out=np.full(len(total), np.nan), where=enough)
            return slice(month, month + one.span), cells, means

        for place, rows, field_ in lattice_steps(
            one.series, one.steps, self.files, self.lattice, budget, areas_of_pixels
        ):
            month = int(one.months[place])
            if begun != (rows.start, month):
                if begun is not None:
                    yield finished(begun[1])
                if begun is None or begun[0] != rows.start:
                    cells = np.flatnonzero((self.row >= rows.start) & (self.row < rows.stop))
                total, count, begun = np.zeros(len(cells)), np.zeros(len(cells)), (rows.start, month)
            values = field_[self.row[cells] - rows.start, self.column[cells]] * one.factor[place]
            known = np.isfinite(values)
            total[known] += values[known]
            count[known] += 1
            self.tell(1, one.key)
        if begun is not None:
            yield finished(begun[1])


_ALL_ROWS = 1 << 60
"""Coarse products are read whole: their patches span many rows of cells, and few of theirs."""
