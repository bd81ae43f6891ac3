"""Results of a tile's lanes: evaluated where they stand, and laid out by cell and member."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import jax.numpy as jnp
import numpy as np

from phloem.kernels.objective.bounded_log import physical
from phloem.kernels.objective.objective import Objective
from phloem.kernels.optimise.lanes import DIVERGED, Lanes
from phloem.kernels.optimise.optimiser import Optimiser
from phloem.kernels.simulate.days_at_bounds import DaysAtBounds
from phloem.model_tables import Parameter
from phloem.names import STATUS
from phloem.sharding.lanes.blocks import BLOCK
from phloem.sharding.lanes.device_rounds import PlacedRound, bounds_program, terms_program

Arrays = dict[str, np.ndarray]

LAST_YEAR = 365
"""Days of foliage at its floor, up to the last one, after which a stand is dead."""


def lane_results(
    objective: Objective,
    terms: int,
    options: Optimiser,
    rounds: Iterable[PlacedRound],
    lanes: Lanes,
    shares: np.ndarray,
) -> Arrays:
    """Evaluate lanes where they stand.

    Args:
        objective: what was minimised.
        terms: of how many parts it is.
        options: the optimiser.
        rounds: rounds in which each lane stands once.
        lanes: host arrays.
        shares: length of the optimiser's windows as shares of each lane's record, (lanes, windows + 1).

    Returns:
        The variables of a tile that have a value a lane, each with a leading dimension of lanes.
    """
    count = len(lanes.phase)
    parts = np.empty((count, terms))
    pools = len(objective.model.pools)
    bounds = DaysAtBounds(*(np.empty((count, pools)) for _ in DaysAtBounds._fields))
    scores = {window: np.empty((count, len(objective.streams))) for window in ("calibration", "validation")}
    for placed in rounds:
        raw = placed.to_devices(lanes.raw)
        sharpness = placed.to_devices(np.full(count, options.sharpness, lanes.raw.dtype))
        program = terms_program(objective, placed.mesh)
        for window, window_scores in scores.items():
            tables = placed.tables(lanes.raw.dtype, window)
            found_terms, by_stream = program(raw, sharpness, tables, placed.lane_cell)
            placed.from_devices([by_stream[name] for name in objective.streams], list(window_scores.T))
            if window == "calibration":
                placed.from_devices(bounds_program(objective, placed.mesh)(raw, tables, placed.lane_cell), bounds)
                placed.from_devices(list(found_terms), list(parts.T))
    loss = parts.sum(1)
    status = np.where(lanes.redraws > 0, STATUS["calibrated_after_redraw"], STATUS["calibrated"])
    status = np.where(options.out_of_budget(lanes), STATUS["budget"], status)
    status = np.where(loss > lanes.aim, STATUS["poor_basin"], status)
    status = np.where(_bare(bounds, objective.living), STATUS["dead_stand"], status)
    status = np.where((lanes.phase == DIVERGED) | ~np.isfinite(loss), STATUS["diverged"], status)
    best_loss = lanes.best_loss.astype(float)
    last_is_best = ~(best_loss <= loss)
    values = _physical(np.asarray(lanes.raw), objective.unknowns)
    parameters = len(objective.model.parameters)
    return {
        "raw": lanes.raw.copy(),
        "parameters": values[:, :parameters],
        "initial_pools": values[:, parameters:],
        "loss": loss,
        "loss_terms": parts,
        "nnse": scores["calibration"],
        "nnse_validation": scores["validation"],
        "best_loss": np.where(last_is_best, loss, best_loss),
        "best_raw": np.where(last_is_best[:, None], lanes.raw, lanes.best_raw),
        "status": status.astype(np.int8),
        "redraws": lanes.redraws.astype(np.int8),
        "iterations": lanes.step.copy(),
        "gradient_evaluations": lanes.evaluations.copy(),
        "gradient_equivalents": options.gradient_equivalents(lanes, shares),
        "stop": lanes.stop.astype(np.int8),
        "clamped_days": (bounds.floor + bounds.ceiling).astype(np.int32),
        "ceiling_days": bounds.ceiling.astype(np.int32),
        "borrowed": lanes.borrowed.astype(np.int8),
        "loss_trace": lanes.trace.copy(),
    }


def _bare(bounds: DaysAtBounds, living: tuple[int, ...]) -> np.ndarray:
    """Tell which lanes' last year passes with all of some pools at their floors, (lanes,)."""
    if not living:
        return np.zeros(len(bounds.floor), bool)
    bare: np.ndarray = (bounds.floor_to_the_end[:, living] >= LAST_YEAR).all(1)
    return bare


def _physical(raw: np.ndarray, unknowns: Sequence[Parameter]) -> np.ndarray:
    """Return physical values, float64 (lanes, unknowns), block by block: bits may change with the width."""
    values = np.empty(raw.shape)
    for first in range(0, len(raw), BLOCK):
        part = raw[first : first + BLOCK]
        block = jnp.asarray(np.resize(part, (BLOCK, raw.shape[1])).T, jnp.float64)
        values[first : first + BLOCK] = np.asarray(physical(block, unknowns)).T[: len(part)]
    return values


def fill_tile(results: Arrays, lanes: Sequence[tuple[int, int]], shape: tuple[int, int]) -> Arrays:
    """Lay results out by cell and member; a lane that is not among them is `missing`, its numbers NaN or 0.

    Args:
        results: arrays with a leading dimension of lanes.
        lanes: (cell position, member) of each lane.
        shape: cells and members of the tile.
    """
    where = tuple(np.array(lanes).T)
    filled: Arrays = {}
    for name, values in results.items():
        nothing = STATUS["missing"] if name == "status" else np.nan if values.dtype.kind == "f" else 0
        filled[name] = np.full((*shape, *values.shape[1:]), nothing, values.dtype)
        filled[name][where] = values
    return filled
