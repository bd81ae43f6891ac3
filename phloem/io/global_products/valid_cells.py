"""Cells that a patch store may have, by land cover and predictors, and the patches that have enough of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import cell_name
from phloem.io.files.atomic import hdf5_image, read_hdf5, write_atomically
from phloem.io.global_products.boxes import BoxGrid
from phloem.io.global_products.patch_catalogue import PLANT_TYPES
from phloem.io.global_products.patch_products import PatchProducts
from phloem.io.ingest.ingest_folder import Dropped
from phloem.io.products.box_means import box_means
from phloem.io.products.observations import tame
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries

NON_VEGETATED, NO_COVER, NO_PREDICTOR, TOO_FEW = (
    "not vegetated", "no land cover", "a predictor is missing", "too few valid cells",
)  # fmt: skip
"""Reasons for which cells and patches are left out."""

_A_CELL = 300
"""Bytes of a cell while its land cover and predictors are read."""

_WHOLE = (90.0, 101.0)
"""Per cent between which the shares of a cell's land cover add up, at the median."""


@dataclass(frozen=True)
class Limits:
    """What a cell, a patch and a label must fulfil.

    Attributes:
        water: per cent of a cell that may be water.
        non_vegetated: per cent that may be urban, snow, ice or barren.
        cells: share of a patch's cells that must be valid.
        coarse: share from which on the labels of a whole patch are kept.
        tower_type: per cent of a cell that a tower's plant type must cover.
    """

    water: float = 50.0
    non_vegetated: float = 20.0
    cells: float = 0.1
    coarse: float = 0.8
    tower_type: float = 25.0

    def enough(self, valid: int, cells: int) -> bool:
        """Return whether so many valid cells make a patch."""
        return valid >= self.cells * cells - 1e-9


@dataclass(eq=False)
class ValidCells:
    """Cells that are valid but for their forcing, patch by patch.

    Attributes:
        grid: boxes and cells.
        boxes: numbers of the patches, ascending, int64 (patches,).
        patch: of each cell, place among the patches, ascending, int64 (cells,).
        row, column: of each cell around the Earth, int64 (cells,).
        statics: predictors, shares of water and soil carbon by name, float64 (cells,).
        dropped: what was left out.
        water: cells that are water.
    """

    grid: BoxGrid
    boxes: np.ndarray
    patch: np.ndarray
    row: np.ndarray
    column: np.ndarray
    statics: dict[str, np.ndarray]
    dropped: list[Dropped] = field(default_factory=list)
    water: int = 0

    def __len__(self) -> int:
        return len(self.patch)

    @property
    def latitude(self) -> np.ndarray:
        """Of the cells' centres, degrees north."""
        return self.grid.latitude(self.row)

    @property
    def longitude(self) -> np.ndarray:
        """Of the cells' centres, degrees east."""
        return self.grid.longitude(self.column)

    def name(self, cell: int) -> str:
        """Return the name of a cell."""
        north, east = self.grid.latitude(self.row[cell]), self.grid.longitude(self.column[cell])
        return cell_name(float(north), float(east), self.grid.step)

    def dropped_cell(self, cell: int, reason: str, detail: str) -> Dropped:
        """Return why a cell is left out, with its name and place."""
        north, east = self.grid.latitude(self.row[cell]), self.grid.longitude(self.column[cell])
        return self.name(cell), float(north), float(east), reason, detail

    def cells_of(self, patches: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the places of the cells of some patches, ascending."""
        return np.flatnonzero(np.isin(self.patch, patches))


def dropped_box(grid: BoxGrid, number: int, valid: int, limits: Limits) -> Dropped:
    """Return why a patch is left out."""
    detail = f"{valid} of {grid.cells} cells, {limits.cells * grid.cells:g} are due"
    return (grid.name(number), *grid.centre(number), TOO_FEW, detail)


def find_valid_cells(
    products: PatchProducts,
    limits: Limits,
    numbers: np.ndarray,
    files: OpenFiles,
    budget: int,
    progress: Callable[[float], None],
) -> ValidCells:
    """Find the cells that are valid by maps, as many boxes at once as the memory holds.

    Args:
        products: land cover and maps of predictors.
        limits: what is valid.
        numbers: of the boxes that are looked at, ascending.
        files: open files.
        budget: bytes that may be used at once.
        progress: told how many boxes are done, or what share of them.

    Raises:
        InputError: shares that do not add up, or a map that cannot be read.
    """
    grid = products.grid
    parts: list[ValidCells] = []
    sums: list[np.ndarray] = []
    most = max(1, int(0.5 * budget) // (_A_CELL * grid.cells))
    for first in range(0, len(numbers), most):
        some = numbers[first : first + most]

        def told(share: float, first: int = first, boxes: int = len(some)) -> None:
            progress(first + share * boxes)

        parts.append(_valid_among(products, limits, some, files, budget // 2, sums, told))
    whole = np.concatenate(sums) if sums else np.empty(0)
    cover = products.plant_types["NF"][0].layouts[0]
    if not len(whole):
        raise InputError(
            f"{cover.path}: variable {cover.name} of [products.pft]: no land cover in any cell, or shares beyond 100 "
            f"per cent; the file says {cover.unit!r}"
        )
    if not _WHOLE[0] <= (middle := float(np.median(whole))) <= _WHOLE[1]:
        raise InputError(
            f"{cover.path}: variable {cover.name} of [products.pft]: the shares of a cell add up to {middle:.3g} per "
            f"cent at the median, water and all; 100 are due. The file says {cover.unit!r}"
        )
    boxes = np.concatenate([one.boxes for one in parts])
    begin = np.cumsum([0, *(len(one.boxes) for one in parts)])
    return ValidCells(
        grid,
        boxes,
        np.concatenate([one.patch + begin[place] for place, one in enumerate(parts)]),
        np.concatenate([one.row for one in parts]),
        np.concatenate([one.column for one in parts]),
        {name: np.concatenate([one.statics[name] for one in parts]) for name in parts[0].statics},
        [row for one in parts for row in one.dropped],
        sum(one.water for one in parts),
    )


def _valid_among(
    products: PatchProducts,
    limits: Limits,
    numbers: np.ndarray,
    files: OpenFiles,
    budget: int,
    sums: list[np.ndarray],
    told: Callable[[float], None],
) -> ValidCells:
    grid = products.grid
    total = len(products.plant_types) + len(products.maps) + bool(products.soil_carbon)
    done = itertools.count(1)
    places = [grid.cells_of(int(number)) for number in numbers]
    found = ValidCells(
        grid,
        numbers,
        np.repeat(np.arange(len(numbers)), grid.cells),
        np.concatenate([rows for rows, _ in places]),
        np.concatenate([columns for _, columns in places]),
        {},
    )

    def means(parts: Sequence[ProductSeries]) -> np.ndarray:
        values = sum_of_maps(parts, found, files, budget)
        told(next(done) / total)
        return values

    def keep(kept: np.ndarray, reason: str, details: Callable[[int], str]) -> None:
        found.dropped += [found.dropped_cell(cell, reason, details(cell)) for cell in np.flatnonzero(~kept).tolist()]
        _keep(found, kept)

    found.statics["water"] = means(products.plant_types["water"])
    wet = found.statics["water"] > limits.water
    found.water = int(wet.sum())
    _keep(found, ~wet)
    for name in PLANT_TYPES:
        found.statics[name] = means(products.plant_types[name])
    cover = np.sum([found.statics[name] for name in (*PLANT_TYPES, "water")], axis=0)
    sums.append(cover[np.isfinite(cover)])
    keep(np.isfinite(cover), NO_COVER, lambda _: "no value")
    bare = found.statics["NVG"]
    keep(bare <= limits.non_vegetated, NON_VEGETATED, lambda cell: f"{found.statics['NVG'][cell]:.1f} %")
    for name, series in products.maps.items():
        found.statics[name] = means([series])
    if products.soil_carbon:
        found.statics["soil_carbon"] = means(products.soil_carbon)
    missing = {name: ~np.isfinite(found.statics[name]) for name in products.maps}
    gone = np.any(list(missing.values()), axis=0) if missing else np.zeros(len(found), bool)
    keep(~gone, NO_PREDICTOR, lambda cell: ", ".join(name for name, holes in missing.items() if holes[cell]))
    counts = np.bincount(found.patch, minlength=len(numbers))
    good = np.array([limits.enough(int(count), grid.cells) for count in counts])
    found.dropped += [dropped_box(grid, int(numbers[n]), int(counts[n]), limits) for n in np.flatnonzero(~good)]
    _keep(found, good[found.patch])
    found.boxes, found.patch = numbers[good], np.searchsorted(np.flatnonzero(good), found.patch)
    return found


def sum_of_maps(parts: Sequence[ProductSeries], cells: ValidCells, files: OpenFiles, budget: int) -> np.ndarray:
    """Return area-weighted means over cells of a map, or of the sum of some; NaN where one has none."""
    grid = cells.grid
    south = np.round(-90.0 + cells.row * grid.step, 9)
    west = np.round(-180.0 + cells.column * grid.step, 9)
    total = np.zeros(len(cells))
    for series in parts:
        if len(cells):
            total += tame(box_means(series, files, south, west, grid.step, budget), series.quantity)[0]
    return total


def _keep(cells: ValidCells, kept: np.ndarray) -> None:
    cells.patch, cells.row, cells.column = cells.patch[kept], cells.row[kept], cells.column[kept]
    cells.statics = {name: values[kept] for name, values in cells.statics.items()}


_ARRAYS = ("boxes", "patch", "row", "column")
_TEXTS = ("name", "reason", "detail")


def save_valid_cells(path: Path, cells: ValidCells) -> None:
    """Write valid cells, so that an ingest that goes on need not look at all maps again."""
    arrays = {name: getattr(cells, name) for name in _ARRAYS}
    arrays |= {f"static_{name}": values for name, values in cells.statics.items()}
    columns = list(zip(*cells.dropped, strict=True)) if cells.dropped else [()] * 5
    for name, values in zip(("name", "latitude", "longitude", "reason", "detail"), columns, strict=True):
        arrays[f"dropped_{name}"] = np.array(values, object if name in _TEXTS else float)
    facts = {"water": cells.water, "statics": list(cells.statics)}
    write_atomically(path, hdf5_image(arrays, facts))


def load_valid_cells(path: Path, grid: BoxGrid) -> ValidCells:
    """Read what `save_valid_cells` wrote.

    Raises:
        CorruptFile: it is not that.
        FileNotFoundError: there is none.
    """
    arrays, facts = read_hdf5(path)
    rows = zip(
        *(arrays[f"dropped_{name}"] for name in ("name", "latitude", "longitude", "reason", "detail")), strict=True
    )
    return ValidCells(
        grid,
        arrays["boxes"],
        arrays["patch"],
        arrays["row"],
        arrays["column"],
        {str(name): arrays[f"static_{name}"] for name in facts["statics"]},
        [(str(a), float(b), float(c), str(d), str(e)) for a, b, c, d, e in rows],
        int(facts["water"]),
    )
