"""`attribute` of a training: shares of explained variance, agreement of networks, and what their quantities follow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phloem.analysis.interpret.climate_response import ClimateDelta
from phloem.analysis.interpret.explained_quantity import explained_quantities
from phloem.analysis.network.score_files import RESULT as SCORES
from phloem.analysis.parameters.strategy_axes import Axes
from phloem.errors import InputError, WorkError, unreadable
from phloem.io.files.whole_folder import check_replaceable
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.config.network_attribution_file import NetworkAttributionFile, load_network_attribution
from phloem.jobs.network.trained_networks import TrainedNetworks, read_networks
from phloem.jobs.network_analyses.agreement import agreements, components, screened_set_ups
from phloem.jobs.network_analyses.attribution_files import RESULT, NetworkAttribution, write_attribution
from phloem.jobs.network_analyses.benchmark import FOLDER as BENCHMARK
from phloem.jobs.network_analyses.benchmark import benchmark_networks
from phloem.jobs.network_analyses.ensembles import trained
from phloem.jobs.network_analyses.explanations import Explanations, curves, explanations, types_wanted
from phloem.jobs.network_analyses.partition import partitions
from phloem.jobs.network_analyses.predictor_cells import PredictorCells, read_cells
from phloem.jobs.network_analyses.projection import projection, read_delta
from phloem.jobs.network_products.predict import fullest_set_up
from phloem.jobs.progress import ProgressBar, say

FOLDER = "attribution"


def attribute_networks(
    campaign: Campaign,
    config: Path | None = None,
    quantities: Sequence[str] | None = None,
    out: Path | None = None,
    assignments: Sequence[str] = (),
) -> dict[str, Any]:
    """Attribute a training, and write the folder; what cannot be done is told, and the rest goes on.

    Args:
        campaign: a training, which is merged and scored first where it is not.
        config: attribution file of networks; None: all defaults.
        quantities: instead of the file's `shap.quantities`.
        out: folder to write, replaced as a whole; by default DIR/attribution.
        assignments: `table.key=value` texts that override the file.

    Returns:
        What attribution.json holds, and `folder`.

    Raises:
        InputError: bad choices, or a folder that holds something else.
        WorkError: tiles without result, or a damaged benchmark.
    """
    folder = out or campaign.paths.root / FOLDER
    check_replaceable(folder, RESULT)
    file = load_network_attribution(config, quantities, assignments)
    explained_quantities((*file.shap.quantities, *file.curves.traits))
    if not campaign.paths.merged.exists():
        campaign.kind.merge(campaign)
    networks = read_networks(campaign)
    set_up = _set_up(networks, file)
    types_wanted(file.shap, set_up)
    scores: tuple[Path, dict[str, Any]] | str
    try:
        scores = see_to_scores(campaign)
    except InputError as error:
        scores = str(error)
    cells = read_cells(networks)
    delta = None
    if file.projection is not None:
        explained_quantities(file.projection.traits)
        delta = read_delta(networks, cells, file.projection, config.resolve().parent if config else Path.cwd())
    found = _found(networks, cells, file, set_up, scores, delta)
    return {"folder": str(folder), **write_attribution(folder, found)}


def _set_up(networks: TrainedNetworks, file: NetworkAttributionFile) -> str:
    """Return the set-up whose networks are explained.

    Raises:
        InputError: no such set-up, or none of its networks counts.
    """
    if file.shap.set_up:
        name = networks.set_ups[networks.place(file.shap.set_up)]
        networks.kept_members(name)
        return name
    counting = [name for name in networks.set_ups if trained(networks, name)]
    if not counting:
        networks.kept_members(networks.set_ups[0])
    fullest = fullest_set_up(networks)
    return fullest if fullest in counting else max(counting, key=lambda name: len(name.split("+")))


def see_to_scores(campaign: Campaign) -> tuple[Path, dict[str, Any]]:
    """Return the folder and benchmark.json of a training's scores, which are made where they are not there.

    Raises:
        WorkError: the file cannot be read.
    """
    folder = campaign.paths.root / BENCHMARK
    path = folder / SCORES
    if not path.is_file():
        benchmark_networks(campaign)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        fits = document["configuration_hash"] == campaign.configuration.fingerprint() and "set_ups" in document
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error, f"phloem benchmark {campaign.paths.root}") from error
    if not fits:
        raise WorkError(f"{path}: of another training; make it again with: phloem benchmark {campaign.paths.root}")
    if path.stat().st_mtime < campaign.paths.merged.stat().st_mtime:
        root = campaign.paths.root
        say(f"{path} is older than {campaign.paths.merged.name}; `phloem benchmark {root}` writes it anew")
    return folder, document


def _found(
    networks: TrainedNetworks,
    cells: PredictorCells,
    file: NetworkAttributionFile,
    set_up: str,
    scores: tuple[Path, dict[str, Any]] | str,
    delta: ClimateDelta | None,
) -> NetworkAttribution:
    choice, seed = file.attribution, file.attribution.seed
    screened, sets = len(screened_set_ups(networks)), 1 + len(types_wanted(file.shap, set_up))
    with ProgressBar("attributing", 3 + screened + sets) as bar:
        bar.update(0, "shares")
        shares = [] if isinstance(scores, str) else partitions(networks, cells, *scores, choice)
        bar.update(1, "agreement")
        screens, unscreened = agreements(networks, cells, choice, lambda done: bar.update(1 + done, "agreement"))
        axes = components(networks, set_up, cells.table)
        bar.update(1 + screened, "Shapley values")
        known = axes if isinstance(axes, Axes) else None
        explained: Explanations = explanations(
            networks, cells, set_up, file.shap, known, seed,
            lambda done: bar.update(1 + screened + done, "Shapley values"),
        )  # fmt: skip
        bar.update(1 + screened + sets, "curves")
        traits = curves(networks, cells, file.curves, file.shap, seed)
        bar.update(2 + screened + sets, "projection")
        response = None
        if file.projection is not None and delta is not None:
            response = projection(networks, cells, file.projection, delta)
        bar.update(3 + screened + sets)
    document = scores if isinstance(scores, str) else scores[1]
    return NetworkAttribution(
        networks, cells, file, document, shares, screens, unscreened, axes, explained, traits, response
    )


def describe(document: Mapping[str, Any]) -> list[str]:
    """Return lines for people of what `attribute_networks` returns."""
    lines = [f"{document['campaign']}: plant type or environment? Shares of explained variance of held-out cells, %"]
    lines.append(f"{'stream':14}{'r2':>6}{'PFT':>20}{'environment':>20}  places where PFT leads")
    for one in document["partition"]:
        pooled, mapped = one["pooled"], one["by_place"]
        if pooled is None:
            lines.append(f"{one['stream']:14}  not shared out: {one['refused']}")
            continue
        pft = next(row for row in pooled["groups"] if row["group"] == "PFT")
        leads = next((row["fraction"] for row in mapped["groups"] if row["group"] == "PFT"), None) if mapped else None
        environment = _share(pooled["environment_share"], pooled["environment_low"], pooled["environment_high"])
        lines.append(
            f"{one['stream']:14}{_two(pooled['total'])}{_share(pft['share'], pft['low'], pft['high']):>20}"
            f"{environment:>20}  {'–' if leads is None else f'{100 * leads:.0f}'}"
        )
    for one in document["identifiability"]["screens"]:
        kept = [row["parameter"] for row in one["std"]["rows"] if row["kept"] and row["read"]]
        read = sum(row["read"] for row in one["std"]["rows"])
        lines.append(f"identified by {'+'.join(one['set_up'])}: {len(kept)} of {read} quantities")
    for row in document["shap"]["importance"]:
        if row["plant_type"] is None:
            groups = ", ".join(f"{name} {100 * (share or 0):.0f} %" for name, share in row["groups"].items())
            lines.append(f"{row['quantity']} follows {groups}")
    lines += [f"left out: {line}" for line in document["left_out"]]
    lines.append(f"written: {document['folder']} ({RESULT}, tables, figures); next: phloem report")
    return lines


def _two(value: float | None) -> str:
    return f"{'–' if value is None else f'{value:.2f}':>6}"


def _share(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    ends = "" if low is None or high is None else f" ({100 * low:.0f} to {100 * high:.0f})"
    return f"{100 * value:.0f}{ends}"
