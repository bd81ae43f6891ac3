"""The merge of a training: all networks of all tiles in merged.nc, by set-up and run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.network.best_members import best_members
from phloem.errors import WorkError, some
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.campaign.tiles import load_tile, read_commits
from phloem.io.files.atomic import CorruptFile
from phloem.io.files.disk_space import not_written
from phloem.io.files.netcdf import CONVENTIONS, put_array, put_flags, put_texts, write_netcdf
from phloem.io.merge.retried_lanes import Mended
from phloem.io.merge.write_merged import merge_again
from phloem.io.patches.predictor_moments import COLUMNS
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.merge_apart import merge_in_process
from phloem.jobs.network.table import NetworkTable
from phloem.jobs.network.tile_training import looks
from phloem.jobs.network.trained_networks import SPLIT
from phloem.jobs.network.training_units import read_training, run_split, table_of, unit_name
from phloem.names import STATUS

Rows = dict[str, np.ndarray]

_put = partial(put_array, compressed_from=3)


def merge_networks(campaign: Campaign, allow_holes: bool = False) -> Path:
    """Write merged.nc from the committed tiles, in a process of its own.

    Raises:
        WorkError: a tile is missing or damaged, and holes were not asked for; or the file cannot be written.
    """
    return merge_in_process(f"{__name__}:merge_apart", campaign, allow_holes)


def merge_apart(work: tuple[Path, bool], report: Callable[[int], None]) -> Path:
    """Write merged.nc.

    Args:
        work: the campaign's directory, and whether networks of absent tiles are marked as missing.
        report: told of the tiles that are done.
    """
    root, allow_holes = work
    campaign = open_campaign(root)
    rows = _read_tiles(campaign, allow_holes, report)
    try:
        write_netcdf(campaign.paths.merged, lambda file: _fill(file, campaign, rows))
    except (OSError, RuntimeError) as error:
        raise not_written(campaign.paths.merged, error, merge_again(campaign.paths)) from error
    return campaign.paths.merged


def _read_tiles(campaign: Campaign, allow_holes: bool, report: Callable[[int], None]) -> Rows:
    """Return the variables of all networks, units first, in the order of the plan."""
    commits, schema, paths = read_commits(campaign.paths), campaign.schema, campaign.paths
    digest = campaign.configuration.fingerprint()
    places = {name: place for place, name in enumerate(campaign.cells.names)}
    rows: Rows = {}
    absent: list[str] = []
    numbers: dict[int, tuple[int, int]] = {}
    for tile in range(len(campaign.tiles)):
        try:
            arrays, attributes, attempt = load_tile(paths, tile, schema, commits)
        except CorruptFile as error:
            if not allow_holes:
                raise WorkError(f"{error}; go on with: phloem run {paths.root}") from error
            absent += [unit.name for unit in campaign.tile_cells(tile)]
            continue
        if attributes.get("configuration_hash") != digest:
            raise WorkError(f"{paths.tile(tile)}: computed with another configuration")
        here = np.array([places[name] for name in arrays["cell"].tolist()])
        for name in schema.per_lane:
            if name not in rows:
                rows[name] = _empty(arrays[name], len(campaign.cells))
            rows[name][here] = arrays[name]
        numbers |= dict.fromkeys(here.tolist(), (tile, attempt))
        report(tile + 1)
    if not rows:
        raise WorkError(f"{paths.root}: no tile is done; go on with: phloem run {paths.root}")
    rows["status"][[places[name] for name in absent]] = STATUS["missing"]
    rows["cell"] = np.array(campaign.cells.names)
    batches = [tile for tile in campaign.all_tiles if tile >= len(campaign.tiles)]
    Mended(paths, batches, schema, commits, digest, {"member": 1}).apply(rows)
    rows["tile"], rows["attempt"] = (
        np.array([numbers.get(place, (-1, -1))[which] for place in range(len(campaign.cells))], np.int32)[:, None]
        for which in (0, 1)
    )
    return rows


def _empty(like: np.ndarray, count: int) -> np.ndarray:
    missing: Any = np.nan if like.dtype.kind == "f" else 0
    return np.full((count, *like.shape[1:]), missing, like.dtype)


def kept_networks(losses: np.ndarray, table: NetworkTable) -> np.ndarray:
    """Tell which networks count: those of the least loss, with folds within each, whose losses are of other patches.

    Args:
        losses: of the last epoch, (set-ups, members), NaN of networks that do not count.
        table: of the training.

    Returns:
        bool, (set-ups, members).
    """
    kept = np.zeros(losses.shape, bool)
    for fold in range(max(table.folds, 1)):
        members = np.arange(fold, losses.shape[1], max(table.folds, 1))
        if len(members):
            best = best_members(losses[:, members], table.groups, max(1, table.keep // max(table.folds, 1)))
            for place, chosen in enumerate(best.kept):
                kept[place, members[list(chosen)]] = True
    return kept


def _fill(file: netCDF4.Dataset, campaign: Campaign, rows: Rows) -> None:
    table, seed, members = table_of(campaign.configuration), campaign.configuration.campaign.seed, campaign.runs
    units = {name: place for place, name in enumerate(campaign.cells.names)}
    order = np.array([[units[unit_name(set_up, run)] for run in range(members)] for set_up in table.set_ups])
    by_set_up = {name: values[order, 0] for name, values in rows.items() if name != "cell"}
    store = read_training(campaign, campaign.cells[0]).store
    file.setncatts(
        {
            "Conventions": CONVENTIONS,
            "title": f"phloem training {campaign.configuration.campaign.name}",
            "version": campaign.version,
            "configuration_hash": campaign.configuration.fingerprint(),
            "seed": seed,
            "experiment": table.name,
            "mode": table.mode,
            "precision": table.precision,
            "patches_sha256": store.checksum,
        }
    )
    sizes = {"weight": rows["weights"].shape[-1], "epoch": table.epochs}
    for name, size in {"set_up": len(table.set_ups), "member": members, "column": len(COLUMNS), **sizes}.items():
        file.createDimension(name, size)
    file.createDimension("look", rows["dev_loss"].shape[-1])
    file.createDimension("patch", len(store))
    put_texts(file, "set_up", "set_up", table.set_ups, {"long_name": "groups of predictors that the network sees"})
    put_texts(file, "column", "column", list(COLUMNS), {"long_name": "input of the network"})
    put_texts(file, "patch", "patch", store.names, {"long_name": "patch"})
    _put(file, "look", ("look",), np.array(looks(table), np.int32), "1", "epochs before the look at the dev patches")
    for name, variable in campaign.schema.variables.items():
        if name in by_set_up:
            dimensions = ("set_up", "member", *variable.dimensions[2:])
            _put(file, name, dimensions, by_set_up[name], variable.units, variable.long_name)
    put_flags(file["status"], STATUS)
    two = ("set_up", "member")
    losses = np.where(good_lanes(by_set_up["status"]), by_set_up["loss"], np.nan)
    kept = kept_networks(losses, table)
    _put(file, "kept", two, kept.astype(np.int8), "1", f"1 where the network is one of the {table.keep} that count")
    _put(file, "tile", two, by_set_up["tile"], "1", "tile that it was trained in")
    _put(file, "attempt", two, by_set_up["attempt"], "1", "attempt that committed that tile")
    _put(file, "retried", two, by_set_up["retried"], "1", "tile in which it was trained again, -1 where it was not")
    splits = np.zeros((members, len(store)), np.int8)
    for run in range(members):
        for name, places in run_split(table, store, seed, run)._asdict().items():
            splits[run, list(places)] = SPLIT[name]
    _put(file, "split", ("member", "patch"), splits, "", "what the patch is to the run")
    put_flags(file["split"], SPLIT)


def describe_networks(merged: Path, root: Path) -> list[str]:
    """Return which networks of a merged training are not to be relied on, and what to do."""
    with netCDF4.Dataset(str(merged)) as file:
        status = np.asarray(file["status"][:])
        set_ups = [str(one) for one in file["set_up"][:]]
    lost = [unit_name(set_ups[place], run) for place, run in np.argwhere(~good_lanes(status)).tolist()]
    if not lost:
        return []
    return [f"{len(lost)} of {status.size} networks do not count ({some(lost)}): phloem retry {root} --lanes"]
