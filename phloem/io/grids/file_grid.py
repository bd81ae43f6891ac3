"""Regular latitude-longitude grids of files, and area-conserving means over boxes of them.

A file's axis may run either way and count longitudes from 0 to 360 or from -180 to 180. All of that ends here: the
cells of an axis are numbered from the south pole northwards and from 180 W eastwards, edges are multiples of the step,
and a mean sums its terms from south to north and from west to east. So the same field gives the same bits however a
file holds it, and whatever else is read in the same pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

ROUND = 360.0
_STRAIGHT = 0.02
"""Centres may be off by this share of a step: float32 degrees of a 0.05 degree grid are off by 0.0003."""
_TOUCH = 1e-6
"""Boxes that overlap by less than this share of a step only touch."""


class GridError(ValueError):
    """An axis that is not regular, not of cell centres, or not of this Earth; the message says where."""


@dataclass(frozen=True)
class Axis:
    """One axis of a file: where each of its cells is among all cells of that size around the Earth.

    Attributes:
        count: cells of this size in a full circle of longitude (twice those from pole to pole).
        shift: edges are at (number + shift) steps from the south pole or from 180 W; 0 for most, 0.5 where the poles
            or the meridians of 0 and 180 are centres.
        first: number of the southernmost cell, or of the westernmost as the file counts.
        length: cells in the file.
        ascending: whether the file runs northwards; longitudes always run eastwards.
        circular: whether numbers wrap (longitude).
    """

    count: int
    shift: float
    first: int
    length: int
    ascending: bool
    circular: bool

    @property
    def step(self) -> float:
        """Size of a cell in degrees."""
        return ROUND / self.count

    @property
    def origin(self) -> float:
        """Where cell 0 begins, in degrees."""
        return (-180.0 if self.circular else -90.0) + self.shift * self.step

    @property
    def centres(self) -> np.ndarray:
        """Centres of the file's cells in the file's order, degrees; longitudes in -180..180."""
        numbers = self.first + np.arange(self.length)
        if self.circular:
            numbers = numbers % self.count
        degrees = self.origin + (numbers + 0.5) * self.step
        return degrees if self.ascending else degrees[::-1]

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """Return places in the file of cells by number, -1 where the file does not have one; int64."""
        found = np.asarray(numbers, np.int64) - self.first
        if self.circular:
            found = found % self.count
        inside = (found >= 0) & (found < self.length)
        place = found if self.ascending else self.length - 1 - found
        return np.where(inside, place, -1)

    def same(self, other: Axis) -> bool:
        """Return whether two files hold the same cells in the same order."""
        return self == other


def read_axis(values: np.ndarray, circular: bool, bounds: np.ndarray | None = None) -> Axis:
    """Read the coordinates of an axis.

    Args:
        values: cell centres in degrees, (cells,).
        circular: longitude.
        bounds: (cells, 2) edges, where the file gives them.

    Raises:
        GridError: not regular, not centres, steps that do not fit around the Earth, coordinates out of range.
    """
    values = np.asarray(values, np.float64)
    what = "longitude" if circular else "latitude"
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise GridError(f"{what}: at least two finite coordinates along one dimension are due")
    if circular:
        values = np.rad2deg(np.unwrap(np.deg2rad(values)))
    elif _has_polar_halves(values):
        values, bounds = np.concatenate([np.sign(values[:1]) * 90.0, values[1:-1], np.sign(values[-1:]) * 90.0]), None
    mean = (values[-1] - values[0]) / (len(values) - 1)
    count = round(ROUND / abs(mean)) if mean else 0
    if not count or abs(abs(mean) * count / ROUND - 1.0) > 1e-4 or len(values) > count + circular:
        raise GridError(f"{what}: a step of {mean:g} degrees does not fit around the Earth")
    if circular and len(values) == count + 1 and abs(abs(values[-1] - values[0]) - ROUND) < 1e-4 * ROUND / count:
        values, bounds = values[:-1], None if bounds is None else bounds[:-1]  # the meridian that it began with, again
    step = ROUND / count
    if circular and mean < 0:
        raise GridError(f"{what} runs westwards; eastwards is due")
    off = np.abs(values - (values[0] + np.arange(len(values)) * np.sign(mean) * step)) / step
    if off.max() > _STRAIGHT:
        place = int(np.argmax(off > _STRAIGHT))
        raise GridError(f"{what} is not regular: {values[place]:g} at place {place}, where the step is {step:g}")
    south = values.min()
    steps = (south - (-180.0 if circular else -90.0)) / step - 0.5
    shift = steps - np.floor(steps + _STRAIGHT)
    for exact in (0.0, 0.5):
        shift = exact if abs(shift - exact) <= _STRAIGHT else shift
    shift = round(float(shift), 3)
    first = round(steps - shift)
    if circular:
        first %= count
    elif values.min() < -90.0 - 1e-6 or values.max() > 90.0 + 1e-6:
        raise GridError(f"latitude runs from {values.min():g} to {values.max():g}")
    elif len(values) * 2 == count and shift:
        raise GridError(
            f"latitude runs from {values.min():g} to {values.max():g}: with {len(values)} cells of {step:g} degrees "
            "these are corners, not centres"
        )
    if bounds is not None:
        middle = np.asarray(bounds, np.float64).mean(axis=-1)
        away = np.abs((middle - values + 180.0) % ROUND - 180.0) / step
        if away.max() > _STRAIGHT:
            place = int(np.argmax(away))
            raise GridError(f"{what}: {values[place]:g} at place {place} is not the middle of its bounds")
    return Axis(count, shift, int(first), len(values), bool(mean > 0), circular)


def _has_polar_halves(latitude: np.ndarray) -> bool:
    """Whether the cells at the poles are half as tall and told by their middles, as GEOS-Chem's 89 and 86 degrees."""
    if len(latitude) < 4:
        return False
    inner = np.abs(np.diff(latitude[1:-1])).mean()
    ends = np.abs(latitude[[0, -1]])
    halves = np.abs(ends - (90.0 - 0.25 * inner)) <= _STRAIGHT * inner
    steps = np.abs(np.diff(latitude))[[0, -1]]
    return bool(halves.all() and (np.abs(steps - 0.75 * inner) <= _STRAIGHT * inner).all())


@dataclass(frozen=True)
class FileGrid:
    """The two axes of a product.

    Attributes:
        latitude, longitude: its axes.
    """

    latitude: Axis
    longitude: Axis

    def __str__(self) -> str:
        lat, lon = self.latitude, self.longitude
        way = "south to north" if lat.ascending else "north to south"
        return f"{lat.length} x {lon.length} cells of {lat.step:g} degrees, {way}"

    @property
    def extent(self) -> str:
        """What it covers, for messages."""
        lat, lon = self.latitude, self.longitude
        south = lat.origin + lat.first * lat.step
        west = (lon.origin + lon.first % lon.count * lon.step + 180.0) % ROUND - 180.0
        east = west + lon.length * lon.step
        if lon.length == lon.count:
            west, east = -180.0, 180.0
        return (
            f"latitude {south:.6g} to {south + lat.length * lat.step:.6g}, longitude {west:.6g} to "
            f"{east if east <= 180.0 else east - ROUND:.6g}"
        )


@dataclass(frozen=True)
class Boxes:
    """Boxes on the Earth over which means are taken: target cells, or pieces of them.

    Attributes:
        owner: number of the target cell that each box belongs to, ascending, int64 (boxes,).
        south, west: edges in degrees, west in -180..180, (boxes,).
        size: degrees of latitude and of longitude of each box.
    """

    owner: np.ndarray
    south: np.ndarray
    west: np.ndarray
    size: float

    def __len__(self) -> int:
        return len(self.owner)

    def only(self, owners: np.ndarray) -> Boxes:
        """Return the boxes of some owners, which are renumbered 0, 1, ... in their order (ascending)."""
        kept = np.isin(self.owner, owners)
        place = np.searchsorted(owners, self.owner[kept])
        return Boxes(place, self.south[kept], self.west[kept], self.size)


def grid_boxes(latitude: np.ndarray, longitude: np.ndarray, step: float) -> Boxes:
    """Return the cells themselves as boxes.

    Args:
        latitude: of the centres, degrees, (cells,).
        longitude: likewise, -180 to 180.
        step: their size in degrees.
    """
    return Boxes(np.arange(len(latitude)), latitude - 0.5 * step, longitude - 0.5 * step, step)


def overlaps(axis: Axis, low: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of the axis's cells that each interval meets, and the weight of each: (boxes, most) both.

    The weight is the overlap in degrees of longitude, or in the sine of latitude; 0 pads.
    """
    begin = (low - axis.origin) / axis.step
    end = begin + size / axis.step
    start = np.floor(begin + _TOUCH).astype(np.int64)
    most = int((np.ceil(end - _TOUCH).astype(np.int64) - start).max()) if len(low) else 1
    numbers = start[:, None] + np.arange(most)
    west = np.maximum(numbers, begin[:, None])
    east = np.minimum(numbers + 1, end[:, None])
    snapped = [np.where(np.abs(edge - np.round(edge)) < _TOUCH, np.round(edge), edge) for edge in (west, east)]
    if axis.circular:
        weights = (snapped[1] - snapped[0]) * axis.step
    else:
        edges = [np.clip(axis.origin + edge * axis.step, -90.0, 90.0) for edge in snapped]
        weights = np.sin(np.deg2rad(edges[1])) - np.sin(np.deg2rad(edges[0]))
    return numbers, np.where(snapped[1] - snapped[0] > _TOUCH, weights, 0.0)


@dataclass(frozen=True, eq=False)
class Gather:
    """Pixels of a file that make up each cell, with their weights.

    Attributes:
        rows, columns: places in the file, int64 (cells, terms), south to north and west to east.
        weights: areas, float64 (cells, terms); 0 where there is no such pixel.
    """

    rows: np.ndarray
    columns: np.ndarray
    weights: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the file that must be read."""
        used = self.weights > 0
        if not used.any():
            return slice(0, 1), slice(0, 1)
        rows, columns = self.rows[used], self.columns[used]
        return slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)

    @property
    def is_plain(self) -> bool:
        """Whether each cell is one pixel."""
        return self.weights.shape[1] == 1

    def terms(self, window: tuple[slice, slice]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Give rows and columns inside the window, and weights, of one pixel of every cell after the other."""
        for term in range(self.weights.shape[1]):
            weights = self.weights[:, term]
            rows = np.where(weights > 0, self.rows[:, term] - window[0].start, 0)
            yield rows, np.where(weights > 0, self.columns[:, term] - window[1].start, 0), weights


def gather(grid: FileGrid, boxes: Boxes, cells: int) -> Gather:
    """Find the pixels under some boxes; area-conserving, whether or not the grids are aligned.

    Args:
        grid: of the file.
        boxes: pieces of the cells.
        cells: how many cells there are.

    Returns:
        For each cell the pixels that its boxes overlap, each once, weighted by the overlapping area.
    """
    rows, tall = overlaps(grid.latitude, boxes.south, boxes.size)
    columns, wide = overlaps(grid.longitude, boxes.west, boxes.size)
    shape = (len(boxes), rows.shape[1], columns.shape[1])
    weights = (tall[:, :, None] * wide[:, None, :]).reshape(-1)
    place_row = grid.latitude.places(rows)
    place_column = grid.longitude.places(columns)
    inside = (place_row[:, :, None] >= 0) & (place_column[:, None, :] >= 0)
    keep = np.flatnonzero((weights > 0) & inside.reshape(-1))

    def flat(values: np.ndarray, axis: int) -> np.ndarray:
        return np.broadcast_to(np.expand_dims(values, axis), shape).reshape(-1)[keep]

    owner = np.broadcast_to(boxes.owner[:, None, None], shape).reshape(-1)[keep]
    # Longitudes are ordered by the number as unwrapped from the box, so that no seam changes the order of a sum.
    order = np.lexsort((flat(columns, 1), flat(rows, 2), owner))
    owner, weights = owner[order], weights[keep][order]
    row, column = flat(place_row, 2)[order], flat(place_column, 1)[order]
    number = flat(columns, 1)[order]
    new = np.ones(len(owner), bool)
    new[1:] = (np.diff(owner) != 0) | (np.diff(row) != 0) | (np.diff(number) != 0)
    group = np.cumsum(new) - 1
    summed = np.zeros(int(group[-1]) + 1 if len(group) else 0)
    np.add.at(summed, group, weights)
    owner, row, column = owner[new], row[new], column[new]
    counts = np.bincount(owner, minlength=cells)
    most = max(int(counts.max()) if len(counts) else 1, 1)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    arrays = [np.zeros((cells, most), kind) for kind in (np.int64, np.int64, np.float64)]
    for target, values in zip(arrays, (row, column, summed), strict=True):
        target[owner, place] = values
    arrays[2][counts == 1, 0] = 1.0  # the mean of one pixel is that pixel, to the bit
    return Gather(*arrays)
