"""Drivers, observations, tile files, checkpoints, journals and the merge; no JAX."""

from phloem.io.atomic import CorruptFile, write_atomically
from phloem.io.checkpoints import drop_checkpoint, load_checkpoint, save_checkpoint
from phloem.io.drivers import VARIABLES, Cell, Finding, count_training_days
from phloem.io.journals import append_event, read_events
from phloem.io.merge import merge_tiles
from phloem.io.netcdf import write_netcdf
from phloem.io.normalisation import write_normalisation
from phloem.io.paths import CampaignPaths
from phloem.io.statistics import circular_median_and_rcv, median_and_rcv
from phloem.io.tiles import (
    StaleAttempt,
    TileState,
    claim_attempt,
    count_attempts,
    diagnose_tile,
    load_tile,
    quarantine,
    read_commits,
    read_tile,
    sweep,
    write_tile,
)
from phloem.io.towers import list_towers, read_tower, write_tower
from phloem.io.weather import boreal_weather

__all__ = [
    "VARIABLES",
    "CampaignPaths",
    "Cell",
    "CorruptFile",
    "Finding",
    "StaleAttempt",
    "TileState",
    "append_event",
    "boreal_weather",
    "circular_median_and_rcv",
    "claim_attempt",
    "count_attempts",
    "count_training_days",
    "diagnose_tile",
    "drop_checkpoint",
    "list_towers",
    "load_checkpoint",
    "load_tile",
    "median_and_rcv",
    "merge_tiles",
    "quarantine",
    "read_commits",
    "read_events",
    "read_tile",
    "read_tower",
    "save_checkpoint",
    "sweep",
    "write_atomically",
    "write_netcdf",
    "write_normalisation",
    "write_tile",
    "write_tower",
]
