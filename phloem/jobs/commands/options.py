"""Arguments and options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Target = Annotated[Path, typer.Argument(help="Campaign file (TOML), or the directory of a planned campaign.")]
Directory = Annotated[Path, typer.Argument(help="Directory of a campaign.")]
Out = Annotated[Path | None, typer.Option("--out", help="Campaign directory; default: campaigns/NAME.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key.path=value, overrides the file; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes; 0: as the configuration says.")]
Drivers = Annotated[Path, typer.Option("--drivers", help="Tower file (NetCDF).")]
Parameters = Annotated[Path, typer.Option("--parameters", help="Parameters file (CSV, one row a member).")]
Mode = Annotated[str, typer.Option("--mode", help="strict, or compat (the published arithmetic).")]
Precision = Annotated[str, typer.Option("--precision", help="float32 or float64.")]
Backend = Annotated[str, typer.Option("--backend", help="auto, xla, cpu (generated C) or gpu.")]
Verify = Annotated[
    bool | None, typer.Option("--verify/--no-verify", help="Read every byte of the tiles; default: where they are few.")
]
EngineName = Annotated[str | None, typer.Option("--engine", help="local, ray, mpi or slurm.")]
Quality = Annotated[str, typer.Option("--quality", help="Mendable defects of the drivers: repair, keep or refuse.")]
Rate = Annotated[
    float | None, typer.Option("--rate", min=0, help="Microseconds a lane-year; default: measured here, once.")
]
Detach = Annotated[bool, typer.Option("--detach", help="slurm: submit and return; the last job merges by itself.")]
Lanes = Annotated[
    bool, typer.Option("--lanes", help="Also calibrate diverged and set-aside lanes again, in full batches.")
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
