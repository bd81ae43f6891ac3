"""`report` of a training: its networks, scores and attribution on one page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import netCDF4
import numpy as np
from matplotlib.figure import Figure

from phloem.analysis.interpret.explained_quantity import explained_quantities
from phloem.analysis.interpret.trait_maps_figure import trait_maps_figure
from phloem.analysis.network.score_figures import learning_curves_figure
from phloem.analysis.report.network_page import NetworkContents, write_network_report
from phloem.analysis.report.sections import SummaryTile
from phloem.analysis.style.wording import duration
from phloem.io.campaign.tile_schema import good_lanes
from phloem.jobs.analyse.report import found_in
from phloem.jobs.analyse.report_facts import campaign_facts
from phloem.jobs.analyse.report_parts import see_to_part
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.config.network_attribution_file import QUANTITIES
from phloem.jobs.network.trained_networks import TrainedNetworks, read_networks
from phloem.jobs.network_analyses.attribute import attribute_networks
from phloem.jobs.network_analyses.benchmark import benchmark_networks
from phloem.jobs.network_analyses.doubts import doubts
from phloem.jobs.network_analyses.ensembles import ensemble_of, trained
from phloem.jobs.network_analyses.predictor_cells import PredictorCells, read_cells
from phloem.jobs.network_products.predict import fullest_set_up

TRAITS = (*QUANTITIES, "gpp_foliar", "gpp_wood")
"""Traits whose maps are drawn."""


def report_networks(campaign: Campaign, as_is: bool = False) -> Path:
    """Write DIR/report/index.html of a training, with figures and data beside it.

    Args:
        campaign: a training, which is merged first where it is not.
        as_is: show what is there; else score and attribute first what has not been.

    Returns:
        The page.

    Raises:
        InputError: the patch store is not there.
        WorkError: tiles without result, or a damaged product.
    """
    campaign.paths.make()
    if not campaign.paths.merged.exists():
        campaign.kind.merge(campaign)
    networks, root = read_networks(campaign), campaign.paths.root
    if not as_is:
        see_to_part(root, [root], "benchmark", "benchmark", lambda _: benchmark_networks(campaign))
        see_to_part(root, [root], "attribution", "attribute", lambda _: attribute_networks(campaign))
    cells = read_cells(networks)
    place = [(campaign.configuration.campaign.name, root)]
    benchmark = next(iter(found_in(place, "benchmark", "benchmark", "set_ups").values()), None)
    attribution = next(iter(found_in(place, "attribution", "attribute", "partition").values()), None)
    maps, words = _maps(networks, cells)
    table = networks.table
    method = f"{table.epochs} epochs of Adam, learning rate {table.rate:g} ({table.schedule})"
    facts = campaign_facts(campaign, _costs(campaign), method)
    contents = NetworkContents(
        title=campaign.configuration.campaign.name,
        facts=facts,
        tiles=[*_tiles(networks), SummaryTile(duration(facts.wall_seconds), "wall time")],
        learning=_learning(networks),
        learning_words=_learning_words(networks),
        maps=maps,
        maps_words=words,
        benchmark=benchmark,
        attribution=attribution,
        doubts=doubts(networks, cells, attribution[1] if attribution else None),
        notes=_notes(networks),
    )
    return write_network_report(contents, campaign.paths.report_dir)


def _costs(campaign: Campaign) -> Counter[str]:
    with netCDF4.Dataset(str(campaign.paths.merged)) as file:
        redraws, steps = (np.ma.filled(file[name][...], 0).astype(np.int64) for name in ("redraws", "steps"))
    return Counter({"networks drawn anew": int((redraws > 0).sum()), "steps of training": int(steps.sum())})


def _tiles(networks: TrainedNetworks) -> list[SummaryTile]:
    good, kept, store = good_lanes(networks.status), networks.kept, networks.store
    sizes = {part: [len(networks.patches(part, run)) for run in range(len(networks.split))]
             for part in ("train", "dev", "test")}  # fmt: skip
    return [
        SummaryTile(str(len(networks.set_ups)), "set-ups of predictors"),
        SummaryTile(f"{int(good.sum())} / {good.size}", "networks trained to their end", not good.all()),
        SummaryTile(f"{int(kept.sum())}", f"networks that count (up to {networks.table.keep} a set-up)"),
        SummaryTile(f"{len(store):,}", f"patches, {sum(store.table['cells']):,} cells, {store.months} months"),
        SummaryTile(" / ".join(str(max(one)) for one in sizes.values()), "patches to train on / to watch / held out"),
        SummaryTile(str(networks.table.epochs), "epochs"),
    ]


def _notes(networks: TrainedNetworks) -> list[str]:
    table, notes = networks.table, []
    if table.leave_out:
        notes.append(f"Not trained on, though the patches have labels: {', '.join(table.leave_out)}.")
    if table.folds:
        notes.append(f"Run after run holds out another of {table.folds} parts of the patches.")
    if table.choose == "best-dev":
        notes.append("Each network has the weights that met its dev patches best, and is compared on other patches.")
    if table.mode == "compat":
        notes.append("Trained with the arithmetic of the public code (`compat`), its known faults included.")
    return notes


def _learning(networks: TrainedNetworks) -> Figure:
    counts = [np.mean([len(networks.patches(part, run)) for run in range(len(networks.split))])
              for part in ("train", "dev")]  # fmt: skip
    return learning_curves_figure(
        networks.set_ups, networks.loss_of_epochs, networks.dev_loss, networks.looks,
        (float(counts[0]), float(counts[1])),
    )  # fmt: skip


def _learning_words(networks: TrainedNetworks) -> str:
    looked = np.isfinite(networks.dev_loss).any()
    watched = (
        "Dots: the patches that a run is watched by, never trained on."
        if looked
        else "No patches were set apart to watch the runs by."
    )
    return (
        "Lines: the loss of an epoch over the training patches, summed while the weights change, one line a run. "
        f"{watched} Both per patch: patches with more cells and labels have larger losses."
    )


def _maps(networks: TrainedNetworks, cells: PredictorCells) -> tuple[Figure | None, str]:
    counting = [name for name in networks.set_ups if trained(networks, name)]
    if not counting:
        return None, "No network counts: there are no maps."
    fullest = fullest_set_up(networks)
    set_up = fullest if fullest in counting else counting[-1]
    ensemble, quantities = ensemble_of(networks, set_up), explained_quantities(TRAITS)
    rows = cells.table.columns(ensemble.names)
    values = ensemble.explained_at(rows, quantities, ensemble.day_centres(cells.table)).T
    traits = {f"{one.name}: {one.meaning}": (one.unit, row) for one, row in zip(quantities, values, strict=True)}
    words = (
        f"Mean over the {len(ensemble.members)} networks of {set_up} that count, at all {len(cells):,} cells; colours "
        "end at the 2nd and 98th percentile. All 40 quantities: `phloem parameters`."
    )
    return trait_maps_figure(cells.latitude, cells.longitude, traits), words
