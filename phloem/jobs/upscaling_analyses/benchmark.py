"""`benchmark` of an upscaling: scores of months it had not seen, intervals, towers on a map, and products."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.attribution.result_files import plain, to_csv
from phloem.analysis.flux_skill.left_out_figures import (
    coverage_figure,
    group_scores_figure,
    observed_predicted_figure,
    tower_map_figure,
)
from phloem.analysis.style.plot_style import to_png
from phloem.analysis.style.wording import fixed, number, typeset
from phloem.errors import InputError
from phloem.io.files.whole_folder import check_replaceable, whole_folder
from phloem.io.flux_towers.tower_quantities import FLUXES, QUANTITIES
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.config.upscaling_benchmark_file import UpscalingBenchmarkFile, load_upscaling_benchmark
from phloem.jobs.progress import ProgressBar, say
from phloem.jobs.upscaling.merged_predictions import MergedUpscaling, read_upscaling
from phloem.jobs.upscaling_analyses.left_out_scores import (
    Compared,
    compared,
    coverage_document,
    net_exchange_document,
    pairs_of,
    scores_document,
    tower_places,
)
from phloem.jobs.upscaling_analyses.product_checks import check_products, chosen_products
from phloem.version import VERSION

FOLDER, RESULT = "benchmark", "benchmark.json"

DRAWN = ("class", "season", "climate", "part")
"""Breakdowns that have a figure."""


def benchmark_upscaling(
    campaign: Campaign, config: Path | None = None, out: Path | None = None, assignments: Sequence[str] = ()
) -> dict[str, Any]:
    """Compare an upscaling with what it had not seen, check its products, and write the folder.

    Args:
        campaign: an upscaling, which is merged first where it is not.
        config: benchmark file of upscalings; None: all defaults.
        out: folder to write, replaced as a whole; by default DIR/benchmark.
        assignments: `key=value` texts that override the file.

    Returns:
        What benchmark.json holds, and `folder`.

    Raises:
        InputError: bad choices, a folder that holds something else, a product that is not there or cannot be read, or
            nothing was left out.
        WorkError: tiles without result, or a damaged product of the merge.
    """
    folder = out or campaign.paths.root / FOLDER
    check_replaceable(folder, RESULT)
    file = load_upscaling_benchmark(config, assignments)
    base = config.resolve().parent if config else Path.cwd()
    products = chosen_products(campaign.paths.root, file, base)
    upscaling = read_upscaling(campaign)
    chosen = compared(upscaling, file.benchmark)
    with ProgressBar("comparing", 4) as bar:
        scores = scores_document(upscaling, chosen)
        bar.update(1, "intervals")
        coverage, notes = coverage_document(upscaling, chosen)
        with whole_folder(folder) as draft:
            bar.update(2, "products")
            checked, failed = check_products(draft, products, file)
            bar.update(3, "figures")
            document = plain(
                {
                    "version": VERSION,
                    **_facts(upscaling, chosen, file),
                    **scores,
                    "coverage": coverage,
                    "net_exchange": net_exchange_document(upscaling, chosen),
                    "products": checked,
                    "notes": [*notes, *failed],
                }
            )
            _write_tables(draft, document)
            _draw(draft, upscaling, chosen, document, file)
            text = json.dumps(document, indent=1, allow_nan=False) + "\n"
            (draft / RESULT).write_text(text, encoding="utf-8")
        bar.update(4)
    for note in document["notes"]:
        say(f"warning: {note}")
    return {"folder": str(folder), **document}


def _facts(upscaling: MergedUpscaling, chosen: Compared, file: UpscalingBenchmarkFile) -> dict[str, Any]:
    campaign, rows = upscaling.campaign, upscaling.data.rows
    return {
        "campaign": campaign.configuration.campaign.name,
        "configuration_hash": campaign.configuration.fingerprint(),
        "towers_sha256": campaign.cells[0].checksum,
        "choice": file.model_dump(),
        "learner": upscaling.table.learner,
        "members": campaign.runs,
        "schemes": list(chosen.schemes),
        "ways": list(chosen.ways),
        "fluxes": list(chosen.fluxes),
        "way": chosen.way,
        "headline": chosen.scheme,
        "units": {flux: QUANTITIES[FLUXES[flux]].unit for flux in chosen.fluxes},
        "months": {flux: int(np.isfinite(rows.observed[flux]).sum()) for flux in chosen.fluxes},
    }


def _write_tables(draft: Path, document: Mapping[str, Any]) -> None:
    (draft / "scores.csv").write_bytes(to_csv(document["scores"]))
    (draft / "groups.csv").write_bytes(to_csv(document["groups"]))
    if document["coverage"]:
        (draft / "coverage.csv").write_bytes(to_csv(document["coverage"]["groups"]))


def _draw(
    draft: Path, upscaling: MergedUpscaling, chosen: Compared, document: Mapping[str, Any], file: UpscalingBenchmarkFile
) -> None:
    """Draw what can be drawn; a figure that would be empty is left out."""
    least = file.benchmark.least
    (draft / "observed_predicted.png").write_bytes(to_png(observed_predicted_figure(pairs_of(upscaling, chosen)), 130))
    for by in DRAWN:
        rows = [
            row
            for row in document["groups"]
            if row["by"] == by and row["scheme"] == chosen.scheme and (row["n"] >= least or by == "part")
        ]
        if any(row["nse"] is not None for row in rows):
            figure = group_scores_figure(rows, chosen.fluxes, chosen.ways)
            (draft / f"by_{by}.png").write_bytes(to_png(figure, 130))
    if document["coverage"]:
        figure = coverage_figure(document["coverage"]["groups"], document["coverage"]["level"], least)
        (draft / "coverage.png").write_bytes(to_png(figure, 130))
    places = tower_places(upscaling)
    of_tower = {
        (row["flux"], row["group"]): row
        for row in document["groups"]
        if row["by"] == "tower" and row["scheme"] == chosen.scheme and row["way"] == chosen.way
    }
    for name, key, score in (("towers_nse", "nse", True), ("towers_bias", "bias", False)):
        values = {}
        for flux in chosen.fluxes:
            found = [of_tower.get((flux, tower), {}).get(key) for tower in places.names]
            title = flux.upper() if score else f"{flux.upper()}, {typeset(document['units'][flux])}"
            values[title] = np.array([np.nan if one is None else one for one in found])
        words = "NSE of the tower's months" if score else "predicted less observed"
        try:
            figure = tower_map_figure(places.latitude, places.longitude, values, words, score=score)
        except InputError:  # each tower has too few months
            continue
        (draft / f"{name}.png").write_bytes(to_png(figure, 130))


def describe(document: Mapping[str, Any]) -> list[str]:
    """Return lines for people of what `benchmark_upscaling` returns."""
    fluxes = document["fluxes"]
    lines = [f"{document['campaign']}: {len(document['towers'])} towers, {document['members']} members"]
    of = {(row["scheme"], row["way"], row["flux"]): row for row in document["scores"]}
    for scheme in document["schemes"]:
        lines.append(f"{f'NSE, {scheme}':16}" + "".join(f"{flux:>8}" for flux in fluxes)
                     + f"   {document['meaning'][scheme]}")  # fmt: skip
        lines += [
            f"  {way:14}" + "".join(f"{_cell(of[scheme, way, flux]['nse']):>8}" for flux in fluxes)
            for way in document["ways"]
        ]
    if document["coverage"]:
        coverage = document["coverage"]
        for key, words in (("share", "interval holds"), ("ensemble_share", "ensemble holds")):
            shares = "".join(f"{fixed(100 * coverage['fluxes'][flux][key], 0):>8}" for flux in fluxes)
            lines.append(f"{words:16}{shares}   % of months, {100 * coverage['level']:.0f} % asked for")
    products = document["products"]
    if products and products["mass"]:
        lines += [
            f"{name:24} residual {_residual(one['residual'])} PgC yr-1"
            for name, one in products["mass"]["identities"].items()
        ]
        if products["mass"]["stock_closure"]:
            lines.append(
                f"{'stocks':24} imbalance {_residual(products['mass']['stock_closure']['imbalance'])} PgC yr-1"
            )
    if products and products["net_exchange"]:
        exchange = products["net_exchange"]
        lines.append(
            f"NEE against RECO - GPP: r2 (Pearson) {_cell(exchange['r2_pearson'])}, NSE {_cell(exchange['nse'])}"
        )
    lines += [f"warning: {note}" for note in document["notes"]]
    lines.append(f"written: {document['folder']} ({RESULT}, tables, figures); next: phloem attribute, phloem report")
    return lines


def _cell(value: float | None) -> str:
    return "–" if value is None else fixed(value, 2)


def _residual(value: float | None) -> str:
    return "–" if value is None else number(value, 2)
