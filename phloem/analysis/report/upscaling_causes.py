"""Sections of an upscaling's report on what its models follow, and on networks of causes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phloem.analysis.report.files import DATA, ReportFiles
from phloem.analysis.report.network_scores import picture
from phloem.analysis.report.sections import (
    Found,
    ReportSection,
    picture_part,
    pictures_section,
    plain_table,
    refuse_malformed,
)
from phloem.analysis.report.upscaling_scores import text
from phloem.analysis.style.wording import fixed

RESULT = "attribution.json"

ABSENT = "Not there: `phloem attribute DIR` explains the models and the fluxes, and says what is in its way."


def upscaling_causes_sections(found: Found, files: ReportFiles) -> list[ReportSection]:
    """Return the sections on importance and on causes.

    Args:
        found: folder of the attribution and its attribution.json; None where there is none.
        files: takes figures and tables.

    Raises:
        WorkError: the attribution is not what `phloem attribute` writes.
    """
    if found is None:
        return [pictures_section("importance", "What the models follow", [ABSENT], [], warn=True)]
    folder, document = found
    with refuse_malformed(folder / RESULT, "attribute"):
        return [_importance(folder, document, files), _causes(folder, document, files)]


def _importance(folder: Path, document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    title = "What the models follow"
    why = [line for line in document["left_out"] if line.startswith("importance")]
    if not document["fluxes"]:
        return pictures_section("importance", title, why or ["Not explained."], [], warn=True)
    if (folder / "importance.csv").is_file():
        files.keep(DATA, "upscaling_importance.csv", (folder / "importance.csv").read_bytes())
    first = document["fluxes"][0]
    lines = [
        f"{first['share'][0].upper()}{first['share'][1:]}, of the {first['members']} models a flux that maps are made "
        f"by ({document['learner']}), at {first['rows']:,} months of towers. "
        + "; ".join(f"{way}: {one['explains']}" for way, one in first["ways"].items())
        + ".",
        "These are ways of the models, not causes: predictors that go together share their importance as it fell.",
        *why,
    ]
    groups = [
        [one["flux"].upper(), way, *(fixed(found["groups"].get(name, 0.0), 0) for name in _group_names(document))]
        for one in document["fluxes"]
        for way, found in one["ways"].items()
    ]
    parts = [
        picture_part(
            "", "", [picture(folder, "importance.png", "shares of predictors", files, "attribution")],
            table=plain_table(["flux", "learned", *(f"{name}, %" for name in _group_names(document))], groups, 2),
        )
    ]  # fmt: skip
    for number, one in enumerate(document["fluxes"]):
        drawn = picture(folder, f"effects_{one['flux']}.png", f"effects of predictors on {one['flux']}", files,
                        "attribution")  # fmt: skip
        note = "SHAP values against the predictor, month by month, mean over members; line: medians of equal counts."
        parts.append(picture_part(f"Effects on {one['flux'].upper()}" if drawn else "", note if drawn else "", [drawn],
                                  not number))  # fmt: skip
    return pictures_section("importance", title, lines, parts)


def _group_names(document: Mapping[str, Any]) -> list[str]:
    return list(
        dict.fromkeys(name for one in document["fluxes"] for way in one["ways"].values() for name in way["groups"])
    )


def _causes(folder: Path, document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    title = "Networks of causes"
    causes, why = document["causes"], [line for line in document["left_out"] if line.startswith("causes")]
    if causes is None:
        return pictures_section("causes", title, why or ["No region was asked for."], [], warn=bool(why))
    lines = [
        "Monthly means of a region's towers. Headline: the rank correlation of an arc's two ends under a "
        "Gaussian-copula network, which is what the published figures label arcs with. It is no causal effect: what "
        "two series share through the season is in it. Direct and total effects are those of a linear-Gaussian "
        "network, in standard deviations, causal as far as the graph is right.",
        *(["The mean of each calendar month was taken off before."] if causes["deseasonalised"] else []),
        *why,
    ]
    parts = [_region(folder, one, causes["level"], files, not number) for number, one in enumerate(causes["regions"])]
    files.table(
        "upscaling_causes",
        ["region", "parent", "child", "rank_correlation", "low", "high", "direct", "direct_low", "direct_high", "total",
         "total_low", "total_high", "printed"],
        [
            [one["region"], arc["parent"], arc["child"], arc["rank_correlation"], arc["low"], arc["high"],
             *(arc[kind][key] for kind in ("direct", "total") for key in ("mean", "low", "high")),
             _printed(one).get((arc["parent"], arc["child"]))]
            for one in causes["regions"]
            for arc in one["arcs"]
        ],
    )  # fmt: skip
    return pictures_section("causes", title, lines, parts)


def _printed(region: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    printed = region.get("printed")
    return {(one["parent"], one["child"]): one["printed"] for one in printed["effects"]} if printed else {}


def _region(folder: Path, region: Mapping[str, Any], level: float, files: ReportFiles, is_open: bool) -> dict[str, Any]:
    printed = _printed(region)
    rows = [
        [f"{arc['parent']} → {arc['child']}", _interval(arc["rank_correlation"], arc["low"], arc["high"]),
         *([text(printed.get((arc["parent"], arc["child"])))] if printed else []),
         *(_interval(*(arc[kind][key] for key in ("mean", "low", "high"))) for kind in ("direct", "total"))]
        for arc in region["arcs"]
    ]  # fmt: skip
    columns = ["arc", f"rank correlation ({100 * level:.0f} %)", *(["printed"] if printed else []), "direct effect",
               "total effect"]  # fmt: skip
    name = Path(region["figure"]).stem
    drawn = picture(folder, f"{name}.png", f"causal network of {region['region']}", files, "attribution")
    note = f"{region['places']} towers, {region['months']} months, {region['first']} to {region['last']}."
    if printed:
        off = region["printed"]["mean_absolute_difference"]
        note += (
            f" Mean absolute difference from the {len(printed)} values that Zhu et al. 2026 print: rank correlation "
            f"{text(off['rank_correlation'])}, direct effects {text(off['direct'])}, total effects "
            f"{text(off['total'])}."
        )
    note = " ".join([note, *(f"{line[0].upper()}{line[1:]}." for line in region["notes"])])
    return picture_part(region["region"], note, [drawn], is_open, plain_table(columns, rows))


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return text(value)
    return f"{text(value)} ({text(low)} to {text(high)})"
