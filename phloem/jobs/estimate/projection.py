"""Needs of a campaign: memory, disk, files, hours, walltime of a batch task; with warnings of what is too much."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import psutil

from phloem.arithmetic import ceil_div
from phloem.hpc.usable_cores import usable_cores
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.tile_size import filling_cells, planned_width
from phloem.jobs.progress import duration
from phloem.names import PERIOD
from phloem.sharding.lanes.blocks import lay_out, tile_lanes

PROGRAM_BYTES = 0.9 * 2**30
"""Of the program and its compiler, beside the tables (measured, resident)."""

START_SECONDS = 15.0
"""From the start of a worker to its first step: imports, and programs from the cache (measured: 6 to 20 s)."""

OTHER_NUMBERS = 20
"""Numbers that a tile and the merged product have of a lane beside its unknowns: losses, scores, counts."""

FULL_SHARE = 0.75
"""Below this share of filled places in the blocks a warning names a better size of tiles."""

MANY_FILES = 200_000
MANY_HOURS = 100_000


@dataclass(frozen=True)
class Projection:
    """Needs of a campaign.

    Attributes:
        tiles: number of tiles.
        lanes: number of lanes.
        cell_years: simulated years of all lanes.
        bytes_per_worker: projected memory of the largest block.
        disk_bytes: projected size of tile files, checkpoints and the merged product.
        files: projected number of files, at most, while it runs.
        workers: processes.
        rate: microseconds of one gradient of one lane per simulated year, on one core or GPU.
        filled: share of the blocks' places that hold a lane.
        core_hours: of all tiles; GPU-hours where `engine.gpus` asks for some.
        longest_tile_seconds: of one worker.
        tasks: array tasks of a batch system; 1 elsewhere.
        task_seconds: of one of them, or of the whole campaign where there is one.
        warnings: what is too much, and what to do about it.
    """

    tiles: int
    lanes: int
    cell_years: float
    bytes_per_worker: int
    disk_bytes: int
    files: int
    workers: int
    rate: float
    filled: float
    core_hours: float
    longest_tile_seconds: float
    tasks: int
    task_seconds: float
    warnings: tuple[str, ...]


def project(campaign: Campaign, rate: float) -> Projection:
    """Project what a campaign needs.

    Args:
        campaign: planned.
        rate: microseconds of one gradient of one lane per simulated year, on one core or, where `engine.gpus` asks for
            some, on one GPU; `phloem.jobs.estimate.gradient_pace` measures it.
    """
    from phloem.jobs.calibration.tile_calibration import block_bytes

    configuration, engine = campaign.configuration, campaign.configuration.engine
    members, optimiser = configuration.campaign.members, configuration.optimiser
    widest = planned_width(configuration)
    memory, places = 0, 0
    seconds = []
    for tile in range(len(campaign.tiles)):
        cells = campaign.tile_cells(tile)
        layout = lay_out(tile_lanes(len(cells), members), engine.devices * widest, widest)
        steps = 0.0
        for block in (block for one in layout.rounds for block in one):
            days = max(cells[position].days for position in block.cells)
            memory = max(memory, block_bytes(configuration, days, len(block.cells), layout.width))
            # A block costs the same whatever it holds.
            years = days / PERIOD
            steps += layout.width * years * optimiser.gradients(years)
            places += widest
        seconds.append(1e-6 * rate * steps)  # of one device; several share a tile's blocks
    lanes = members * len(campaign.cells)
    trace = 4 * optimiser.trace
    tables = configuration.calibration.tables
    unknowns = len(tables.unknowns)
    state = _number_bytes(campaign) * 5 * unknowns + optimiser.extra_bytes(unknowns)
    numbers_of_a_lane = 2 * unknowns + OTHER_NUMBERS
    tiles = len(campaign.tiles)
    width = at_once(campaign)
    tasks = ceil_div(tiles, engine.tiles_per_task or width) if engine.name == "slurm" else 1
    busy = sum(seconds) / engine.devices / (tasks * min(width, tiles))
    needs = Projection(
        tiles=tiles,
        lanes=lanes,
        cell_years=sum(cell.days for cell in campaign.cells) / PERIOD * members,
        bytes_per_worker=memory,
        disk_bytes=2 * (8 * numbers_of_a_lane + trace) * lanes + 2 * lanes * (state + trace),
        files=2 * tiles + 4 * min(width * tasks, tiles) + 4 * tasks + 16,
        workers=min(width, tiles),
        rate=rate,
        filled=round(lanes / places, 3),
        core_hours=round(sum(seconds) / 3600, 3),
        longest_tile_seconds=round(max(seconds) / engine.devices, 1),
        tasks=tasks,
        task_seconds=round(START_SECONDS + max(busy, max(seconds) / engine.devices), 1),
        warnings=(),
    )
    return Projection(**{**needs.__dict__, "warnings": tuple(_warnings(campaign, needs))})


def at_once(campaign: Campaign) -> int:
    """Return the workers of this machine, or of one task of a batch system."""
    engine = campaign.configuration.engine
    return engine.workers_of(engine.task_cores if engine.name == "slurm" else usable_cores())


def hours_of(campaign: Campaign) -> str:
    """Return what the hours are counted of."""
    return "GPU-hours" if campaign.configuration.engine.gpus else "core-hours"


def _number_bytes(campaign: Campaign) -> int:
    return 4 if campaign.configuration.calibration.precision == "float32" else 8


def _warnings(campaign: Campaign, needs: Projection) -> list[str]:
    """Return what is too much, each with what to do about it."""
    engine, warnings = campaign.configuration.engine, []
    filling = filling_cells(campaign.configuration, len(campaign.cells))
    if needs.filled < FULL_SHARE and needs.tiles > 1 and len(campaign.tiles[0]) != filling:
        warnings.append(
            f"blocks of {planned_width(campaign.configuration)} lanes are {needs.filled:.0%} full and cost as if they "
            f"were full: tiles.cells = {filling} fills them"
        )
    free = shutil.disk_usage(campaign.paths.root).free
    if needs.disk_bytes > free:
        warnings.append(f"the disk has {free / 2**30:.1f} GiB free, {needs.disk_bytes / 2**30:.1f} GiB are needed")
    if needs.files > MANY_FILES:
        warnings.append(f"{needs.files} files may exceed a quota of inodes: larger tiles.cells makes fewer")
    memory = psutil.virtual_memory().total
    if engine.name != "slurm" and needs.workers * (needs.bytes_per_worker + PROGRAM_BYTES) > memory:
        warnings.append(
            f"{needs.workers} workers need more than the {memory / 2**30:.1f} GiB of this machine: fewer engine.workers"
        )
    if needs.tiles < at_once(campaign):
        tiles = "one tile" if needs.tiles == 1 else f"{needs.tiles} tiles"
        warnings.append(f"{tiles} cannot occupy {at_once(campaign)} workers: smaller tiles.cells makes more")
    if needs.core_hours > MANY_HOURS:
        warnings.append(f"{needs.core_hours:.0f} {hours_of(campaign)}: is the allocation large enough?")
    walltime = 60 * engine.walltime_minutes
    if engine.name == "slurm" and needs.longest_tile_seconds > walltime:
        warnings.append(
            f"the longest tile takes {duration(needs.longest_tile_seconds)}, more than engine.walltime: it goes on "
            "from its checkpoint each time; smaller tiles.cells or more walltime spares the restarts"
        )
    elif engine.name == "slurm" and needs.task_seconds > walltime:
        warnings.append(
            f"a task takes {duration(needs.task_seconds)}, more than engine.walltime: it is requeued; smaller "
            "engine.tiles_per_task makes more and shorter tasks"
        )
    return warnings


def describe(campaign: Campaign, needs: Projection, timed: bool = True, device: str = "") -> list[str]:
    """Return a projection for people, with what quality control found.

    Args:
        campaign: planned.
        needs: as `project` gives them.
        timed: whether its times rest on a pace; else they are left out.
        device: whose pace it is, and how it is known; empty for a core of this machine.
    """
    configuration = campaign.configuration
    optimiser, members = configuration.optimiser, configuration.campaign.members
    often = "at most " if optimiser.name == "fast" else ""
    lines = [
        f"campaign {configuration.campaign.name} in {campaign.paths.root}",
        f"  {len(campaign.cells)} cells x {members} members = {needs.lanes} lanes, "
        f"{often}{optimiser.steps} steps of {optimiser.name} each",
        f"  tiles {needs.tiles}, workers {needs.workers}, engine {configuration.engine.name}",
    ]
    if timed:
        rate = f"{needs.rate:{'.2f' if needs.rate > 1 else '.2g'}} microseconds a gradient of a year"
        whose = f" ({device})" if device else ""
        longest = duration(needs.longest_tile_seconds)
        lines.append(f"  {often}{needs.core_hours:.2f} {hours_of(campaign)} at {rate}{whose}; longest tile {longest}")
    if not timed:
        lines.append("  how long it takes is not known before this machine's pace is: phloem plan measures it, once")
    elif configuration.engine.name == "slurm":
        lines.append(f"  {needs.tasks} array tasks of {duration(needs.task_seconds)} each")
    else:
        lines.append(f"  {often}{duration(needs.task_seconds)} on this machine")
    lines += [
        f"  memory a worker {needs.bytes_per_worker / 2**20:.0f} MiB, beside {PROGRAM_BYTES / 2**30:.1f} GiB of the "
        "program and its compiler",
        f"  disk {needs.disk_bytes / 2**20:.1f} MiB in at most {needs.files} files",
        *(f"  warning: {text}" for text in needs.warnings),
    ]
    findings = [(cell.name, finding) for cell in campaign.cells for finding in cell.findings]
    serious = [(name, finding) for name, finding in findings if not finding.endswith("[note]")]
    lines += [f"  {name}: {finding}" for name, finding in serious]
    if len(findings) > len(serious):
        lines.append(
            f"  {len(findings) - len(serious)} notes on the drivers are in {campaign.paths.plan} and in the report"
        )
    return lines
