"""The command line. Each command imports what it needs when it runs, so that `--help` and `status` are quick."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from phloem.errors import InputError, WorkError
from phloem.hpc.tasks import EngineError
from phloem.jobs.analysis_commands import attribute
from phloem.jobs.benchmark_command import benchmark
from phloem.jobs.cell_commands import evaluate, simulate
from phloem.jobs.experiment_commands import experiments, forward
from phloem.jobs.ingest_command import ingest
from phloem.jobs.options import (
    Detach,
    Directory,
    EngineName,
    Holes,
    Json,
    Lanes,
    Out,
    Processes,
    Rate,
    Round,
    Set,
    Target,
    Watching,
    Workers,
)
from phloem.jobs.progress import INTERRUPTS
from phloem.version import VERSION

app = typer.Typer(
    help="Calibrate a differentiable land-carbon model (DALEC) in every cell; survive the cluster it runs on.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _version(asked: bool) -> None:
    if asked:
        print(f"phloem {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def new(
    path: Annotated[Path, typer.Argument(help="Campaign file to write.")],
    kind: Annotated[str, typer.Option("--kind", help="tower, grid or synthetic.")] = "tower",
) -> None:
    """Write a commented campaign file to start from.

    Example: phloem new towers.toml
    """
    from phloem.jobs.planning import write_new

    written = write_new(path, kind)
    print(f"wrote {written}; edit it, then: phloem run {written}")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine can do, and what is missing.

    Example: phloem doctor
    """
    from phloem.jobs.doctor import as_json as to_json
    from phloem.jobs.doctor import examine

    checks = examine(Path.cwd())
    if as_json:
        _print_json(to_json(checks))
    else:
        for check in checks:
            print(f"{check.level:8} {check.name:12} {check.text}")
    problems = [check.name for check in checks if check.level == "problem"]
    if problems:
        raise WorkError(f"problems with: {', '.join(problems)}")


@app.command()
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
    from dataclasses import asdict

    from phloem.jobs.pace import pace
    from phloem.jobs.planning import open_or_plan
    from phloem.jobs.projection import describe, project

    campaign = open_or_plan(target, out, assignments or [])
    needs = project(campaign, pace(campaign) if rate is None else rate)
    if as_json:
        _print_json({"directory": str(campaign.paths.root), **asdict(needs)})
        return
    print("\n".join(describe(campaign, needs)))
    print(f"next: phloem run {campaign.paths.root}")


@app.command()
def run(
    target: Target,
    out: Out = None,
    engine: EngineName = None,
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

    from phloem.jobs.engines import run as run_on_engine

    keys = [*(assignments or []), *([f'engine.name="{engine}"'] if engine else [])]
    _report_run(run_on_engine(target, out, keys, workers, detach))


def _report_run(finished: Any) -> None:
    """Say what a run has reached; None is a process that has nothing to say, such as a rank that is not the first."""
    from phloem.jobs.execute import describe_set_aside

    if finished is None:
        return
    campaign, state, merged = finished
    if state.lanes["diverged"]:
        print(f"{state.lanes['diverged']} lanes are flagged as diverged; the report names them")
    print(f"all {len(campaign.tiles)} tiles are done and merged: {merged}")
    if told := describe_set_aside(state, campaign.paths.root):
        raise WorkError(told)
    print(f"next: phloem report {campaign.paths.root}")


@app.command(hidden=True)
def work(
    directory: Directory,
    number: Round,
    task: Annotated[int, typer.Option("--task", help="Index of the task in the round.")],
) -> None:
    """Work through the tiles of one task: what a batch job runs.

    Example: phloem work campaigns/fluxnet --round 1 --task 0
    """
    from phloem.jobs.batch_task import work as work_through

    print(work_through(directory, number, task))


@app.command(hidden=True)
def finish(
    directory: Directory,
    number: Round,
) -> None:
    """Go on after a round: merge, or submit the next: what the last batch job runs.

    Example: phloem finish campaigns/fluxnet --round 1
    """
    from phloem.jobs.batches import finish as go_on

    print(go_on(directory, number))


@app.command()
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
    from phloem.jobs.campaign import open_campaign
    from phloem.jobs.status import look, show

    campaign = open_campaign(directory)
    while True:
        found = look(campaign, verify)
        if as_json:
            _print_json(found)
        else:
            print(show(campaign, found))
        tiles = found["tiles"]
        if not watch or not tiles["pending"] + tiles["running"]:
            return
        time.sleep(5)


@app.command()
def retry(
    directory: Directory,
    lanes: Lanes = False,
    engine: EngineName = None,
    workers: Workers = 0,
    assignments: Set = None,
) -> None:
    """Try again the tiles that used up their attempts; with --lanes also the lanes that failed inside finished tiles.

    Example: phloem retry campaigns/fluxnet --lanes
    """
    from phloem.jobs.engines import run_planned
    from phloem.jobs.execute import forgive
    from phloem.jobs.planning import open_or_plan
    from phloem.jobs.retries import retry_lanes

    keys = [*(assignments or []), *([f'engine.name="{engine}"'] if engine else [])]
    campaign = open_or_plan(directory, None, keys)
    forgiven = forgive(campaign)
    print(f"{len(forgiven)} tiles get new attempts" if forgiven else "no tile had failed")
    if lanes:
        campaign, count = retry_lanes(campaign)
        print(f"{count} lanes are calibrated again" if count else "no failed lane is left to take up")
    _report_run(run_planned(campaign, workers, keys))


@app.command()
def merge(
    directory: Directory,
    allow_holes: Holes = False,
) -> None:
    """Merge the committed tiles into DIR/merged.nc.

    Example: phloem merge campaigns/fluxnet
    """
    from phloem.jobs.campaign import open_campaign
    from phloem.jobs.execute import merge as merge_campaign

    print(merge_campaign(open_campaign(directory), allow_holes))


app.command()(forward)
app.command()(experiments)
app.command()(attribute)
app.command()(benchmark)


@app.command()
def report(
    directory: Directory,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Show what is there; else attribute and benchmark first what has not been.")
    ] = False,
) -> None:
    """Write DIR/report/index.html, one page that opens in any browser without a network, with its figures and data.

    Example: phloem report campaigns/fluxnet
    """
    from phloem.jobs.report_parts import see_to_parts
    from phloem.jobs.reporting import report as write

    if not as_is:
        see_to_parts(directory)
    print(write(directory))


app.command()(simulate)
app.command()(evaluate)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Directory to write.")] = Path("demo"),
    workers: Workers = 0,
) -> None:
    """Run the three experiments on a synthetic boreal domain with a known truth: the whole path, a few minutes.

    Example: phloem demo --out demo
    """
    from phloem.jobs.demo import run_demo

    lines, page = run_demo(out, workers)
    print("\n".join(lines[:-1]))
    print(f"The demo is done. Look at the page: {page.resolve()}")


@app.command()
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

    from phloem.jobs.normalisation import normalise as write
    from phloem.jobs.normalisation import table

    found = write(directory, processes, devices, as_json)
    if found is None:
        return
    if as_json:
        rows = {name: {key: None if x != x else x for key, x in asdict(row).items()} for name, row in found.items()}
        _print_json({"file": str(directory / "normalisation.nc"), "variables": rows})
        return
    for line in table(found):
        print(line)


app.command()(ingest)


def main() -> NoReturn:
    """Run the command line; exit 0 on success, 1 on failed work, 2 on wrong use or wrong input."""
    INTERRUPTS.hear()
    try:
        app()
    except BrokenPipeError:  # the reader of our output has seen enough; nothing more can be said to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except InputError as error:
        if str(error):
            print(f"phloem: {error}", file=sys.stderr)
        sys.exit(2)
    except (WorkError, EngineError) as error:
        if str(error):
            print(f"phloem: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"phloem: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("phloem: interrupted", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)
