"""The commands of the three experiments: `experiments` and `forward`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.jobs.commands.options import EngineOption, Json, Set, Workers


def forward(
    growth: Annotated[Path, typer.Argument(help="Directory of the growth-curve campaign.")],
    others: Annotated[
        list[Path], typer.Argument(help="Directories of the campaigns whose parameters are swapped in, baseline first.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="NetCDF file; default GROWTH/forward.nc.")] = None,
    years: Annotated[int, typer.Option("--years", min=1, help="Years to run.")] = 100,
    as_json: Json = False,
) -> None:
    """Run 100 years with the parameters of each experiment, from the growth-curve run's initial pools, and score them.

    Example: phloem forward campaigns/growth-curve campaigns/baseline campaigns/single-year
    """
    from phloem.jobs.experiments.run_forward import describe, run_forward

    summary = run_forward(growth, others, out, years)
    print(json.dumps(summary, indent=2) if as_json else "\n".join(describe(summary)))


def experiments(
    target: Annotated[
        Path, typer.Argument(help="Campaign file over a driver store; its experiment's name is left out.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Directory that holds the three campaigns and what they come to.")],
    engine: EngineOption = None,
    workers: Workers = 0,
    assignments: Set = None,
    as_json: Json = False,
) -> None:
    """Run baseline, single-year and growth-curve over one driver store, then forward, and compare them on one page.

    Example: phloem experiments examples/boreal_twin.toml --out campaigns/boreal
    """
    from phloem.jobs.experiments.three_experiments import describe, run_experiments

    summary = run_experiments(target, out, assignments or [], engine, workers)
    print(json.dumps(summary, indent=2) if as_json else "\n".join(describe(summary)))
