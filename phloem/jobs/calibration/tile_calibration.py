"""The calibration of one tile: lanes over the worker's devices, round after round, resumable between any two chunks.

A round is what the devices work on at once, one block of lanes each. Where the lanes stand is kept lane by lane and
apart from the devices, so that more or fewer of them can take it up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from phloem.arithmetic import ceil_div
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.tower_cell import Cell
from phloem.jobs.calibration.lane_results import Arrays, fill_tile, lane_results
from phloem.jobs.campaign.kind_of_work import Lane, Near
from phloem.jobs.config.campaign_file import Configuration
from phloem.kernels.objective.objective import SiteData
from phloem.kernels.objective.record_windows import richest_years
from phloem.kernels.objective.site import Site
from phloem.kernels.optimise.lanes import DIVERGED, MAX_REDRAWS, RUNNING, Lanes, cell_number
from phloem.kernels.optimise.optimiser import begin
from phloem.kernels.time_loop.cuda.driver import platform
from phloem.kernels.time_loop.day_tables import SEGMENT
from phloem.names import PERIOD
from phloem.sharding.lanes.blocks import BLOCK, Block, fitted_table, fitted_width, lay_out, widest_block
from phloem.sharding.lanes.device_rounds import PlacedRound, Program, advance_program
from phloem.sharding.lanes.devices import local_devices
from phloem.sharding.lanes.memory import projected_bytes

LANE_NUMBERS = 7
"""Numbers an unknown in which a lane's place, start, best, moments and counts are kept, at most; the loss curve comes
on top."""


MAX_EARLIER_REDRAWS = np.iinfo(np.int8).max - MAX_REDRAWS
"""Redraws that a lane may bring along: a tile file counts them in a byte."""


def block_bytes(configuration: Configuration, days: int, cells: int, width: int = BLOCK) -> int:
    """Project the memory that a device needs for a block.

    Args:
        configuration: of the campaign.
        days: of the longest record.
        cells: cells in the block.
        width: lanes of the block.
    """
    experiment, optimiser = configuration.calibration, configuration.optimiser
    model: Any = experiment.objective().model
    size = np.dtype(experiment.precision).itemsize
    rows = None
    if experiment.reads_store:
        first, last = experiment.protocol.forcing
        rows = min(days, round((last - first + 1) * PERIOD))
    numbers = LANE_NUMBERS * len(model.unknowns)
    return projected_bytes(
        ceil_div(days, SEGMENT) * SEGMENT,
        max(cells, 2),  # a lone cell stands twice in its table
        len(model.weather._fields) + len(model.observed._fields) + 1,
        len(model.state._fields),
        SEGMENT,
        width,
        size,
        experiment.backend,
        lane=numbers * size
        + optimiser.extra_bytes(len(model.unknowns))
        + 4 * len(optimiser.for_kernels().trace_iteration),
        rows=rows,
    )


class DeviceRound(NamedTuple):
    """Arrays of a round on the devices: its window, its lanes, their tables, where they stand, what advances them."""

    stage: int
    placed: PlacedRound
    data: SiteData
    lanes: Lanes
    program: Program


class TileCalibration:
    """The lanes of one tile, or some of them, under calibration.

    No bit of a result depends on the devices, on the lanes in flight, or on what stands beside a lane.

    Attributes:
        lanes: (cell position, member) of each lane.
        devices: devices that the lanes may be laid over.
        in_flight: lanes worked on at once, at most.
        layout: how the lanes that were running when it was made are worked through.
        device_round: the round on the devices, None between two rounds.
    """

    def __init__(
        self,
        configuration: Configuration,
        cells: Sequence[Cell | GridCell],
        lanes: Sequence[Lane | tuple[int, int, int]] | None = None,
        devices: int = 1,
        in_flight: int | None = None,
        near: Near | None = None,
    ):
        """Lay out the lanes at their first step.

        Args:
            configuration: of the campaign.
            cells: the tile's cells.
            lanes: those to calibrate, cells by their position; by default all of the tile, none of them redrawn. A lane
                starts from the draw of the number of its redraws and has MAX_REDRAWS more.
            devices: devices of this process to lay the lanes over.
            in_flight: lanes to work on at once; by default as many as the devices hold.
            near: where each of the lanes may walk once more; by default nowhere.

        Raises:
            ValueError: lanes that the tile does not have, or twice, or redrawn too often; more lanes in flight than
                the devices hold.
            WorkError: this process has fewer devices.
        """
        experiment, members = configuration.calibration, configuration.campaign.members
        if lanes is None:
            lanes = [Lane(cell, member, 0) for cell in range(len(cells)) for member in range(members)]
        taken = [Lane(*lane) for lane in lanes]
        _check(taken, len(cells), members)
        self.lanes = [(lane.unit, lane.member) for lane in taken]
        self._configuration = configuration
        self.optimiser = experiment.tuned(configuration.optimiser.for_kernels())
        self.objective = experiment.objective()
        self._objectives = [experiment.on_windows.objective()] * len(self.optimiser.windows) + [self.objective]
        self.dtype = np.dtype(experiment.precision)
        self.devices = local_devices(devices, platform() if configuration.engine.gpus else "cpu")
        cores = getattr(self.devices[0], "core_count", None)
        self._widest = widest_block(experiment.backend, cores, configuration.engine.lanes)
        most = devices * self._widest
        self.in_flight = most if in_flight is None else in_flight
        if not 1 <= self.in_flight <= most:
            raise ValueError(f"{in_flight} lanes in flight, where {devices} devices hold 1 to {most}")
        self._cells, self._members = list(cells), members
        self._sites = {position: experiment.site(cells[position]) for position, _ in self.lanes}
        plain = self._sites
        if experiment.on_windows != experiment and self.optimiser.windows:
            plain = {cell: experiment.site_on_windows(cells[cell], site) for cell, site in self._sites.items()}
        self._windows = [
            {cell: richest_years(site, years) for cell, site in plain.items()} for years in self.optimiser.windows
        ]
        self._windows.append(self._sites)
        # Days that nobody lives cost the generated kernels nothing, so that one program can serve all windows.
        self._days = max(one.days for one in plain.values()) if experiment.backend != "xla" else 0
        self._table = lay_out(self.lanes, self.in_flight, self._widest).cells
        self._numbers = {lane: number for number, lane in enumerate(self.lanes)}
        self._state = self._first(configuration.campaign.seed, [lane.redraws for lane in taken], near)
        self._lay_out()

    def _first(self, seed: int, redraws: list[int], near: Near | None) -> Lanes:
        """Return all lanes at their first step, lanes first, drawn block by block."""
        drawn = []
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            for first in range(0, len(self.lanes), BLOCK):
                part = self.lanes[first : first + BLOCK]
                lanes = begin(
                    self.optimiser,
                    self.objective.model,
                    seed,
                    [cell_number(self._cells[cell].name) for cell, _ in part],
                    [member for _, member in part],
                    [self._sites[cell].starts for cell, _ in part],
                    self.dtype,
                    BLOCK,
                    redraws[first : first + BLOCK],
                    None if near is None else near.raw[first : first + BLOCK],
                    None if near is None else near.aim[first : first + BLOCK],
                )
                drawn.append(jax.device_get(lanes))
        state: Lanes = jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(self.lanes)].copy(), *drawn)
        return state

    def _lay_out(self) -> None:
        """Lay out anew the running lanes of the window on which most of them walk; nothing is on the devices then."""
        running, stages = self._state.phase == RUNNING, np.asarray(self.optimiser.stage(self._state))
        self._stage = int(np.bincount(stages[running]).argmax()) if running.any() else 0
        taken = running & (stages == self._stage)
        walking = [lane for lane, yes in zip(self.lanes, taken, strict=True) if yes]
        self.layout = lay_out(walking, self.in_flight, self._widest)
        if self._widest > BLOCK:
            self._table = fitted_table(self.layout.cells, self.layout.width)
        while self._table < self.layout.cells:  # few sizes, since each has a program of its own
            self._table *= 2
        self.device_round: DeviceRound | None = None
        self._waiting = list(self.layout.rounds)

    @property
    def stage(self) -> int:
        """Which of the optimiser's windows is worked on."""
        return self._stage

    @property
    def running(self) -> bool:
        """Whether any lane still has steps to take."""
        return bool((self._state.phase == RUNNING).any())

    @property
    def steps_taken(self) -> int:
        """Steps of all lanes since their last start; a lane that was given up counts as finished."""
        taken = self.optimiser.progress(self._state)
        return int(np.where(self._state.phase == DIVERGED, self.optimiser.steps, taken).sum())

    @property
    def total_steps(self) -> int:
        """Steps of all lanes when all is done."""
        return len(self.lanes) * self.optimiser.steps

    @property
    def projected_bytes(self) -> int:
        """Memory that a device needs for the largest round of the layout, projected; the process adds what it holds."""
        days = max(
            (self._sites[cell].days for one in self.layout.rounds for block in one for cell in block.cells), default=0
        )
        return block_bytes(self._configuration, days, self._table, self.layout.width)

    def advance(self, steps: int) -> int:
        """Take up to `steps` steps in every running lane of the round; waits for the devices once.

        A round ends when its lanes are done with their window, or sooner: where fewer than half of them still walk and
        others wait, or narrower blocks hold them, all are laid out anew, so that the last few do not cost full blocks.

        Returns:
            The steps taken: fewer where the round ended, or where it is time to look which lanes are done.

        Raises:
            MemoryError, jax.errors.JaxRuntimeError: memory ran out (`sharding.out_of_memory` tells), or something else
                went wrong on a device. No lane has moved then, and `halve` can follow.
        """
        if self.device_round is None:
            if not self._waiting:
                return 0
            self.device_round = self._to_devices(self._waiting[0])
        stage, placed, data, lanes, program = self.device_round
        before = self._state.evaluations[placed.lanes]
        moved = program(
            data, placed.lane_cell, lanes, np.int32(min(steps, self.optimiser.steps_between_checks)), np.int32(stage)
        )
        placed.from_devices(self.optimiser.progress_arrays(moved), self.optimiser.progress_arrays(self._state))
        self.device_round = self.device_round._replace(lanes=moved)
        taken = int((self._state.evaluations[placed.lanes] - before).max())
        walking = self._walking()[placed.lanes].sum()
        elsewhere = (self._state.phase == RUNNING).sum() - walking
        crowded = elsewhere >= walking and 2 * walking < len(placed.lanes)
        narrower = self.layout.devices == 1 and fitted_width(int(walking), self._widest) < self.layout.width
        narrower |= self.layout.devices > 1 and self._widest > BLOCK and 2 * walking < len(placed.lanes)
        if walking and not (crowded or narrower):
            return taken
        self._from_devices()
        self.device_round = None
        self._waiting.pop(0)
        if walking or not self._waiting:
            self._lay_out()
        return taken

    def _walking(self) -> np.ndarray:
        """Tell which lanes run on the window of the round."""
        on = np.asarray(self.optimiser.stage(self._state)) == self._stage
        walking: np.ndarray = (self._state.phase == RUNNING) & on
        return walking

    def _to_devices(self, blocks: Sequence[Block]) -> DeviceRound:
        """Bring a round to the devices."""
        placed = self._placed_round(self._table, blocks, self._windows[self._stage])
        program = advance_program(self._objectives[self._stage], self.optimiser, placed.mesh)
        tables = placed.tables(self.dtype, least=self._days)
        return DeviceRound(self._stage, placed, tables, placed.lanes_to_devices(self._state), program)

    def _placed_round(self, table: int, blocks: Sequence[Block], sites: Mapping[int, Site]) -> PlacedRound:
        devices = self.devices[: self.layout.devices]
        return PlacedRound(devices, blocks, self._numbers, sites, table, self.layout.width)

    def _from_devices(self) -> None:
        """Note where the lanes on the devices stand."""
        if self.device_round is not None:
            self.device_round.placed.from_devices(self.device_round.lanes, self._state)

    def halve(self) -> bool:
        """Halve the lanes in flight and go on from where they stand: fewer devices first, then fewer lanes on one.

        Returns:
            Whether fewer lanes are in flight than before; not so where there was but one.
        """
        rounds = [sum(len(block.lanes) for block in blocks) for blocks in self.layout.rounds]
        lanes_at_once = min(self.in_flight, max(rounds, default=len(self.lanes)))
        if lanes_at_once == 1:
            return False
        self._from_devices()
        self.in_flight = lanes_at_once // 2
        self._lay_out()
        return True

    def saved(self) -> Arrays:
        """Return everything that a checkpoint must hold, lanes first; it tells nothing of devices or rounds."""
        self._from_devices()
        leaves, _ = jax.tree_util.tree_flatten_with_path(self._state)
        return {jax.tree_util.keystr(path): leaf.copy() for path, leaf in leaves}

    def restore(self, arrays: Arrays) -> None:
        """Go back to a saved state, whatever devices and lanes in flight it was saved with.

        Raises:
            ValueError: the arrays are not those of these lanes; nothing has changed then.
        """
        leaves, tree = jax.tree_util.tree_flatten_with_path(self._state)
        names = [jax.tree_util.keystr(path) for path, _ in leaves]
        wrong = sorted(set(names).symmetric_difference(arrays))
        for name, (_, leaf) in zip(names, leaves, strict=True):
            if name in arrays and (arrays[name].shape != leaf.shape or arrays[name].dtype != leaf.dtype):
                wrong.append(name)
        if not wrong and not np.array_equal(arrays[".key"], self._state.key):
            wrong.append(".key")
        if wrong:
            raise ValueError(f"checkpoint does not fit: {wrong[0]}")
        self._state = jax.tree_util.tree_unflatten(tree, [arrays[name].copy() for name in names])
        self._lay_out()

    def results(self) -> Arrays:
        """Evaluate the lanes where they stand: arrays with a leading dimension of lanes."""
        self._from_devices()
        layout = lay_out(self.lanes, self.in_flight, self._widest)
        devices = self.devices[: layout.devices]
        rounds = (
            PlacedRound(devices, blocks, self._numbers, self._sites, layout.cells, layout.width)
            for blocks in layout.rounds
        )
        shares = [[sites[cell].days / self._sites[cell].days for sites in self._windows] for cell, _ in self.lanes]
        terms = len(self._configuration.calibration.tables.terms)
        return lane_results(self.objective, terms, self.optimiser, rounds, self._state, np.array(shares))

    def arrays(self) -> Arrays:
        """Return the arrays of the tile's file; lanes that were not calibrated are `missing`."""
        filled = fill_tile(self.results(), self.lanes, (len(self._cells), self._members))
        filled["cell"] = np.array([cell.name for cell in self._cells])
        filled["latitude"] = np.array([cell.latitude for cell in self._cells])
        filled["longitude"] = np.array([cell.longitude for cell in self._cells])
        filled["trace_iteration"] = self.optimiser.trace_iteration
        return filled


def _check(lanes: Sequence[Lane], cells: int, members: int) -> None:
    """Refuse lanes that cannot be calibrated."""
    if not lanes or len({(lane.unit, lane.member) for lane in lanes}) < len(lanes):
        raise ValueError("a calibration needs lanes, and each of them once")
    for cell, member, redraws, *_ in lanes:
        if not (0 <= cell < cells and 0 <= member < members):
            raise ValueError(f"no lane ({cell}, {member}): the tile has {cells} cells of {members} members")
        if not 0 <= redraws <= MAX_EARLIER_REDRAWS:
            raise ValueError(f"lane ({cell}, {member}): {redraws} redraws before; valid are 0 to {MAX_EARLIER_REDRAWS}")
