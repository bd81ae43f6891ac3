"""The commands of a campaign's life: new, plan, run, status, retry, merge, normalise."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phloem.errors import WorkError
from phloem.jobs.commands.options import (
    Detach,
    Directory,
    EngineOption,
    Holes,
    Json,
    Kind,
    Lanes,
    Only,
    Out,
    Processes,
    Rate,
    Round,
    Set,
    Target,
    Watching,
    Workers,
    print_json,
)
from phloem.names import STATUS

if TYPE_CHECKING:
    from phloem.jobs.run.outcome import Finished, ToldElsewhere


def new(
    path: Annotated[Path, typer.Argument(help="Campaign file to write.")],
    kind: Annotated[
        Kind, typer.Option("--kind", help="Tower files, a driver store, made ones; networks; fluxes of towers.")
    ] = Kind.TOWER,
) -> None:
    """Write a commented campaign file to start from.

    Example: phloem new towers.toml
    """
    from phloem.jobs.campaign.planning import write_new

    written = write_new(path, kind.value)
    print(f"wrote {written}; edit it, then: phloem run {written}")


def plan(
    target: Target,
    out: Out = None,
    rate: Rate = None,
    assignments: Set = None,
    as_json: Json = False,
) -> None:
    """Check all input, freeze the configuration, cut the cells into tiles; say what it will need, warn of too much.

    Example: phloem plan examples/fluxnet.toml --out campaigns/fluxnet
    """
    from phloem.jobs.campaign.planning import open_or_plan

    campaign = open_or_plan(target, out, assignments or [])
    estimate = campaign.kind.estimate(campaign, rate)
    if as_json:
        print_json({"directory": str(campaign.paths.root), **estimate.facts})
        return
    print("\n".join(estimate.lines))
    print(f"next: phloem run {campaign.paths.root}")


def run(
    target: Target,
    out: Out = None,
    engine: EngineOption = None,
    workers: Workers = 0,
    detach: Detach = False,
    assignments: Set = None,
) -> None:
    """Plan if need be, then compute every tile without a committed result, and merge. Run it again to go on.

    Example: phloem run examples/fluxnet.toml --out campaigns/fluxnet --set engine.workers=2
    """
    from phloem.hpc.mpi_engine import inside_world, world

    if inside_world():
        world()  # first of all: what fails on a rank that has not joined leaves the others waiting for it for ever

    from phloem.jobs.run.engines import run as run_on_engine

    keys = [*(assignments or []), *([f'engine.name="{engine}"'] if engine else [])]
    _report_run(run_on_engine(target, out, keys, workers, detach))


def _report_run(outcome: Finished | ToldElsewhere) -> None:
    """Say what a run has reached, and end as it did."""
    from phloem.jobs.run.execute import describe_set_aside
    from phloem.jobs.run.outcome import ToldElsewhere

    if isinstance(outcome, ToldElsewhere):
        raise typer.Exit(outcome.status)
    campaign, state, merged = outcome
    for line in campaign.kind.after_run(campaign, merged):
        print(line)
    print(f"all {len(campaign.tiles)} tiles are done and merged: {merged}")
    if set_aside := describe_set_aside(state, campaign.paths.root):
        raise WorkError(set_aside)
    if campaign.kind.has_page:
        print(f"next: phloem report {campaign.paths.root}")


def work(
    directory: Directory,
    number: Round,
    task: Annotated[int, typer.Option("--task", help="Index of the task in the round.")],
) -> None:
    """Work through the tiles of one task: what a batch job runs.

    Example: phloem work campaigns/fluxnet --round 1 --task 0
    """
    from phloem.jobs.run.slurm.task import work as work_through

    print(work_through(directory, number, task))


def finish(
    directory: Directory,
    number: Round,
) -> None:
    """Go on after a round: merge, or submit the next: what the last batch job runs.

    Example: phloem finish campaigns/fluxnet --round 1
    """
    from phloem.jobs.run.slurm.watch import finish as go_on

    print(go_on(directory, number))


def status(
    directory: Directory,
    watch: Watching = False,
    verify: Annotated[
        bool | None,
        typer.Option("--verify/--no-verify", help="Read every byte of the tiles; default: where they are few."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count tiles and lanes by state, with pace, ETA, hours, and failures by class with the command that mends each.

    Example: phloem status campaigns/fluxnet --json
    """
    from phloem.jobs.campaign.campaign import open_campaign
    from phloem.jobs.run.status import show, status_json

    campaign = open_campaign(directory)
    while True:
        document = status_json(campaign, verify)
        if as_json:
            print_json(document)
        else:
            print(show(campaign, document))
        tiles = document["tiles"]
        if not watch or not tiles["pending"] + tiles["running"]:
            return
        time.sleep(5)


def retry(
    directory: Directory,
    lanes: Lanes = False,
    only: Only = "",
    engine: EngineOption = None,
    workers: Workers = 0,
    assignments: Set = None,
) -> None:
    """Try again the tiles that used up their attempts; with --lanes also lanes of finished tiles.

    Lanes are taken up that diverged, were set aside, ended in a poor basin or as a dead stand, or ran out of steps.
    They begin with new draws; one that ends short of its cell's best lane walks once more from beside that one, and is
    marked as borrowed: it is no independent draw. A lane's result is replaced by a better one alone.

    Example: phloem retry campaigns/fluxnet --lanes

    Example: phloem retry campaigns/fluxnet --lanes --only diverged,dead_stand
    """
    from phloem.jobs.campaign.planning import open_or_plan
    from phloem.jobs.run.engines import follow_up, run_planned
    from phloem.jobs.run.execute import forgive
    from phloem.jobs.run.retry_lanes import retry_lanes, taken_up

    keys = [*(assignments or []), *([f'engine.name="{engine}"'] if engine else [])]
    wanted = taken_up(only)
    campaign = open_or_plan(directory, None, keys)
    forgiven = forgive(campaign)
    print(f"{len(forgiven)} tiles get new attempts" if forgiven else "no tile had failed")
    if lanes:
        campaign, count = retry_lanes(campaign, wanted)
        print(f"{count} lanes are calibrated again" if count else "no lane is left to take up")
    outcome = run_planned(campaign, workers, keys)
    _report_run(follow_up(outcome, workers, keys) if lanes and STATUS["poor_basin"] in wanted else outcome)


def merge(
    directory: Directory,
    allow_holes: Holes = False,
) -> None:
    """Merge the committed tiles into DIR/merged.nc.

    Example: phloem merge campaigns/fluxnet
    """
    from phloem.jobs.campaign.campaign import open_campaign

    campaign = open_campaign(directory)
    print(campaign.kind.merge(campaign, allow_holes))


def normalise(
    directory: Directory,
    processes: Processes = None,
    devices: Annotated[int, typer.Option("--devices", min=1, help="CPU devices of each process.")] = 1,
    as_json: Json = False,
) -> None:
    """Write DIR/normalisation.nc: mean, deviation and range of every variable over all cells.

    Example: phloem normalise campaigns/fluxnet --processes 2
    """
    from dataclasses import asdict

    from phloem.jobs.calibration.normalisation import normalise as write
    from phloem.jobs.calibration.normalisation import table

    document = write(directory, processes, devices, as_json)
    if document is None:
        return
    if as_json:
        rows = {
            name: {key: None if x != x else x for key, x in asdict(row).items()}
            for name, row in ((spec.name, row) for spec, row in document)
        }
        print_json({"file": str(directory / "normalisation.nc"), "variables": rows})
        return
    for line in table(document):
        print(line)
