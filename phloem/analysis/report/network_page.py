"""The page of a training: one HTML file without network, with its figures and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from phloem.analysis.report.figures.attribution_charts import pca_chart, screen_chart
from phloem.analysis.report.files import ReportFiles
from phloem.analysis.report.network_scores import picture, scores_section
from phloem.analysis.report.network_shares import RESULT, answers, shares_section
from phloem.analysis.report.sections import (
    CampaignFacts,
    Found,
    ReportSection,
    SummaryTile,
    facts_section,
    picture_part,
    pictures_section,
    refuse_malformed,
    render,
)
from phloem.analysis.style.inline_svg import Drawing
from phloem.analysis.style.wording import fixed

NO_DOUBTS = (
    "Nothing stands out: all networks count, there are enough of them, and no held-out cell lies beyond what they were "
    "trained in."
)


@dataclass(frozen=True, eq=False)
class NetworkContents:
    """Contents of a training's page.

    Attributes:
        title: name of the campaign.
        facts: of it.
        tiles: at a glance.
        learning: losses over the epochs.
        learning_words: what they show.
        maps: of the main traits; None where no network counts.
        maps_words: whose they are.
        benchmark: of `phloem benchmark`.
        attribution: of `phloem attribute`.
        doubts: what is not to be relied on.
        notes: what the reader should know first.
    """

    title: str
    facts: CampaignFacts
    tiles: Sequence[SummaryTile]
    learning: Figure
    learning_words: str
    maps: Figure | None
    maps_words: str
    benchmark: Found
    attribution: Found
    doubts: Sequence[str]
    notes: Sequence[str] = ()


def write_network_report(contents: NetworkContents, out: Path) -> Path:
    """Write the page, its figures and its data, all or nothing; the same contents give the same bytes.

    Args:
        contents: what it is made of.
        out: the folder for `index.html`, `figures/` and `data/`.

    Returns:
        The page.

    Raises:
        WorkError: what a benchmark or an attribution has left is damaged.
    """
    with ReportFiles(out) as files:
        sections = [
            shares_section(contents.attribution, files),
            scores_section(contents.benchmark, files),
            pictures_section("learning", "Learning curves", [contents.learning_words], [picture_part(
                "", "", [files.picture("learning_curves", contents.learning, "losses over the epochs", 130)])]),
            _maps_section(contents, files),
            *_attribution_sections(contents.attribution, files),
            ReportSection(
                "doubts", "Not to be relied on", render("doubts.html", doubts=contents.doubts, none=NO_DOUBTS),
                warn=bool(contents.doubts),
            ),
            facts_section(contents.facts),
        ]  # fmt: skip
        facts = contents.facts
        page = render(
            "sections_page.html",
            title=contents.title,
            subtitle=f"Report on trained networks · phloem {facts.version} · {facts.members} runs a set-up · "
            f"{facts.optimiser} · seed {facts.seed}",
            facts=facts,
            tiles=contents.tiles,
            question="Plant type or environment?",
            answers=_answers(contents.attribution),
            notes=contents.notes,
            sections=sections,
            files=files.names,
        )
        return files.finish(page)


def _answers(found: Found) -> list[str]:
    if found is None:
        return []
    with refuse_malformed(found[0] / RESULT, "attribute"):
        return answers(found[1])


def _maps_section(contents: NetworkContents, files: ReportFiles) -> ReportSection:
    if contents.maps is None:
        return pictures_section("maps", "Maps of traits", [contents.maps_words], [], warn=True)
    drawn = files.picture("trait_maps", contents.maps, "maps of the main traits", 130)
    return pictures_section("maps", "Maps of traits", [contents.maps_words], [picture_part("", "", [drawn])])


def _attribution_sections(found: Found, files: ReportFiles) -> list[ReportSection]:
    if found is None:
        return []
    folder, document = found
    with refuse_malformed(folder / RESULT, "attribute"):
        sections = [
            _identified(document, files),
            _shap(folder, document, files),
            _curves(folder, document, files),
            _components(document, files),
        ]
        if document["settings"]["projection"] is not None:
            sections.append(_projection(folder, document, files))
        return sections


def _identified(document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    screens = document["identifiability"]["screens"]
    parts: list[dict[str, Any]] = []
    rows: list[list[Any]] = []
    for one in screens:
        name = "+".join(one["set_up"])
        kept = [row["parameter"] for row in one["std"]["rows"] if row["kept"] and row["read"]]
        read = sum(row["read"] for row in one["std"]["rows"])
        chart = screen_chart(one)
        label = f"{chart.label}, {name}"
        drawn = files.drawing(Drawing(chart.figure, f"{chart.name}_{name}", label), own_size=True)
        note = f"{len(kept)} of {read} quantities are identified: {', '.join(kept) or 'none'}."
        parts.append(picture_part(name, note, [drawn], is_open=not rows))
        rows += [[name, kind, row["parameter"], row["median_cv"], row["cells"], row.get("kept"), row.get("share_kept"),
                  row["cells_at_bounds"]] for kind in ("std", "mad") for row in one[kind]["rows"]]  # fmt: skip
    columns = ["set_up", "screen", "quantity", "median_cv", "cells", "kept", "share_kept", "cells_at_bounds"]
    if rows:
        files.table("network_identifiability", columns, rows)
    lines = [
        "How far the networks of a set-up agree on each quantity, in physical units; of the days of the year about "
        "their circular mean. Grey bars are above the limit: these labels do not identify the quantity. Where most "
        "networks stand at a bound they have been stopped there, which counts as no agreement."
    ]
    lines += [f"{set_up}: {why}." for set_up, why in document["identifiability"]["refused"].items()]
    return pictures_section("identifiability", "Identifiability", lines, parts, warn=not screens)


def _shap(folder: Path, document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    shap = document["shap"]
    explained, rows = shap["explained"], shap["importance"]
    quantities = list(dict.fromkeys(row["quantity"] for row in rows))
    files.table(
        "network_importance",
        ["quantity", "unit", "plant_type", "cells", "predictor", "group", "mean_absolute", "share", "direction"],
        [
            [row["quantity"], row["unit"], row["plant_type"] or "all", row["cells"],
             *(one[key] for key in ("predictor", "group", "mean_absolute", "share", "direction"))]
            for row in rows for one in row["predictors"]
        ],
    )  # fmt: skip
    parts: list[dict[str, Any]] = []
    for quantity in quantities:
        of = [row for row in rows if row["quantity"] == quantity]
        ends = [f"_{row['plant_type']}" if row["plant_type"] else "" for row in of]
        names = [f"importance_{quantity}{end}.png" for end in ends] + [f"swarm_{quantity}.png"]
        everywhere = next((row for row in of if row["plant_type"] is None), of[0])
        groups = ", ".join(
            f"{group} {fixed(100 * share, 0)} %" for group, share in everywhere["groups"].items() if share is not None
        )
        pictures = [picture(folder, name, f"Shapley values of {quantity}: {name}", files, "attribution")
                    for name in names]  # fmt: skip
        parts.append(picture_part(f"{quantity}: {groups or 'follows nothing'}", "", pictures, is_open=not parts))
    lines = [
        f"What each predictor adds to a quantity of the mean of the networks of {document['set_up']}, against a "
        "background of such cells. Importance: mean |Shapley value|; + and −: what high values of the predictor do. "
        "These are ways of the networks, not of plants: predictors that go together share their importance as it fell."
    ]
    if explained:
        gap = max((row["largest_gap"] or 0.0) for row in explained["quantities"])
        lines.append(
            f"{explained['cells']} cells, method {explained['method']}; with the base the values add up to the "
            f"networks' quantities to {gap:.1e} of their units at most."
        )
    lines += [f"{name}: {why}." for name, why in shap["refused"].items()]
    if shap["scarce"]:
        lines.append(f"Too few cells are covered by {', '.join(shap['scarce'])} to be explained apart.")
    return pictures_section("shap", "What the quantities follow", lines, parts, warn=not explained)


def _curves(folder: Path, document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    drawn = picture(folder, "curves.png", "traits against climate and height", files, "attribution")
    lines = [line for line in document["left_out"] if line.startswith("curves")]
    if drawn:
        words = (
            "Base + Shapley value of a predictor, in the unit of the trait, cell by cell, with a LOWESS trend. Dashed: "
            "all cells, by networks that see no plant types; colours: cells that one type covers, by networks that do."
        )
        lines = [words, *lines]
    return pictures_section("curves", "Traits and environment", lines, [picture_part("", "", [drawn])], warn=not drawn)


def _components(document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    pca = document["pca"]
    if pca.get("refused"):
        return pictures_section("pca", "Principal components", [f"Not computed: {pca['refused']}."], [])
    drawn = files.drawing(pca_chart(pca), own_size=True)
    lines = [
        f"Of 13 ecological variables of the mean network of {document['set_up']}, over {pca['cells']:,} cells.",
        "The paper (Fang et al.): 53.2, 22.1 and 10.5 % — leaf economics, stature, cropland.",
    ]
    return pictures_section("pca", "Principal components", lines, [picture_part("", "", [drawn])])


def _projection(folder: Path, document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    drawn = picture(folder, "projection.png", "change of traits in a changed climate", files, "attribution")
    found, lines = document["projection"], [line for line in document["left_out"] if line.startswith("projection")]
    if found:
        share = 100 * found["outside"] / found["cells"]
        lines = [
            "Temperature and precipitation change, all other predictors and the standardisation stay. It is the "
            "spatial relation of today carried over to another time. Hatched: the new climate leaves what the networks "
            f"were trained in, {fixed(share, 0)} % of the cells.",
            *lines,
        ]
    return pictures_section("projection", "A changed climate", lines, [picture_part("", "", [drawn])], warn=not found)
