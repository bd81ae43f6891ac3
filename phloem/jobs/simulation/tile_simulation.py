"""The simulation of one tile: its cells' runs, block after block and year after year, resumable between two years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from phloem.arithmetic import ceil_div
from phloem.jobs.campaign.kind_of_work import Arrays
from phloem.jobs.simulation.periods import PER_YEAR, period_keys, whole_lengths
from phloem.jobs.simulation.runs import CellRun
from phloem.jobs.simulation.table import SimulationTable
from phloem.kernels.calibrations.experiment import Calibration
from phloem.kernels.simulate.one_year import first_state, run_one_year
from phloem.sharding.lanes.blocks import runs_at_once


@dataclass(frozen=True)
class SideBySide:
    """Runs that go side by side: those of cells whose days are the same.

    Attributes:
        cells: positions in the tile.
        lanes: (place among these cells, run) of each lane.
    """

    cells: tuple[int, ...]
    lanes: tuple[tuple[int, int], ...]


class TileSimulation:
    """The runs of one tile under way.

    Attributes:
        in_flight: lanes run at once, at most.
    """

    def __init__(
        self, table: SimulationTable, experiment: Calibration, fields: tuple[str, ...], cells: Sequence[CellRun]
    ) -> None:
        """Lay out the runs.

        Args:
            table: of the simulation.
            experiment: of the campaign that is simulated.
            fields: outputs that are kept.
            cells: of the tile.
        """
        self.table, self.experiment, self.fields, self.cells = table, experiment, fields, list(cells)
        self.model, self.dtype = experiment.forward_model(), np.dtype(experiment.precision)
        self.in_flight = runs_at_once(experiment.time_loop)
        self._keys = [period_keys(cell.dates, table.what) for cell in self.cells]
        self._whole = [whole_lengths(cell.dates, table.what) for cell in self.cells]
        self._shown = [self._shown_periods(number) for number in range(len(self.cells))]
        longest = max((last - first + 1 for first, last in self._shown), default=0)
        shape = len(self.cells), table.count, max(longest, 1)
        self.kept = {name: np.full(shape, np.nan, self.dtype) for name in fields}
        self._blocks = self._lay_out()
        self._block, self._year = 0, 0
        self._state: Any = None

    def _shown_periods(self, number: int) -> tuple[int, int]:
        """First and last period of a cell that is kept; the last before the first where there is none."""
        dates, keys = self.cells[number].dates, self._keys[number]
        years = self.table.shown_years
        shown = keys if years is None else keys[(dates.year >= years[0]) & (dates.year <= years[1])]
        return (int(shown[0]), int(shown[-1])) if len(shown) else (0, -1)

    def _lay_out(self) -> list[SideBySide]:
        """Put cells whose days are the same side by side, as many as a block of lanes holds."""
        groups: dict[tuple[str, int, int, int], list[int]] = {}
        for number, cell in enumerate(self.cells):
            dates = cell.dates
            if cell.runs and self._shown[number][1] >= self._shown[number][0]:
                key = dates.calendar, int(dates.day[0]), len(dates), int(dates.forcing_year[0])
                groups.setdefault(key, []).append(number)
        width = max(1, self.in_flight // self.table.count)
        return [
            SideBySide(tuple(part), tuple((place, run) for place, n in enumerate(part) for run in self.cells[n].runs))
            for cells in groups.values()
            for part in (cells[first : first + width] for first in range(0, len(cells), width))
        ]

    def _years(self, block: SideBySide) -> int:
        """Years that a block is run for: up to the last that is kept."""
        dates, last = self.cells[block.cells[0]].dates, self._shown[block.cells[0]][1]
        keys = self._keys[block.cells[0]]
        return sum(1 for span in dates.year_spans if keys[span.start] <= last)

    @property
    def running(self) -> bool:
        """Whether a block has years to go."""
        return self._block < len(self._blocks)

    @property
    def stage(self) -> int:
        """One and the same all along."""
        return 0

    @property
    def steps_taken(self) -> int:
        """Years of all lanes so far."""
        done = sum(self._years(block) * len(block.lanes) for block in self._blocks[: self._block])
        return done + (self._year * len(self._blocks[self._block].lanes) if self.running else 0)

    @property
    def total_steps(self) -> int:
        """Years of all lanes."""
        return max(1, sum(self._years(block) * len(block.lanes) for block in self._blocks))

    def advance(self, steps: int) -> int:
        """Run the block that is worked on for up to so many years."""
        block, taken = self._blocks[self._block], 0
        years = self._years(block)
        while taken < steps and self._year < years:
            self._run_year(block)
            self._year += 1
            taken += 1
        if self._year == years:
            self._block, self._year, self._state = self._block + 1, 0, None
        return taken

    def _run_year(self, block: SideBySide) -> None:
        cells = [self.cells[number] for number in block.cells]
        dates, keys = cells[0].dates, self._keys[block.cells[0]]
        span = dates.year_spans[self._year]
        count = len(self.model.parameters)
        # Lanes and cells beyond those that there are repeat them: one program serves all blocks and years.
        lanes = (list(block.lanes) * self.in_flight)[: self.in_flight]
        width = max(2, ceil_div(self.in_flight, self.table.count))
        values = np.array([cells[place].values[run] for place, run in lanes])
        if self._state is None:
            self._state = first_state(self.model, values[:, count:], self.dtype)
        weather = [type(cell.weather)(*(np.asarray(one)[cell.row[span]] for one in cell.weather)) for cell in cells]
        weather = (weather * width)[:width]
        inside = keys[span]
        periods = None if self.table.what == "daily" else (inside - inside[0])
        self._state, kept = run_one_year(
            self.model, values[:, :count], self._state, weather, np.array([place for place, _ in lanes]), self.fields,
            periods=periods, count=PER_YEAR[self.table.what], dtype=self.dtype, backend=self.experiment.time_loop,
        )  # fmt: skip
        for row, key in enumerate(np.unique(inside).tolist()):
            self._keep(block, kept[:, row], key, int((inside == key).sum()))

    def _keep(self, block: SideBySide, sums: np.ndarray, key: int, days: int) -> None:
        """Keep the mean over a period, (fields, lanes), where it is shown and whole."""
        for lane, (place, run) in enumerate(block.lanes):
            number = block.cells[place]
            first, last = self._shown[number]
            if first <= key <= last and days == self._whole[number][key]:
                for values, name in zip(sums[:, lane] / self.dtype.type(days), self.fields, strict=True):
                    self.kept[name][number, run, key - first] = values

    def halve(self) -> bool:
        """A block's memory is that of a year: there is nothing to halve."""
        return False

    def saved(self) -> Arrays:
        """Return what has been kept, and where the runs stand."""
        where = np.array([self._block, self._year])
        state = [] if self._state is None else jax.tree.leaves(self._state)
        return {"where": where, **self.kept, **{f"state {number}": leaf for number, leaf in enumerate(state)}}

    def restore(self, arrays: Arrays) -> None:
        """Go back to what was saved.

        Raises:
            ValueError: the arrays are not those of these runs; nothing has changed then.
        """
        fits = all(name in arrays and arrays[name].shape == self.kept[name].shape for name in self.fields)
        if not fits or "where" not in arrays:
            raise ValueError("checkpoint does not fit these runs")
        for name in self.fields:
            self.kept[name][:] = arrays[name]
        self._block, self._year = (int(one) for one in arrays["where"])
        leaves = [arrays[f"state {number}"] for number in range(sum(name.startswith("state ") for name in arrays))]
        self._state = self.model.state(*leaves) if leaves else None

    def arrays(self) -> Arrays:
        """Return the arrays of the tile's file."""
        return {
            "cell": np.array([cell.name for cell in self.cells]),
            "latitude": np.array([cell.latitude for cell in self.cells]),
            "longitude": np.array([cell.longitude for cell in self.cells]),
            "status": np.stack([cell.status for cell in self.cells]).astype(np.int8),
            "first": np.array([first for first, _ in self._shown], np.int64),
            "periods": np.array([last - first + 1 for first, last in self._shown], np.int64),
            "calendar": np.array([cell.dates.calendar for cell in self.cells]),
            "forcing_year": np.stack([self._forcing_years(number) for number in range(len(self.cells))]),
            **self.kept,
        }

    def _forcing_years(self, number: int) -> np.ndarray:
        """Return the calendar year whose forcing each kept period of a cell had, (periods of the tile,), else 0."""
        found = np.zeros(next(iter(self.kept.values())).shape[2], np.int32)
        first, last = self._shown[number]
        keys, days = np.unique(self._keys[number], return_index=True)
        inside = (keys >= first) & (keys <= last)
        found[keys[inside] - first] = self.cells[number].dates.forcing_year[days[inside]]
        return found
