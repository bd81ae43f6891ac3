"""How attempts end: committed, at nobody's fault, or failed in a class that has its own budget and its own mend."""

from __future__ import annotations

from enum import StrEnum


class Ending(StrEnum):
    """How an attempt of a tile, or the batch job around it, ended. The texts stand in journals and in `status`."""

    COMMITTED = "committed"

    INTERRUPTED = "interrupted"
    PREEMPTED = "preempted"
    WALLTIME = "walltime"
    CANCELLED = "cancelled"

    WORKER_LOST = "worker lost"
    NODE_LOST = "node lost"
    DEVICE_LOST = "device lost"
    FILE_SYSTEM = "file system"
    HANG = "hang"
    OUT_OF_MEMORY = "out of memory"
    BUG = "bug"
    BAD_INPUT = "bad input"


FREE = (Ending.INTERRUPTED, Ending.PREEMPTED, Ending.WALLTIME, Ending.CANCELLED)
"""Ends that are nobody's fault and never count against a tile."""

LOSSES = (Ending.WORKER_LOST, Ending.NODE_LOST, Ending.DEVICE_LOST, Ending.FILE_SYSTEM)
"""Failures that count only while no checkpoint is written between them: what progresses is not the tile's fault."""

LOST_MACHINES = (Ending.NODE_LOST, Ending.DEVICE_LOST)
"""Losses of which the machine is at fault: they tell nothing of the tile, and however many are alike stop no campaign.
A machine that was lost twice is left out."""
