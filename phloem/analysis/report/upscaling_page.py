"""The page of an upscaling: one HTML file without network, with its figures and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phloem.analysis.report.files import ReportFiles
from phloem.analysis.report.sections import (
    CampaignFacts,
    Found,
    ReportSection,
    SummaryTile,
    facts_section,
    picture_part,
    pictures_section,
    plain_table,
    render,
)
from phloem.analysis.report.upscaling_causes import upscaling_causes_sections
from phloem.analysis.report.upscaling_products import upscaling_products_section
from phloem.analysis.report.upscaling_scores import upscaling_scores_sections

NO_DOUBTS = "Nothing stands out."


@dataclass(frozen=True)
class QualityLine:
    """What quality control did to a flux or a driver.

    Attributes:
        of: flux or driver.
        rule: why months were dropped; empty for what is left of a flux.
        months: that were dropped, or are left.
        offered: months that the table has of a flux; None for drivers and rules.
        towers: at which.
    """

    of: str
    rule: str
    months: int
    offered: int | None
    towers: int


@dataclass(frozen=True, eq=False)
class UpscalingContents:
    """Contents of an upscaling's page.

    Attributes:
        title: name of the campaign.
        facts: of it.
        tiles: at a glance.
        benchmark: of `phloem benchmark`.
        attribution: of `phloem attribute`.
        quality: what quality control dropped.
        quality_notes: what the readers of the towers' files saw.
        provenance: one row a tower, of texts by column.
        doubts: what is not to be relied on.
        notes: what the reader should know first.
    """

    title: str
    facts: CampaignFacts
    tiles: Sequence[SummaryTile]
    benchmark: Found
    attribution: Found
    quality: Sequence[QualityLine]
    quality_notes: Sequence[str]
    provenance: Sequence[Mapping[str, str]]
    doubts: Sequence[str]
    notes: Sequence[str] = ()


def write_upscaling_report(contents: UpscalingContents, out: Path) -> Path:
    """Write the page, its figures and its data, all or nothing; the same contents give the same bytes.

    Args:
        contents: what it is made of.
        out: the folder for `index.html`, `figures/` and `data/`.

    Returns:
        The page.

    Raises:
        WorkError: a benchmark or an attribution is not what its command writes.
    """
    with ReportFiles(out) as files:
        doubts = render("doubts.html", doubts=contents.doubts, none=NO_DOUBTS)
        sections = [
            *upscaling_scores_sections(contents.benchmark, files),
            ReportSection("doubts", "Not to be relied on", doubts, warn=bool(contents.doubts)),
            *upscaling_causes_sections(contents.attribution, files),
            upscaling_products_section(contents.benchmark, files),
            _quality(contents, files),
            _provenance(contents, files),
            facts_section(contents.facts),
        ]
        facts = contents.facts
        page = render(
            "sections_page.html",
            title=contents.title,
            subtitle=f"Report on upscaled tower fluxes · phloem {facts.version} · {facts.members} members · "
            f"{facts.optimiser} · seed {facts.seed}",
            facts=facts,
            tiles=contents.tiles,
            question="",
            answers=[],
            notes=contents.notes,
            sections=sections,
            files=files.names,
        )
        return files.finish(page)


def _quality(contents: UpscalingContents, files: ReportFiles) -> ReportSection:
    columns = ["of", "rule", "months", "offered", "towers"]
    files.table("tower_quality", columns, [[getattr(one, key) for key in columns] for one in contents.quality])
    kept = [
        [one.of.upper(), f"{one.offered:,}", f"{one.months:,}", str(one.towers)]
        for one in contents.quality
        if one.offered is not None
    ]
    dropped = [
        [one.of, one.rule, f"{one.months:,}", str(one.towers)] for one in contents.quality if one.offered is None
    ]
    lines = [
        "Months of the towers' table that count, and what each rule dropped of those that the rules before it left.",
        *(f"{note[0].upper()}{note[1:].rstrip('.')}." for note in contents.quality_notes if note),
    ]
    heads = ["flux", "months in the table", "months that count", "towers"]
    parts = [
        picture_part("", "", [], table=plain_table(heads, kept)),
        picture_part(
            "Dropped", "" if dropped else "Nothing was dropped.", [],
            table=plain_table(["of", "rule", "months", "towers"], dropped, 2) if dropped else None,
        ),
    ]  # fmt: skip
    return pictures_section("quality", "Quality control", lines, parts)


def _provenance(contents: UpscalingContents, files: ReportFiles) -> ReportSection:
    rows = contents.provenance
    if not rows:
        return pictures_section("provenance", "Provenance of the towers", ["The table of towers tells none."], [])
    columns = list(dict.fromkeys(name for row in rows for name in row))
    files.table("tower_provenance", columns, [[row.get(name, "") for name in columns] for row in rows])
    same = {name: rows[0].get(name, "") for name in columns if len({row.get(name, "") for row in rows}) == 1}
    shown = [name for name in columns if name not in same or len(rows) == 1]
    lines = [
        f"{len(rows)} towers; one row a tower in `data/tower_provenance.csv`."
        + (" Of all of them: " + "; ".join(f"{name}: {value}" for name, value in same.items() if value) + "."
           if any(same.values()) and len(rows) > 1 else "")
    ]  # fmt: skip
    table = plain_table(shown, [[row.get(name, "") for name in shown] for row in rows], len(shown))
    part = picture_part("Towers", "", [], is_open=False, table=table)
    return pictures_section("provenance", "Provenance of the towers", lines, [part])
