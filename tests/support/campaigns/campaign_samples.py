"""Small tiles whose values depend on the cell only, and child processes that are made to be killed."""

import os
import signal
import zlib
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np

from phloem.io.campaign.calibration_schema import calibration_schema
from phloem.io.campaign.checkpoints import load_checkpoint, save_checkpoint
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import write_tile
from phloem.kernels.calibrations.dalec_daily.tables import TOWERS
from phloem.model_tables import Parameter
from phloem.names import STREAMS
from tests.support.campaigns.claims import claim_next
from tests.support.kernels.dalec_names import LOSS_TERMS, PARAMETERS, POOLS

ATTRIBUTES = {"configuration_hash": "c0ffee", "version": "0.1.0"}
TRACE = 4

TABLES = TOWERS
SCHEMA = calibration_schema(TABLES)
"""Of the tiles that are made up here."""


def tile_arrays(
    cells: list[str], members: int = 5, trace: int = TRACE, salt: int = 0, streams: int = len(STREAMS)
) -> dict[str, np.ndarray]:
    """A valid tile; some members are diverged and full of NaN."""
    lanes = [_cell(cell, members, trace, salt, streams) for cell in cells]
    arrays = {name: np.stack([lane[name] for lane in lanes]) for name in lanes[0]}
    return {"cell": np.array(cells), **arrays, "trace_iteration": np.arange(trace, dtype="i4") * 10}


def inside(rng: np.random.Generator, quantities: Sequence[Parameter], members: int) -> np.ndarray:
    """Values away from their bounds, (members, quantities)."""
    lower, upper = np.array([(one.lower, one.upper) for one in quantities]).T
    return lower * (upper / lower) ** rng.uniform(0.1, 0.9, (members, len(quantities)))


def _cell(cell: str, members: int, trace: int, salt: int, streams: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([zlib.crc32(cell.encode()), salt])
    unknowns = len(PARAMETERS) + len(POOLS)
    arrays: dict[str, Any] = {
        "raw": rng.normal(size=(members, unknowns)).astype("f4"),
        "parameters": inside(rng, TABLES.parameters, members),
        "initial_pools": inside(rng, TABLES.pools, members),
        "loss": rng.uniform(0, 0.09, size=members),
        "loss_terms": rng.normal(size=(members, len(LOSS_TERMS))),
        "nnse": rng.uniform(size=(members, streams)),
        "nnse_validation": rng.uniform(size=(members, streams)),
        "best_loss": rng.normal(size=members),
        "best_raw": rng.normal(size=(members, unknowns)).astype("f4"),
        "loss_trace": rng.normal(size=(members, trace)).astype("f4"),
    }
    status = rng.choice(np.array([0, 0, 1, 2, 2], "i1"), size=members)
    for name in ("parameters", "loss", "raw"):
        arrays[name][status == 2] = np.nan
    arrays["nnse_validation"][:, 2] = np.nan
    counters = {name: rng.integers(0, 99, members).astype("i4") for name in ("iterations", "gradient_evaluations")}
    return {
        "latitude": np.float64(rng.uniform(40, 70)),
        "longitude": np.float64(rng.uniform(-180, 180)),
        "status": status,
        "redraws": rng.integers(0, 5, members).astype("i1"),
        "stop": rng.integers(1, 5, members).astype("i1"),
        "clamped_days": rng.integers(0, 99, (members, len(POOLS))).astype("i4"),
        "ceiling_days": rng.integers(0, 9, (members, len(POOLS))).astype("i4"),
        "borrowed": rng.integers(0, 2, members).astype("i1"),
        "gradient_equivalents": rng.uniform(0, 99, members),
        **arrays,
        **counters,
    }


def cells_of(index: int) -> list[str]:
    return [f"cell {index}.{k}" for k in range(3)]


def commit(paths: CampaignPaths, index: int, cells: list[str], **options: int) -> str:
    """Claims and commits a tile."""
    return write_tile(paths, index, claim_next(paths, index), SCHEMA, tile_arrays(cells, **options), ATTRIBUTES)


def work_until_killed(root: Path, first: int, told: Connection) -> None:
    """Checkpoints and commits one tile after another, and tells what has been promised to be on disk."""
    paths = CampaignPaths(root)
    for index in range(first, first + 10_000):
        told.send(("begun", index, -1))
        resumed = load_checkpoint(paths, index, "same")
        done = int(resumed[0]["step"][0]) if resumed else 0
        for step in range(done + 1, done + 4):
            state = {"step": np.array([step]), "state": np.full(5000, step, "f4")}
            save_checkpoint(paths, index, state, {"fingerprint": "same"})
            told.send(("checkpoint", index, step))
        attempt = claim_next(paths, index)
        write_tile(paths, index, attempt, SCHEMA, tile_arrays(cells_of(index)), ATTRIBUTES)
        told.send(("committed", index, attempt))


def killed_at_call(root: Path, action: str, call: int, torn: bool, told: Connection) -> None:
    """Runs one action and dies in its `call`-th call of the operating system.

    Dies before the call or, where `torn`, after half of a write or after the whole of another call. Tells
    "survived" where there were fewer calls.
    """
    count = 0

    def dying(name: str, real: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == call:
                whole = args if name != "write" else (args[0], bytes(args[1])[: len(args[1]) // 2])
                try:
                    if torn:
                        real(*whole, **kwargs)
                finally:
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return wrapped

    for name in ("open", "write", "fsync", "close", "link", "replace", "rename", "unlink"):
        setattr(os, name, dying(name, getattr(os, name)))
    paths = CampaignPaths(root)
    if action == "tile":
        write_tile(paths, 0, 1, SCHEMA, tile_arrays(cells_of(0)), ATTRIBUTES, worker="killed")
    else:
        save_checkpoint(paths, 0, {"step": np.array([3])}, {"fingerprint": "same"})
    told.send("survived")


def claim_many(root: Path, count: int, barrier: Barrier, told: Connection) -> None:
    """Claims attempts of tile 0, all children at once."""
    barrier.wait(30)
    told.send([claim_next(CampaignPaths(root), 0) for _ in range(count)])
