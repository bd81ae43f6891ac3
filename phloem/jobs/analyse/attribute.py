"""`attribute`: drivers of the parameters of a merged campaign, or of each of the three experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.attribution.all_targets import attribute
from phloem.analysis.attribution.inputs import Predictor, Target
from phloem.analysis.attribution.result_files import plain, write_attribution
from phloem.analysis.parameters.screening import identifiability
from phloem.analysis.parameters.strategy_axes import strategy_axes
from phloem.io.files.whole_folder import check_replaceable
from phloem.jobs.analyse.predictors import coordinates, gather_predictors
from phloem.jobs.calibration.merged_members import read_members
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.campaign_set import open_campaigns
from phloem.jobs.config.attribution_file import AttributionFile, load_attribution_file
from phloem.jobs.progress import ProgressBar, say
from phloem.model_tables import ModelTables

FOLDER = "attribution"
FILE = "attribution.json"
SHOWN = 3
"""Predictors that the table for people names."""


def run_attribute(
    directory: Path,
    config: Path | None = None,
    targets: Sequence[str] | None = None,
    out: Path | None = None,
    assignments: Sequence[str] = (),
) -> dict[str, Any]:
    """Attribute a campaign, or the campaigns that stand in a directory of the three experiments.

    Args:
        directory: of a merged campaign, or one that holds growth-curve, and perhaps baseline and single-year.
        config: attribution file; None: all defaults.
        targets: instead of the file's.
        out: folder to write; with several campaigns, of their folders. By default DIR/attribution of each.
        assignments: `key=value` texts for the [attribution] table.

    Returns:
        `{"campaigns": [...]}`: of each its directory, folder, experiment, and what attribution.json says in short.

    Raises:
        InputError: bad file, key, target or predictor, no campaign, or a folder that holds something else.
        WorkError: a campaign is not merged.
    """
    opened = open_campaigns(directory)
    campaigns = opened.campaigns
    file = load_attribution_file(config, opened.last.configuration.calibration.tables, targets, assignments)
    base = config.resolve().parent if config else Path.cwd()
    if opened.several:
        names = ", ".join(campaign.paths.root.name for campaign in campaigns)
        say(f"{directory} holds several experiments; attributing {names}")
    opened.require_products()
    folders = []
    for campaign in campaigns:
        wanted = None if out is None else out / campaign.paths.root.name if opened.several else out
        folders.append(_check_folder(wanted or campaign.paths.root / FOLDER))
    read: dict[tuple[str, ...], list[Predictor]] = {}
    summaries = []
    for campaign, folder in zip(campaigns, folders, strict=True):
        key = (*campaign.cells.names, *campaign.cells.columns["checksum"])
        if key not in read:  # the experiments share one store
            read[key] = gather_predictors(campaign, file, base)
            _tell_missing(read[key])
        summaries.append(_attribute(campaign, file, read[key], folder))
    return {"campaigns": summaries}


def _check_folder(folder: Path) -> Path:
    """Refuse a folder that holds something else than an attribution, since it is replaced.

    Raises:
        InputError: such a folder.
    """
    check_replaceable(folder, FILE)
    return folder


def _tell_missing(predictors: Sequence[Predictor]) -> None:
    """Say which predictors cost cells: one that lacks any predictor is left out."""
    for one in predictors:
        if lacking := int(np.isnan(one.values).sum()):
            say(f"predictor {one.name} is missing at {lacking} of {len(one.values)} cells")


def make_targets(names: Sequence[str], parameters: np.ndarray, tables: ModelTables) -> list[Target]:
    """Return what is to be attributed.

    Args:
        names: of derived quantities, and of parameters.
        parameters: (cells, members, parameters), NaN for lanes without a result.
        tables: of the model.
    """
    values_by_name = tables.derived.compute(parameters)
    derived = {one.name: one for one in tables.derived.quantities}
    targets = []
    for name in names:
        if name in derived:
            quantity = derived[name]
            targets.append(Target(name, quantity.unit, quantity.meaning, np.asarray(values_by_name[name], float)))
            continue
        parameter, values = tables.parameter(name), parameters[..., tables.column(name)]
        targets.append(Target(name, parameter.unit, parameter.meaning, values, parameter.period, parameter))
    return targets


def _attribute(campaign: Campaign, file: AttributionFile, predictors: list[Predictor], folder: Path) -> dict[str, Any]:
    root, section, tables = campaign.paths.root, file.attribution, campaign.configuration.calibration.tables
    members = read_members(campaign, campaign.cells.names)
    targets = make_targets(section.targets, members.parameters, tables)
    latitude, longitude = coordinates(campaign)
    with ProgressBar(f"attributing {root.name}", len(targets)) as bar:
        bar.update(0)
        attribution = attribute(targets, predictors, latitude, longitude, section.settings(), bar.update)
    attribution = replace(attribution, identifiability=identifiability(members.parameters, tables, members.pools))
    if tables.strategy is not None:
        attribution = replace(attribution, pca=strategy_axes(members.parameters, tables.strategy))
    written = plain(attribution.to_json())
    if all(one["refused"] for one in written["targets"]) and (folder / FILE).exists():
        say(f"{folder} is left as it was")
    else:
        write_attribution(folder, attribution)
    return {
        "directory": str(root),
        "folder": str(folder),
        "campaign": campaign.configuration.campaign.name,
        "experiment": campaign.configuration.experiment.name,
        **_in_short(written),
    }


def _in_short(document: dict[str, Any]) -> dict[str, Any]:
    """Return attribution.json without curves, points and subsets."""
    targets = []
    for one in document["targets"]:
        short = {key: value for key, value in one.items() if key not in ("dependence", "partition")}
        short["breakpoints"] = {row["predictor"]: row["breakpoint"] for row in one.get("dependence") or ()}
        targets.append(short)
    kept = {key: value for key, value in document.items() if key not in ("targets", "settings")}
    return {**kept, "targets": targets}


def refusal(found: dict[str, Any]) -> str:
    """Return why nothing could be attributed; empty where anything was."""
    if any(target["refused"] is None for one in found["campaigns"] for target in one["targets"]):
        return ""
    reasons = [line for one in found["campaigns"] for line in _reasons(one)]
    return "\n  ".join(["no target could be attributed:", *dict.fromkeys(reasons)])


def _reasons(one: dict[str, Any]) -> list[str]:
    """Return a line for each reason with the targets that were refused for it."""
    names: dict[str, list[str]] = {}
    for target in one["targets"]:
        if target["refused"] is not None:
            names.setdefault(target["refused"], []).append(target["name"])
    return [f"{', '.join(which)}: {why}" for why, which in names.items()]


def warnings(found: dict[str, Any]) -> list[str]:
    """Return which targets were refused, and why."""
    return [f"{one['directory']}: refused: {line}" for one in found["campaigns"] for line in _reasons(one)]


def describe(summary: dict[str, Any]) -> list[str]:
    """Return lines for people of what `run_attribute` returns."""
    lines = []
    for part in summary["campaigns"]:
        used = sum(not row["finding"] for row in part["predictors"])
        lines.append(
            f"{part['campaign']}, {part['experiment']}: {part['cells']} cells, {part['members']} members, "
            f"{used} predictors"
        )
        for row in part["predictors"]:
            if row["finding"]:
                lines.append(f"  predictor {row['name']} is left out: {row['finding']}")
        lines.append(f"{'target':22}{'cells':>6}{'R2':>7}{'blocked':>9}  per cent of importance (over the members)")
        lines += [_line(row) for row in part["targets"] if row["refused"] is None]
        lines += [f"refused: {line}" for line in _reasons(part)]
        lines.append(f"written: {part['folder']} ({FILE}, tables, figures); next: phloem report {part['directory']}")
    lines.append("R2: of held-out cells, folds drawn at random; blocked: folds of whole blocks, the honest companion")
    return lines


def _line(target: dict[str, Any]) -> str:
    blocked = target["blocked"]
    texts = [
        f"{row['predictor']} {row['share']:.0f} ({row['low']:.0f} to {row['high']:.0f}) {row['direction']}"
        for row in target["importance"]
        if row["signal"]
    ]
    leading = "; ".join(texts[:SHOWN]) or "none: no predictor stands out from the noise"
    scores = f"{_two(target['random']['r2']):>7}{_two(blocked['r2']) if blocked else '-':>9}"
    return f"{target['name']:22}{target['cells_used']:6d}{scores}  {leading}"


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
