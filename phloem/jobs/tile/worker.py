"""What an engine calls in a worker process: a tile, or a part of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phloem.hpc.tasks import Context
from phloem.io.campaign.checkpoints import save_part
from phloem.jobs.tile.attempt import Attempt
from phloem.jobs.tile.isolation import part_name


def run_part(arguments: Mapping[str, Any], context: Context) -> None:
    """Calibrate a part of a tile in a process of its own and keep its result.

    Args:
        arguments: those of `run_tile`, and `part` and `attempt`.
        context: of the process.
    """
    from phloem.jobs.tile.attempt import Attempt

    part = tuple(arguments["part"])
    attempt = Attempt(arguments, context, part_name(part))
    planned = attempt.campaign.tile_cells(attempt.tile)[part[0] : part[1]]
    attempt.log("started", cells=[cell.name for cell in planned])
    attempt.beat(0)
    lanes = attempt.campaign.tile_lanes(attempt.tile)
    if lanes is not None:
        lanes = [(cell - part[0], *rest) for cell, *rest in lanes if part[0] <= cell < part[1]]
    arrays = attempt.calibrate([attempt.campaign.read_cell(cell) for cell in planned], lanes)
    attributes = {"fingerprint": attempt.fingerprint}
    save_part(attempt.paths, attempt.tile, attempt.part, arrays, attributes, on_full=attempt.pause)


def run_tile(arguments: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Execute one attempt of a tile and commit it.

    Args:
        arguments: `root` (campaign directory), `tile` (its number), `checkpoint_minutes`, `supervisor` (name of who
            hands out the tiles), `devices`, `halvings` and `isolate` (what its failures so far ask for), `job` and
            `restart` (the batch job), `node` (its name for this machine), `hang_seconds`, `memory_bytes`,
            `watched` (the engine ends a process that hangs).
        context: of the worker.

    Returns:
        Counts for the log: attempt, lanes by status, redraws, seconds.

    Raises:
        Stopped: asked to stop; a checkpoint was written.
        TakenError: another worker has the tile.
        StaleAttempt: another worker was given it meanwhile.
        InputError: the tile's input is not what it should be.
    """
    return Attempt(arguments, context).run()
