"""The calibration of one tile: lanes in blocks, chunk after chunk, resumable between any two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phloem.io import Cell
from phloem.jobs.campaign import cell_number
from phloem.jobs.configuration import Configuration
from phloem.kernels import (
    CALIBRATED,
    DIVERGED,
    PARAMETERS,
    RUNNING,
    Site,
    SiteData,
    SiteObjective,
    advance,
    begin,
    dalec,
    nnse,
    physical,
    site,
    site_data,
    switches,
)
from phloem.names import STATUS, STREAMS
from phloem.sharding import BLOCK, Block, blocks

Arrays = dict[str, np.ndarray]


def build_site(cell: Cell, mode: str) -> Site:
    """Return a cell as the kernels read it."""
    return site(
        cell.time,
        cell.doy,
        cell.latitude,
        cell.forcing,
        cell.observations,
        cell.evaporative_fraction,
        cell.training_days,
        switches(mode),
    )


class BlockCalibration:
    """One block of lanes under calibration.

    Attributes:
        block: which lanes.
        lanes: where they stand.
    """

    def __init__(self, configuration: Configuration, cells: Sequence[Cell], sites: Sequence[Site], block: Block):
        """Lay out a block at its first step.

        Args:
            configuration: of the campaign.
            cells: the tile's cells.
            sites: the same, as the kernels read them.
            block: the lanes.
        """
        experiment = configuration.experiment
        self.block = block
        self.options = configuration.optimiser.options()
        self.objective = objective(experiment.mode, experiment.pools, experiment.backend)
        self.dtype = np.dtype(experiment.precision)
        self.sites = [sites[position] for position in block.cells]
        self.data = site_data(self.sites, self.dtype)
        count = len(block.members)
        self.lane_cell = jnp.asarray(np.pad(np.array(block.lane_cell), (0, BLOCK - count)), jnp.int32)
        self.lanes = begin(
            self.options,
            configuration.campaign.seed,
            [cell_number(cells[block.cells[c]].name) for c in block.lane_cell],
            block.members,
            [self.sites[c].ce_opt for c in block.lane_cell],
            self.dtype,
            BLOCK,
        )

    @property
    def running(self) -> bool:
        """Whether any lane still has steps to take."""
        return bool((np.asarray(self.lanes.phase) == RUNNING).any())

    @property
    def steps_taken(self) -> int:
        """Steps of all lanes since their last start; a lane that was given up counts as finished."""
        count = len(self.block.members)
        phase, step = (np.asarray(a)[:count] for a in (self.lanes.phase, self.lanes.step))
        return int(np.where(phase == DIVERGED, self.options.iterations, step).sum())

    def advance(self, steps: int) -> None:
        """Take up to `steps` steps in every running lane."""
        moved = advance(self.objective, self.options, self.data, self.lane_cell, self.lanes, jnp.int32(steps))
        self.lanes = jax.block_until_ready(moved)

    def saved(self) -> Arrays:
        """Return everything that a checkpoint must hold."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(self.lanes)
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}

    def restore(self, arrays: Arrays) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: when the arrays are not those of this block.
        """
        leaves, tree = jax.tree_util.tree_flatten_with_path(self.lanes)
        new = []
        for path, leaf in leaves:
            value = arrays.get(jax.tree_util.keystr(path))
            if value is None or value.shape != leaf.shape or value.dtype != leaf.dtype:
                raise ValueError(f"checkpoint does not fit: {jax.tree_util.keystr(path)}")
            new.append(jnp.asarray(value))
        self.lanes = jax.tree_util.tree_unflatten(tree, new)

    def results(self) -> Arrays:
        """Evaluate the lanes where they stand: arrays with a leading dimension of lanes, padding cut off."""
        count = len(self.block.members)
        sharpness = jnp.full(BLOCK, self.options.sharpness, self.dtype)
        raw = self.lanes.raw
        terms, sums = _evaluate(self.objective, raw, sharpness, self.data, self.lane_cell)
        later = site_data(self.sites, self.dtype, "validation")
        _, held_out = _evaluate(self.objective, raw, sharpness, later, self.lane_cell)
        values = np.asarray(physical(raw.T.astype(jnp.float64), CALIBRATED)).T[:count]
        phase, redraws = (np.asarray(a)[:count] for a in (self.lanes.phase, self.lanes.redraws))
        status = np.where(redraws > 0, STATUS["calibrated_after_redraw"], STATUS["calibrated"])
        parts = np.stack([np.asarray(term, float) for term in terms], 1)[:count]
        loss = parts.sum(1)
        status = np.where((phase == DIVERGED) | ~np.isfinite(loss), STATUS["diverged"], status).astype(np.int8)
        best_loss = np.asarray(self.lanes.best_loss, float)[:count]
        best_raw = np.asarray(self.lanes.best_raw)[:count]
        last_is_best = ~(best_loss <= loss)
        return {
            "raw": np.asarray(raw)[:count],
            "parameters": values[:, : len(PARAMETERS)],
            "initial_pools": values[:, len(PARAMETERS) :],
            "loss": loss,
            "loss_terms": parts,
            "nnse": self._scores(sums, self.data)[:count],
            "nnse_validation": self._scores(held_out, later)[:count],
            "best_loss": np.where(last_is_best, loss, best_loss),
            "best_raw": np.where(last_is_best[:, None], np.asarray(raw)[:count], best_raw),
            "status": status,
            "redraws": redraws.astype(np.int8),
            "iterations": np.asarray(self.lanes.step)[:count],
            "gradient_evaluations": np.asarray(self.lanes.evaluations)[:count],
            "loss_trace": np.asarray(self.lanes.trace)[:count],
        }

    def _scores(self, scores: dict[str, Any], data: SiteData) -> np.ndarray:
        """Return NNSE as (lanes, streams), NaN where a cell has nothing to score in the window."""
        by_stream = np.stack([np.asarray(scores[name], float) for name in STREAMS], 1)
        return np.where(np.asarray(data.variance)[:, np.asarray(self.lane_cell)].T > 0, by_stream, np.nan)


def objective(mode: str, steady_pools: tuple[str, ...], backend: str) -> SiteObjective:
    """Return the site objective of a mode; equal arguments give equal (and once compiled) objectives."""
    return SiteObjective(dalec(mode), switches(mode), steady_pools, backend)


def _evaluate_fresh(objective: SiteObjective, raw: Any, sharpness: Any, data: Any, lane_cell: Any) -> tuple[Any, Any]:
    terms, sums = objective.terms(raw.T, sharpness, data, lane_cell)
    return terms, nnse(sums, data, lane_cell)


_evaluate: Callable[..., tuple[Any, Any]] = jax.jit(_evaluate_fresh, static_argnames="objective")


def tile_blocks(configuration: Configuration, cells: Sequence[Cell]) -> list[BlockCalibration]:
    """Return the blocks of a tile, at their first step."""
    sites = [build_site(cell, configuration.experiment.mode) for cell in cells]
    layout = blocks(len(cells), configuration.campaign.members)
    return [BlockCalibration(configuration, cells, sites, block) for block in layout]


def tile_arrays(configuration: Configuration, cells: Sequence[Cell], parts: Sequence[BlockCalibration]) -> Arrays:
    """Gather the results of a tile's blocks into the arrays of its file."""
    shape = (len(cells), configuration.campaign.members)
    gathered: Arrays = {}
    for part in parts:
        where = tuple(np.array(part.block.lanes).T)
        for name, values in part.results().items():
            full = gathered.setdefault(name, np.zeros((*shape, *values.shape[1:]), values.dtype))
            full[where] = values
    gathered["cell"] = np.array([cell.name for cell in cells])
    gathered["latitude"] = np.array([cell.latitude for cell in cells])
    gathered["longitude"] = np.array([cell.longitude for cell in cells])
    gathered["trace_iteration"] = parts[0].options.trace_iteration
    return gathered
