"""Records of some cells from products: every file is read in blocks of time, for all these cells at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import GridCell, cell_name
from phloem.io.drivers.variables import VARIABLES
from phloem.io.grids.file_grid import Boxes, FileGrid, Gather, gather, grid_boxes
from phloem.io.ingest.domain import Domain
from phloem.io.products.forcing import WEATHER, Forcing, blocks
from phloem.io.products.observations import Stream, evaporative_fraction, tame, window_starts
from phloem.io.products.raw_files import OpenFiles
from phloem.names import STREAMS

INCOMPLETE = "incomplete forcing"
"""Reason for which land is left out when its forcing has been read."""

ARRAYS = len(WEATHER) + len(STREAMS) + 2
"""float32 numbers a cell and day that are held at once: weather, streams, Ep, and CO2 while a chunk is written."""

_AT_ONCE = 5_000


@dataclass(frozen=True, eq=False)
class Products:
    """All that varies in time, still in its files.

    Attributes:
        forcing: weather.
        co2: of each day of the store, float32 (days,).
        streams: observed products by key.
        step: size of the cells in degrees.
    """

    forcing: Forcing
    co2: np.ndarray
    streams: Mapping[str, Stream]
    step: float

    @property
    def work(self) -> int:
        """Steps that are read for one cell."""
        days = len(self.forcing.days)
        read = len(self.forcing.series) * self.forcing.a_day * days
        return read + sum(len(stream.steps) for stream in self.streams.values())


@dataclass
class Records:
    """Values read for some cells.

    Attributes:
        cells: places in the domain, ascending, int64 (cells,).
        values: float32 (cells, days) by name.
        window_start: flags of the days.
        reasons: why a cell cannot be used, by its place among these cells.
        impossible: observed values outside their physical range, which count as missing, by stream (cells,).
    """

    cells: np.ndarray
    values: dict[str, np.ndarray]
    window_start: np.ndarray
    reasons: dict[int, str] = field(default_factory=dict)
    impossible: dict[str, np.ndarray] = field(default_factory=dict)


def read_records(
    products: Products,
    domain: Domain,
    cells: np.ndarray,
    files: OpenFiles,
    budget: int,
    progress: Callable[[int, str], None],
) -> Records:
    """Read some cells.

    Args:
        products: what to read.
        domain: all cells.
        cells: places of those to read, ascending.
        files: open files.
        budget: bytes for what is read at once, beside the records.
        progress: told how many steps were read since it was told last, and of what.

    Raises:
        InputError: a damaged file, or a day on which no cell at all has forcing.
    """
    days = len(products.forcing.days)
    names = [*WEATHER, *(name for name in STREAMS), *(["potential_et"] if "potential_et" in products.streams else [])]
    records = Records(
        cells,
        {name: np.full((len(cells), days), np.nan, np.float32) for name in names},
        window_starts(products.forcing.days, products.streams.get("reco")),
    )
    _read_weather(products, domain, records, files, budget, progress)
    for stream in products.streams.values():
        _read_stream(products, domain, records, stream, files, budget, progress)
    return records


def _read_weather(
    products: Products,
    domain: Domain,
    records: Records,
    files: OpenFiles,
    budget: int,
    progress: Callable[[int, str], None],
) -> None:
    forcing = products.forcing
    boxes = domain.boxes(records.cells, products.step, filtered=False)
    gathers = gathers_of(forcing, boxes)
    most = max(1, budget // max(forcing.bytes_a_day(gathers), 1))
    doubts = _Doubts(forcing, len(records.cells))
    start = forcing.starts[forcing.lead.key]
    for first, last in blocks(forcing.lead, start, slice(0, len(forcing.days)), forcing.a_day, most):
        weather = forcing.read(files, gathers, first, last)
        for name in WEATHER:
            gone = np.isnan(weather[name]).all(axis=1)
            if gone.any():
                _refuse_if_everywhere(products, domain, files, name, first + int(np.argmax(gone)))
            doubts.check_range(name, weather[name], first)
            records.values[name][:, first:last] = weather[name].T
        doubts.check_order(weather["tasmin"], weather["tasmax"], first)
        progress((last - first) * forcing.a_day * len(forcing.series), forcing.days.date(first)[:4])
    records.reasons |= doubts.reasons()


def gathers_of(forcing: Forcing, boxes: Boxes) -> dict[str, Gather]:
    """Return pixels of boxes by variable of the forcing; grids that are shared are gathered once."""
    made: dict[FileGrid, Gather] = {}
    for series in forcing.series.values():
        if series.grid not in made:
            made[series.grid] = gather(series.grid, boxes, len(boxes))
    return {key: made[series.grid] for key, series in forcing.series.items()}


def _refuse_if_everywhere(products: Products, domain: Domain, files: OpenFiles, name: str, day: int) -> None:
    """Refuse a day on which no cell of the whole domain has a variable: that is a hole, not a coast."""
    for first in range(0, len(domain), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        boxes = grid_boxes(domain.latitude[some], domain.longitude[some], products.step)
        values = products.forcing.read(files, gathers_of(products.forcing, boxes), day, day + 1)[name]
        if not np.isnan(values).all():
            return
    forcing = products.forcing
    sources = {"tasmin": ("tasmin", "tas"), "tasmax": ("tasmax", "tas"), "vpd": ("vpd", "huss", "ps", "tas")}
    for key in sources.get(name, (name,)):
        if key not in forcing.series:
            continue
        begin = forcing.starts[key] + day * forcing.a_day
        series = forcing.series[key]
        boxes = grid_boxes(domain.latitude[:1], domain.longitude[:1], products.step)
        pixels = gather(series.grid, boxes, 1)
        if np.isnan(series.read(files, pixels, begin, begin + forcing.a_day)).any():
            raise InputError(
                f"{series.where(begin)}: no value in any of the {len(domain)} cells; forcing must be complete"
            )
    raise InputError(
        f"{forcing.lead.where(forcing.starts[forcing.lead.key] + day * forcing.a_day)}: no {name} anywhere"
    )


class _Doubts:
    """Counts, for each cell, days of the forcing that are missing or impossible."""

    def __init__(self, forcing: Forcing, cells: int) -> None:
        self.forcing = forcing
        self.missing, self.impossible = (
            {name: np.zeros(cells, np.int64) for name in (*WEATHER, "tasmin and tasmax")} for _ in range(2)
        )
        self.first = {name: np.full(cells, -1, np.int64) for name in self.missing}

    def check_range(self, name: str, values: np.ndarray, day: int) -> None:
        """Count missing and impossible values (days, cells), and set the impossible ones to NaN in place."""
        gone = np.isnan(values)
        tame(values, VARIABLES[name])
        wrong = np.isnan(values)
        self._count(name, gone, wrong & ~gone, day)

    def check_order(self, low: np.ndarray, high: np.ndarray, day: int) -> None:
        """Count minima above maxima."""
        wrong = low > high
        self._count("tasmin and tasmax", np.zeros_like(wrong), wrong, day)

    def _count(self, name: str, gone: np.ndarray, wrong: np.ndarray, day: int) -> None:
        self.missing[name] += gone.sum(axis=0)
        self.impossible[name] += wrong.sum(axis=0)
        either = gone | wrong
        new = either.any(axis=0) & (self.first[name] < 0)
        self.first[name][new] = day + either.argmax(axis=0)[new]

    def reasons(self) -> dict[int, str]:
        """Return the reasons why cells cannot be used, in words."""
        words: dict[int, list[str]] = {}
        for name, first in self.first.items():
            for cell in np.flatnonzero(first >= 0):
                gone, wrong = int(self.missing[name][cell]), int(self.impossible[name][cell])
                what = [f"no value on {_days(gone)}"] if gone else []
                if wrong:
                    kind = "the minimum exceeds the maximum" if " and " in name else "impossible"
                    what.append(f"{kind} on {_days(wrong)}")
                date = self.forcing.days.date(int(first[cell]))
                words.setdefault(int(cell), []).append(f"{name}: {', '.join(what)}, first {date}")
        return {cell: "; ".join(parts) for cell, parts in words.items()}


def _days(count: int) -> str:
    return f"{count} day{'s' if count > 1 else ''}"


def _read_stream(
    products: Products,
    domain: Domain,
    records: Records,
    stream: Stream,
    files: OpenFiles,
    budget: int,
    progress: Callable[[int, str], None],
) -> None:
    boxes = domain.boxes(records.cells, products.step, filtered=True)
    pixels = gather(stream.series.grid, boxes, len(records.cells))
    values = records.values[stream.key]
    impossible = np.zeros(len(records.cells), np.int64)
    for first, last in stream.blocks(pixels, budget):
        day, means = stream.read(files, pixels, first, last)
        there = ~np.isnan(means)
        tame(means, stream.quantity)
        impossible += (there & np.isnan(means)).sum(axis=0)
        values[:, day] = means.T
        progress(last - first, stream.key)
    records.impossible[stream.key] = impossible


def make_cells(products: Products, domain: Domain, records: Records, places: np.ndarray) -> list[GridCell]:
    """Return grid cells of some records.

    Args:
        products: what was read.
        domain: all cells.
        records: of the cells.
        places: among the records.
    """
    days = products.forcing.days
    cells = []
    for place in places:
        cell = int(records.cells[place])
        values = {name: array[place] for name, array in records.values.items()}
        fraction = np.full(len(days), np.nan, np.float32)
        if "potential_et" in values:
            fraction = evaporative_fraction(values["et"], values["potential_et"])
        cells.append(
            GridCell(
                name=cell_name(float(domain.latitude[cell]), float(domain.longitude[cell]), domain.step),
                latitude=float(domain.latitude[cell]),
                longitude=float(domain.longitude[cell]),
                calendar=days.calendar,
                year=days.year,
                doy=days.doy,
                forcing={**{name: values[name] for name in WEATHER}, "co2": products.co2},
                observations={name: values[name] for name in STREAMS},
                window_start=records.window_start,
                evaporative_fraction=fraction,
                trajectory=domain.trajectory[cell],
                statics={name: float(numbers[cell]) for name, numbers in domain.statics.items()},
            )
        )
    return cells
