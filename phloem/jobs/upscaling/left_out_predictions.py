"""Predictions of what was left out, of all members, put together from the tiles of an upscaling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phloem.errors import WorkError
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.campaign.tiles import load_tile, read_commits
from phloem.io.files.atomic import CorruptFile
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.kind_of_work import Arrays
from phloem.jobs.upscaling.fit_units import JOINT, NOTHING, TowerData, UnitName, table_of
from phloem.jobs.upscaling.tile_fits import all_ways
from phloem.names import STATUS


@dataclass(frozen=True, eq=False)
class LeftOutPredictions:
    """What models say of rows that they were not fitted to, and the models of everything.

    Attributes:
        schemes, ways, fluxes: names.
        members: predictions, float32 (schemes, ways, fluxes, members, rows), NaN where there is none.
        blend: weight of the residual in each member's blend, averaged over the units of a scheme,
            (schemes, fluxes, members).
        status: of each unit and member, of `names.STATUS`, (units, members).
        tile, attempt: that fitted each unit, (units,); -1 where none did.
        models: of each flux (or `joint`) its members' bytes; a member without model is left out.
    """

    schemes: tuple[str, ...]
    ways: tuple[str, ...]
    fluxes: tuple[str, ...]
    members: np.ndarray
    blend: np.ndarray
    status: np.ndarray
    tile: np.ndarray
    attempt: np.ndarray
    models: Mapping[str, Sequence[bytes]]

    def of(self, scheme: str, way: str, flux: str) -> np.ndarray:
        """Return the predictions of the members, float64 (members, rows)."""
        place = self.schemes.index(scheme), self.ways.index(way), self.fluxes.index(flux)
        return self.members[place].astype(np.float64)

    def mean(self, scheme: str, way: str, flux: str) -> np.ndarray:
        """Return the mean over the members that have a prediction, (rows,), NaN where none has."""
        members = self.of(scheme, way, flux)
        known = np.isfinite(members)
        with np.errstate(invalid="ignore"):
            mean: np.ndarray = np.where(known, members, 0.0).sum(0) / known.sum(0)
        return mean


def read_predictions(
    campaign: Campaign, data: TowerData, allow_holes: bool, report: Callable[[int], None]
) -> LeftOutPredictions:
    """Read all tiles of an upscaling, and the batches of lanes that were taken up again.

    Args:
        campaign: whose tiles are read.
        data: its towers.
        allow_holes: whether absent tiles leave holes.
        report: told of the tiles that are read.

    Raises:
        WorkError: a tile is missing or damaged, and holes were not asked for.
    """
    table, units = table_of(campaign.configuration), campaign.cells.names
    schemes, ways, fluxes = tuple(table.cv), all_ways(table), tuple(table.fluxes)
    count = campaign.runs
    members = np.full((len(schemes), len(ways), len(fluxes), count, len(data.rows)), np.nan, np.float32)
    weights = np.zeros((2, len(schemes), len(fluxes), count))
    status = np.full((len(units), count), STATUS["missing"], np.int8)
    numbers = np.full((2, len(units)), -1, np.int32)
    places = {name: place for place, name in enumerate(units)}
    models: dict[tuple[str, int], bytes] = {}

    def take(arrays: Arrays, tile: int, attempt: int) -> None:
        for row, name in enumerate(arrays["cell"].tolist()):
            about, place = UnitName.of(name), places[name]
            here = good_lanes(arrays["status"][row])
            better = here | (arrays["status"][row] != STATUS["missing"]) & ~good_lanes(status[place])
            status[place, better] = arrays["status"][row, better]
            numbers[:, place] = tile, attempt
            for member in np.flatnonzero(here).tolist():
                if about.scheme == NOTHING:
                    size = int(arrays["model_bytes"][row, member])
                    models[about.flux, member] = arrays["model"][row, member, :size].tobytes()
                    continue
                scheme, left = schemes.index(about.scheme), np.flatnonzero(data.held(about))
                for number, flux in enumerate(fluxes if about.flux == JOINT else [about.flux]):
                    where = fluxes.index(flux)
                    members[scheme, :, where, member, left] = arrays["predicted"][row, member, number, :, : len(left)].T
                    blend = arrays["blend"][row, member, number]
                    if np.isfinite(blend):
                        weights[:, scheme, where, member] += blend, 1

    _each_tile(campaign, allow_holes, take, report)
    with np.errstate(invalid="ignore"):
        blend = weights[0] / np.where(weights[1] > 0, weights[1], np.nan)
    kept = {
        flux: [models[flux, member] for member in range(count) if (flux, member) in models]
        for flux in ([JOINT] if table.learner == "network" else fluxes)
    }
    return LeftOutPredictions(schemes, ways, fluxes, members, blend, status, numbers[0], numbers[1], kept)


def _each_tile(
    campaign: Campaign, allow_holes: bool, take: Callable[[Arrays, int, int], None], report: Callable[[int], None]
) -> None:
    """Hand over the arrays of every tile, batches of lanes last."""
    commits, schema, paths = read_commits(campaign.paths), campaign.schema, campaign.paths
    digest, some_done = campaign.configuration.fingerprint(), False
    for tile in campaign.all_tiles:
        planned = tile < len(campaign.tiles)
        if not planned and not paths.tile(tile).exists():
            continue
        try:
            arrays, attributes, attempt = load_tile(paths, tile, schema, commits)
        except CorruptFile as error:
            if not allow_holes:
                raise WorkError(f"{error}; go on with: phloem run {paths.root}") from error
            continue
        if attributes.get("configuration_hash") != digest:
            raise WorkError(f"{paths.tile(tile)}: computed with another configuration")
        take(arrays, tile, attempt)
        some_done = True
        report(min(tile + 1, len(campaign.tiles)))
    if not some_done:
        raise WorkError(f"{paths.root}: no tile is done; go on with: phloem run {paths.root}")
