"""`report` of an upscaling: scores, intervals, importance, causes and products on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.report.sections import SummaryTile, refuse_malformed
from phloem.analysis.report.upscaling_page import QualityLine, UpscalingContents, write_upscaling_report
from phloem.analysis.style.wording import duration, fixed
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.flux_towers.cf_tower_table import read_tower_table
from phloem.io.flux_towers.quality_rules import GoodMonths
from phloem.jobs.analyse.report import found_in
from phloem.jobs.analyse.report_facts import campaign_facts
from phloem.jobs.analyse.report_parts import see_to_part
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.config.paths import expand_path
from phloem.jobs.upscaling.fit_units import planned_data, table_of
from phloem.jobs.upscaling.left_out_predictions import LeftOutPredictions
from phloem.jobs.upscaling.merged_predictions import read_merged
from phloem.jobs.upscaling.table import UpscalingTable
from phloem.jobs.upscaling_analyses.attribute import attribute_upscaling
from phloem.jobs.upscaling_analyses.benchmark import RESULT, benchmark_upscaling
from phloem.jobs.upscaling_analyses.upscaling_doubts import upscaling_doubts

LEARNERS = {
    "xgboost": "boosted trees (xgboost)",
    "histogram": "boosted trees (histogram)",
    "cascade": "a cascade of boosted trees",
    "network": "a neural network with constraints",
}
"""Learners in words."""


def report_upscaling(campaign: Campaign, as_is: bool = False) -> Path:
    """Write DIR/report/index.html of an upscaling, with figures and data beside it.

    Args:
        campaign: an upscaling, which is merged first where it is not.
        as_is: show what is there; else compare and explain first what has not been.

    Returns:
        The page.

    Raises:
        InputError: the table of towers is not there, or not what it was.
        WorkError: tiles without result, or a damaged product.
    """
    campaign.paths.make()
    if not campaign.paths.merged.exists():
        campaign.kind.merge(campaign)
    table, data, root = table_of(campaign.configuration), planned_data(campaign), campaign.paths.root
    found = read_merged(campaign, data)
    if not as_is:
        see_to_part(root, [root], "benchmark", "benchmark", lambda _: benchmark_upscaling(campaign))
        see_to_part(root, [root], "attribution", "attribute", lambda _: attribute_upscaling(campaign))
    place = [(campaign.configuration.campaign.name, root)]
    benchmark = next(iter(found_in(place, "benchmark", "benchmark", "scores").values()), None)
    attribution = next(iter(found_in(place, "attribution", "attribute", "fluxes").values()), None)
    costs = Counter({"models fitted": int(good_lanes(found.status).sum())})
    facts = campaign_facts(campaign, costs, f"{LEARNERS[table.learner]}, {' and '.join(table.learn)}")
    towers = read_tower_table(expand_path(campaign.cells[0].source, root))
    document = benchmark[1] if benchmark else None
    with refuse_malformed(root / "benchmark" / RESULT, "benchmark"):
        tiles = _tiles(table, data.good, found, document)
        doubts = upscaling_doubts(root, table, found.status, list(campaign.cells.names), document)
    contents = UpscalingContents(
        title=campaign.configuration.campaign.name,
        facts=facts,
        tiles=[*tiles, SummaryTile(duration(facts.wall_seconds), "wall time")],
        benchmark=benchmark,
        attribution=attribution,
        quality=_quality(data.good),
        quality_notes=list(dict.fromkeys(data.good.notes)),
        provenance=towers.provenance,
        doubts=doubts,
        notes=_notes(campaign, table, document),
    )
    return write_upscaling_report(contents, campaign.paths.report_dir)


def _tiles(
    table: UpscalingTable, good: GoodMonths, found: LeftOutPredictions, document: Mapping[str, Any] | None
) -> list[SummaryTile]:
    fitted = good_lanes(found.status)
    towers = len(np.unique(good.site))
    tiles = [
        SummaryTile(f"{towers}", "towers"),
        SummaryTile(f"{len(good.site):,}", "months of towers with a flux that counts"),
        SummaryTile(f"{int(fitted.sum()):,} / {fitted.size:,}", "models fitted", not fitted.all()),
    ]
    if document is None:
        return tiles
    scheme, way = document["headline"], document["way"]
    unseen = scheme in ("tower", "block")
    for row in document["scores"]:
        if row["scheme"] == scheme and row["way"] == way:
            text = "–" if row["nse"] is None else fixed(row["nse"], 2)
            tiles.append(
                SummaryTile(text, f"NSE of {row['flux'].upper()} at {document['meaning'][scheme]}", not unseen)
            )
    if document["coverage"]:
        level = document["coverage"]["level"]
        shares = [one["share"] for one in document["coverage"]["fluxes"].values()]
        ends = [fixed(100 * one, 0) for one in (min(shares), max(shares))]
        words = f"of months held by intervals of {fixed(100 * level, 0)} %, lowest and highest flux"
        off = min(shares) < level - 0.05
        tiles.append(SummaryTile(f"{ends[0]} – {ends[1]} %", words, off))
    return tiles


def _notes(campaign: Campaign, table: UpscalingTable, document: Mapping[str, Any] | None) -> list[str]:
    notes = []
    if campaign.configuration.data.kind == "synthetic":
        notes.append("The towers are made up: the numbers tell of the program and of no place on Earth.")
    if document is not None and document["configuration_hash"] != campaign.configuration.fingerprint():
        notes.append(
            "The benchmark beside this campaign is of another configuration: `phloem benchmark DIR` writes it anew."
        )
    if "row" in table.cv and "tower" in table.cv:
        notes.append(
            "Two cross-validations are shown. That of towers never seen (`tower`) is the skill at places without a "
            "tower; that of random months (`row`) is how the literature's figures came about, and is no such thing."
        )
    return notes


def _quality(good: GoodMonths) -> list[QualityLine]:
    lines = [
        QualityLine(flux, "", int(good.kept(flux).sum()), int(offered.sum()), int((good.kept(flux) > 0).sum()))
        for flux, offered in good.offered.items()
    ]
    lines += [
        QualityLine(one.of, one.rule, int(one.by_site.sum()), None, int((one.by_site > 0).sum()))
        for one in good.dropped
        if one.by_site.any()
    ]
    return lines
