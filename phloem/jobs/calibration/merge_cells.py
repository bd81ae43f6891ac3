"""The merge of a calibration: all tiles into merged.nc, by cell or on the grid of their store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from phloem.io.grids.placed_cells import PlacedCells, place_cells
from phloem.io.merge.read_cells import read_merged
from phloem.io.merge.write_merged import merge_tiles
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.merge_apart import merge_in_process
from phloem.names import STATUS


def merge_cells(campaign: Campaign, allow_holes: bool = False) -> Path:
    """Write merged.nc from the committed tiles, in a process of its own.

    Raises:
        WorkError: a tile is missing or damaged, and holes were not asked for; or the file cannot be written.
    """
    return merge_in_process(f"{__name__}:merge_apart", campaign, allow_holes)


def merge_apart(work: tuple[Path, bool], report: Callable[[int], None]) -> Path:
    """Write merged.nc.

    Args:
        work: the campaign's directory, and whether cells of absent tiles are marked as missing.
        report: told of the tiles that are done.
    """
    root, allow_holes = work
    campaign = open_campaign(root)
    attributes = {
        "title": f"phloem calibration {campaign.configuration.campaign.name}",
        "version": campaign.version,
        "configuration_hash": campaign.configuration.fingerprint(),
        "seed": campaign.configuration.campaign.seed,
        "experiment": campaign.configuration.experiment.name,
        "mode": campaign.configuration.calibration.mode,
        "precision": campaign.configuration.calibration.precision,
    }
    plan: list[Sequence[str]] = [
        [cell.name for cell in campaign.tile_cells(tile)] for tile in range(len(campaign.tiles))
    ]
    return merge_tiles(
        campaign.paths,
        plan,
        campaign.configuration.calibration.bounded_tables,
        attributes,
        retries=range(len(campaign.tiles), len(campaign.all_tiles)),
        allow_holes=allow_holes,
        on_progress=lambda done, _total: report(done),
        grid=grid_of(campaign),
    )


def grid_of(campaign: Campaign) -> PlacedCells | None:
    """Return where the cells of a grid campaign lie; None for towers and other places, whose product has one dimension
    of cells.

    Raises:
        InputError: cells that are on no regular grid, or two in one place.
    """
    if not campaign.configuration.data.is_store or campaign.places:
        return None
    columns = campaign.cells.columns
    return place_cells(columns["name"], columns["latitude"], columns["longitude"], campaign.step)


def describe_lanes(merged: Path, root: Path) -> list[str]:
    """Return in words, for printing, the lanes that do not count or ran out of steps, and what takes them up.

    Args:
        merged: the product, which alone tells which basins are poor.
        root: of the campaign.
    """
    status = read_merged(merged, ("status",))["status"]
    shown = {name: int((status == STATUS[name]).sum()) for name in ("diverged", "poor_basin", "dead_stand", "budget")}
    counts = [f"{count} {name.replace('_', ' ')}" for name, count in shown.items() if count]
    if not counts:
        return []
    return [
        f"lanes not to rely on: {', '.join(counts)}; the report names them, phloem retry {root} --lanes tries again\n"
    ]
