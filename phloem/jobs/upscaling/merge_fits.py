"""The merge of an upscaling: predictions of what was left out, scores, and the models that maps are made by."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import netCDF4
import numpy as np

from phloem.analysis.flux_drivers.permuted_predictors import network_importance, permutation_importance
from phloem.analysis.flux_maps.fitted_upscaling import FittedUpscaling, needed_columns
from phloem.analysis.flux_skill.dissimilarity import applicability
from phloem.analysis.upscaling.member_model import MemberModel
from phloem.analysis.upscaling.network_member import FittedNetworks
from phloem.errors import InputError
from phloem.io.files.atomic import write_atomically
from phloem.io.files.disk_space import not_written
from phloem.io.files.netcdf import CONVENTIONS, put_array, put_flags, put_texts, write_netcdf
from phloem.io.flux_towers.tower_quantities import FLUXES, QUANTITIES
from phloem.io.merge.write_merged import merge_again
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.merge_apart import merge_in_process
from phloem.jobs.upscaling.fit_units import JOINT, TowerData, planned_data, table_of
from phloem.jobs.upscaling.fitted_file import write_fitted
from phloem.jobs.upscaling.interval_places import interval_scheme
from phloem.jobs.upscaling.left_out_predictions import LeftOutPredictions, read_predictions
from phloem.jobs.upscaling.tower_scores import calibrated, tower_scores
from phloem.names import STATUS

_put = partial(put_array, compressed_from=2)

IMPORTANCE_ROWS = 2000
"""Rows over which predictors are dealt out anew; the index of dissimilarity asks for no more than a rough weight."""

IMPORTANCE_MEMBERS = 3
"""Members that are asked."""


def merge_fits(campaign: Campaign, allow_holes: bool = False) -> Path:
    """Write merged.nc, scores.json and models.h5 from the committed tiles, in a process of its own.

    Raises:
        WorkError: a tile is missing or damaged, and holes were not asked for; or a file cannot be written.
    """
    return merge_in_process(f"{__name__}:merge_apart", campaign, allow_holes)


def merge_apart(work: tuple[Path, bool], report: Callable[[int], None]) -> Path:
    """Write the products of an upscaling; merged.nc, by which a campaign is known to be merged, comes last.

    Args:
        work: the campaign's directory, and whether absent tiles leave holes.
        report: told of the tiles that are done.
    """
    root, allow_holes = work
    campaign = open_campaign(root)
    table, data = table_of(campaign.configuration), planned_data(campaign)
    found = read_predictions(campaign, data, allow_holes, report)
    scores = tower_scores(table, data, found)
    fitted = fitted_models(campaign, data, found)
    try:
        write_atomically(campaign.paths.scores, (json.dumps(scores, indent=2, allow_nan=False) + "\n").encode())
        if fitted is None:
            campaign.paths.models.unlink(missing_ok=True)
        else:
            write_fitted(campaign, fitted)
        write_netcdf(campaign.paths.merged, lambda file: _fill(file, campaign, data, found))
    except (OSError, RuntimeError) as error:
        raise not_written(campaign.paths.merged, error, merge_again(campaign.paths)) from error
    return campaign.paths.merged


def fitted_models(campaign: Campaign, data: TowerData, found: LeftOutPredictions) -> FittedUpscaling | None:
    """Return the models of everything with their intervals; None where a flux has none, or nothing calibrates them."""
    table = table_of(campaign.configuration)
    scheme = interval_scheme(table)
    if scheme is None or not all(found.models.values()):
        return None
    try:
        intervals = {flux: calibrated(table, data, found, scheme, table.applied_way, flux) for flux in found.fluxes}
    except InputError:  # too few towers have predictions: scores.json says so, and `apply` refuses
        return None
    way, prepared, seed = table.applied_way, data.prepared, campaign.configuration.campaign.seed
    members: dict[str, list[MemberModel]] = {}
    networks = None
    if JOINT in found.models:
        networks = FittedNetworks.joined([FittedNetworks.from_bytes(one) for one in found.models[JOINT]])
        importance = network_importance(prepared, networks, IMPORTANCE_ROWS, seed)
    else:
        members = {flux: [MemberModel.from_bytes(one) for one in models] for flux, models in found.models.items()}
        rises = [
            permutation_importance(prepared, models[:IMPORTANCE_MEMBERS], way, IMPORTANCE_ROWS, seed)
            for models in members.values()
        ]
        importance = sum((rise / max(rise.sum(), 1e-12) for rise in rises), np.zeros(len(prepared.predictors)))
    return FittedUpscaling(
        way=way,
        options=table.settings().baselines,
        predictors=prepared.predictors,
        needed=needed_columns(data.rows.columns),
        members=members,
        networks=networks,
        intervals=intervals,
        applicability=applicability(prepared.table, data.rows.site, importance),
    )


def _fill(file: netCDF4.Dataset, campaign: Campaign, data: TowerData, found: LeftOutPredictions) -> None:
    """Put rows, observations and predictions of what was left out into merged.nc."""
    configuration, rows = campaign.configuration, data.rows
    file.setncatts(
        {
            "Conventions": CONVENTIONS,
            "title": f"phloem upscaling {configuration.campaign.name}",
            "version": campaign.version,
            "configuration_hash": configuration.fingerprint(),
            "seed": configuration.campaign.seed,
            "experiment": configuration.experiment.name,
            "towers_sha256": campaign.cells[0].checksum,
            "comment": "predictions of rows by models that were fitted without what their scheme leaves out",
        }
    )
    sizes = {"member": campaign.runs, "row": len(rows), "unit": len(campaign.cells)}
    for name, size in sizes.items():
        file.createDimension(name, size)
    for name, texts, meaning in (
        ("scheme", found.schemes, "what is left out together"),
        ("way", found.ways, "what is learned; the process baseline alone"),
        ("flux", found.fluxes, "flux"),
        ("site", rows.sites, "tower"),
        ("left_out", campaign.cells.names, "scheme, what is left out, flux"),
    ):
        dimension = "unit" if name == "left_out" else name
        if name != "left_out":
            file.createDimension(name, len(texts))
        put_texts(file, name, dimension, texts, {"long_name": meaning})
    units = ", ".join(f"{flux} {QUANTITIES[FLUXES[flux]].unit}" for flux in found.fluxes)
    _put(file, "row_site", ("row",), rows.site.astype(np.int32), "1", "position of the row's tower")
    days = rows.month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int32)
    _put(file, "month", ("row",), days, "days since 1970-01-01", "first day of the row's month")
    observed = np.stack([rows.observed[flux] for flux in found.fluxes])
    _put(file, "observed", ("flux", "row"), observed.astype(np.float32), "", f"observed flux ({units})")
    axes = ("scheme", "way", "flux")
    means = np.empty((len(found.schemes), len(found.ways), len(found.fluxes), len(rows)), np.float32)
    for places in np.ndindex(means.shape[:3]):
        names = zip((found.schemes, found.ways, found.fluxes), places, strict=True)
        means[places] = found.mean(*(named[place] for named, place in names))
    _put(file, "predicted", (*axes, "row"), means, "", f"mean over members ({units})")
    _put(file, "predicted_of_members", (*axes, "member", "row"), found.members, "", f"prediction ({units})")
    _put(file, "blend", ("scheme", "flux", "member"), found.blend, "1", "weight of the residual in the blend, mean")
    _put(file, "status", ("unit", "member"), found.status, "", "what became of the fit")
    put_flags(file["status"], STATUS)
    _put(file, "tile", ("unit",), found.tile, "1", "tile that it was fitted in")
    _put(file, "attempt", ("unit",), found.attempt, "1", "attempt that committed that tile")
