"""Arguments and options that several commands share."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Mode(StrEnum):
    """Arithmetic of the model."""

    STRICT = "strict"
    COMPAT = "compat"


class Precision(StrEnum):
    """Of the numbers that are computed with."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


class Backend(StrEnum):
    """Backends of the time loop."""

    AUTO = "auto"
    XLA = "xla"
    CPU = "cpu"
    GPU = "gpu"


class ModelChoice(StrEnum):
    """Models of one cell."""

    DALEC_DAILY = "dalec-daily"
    DALEC_MONTHLY = "dalec-monthly"


class EngineChoice(StrEnum):
    """Engines that execute tiles."""

    LOCAL = "local"
    RAY = "ray"
    MPI = "mpi"
    SLURM = "slurm"


class Quality(StrEnum):
    """Treatments of mendable defects of drivers."""

    REPAIR = "repair"
    KEEP = "keep"
    REFUSE = "refuse"


class Step(StrEnum):
    """Steps of a simulation's product."""

    DAILY = "daily"
    MONTHLY = "monthly"
    ANNUAL = "annual"


class Kind(StrEnum):
    """Campaign files to start from."""

    TOWER = "tower"
    SYNTHETIC = "synthetic"
    GRID = "grid"
    NETWORK = "network"
    UPSCALING = "upscaling"


class What(StrEnum):
    """Products of an ingest."""

    DRIVERS = "drivers"
    MONTHLY = "monthly"
    PATCHES = "patches"
    FLUXNET = "fluxnet"
    LEAF_ECONOMICS = "leaf-economics"
    GROWTH_CURVES = "growth-curves"
    PUBLISHED_PATCHES = "published-patches"
    TOWER_PATCHES = "tower-patches"
    TOWERS = "towers"
    GLOBE = "globe"


class StampsIn(StrEnum):
    """Where stamps stand in their steps."""

    BEGIN = "begin"
    END = "end"


Target = Annotated[Path, typer.Argument(help="Campaign file (TOML), or the directory of a planned campaign.")]
Directory = Annotated[Path, typer.Argument(help="Directory of a campaign.")]
Out = Annotated[Path | None, typer.Option("--out", help="Campaign directory; default: campaigns/NAME.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key.path=value, overrides the file; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes; 0: as the configuration says.")]
Drivers = Annotated[Path, typer.Option("--drivers", help="Tower file (NetCDF).")]
Parameters = Annotated[Path, typer.Option("--parameters", help="CSV, one row a member; or a campaign's merged.nc.")]
CellOption = Annotated[
    str | None, typer.Option("--cell", help="Cell of merged.nc whose parameters are taken; default: the tower's name.")
]
MembersOption = Annotated[str, typer.Option("--members", help="all, median (of merged.nc), or numbers such as 0,2.")]
MembersOfKind = Annotated[
    str | None,
    typer.Option(
        "--members",
        help="all, median (of merged.nc), mean (of networks), or numbers such as 0,2; default: all, of networks mean.",
    ),
]
ModeOption = Annotated[Mode, typer.Option("--mode", help="Corrected equations, or the published arithmetic.")]
PrecisionOption = Annotated[Precision, typer.Option("--precision", help="Of the arithmetic.")]
BackendOption = Annotated[Backend, typer.Option("--backend", help="What runs the time loop; cpu is generated C.")]
ModelOption = Annotated[
    ModelChoice, typer.Option("--model", help="Of one cell: what is run. dalec-monthly has fire, SIF, a month a step.")
]
EngineOption = Annotated[
    EngineChoice | None, typer.Option("--engine", help="What executes tiles; default: as the configuration says.")
]
QualityOption = Annotated[Quality, typer.Option("--quality", help="What to do about mendable defects of the drivers.")]
Rate = Annotated[
    float | None, typer.Option("--rate", min=0, help="Microseconds a lane-year; default: measured here, once.")
]
Detach = Annotated[bool, typer.Option("--detach", help="slurm: submit and return; the last job merges by itself.")]
Lanes = Annotated[
    bool,
    typer.Option("--lanes", help="Also calibrate lanes again that do not count or ran out of steps, in full batches."),
]
Only = Annotated[
    str,
    typer.Option(
        "--only",
        help="With --lanes: what became of those that are taken up, of diverged, set_aside, poor_basin, dead_stand, "
        "budget; default: all of these.",
    ),
]
Holes = Annotated[bool, typer.Option("--allow-holes", help="Label missing cells instead of refusing.")]
Watching = Annotated[bool, typer.Option("--watch", help="Look again every 5 seconds until nothing is left.")]
Round = Annotated[int, typer.Option("--round", help="Round of the campaign.")]
Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="Start so many here; default: this one, or mpiexec's.")
]


def print_json(value: Any) -> None:
    """Print one JSON object on standard output."""
    print(json.dumps(value, indent=2))
