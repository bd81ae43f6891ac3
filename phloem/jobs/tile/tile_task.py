"""The task that a supervisor hands to a worker: a tile, with its resources and limits."""

from __future__ import annotations

from dataclasses import dataclass

Part = tuple[int, int]
"""First unit of a part of a tile and the one after its last, as positions in the tile."""


@dataclass(frozen=True)
class TileTask:
    """One attempt of a tile, or of a part of one that is computed alone; no result depends on any of it.

    Attributes:
        root: the campaign directory.
        tile: its number.
        supervisor: name of who hands out the tiles.
        devices: devices of the process to lay the lanes over.
        checkpoint_minutes: time between two checkpoints.
        hang_seconds: silence after which a process counts as hanging.
        watched: whether the engine ends a process that hangs.
        memory_bytes: limit of a process of its own; 0 sets none.
        halvings: how often the lanes in flight are halved first.
        isolate: whether the units are computed apart from each other.
        job: id of the batch job; empty outside of one.
        restart: how often that job was requeued.
        node: name of this machine to the batch system; empty where it is its own.
        attempt: number of the attempt that a part belongs to.
        part: of the tile; None: all of it.
        gpus: whether the devices are GPUs, which must answer before anything is computed.
    """

    root: str
    tile: int
    supervisor: str
    devices: int
    checkpoint_minutes: float
    hang_seconds: float
    watched: bool
    memory_bytes: int
    halvings: int
    isolate: bool
    job: str = ""
    restart: int = 0
    node: str = ""
    attempt: int = 0
    part: Part | None = None
    gpus: bool = False
