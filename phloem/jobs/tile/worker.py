"""The function that an engine calls in a worker process: a tile, or a part of one."""

from __future__ import annotations

from typing import Any

from phloem.hpc.tasks import Context
from phloem.io.campaign.checkpoints import save_part
from phloem.jobs.tile.attempt import Arrays, TileAttempt
from phloem.jobs.tile.isolation import compute_apart, part_name
from phloem.jobs.tile.lost_devices import lost_devices_named
from phloem.jobs.tile.tile_task import TileTask


def run_tile(task: TileTask, context: Context) -> dict[str, Any]:
    """Execute one attempt of a tile and commit it.

    Returns:
        Counts for the log: attempt, lanes by status, redraws, seconds.

    Raises:
        Stopped: asked to stop; a checkpoint was written.
        TakenError: another worker has the tile.
        StaleAttempt: another worker was given it meanwhile.
        InputError: the tile's input is not what it should be.
        DeviceLost: the device of this process is lost.
    """
    with lost_devices_named():
        return TileAttempt(task, context).run(compute_apart if task.isolate else compute_together)


def compute_together(attempt: TileAttempt) -> Arrays:
    """Compute all units of a tile side by side."""
    attempt.touch_devices()
    units = attempt.campaign.read_units(attempt.planned)
    return attempt.compute(units, attempt.campaign.tile_lanes(attempt.tile))


def run_part(task: TileTask, context: Context) -> None:
    """Compute a part of a tile in a process of its own and keep its result.

    Raises:
        DeviceLost: the device of this process is lost.
    """
    with lost_devices_named():
        _compute_part(task, context)


def _compute_part(task: TileTask, context: Context) -> None:
    if task.part is None:
        raise ValueError(f"tile {task.tile}: a part is due")
    first, stop = task.part
    attempt = TileAttempt(task, context, part_name(task.part))
    planned = attempt.planned[first:stop]
    attempt.log("started", cells=[unit.name for unit in planned])
    attempt.beat(0)
    attempt.touch_devices()
    lanes = attempt.campaign.tile_lanes(attempt.tile)
    if lanes is not None:
        lanes = [lane._replace(unit=lane.unit - first) for lane in lanes if first <= lane.unit < stop]
    arrays = attempt.compute(attempt.campaign.read_units(planned), lanes)
    attributes = {"fingerprint": attempt.fingerprint}
    save_part(attempt.paths, attempt.tile, attempt.part, arrays, attributes, on_full=attempt.pause)
