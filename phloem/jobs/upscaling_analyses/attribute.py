"""`attribute` of an upscaling: what its models follow, and networks of causes of the means of regions' towers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phloem.analysis.attribution.result_files import plain, to_csv
from phloem.analysis.causes.driver_series import Box, region_box
from phloem.analysis.flux_drivers.importance_figures import effects_figure, flux_importance_figure
from phloem.analysis.style.plot_style import to_png
from phloem.analysis.style.wording import fixed, typeset
from phloem.errors import InputError
from phloem.io.files.whole_folder import check_replaceable, whole_folder
from phloem.io.flux_towers.tower_quantities import FLUXES, IGBP, OF_SITE, QUANTITIES
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.config.upscaling_attribution_file import CausesSection, load_upscaling_attribution
from phloem.jobs.progress import ProgressBar, say
from phloem.jobs.upscaling.fit_units import planned_data, table_of
from phloem.jobs.upscaling.fitted_file import open_fitted
from phloem.jobs.upscaling_analyses.describe_causes import CauseSettings, describe_causes
from phloem.jobs.upscaling_analyses.explained_fluxes import ExplainedFlux, explain_fluxes, explained_names
from phloem.version import VERSION

FOLDER, RESULT = "attribution", "attribution.json"


def attribute_upscaling(
    campaign: Campaign, config: Path | None = None, out: Path | None = None, assignments: Sequence[str] = ()
) -> dict[str, Any]:
    """Explain the models and the fluxes of an upscaling, and write the folder; what cannot be done is told.

    Args:
        campaign: an upscaling, which is merged first where it is not.
        config: attribution file of upscalings; None: all defaults.
        out: folder to write, replaced as a whole; by default DIR/attribution.
        assignments: `table.key=value` texts that override the file.

    Returns:
        What attribution.json holds, and `folder`.

    Raises:
        InputError: bad choices, a folder that holds something else, or nothing that could be explained.
        WorkError: tiles without result, or damaged models.
    """
    folder = out or campaign.paths.root / FOLDER
    check_replaceable(folder, RESULT)
    file = load_upscaling_attribution(config, assignments)
    table = table_of(campaign.configuration)
    fluxes = explained_names(file.attribution, table.fluxes)
    regions = _regions(file.causes)
    if not campaign.paths.merged.exists():
        campaign.kind.merge(campaign)
    data = planned_data(campaign)
    explained: list[ExplainedFlux] = []
    causes: dict[str, Any] | None = None
    left_out: list[str] = []
    done = 0
    with ProgressBar("attributing", len(fluxes) + 2) as bar, whole_folder(folder) as draft:

        def tell(flux: str) -> None:
            nonlocal done
            bar.update(done, f"SHAP values of {flux}")
            done += 1

        try:
            explained = explain_fluxes(open_fitted(campaign), data, file.attribution, fluxes, tell)
        except InputError as error:
            left_out.append(f"importance: {error}")
        bar.update(len(fluxes), "causes")
        if regions:
            try:
                causes = describe_causes(draft, data.rows, regions, _settings(file.causes, file.attribution.seed))
                left_out += [f"causes: {line}" for line in causes["left_out"]]
            except InputError as error:
                left_out.append(f"causes: {error}")
        if not explained and causes is None:
            raise InputError("\n  ".join([f"{campaign.paths.root}: nothing can be explained:", *left_out]))
        bar.update(len(fluxes) + 1, "figures")
        document = plain(
            {
                "version": VERSION,
                "campaign": campaign.configuration.campaign.name,
                "configuration_hash": campaign.configuration.fingerprint(),
                "towers_sha256": campaign.cells[0].checksum,
                "choice": file.model_dump(),
                "learner": table.learner,
                "way": table.applied_way,
                "fluxes": [one.to_json() for one in explained],
                "causes": causes,
                "left_out": left_out,
            }
        )
        _draw(draft, explained, table.applied_way, file.attribution.shown)
        (draft / "importance.csv").write_bytes(to_csv(list(_rows(document))))
        (draft / RESULT).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        bar.update(len(fluxes) + 2)
    for line in document["left_out"]:
        say(f"warning: {line}")
    return {"folder": str(folder), **document}


def _regions(section: CausesSection) -> list[str | Box]:
    """Return the regions; one that is not known, or a class that is none, is refused before any work."""
    for name in section.igbp:
        if name not in IGBP:
            raise InputError(f"causes.igbp: {name!r}; classes are {', '.join(IGBP)}")
    regions: list[str | Box] = []
    for one in section.regions:
        region: str | Box = one if isinstance(one, str) else (one[0], one[1], one[2], one[3])
        region_box(region)
        regions.append(region)
    return regions


def _settings(section: CausesSection, seed: int) -> CauseSettings:
    return CauseSettings(
        deseasonalise=section.deseasonalised,
        igbp=tuple(section.igbp),
        koppen=tuple(section.koppen),
        least_towers=section.least_towers,
        draws=section.draws,
        level=section.level,
        seed=seed,
    )


def _rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"flux": one["flux"], "way": way, "method": one["method"], "variable": name, "share": share,
         "spread": found["spread"][name]}
        for one in document["fluxes"]
        for way, found in one["ways"].items()
        for name, share in found["shares"].items()
    ]  # fmt: skip


def _draw(draft: Path, explained: Sequence[ExplainedFlux], way: str, shown: int) -> None:
    if not explained:
        return
    drawn = {
        one.flux: {
            name: {variable: (share, found["spread"][variable]) for variable, share in found["shares"].items()}
            for name, found in one.ways.items()
            if name != "blend" or len(one.ways) == 1
        }
        for one in explained
    }
    words = explained[0].to_json()["share"]
    (draft / "importance.png").write_bytes(to_png(flux_importance_figure(drawn, words), 130))
    units = {name: quantity.unit for name, quantity in {**QUANTITIES, **OF_SITE}.items()}
    units |= {"net_radiation": "W m-2", "baseline_gpp": "gC m-2 d-1", "baseline_le": "W m-2", "iwue": "umol mol-1"}
    for one in explained:
        if one.effects is None:
            continue
        by_way = one.effects.by_way
        chosen = by_way["direct"] if "direct" in by_way else by_way[way if way in by_way else next(iter(by_way))]
        importance = one.ways["direct" if "direct" in by_way else way if way in by_way else next(iter(by_way))]
        names = [name for name in importance["shares"] if name in one.effects.columns][:shown]
        phi = chosen.phi.mean(0)
        effects = [(name, one.effects.columns[name], phi[:, chosen.variables.index(name)]) for name in names]
        if effects:
            unit = typeset(QUANTITIES[FLUXES[one.flux]].unit)
            figure = effects_figure(effects, units, f"{one.flux.upper()}, {unit}")
            (draft / f"effects_{one.flux}.png").write_bytes(to_png(figure, 130))


def describe(document: Mapping[str, Any]) -> list[str]:
    """Return lines for people of what `attribute_upscaling` returns."""
    lines = [f"{document['campaign']}: what the models follow, {document['learner']}"]
    for one in document["fluxes"]:
        for way, found in one["ways"].items():
            main = ", ".join(f"{name} {fixed(share, 0)} %" for name, share in list(found["shares"].items())[:5])
            lines.append(f"  {one['flux']:5}{way:10}{main}")
    for one in (document["causes"] or {"regions": []})["regions"]:
        lines.append(f"{one['region']}: {one['places']} towers, {one['months']} months; rank correlation with")
        for child in dict.fromkeys(arc["child"] for arc in one["arcs"] if arc["child"] in ("GPP", "RECO", "NEP")):
            arcs = [arc for arc in one["arcs"] if arc["child"] == child]
            each = "  ".join(f"{arc['parent']} {fixed(arc['rank_correlation'], 2)}" for arc in arcs)
            lines.append(f"  {child:6}{each}")
        if one.get("printed"):
            off = one["printed"]["mean_absolute_difference"]["rank_correlation"]
            lines.append(f"  mean difference from the printed values: {fixed(off, 3)}")
    lines += [f"left out: {line}" for line in document["left_out"]]
    lines.append(f"written: {document['folder']} ({RESULT}, tables, figures); next: phloem report")
    return lines
