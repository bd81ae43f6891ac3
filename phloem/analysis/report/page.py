"""The page of a campaign: one HTML file without network, with its figures and data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phloem.analysis.experiments.forward_product import ForwardRuns
from phloem.analysis.report.attribution import attribution_section
from phloem.analysis.report.benchmark import benchmark_maps, benchmark_section
from phloem.analysis.report.files import ReportFiles
from phloem.analysis.report.forward import biomass_maps, biomass_rows, experiments_section, forward_section
from phloem.analysis.report.maps import Extra, MapParts
from phloem.analysis.report.places import place_anchor, places_section
from phloem.analysis.report.sections import CampaignFacts, ReportSection, render
from phloem.analysis.report.towers import SiteSeries, tower_sections
from phloem.analysis.report.walls import walls_section
from phloem.analysis.report_data.cell_sets import CellSet
from phloem.analysis.report_data.page_layers import PageData
from phloem.analysis.report_data.place_series import PlaceSeries
from phloem.analysis.report_data.tower_product import middle
from phloem.analysis.report_data.walls import Walls
from phloem.analysis.style.wording import duration, fixed, stream_title
from phloem.io.campaign.tile_schema import NOT_COUNTED
from phloem.model_tables import ModelTables
from phloem.names import STATUS

NOWHERE = (
    "No cell of this campaign has a longitude, so there are no maps: give LON in the tower files, or site_coords.csv "
    "beside them."
)


@dataclass(frozen=True)
class Contents:
    """Contents of a report; for absent ones the page names the command that makes them.

    Attributes:
        title: Name of the campaign, or of the three experiments.
        facts: Of each campaign.
        sets: The cells of each campaign, the same ones in the same order.
        towers: The merged product of a campaign of towers and their daily series, else None.
        runs: The forward runs.
        experiments: What `phloem experiments` has compared.
        attribution: By campaign, the folder and what `phloem attribute` has found.
        benchmark: By campaign, the folder and what `phloem benchmark` has found.
        notes: What the reader should know first, in words.
        walls: What stands at a wall, of one campaign.
        places: Series of single places of a campaign without towers.
        chosen: Whether these were asked for by name.
    """

    title: str
    facts: Sequence[CampaignFacts]
    sets: Sequence[CellSet]
    towers: tuple[xr.Dataset, Iterable[SiteSeries]] | None = None
    runs: ForwardRuns | None = None
    experiments: Mapping[str, Any] | None = None
    attribution: Mapping[str, tuple[Path, Mapping[str, Any]]] = field(default_factory=dict)
    benchmark: Mapping[str, tuple[Path, Mapping[str, Any]]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    walls: Walls | None = None
    places: Sequence[PlaceSeries] = ()
    chosen: bool = False

    @property
    def tables(self) -> ModelTables:
        """Of the model, which is one and the same in all campaigns."""
        return self.sets[0].tables


def write_report(
    contents: Contents, out: Path, on_progress: Callable[[int, str], None] = lambda done, text: None
) -> Path:
    """Write a report, its figures and its data, all or nothing; the same contents give the same bytes.

    Args:
        contents: What it is made of.
        out: The folder for `index.html`, `figures/` and `data/`.
        on_progress: Called with the number of quantities that are done, and the last one's name.

    Returns:
        The page.

    Raises:
        InputError: A variable, parameter or cell is missing or does not fit the others.
        WorkError: What an attribution or a benchmark has left is damaged.
    """
    with ReportFiles(out) as files:
        towers: list[ReportSection] = []
        anchors: list[str] = []
        if contents.towers is not None:
            merged, sites = contents.towers
            towers = tower_sections(merged, sites, contents.facts[0], contents.tables, files)
            anchors = [f"cell-{index}" for index in range(len(contents.sets[0].names))]
        elif contents.places:
            anchors = [""] * len(contents.sets[0].names)
            for one in contents.places:
                anchors[one.place] = place_anchor(one.place)
        # What other commands have left is read before the maps are drawn, which takes most of the time.
        extras = _extras(contents)
        attributed = attribution_section(contents.attribution, files)
        benchmarked = benchmark_section(contents.benchmark, files)
        maps = MapParts(contents.sets, contents.tables, files, anchors, with_parameters=len(contents.sets) == 1)
        maps.walk(on_progress)
        maps.add_cells(extras)
        _columns(maps.page, contents)
        if contents.runs is not None:
            experiments = [name for name in contents.runs.experiments if name in _experiments(contents)]
            maps.add_runs(contents.runs, experiments)
        first = contents.sets[0]
        placed = bool((np.isfinite(first.latitude) & np.isfinite(first.longitude)).any())
        sections = [*towers[:1], *([maps.section()] if placed or not towers else [])]
        if contents.experiments is not None:
            sections.append(experiments_section(contents.experiments, contents.tables, files))
        if contents.runs is not None:
            sections.append(forward_section(contents.runs, files))
        if contents.places:
            count = len(contents.sets[0].names)
            sections.append(places_section(contents.places, count, contents.chosen, contents.tables, files))
        sections += towers[1:] or maps.cell_sections()
        if contents.walls is not None:
            sections.append(walls_section(contents.walls, files))
        sections += [attributed, benchmarked, _facts_section(contents.facts)]
        page = render(
            "report.html",
            title=contents.title,
            facts=contents.facts,
            notes=[*contents.notes, *([] if placed else [NOWHERE])],
            nothing=not any(one.good.any() for one in contents.sets),
            tiles=_tiles(contents.sets[0], contents) if len(contents.sets) == 1 else [],
            glance=_comparison_rows(contents) if len(contents.sets) > 1 else [],
            sections=sections,
            names=contents.sets[0].names if towers else [],
            lanes=contents.sets[0].good.all(1).tolist() if towers else [],
            data=maps.page,
            files=files.names,
        )
        return files.finish(page)


def _experiments(contents: Contents) -> list[str]:
    """Names of the experiments whose trajectories the panel of a cell shows: those of the campaigns here."""
    return [facts.experiment for facts in contents.facts]


def _extras(contents: Contents) -> list[Extra]:
    """More maps of the cells of all sets: what one has and another has not is missing there, for maps side by side."""
    found = [_extra(contents, one) for one in contents.sets]
    every = {key: entry for extra in reversed(found) for key, entry in extra.items()}
    empty = {
        key: (title, np.full(len(values), np.nan), kind, unit) for key, (title, values, kind, unit) in every.items()
    }
    return [{**empty, **extra} for extra in found]


def _extra(contents: Contents, cells: CellSet) -> Extra:
    """More maps of the cells of a set: biomass of the forward runs, differences from references."""
    extra: dict[str, tuple[str, np.ndarray, str, str]] = {}
    place = next(n for n, other in enumerate(contents.sets) if other is cells)
    facts = contents.facts[place]
    if contents.runs is not None and facts.experiment in contents.runs.experiments:
        extra |= biomass_maps(contents.runs, facts.experiment, cells.names)
    # A benchmark is of one of the campaigns and has its name, or of all, and its comparisons say whose they are.
    for title, (folder, document) in contents.benchmark.items():
        if title == facts.experiment or title not in _experiments(contents):
            extra |= benchmark_maps(folder, document, cells.names, facts.experiment)
    return extra


def _columns(page: PageData, contents: Contents) -> None:
    """Choose the columns of the table of cells."""
    if len(contents.sets) == 1:
        for key, title in (("calibrated", "members"), ("status", "status"), ("loss", "least loss")):
            page.add_column(title, 0, key)
        for window, name in enumerate(("NNSE", "validation")):
            for stream in contents.sets[0].scores:
                page.add_column(f"{name} {stream_title(stream)}", 0, f"nnse_{stream}_{window}")
        page.add_column("biomass error, Mg ha⁻¹", 0, "biomass_error", 1)
        return
    for number, cells in enumerate(contents.sets):
        page.add_column(f"{cells.title}: members", number, "calibrated")
        page.add_column(f"{cells.title}: biomass, Mg ha⁻¹", number, "biomass", 1)
        page.add_column(f"{cells.title}: less growth curve", number, "biomass_error", 1)


def _tiles(one: CellSet, contents: Contents) -> list[dict[str, Any]]:
    """How good a campaign is at a glance: numbers with what they count, marked where something is amiss."""
    tiles: list[dict[str, Any]] = []

    def add(text: str, words: str, warn: bool = False) -> None:
        tiles.append({"text": text, "words": words, "warn": warn})

    good, status = one.good, one.status
    cells = len(one.names)
    add(f"{int(good.any(1).sum()):,} / {cells:,}", "cells calibrated", not good.any(1).all())
    add(f"{int(good.all(1).sum()):,} / {cells:,}", "cells with every member")
    add(f"{int(good.sum()):,} / {status.size:,}", "lanes calibrated (cell × member)", not good.all())
    add(f"{int((status == STATUS['calibrated_after_redraw']).sum()):,}", "of them after a redraw")
    unfinished = int((status == STATUS["budget"]).sum())
    add(f"{unfinished:,}", "of them out of steps, their loss still falling", bool(unfinished))
    for name in NOT_COUNTED:
        count = int((status == STATUS[name]).sum())
        add(f"{count:,}", f"lanes {name.replace('_', ' ')}", bool(count))
    for stream in one.scores:
        value = middle(one.middle_score(stream, 0))
        if np.isfinite(value):
            add(fixed(value, 3), f"median NNSE of {stream_title(stream)}")
    for row in biomass_rows(contents.runs) if contents.runs is not None else ():
        if row["name"] in _experiments(contents):
            add(row["rmse"], "RMSE of biomass in the last year, Mg ha⁻¹")
    add(duration(contents.facts[0].wall_seconds), "wall time")
    return tiles


def _comparison_rows(contents: Contents) -> list[Any]:
    """The same for several campaigns: a row of headings, then one row each of texts and whether they are amiss."""
    streams = list(contents.sets[0].scores)
    biomass = {row["name"]: row["rmse"] for row in biomass_rows(contents.runs)} if contents.runs is not None else {}
    names = NOT_COUNTED
    head = [
        "experiment",
        "cells calibrated",
        "lanes calibrated",
        *(f"lanes {name.replace('_', ' ')}" for name in names),
    ]
    head += [f"NNSE of {stream_title(stream)}" for stream in streams]
    head += ["RMSE of biomass, Mg ha⁻¹"] if biomass else []
    rows: list[Any] = [[*head, "wall time"]]
    for cells, facts in zip(contents.sets, contents.facts, strict=True):
        good = cells.good
        counts = [int((cells.status == STATUS[name]).sum()) for name in names]
        row = [
            (cells.title, False),
            (f"{int(good.any(1).sum()):,} / {len(good):,}", not good.any(1).all()),
            (f"{int(good.sum()):,} / {good.size:,}", not good.all()),
            *((f"{count:,}", bool(count)) for count in counts),
            *((fixed(middle(cells.middle_score(stream, 0)), 3), False) for stream in streams),
        ]
        row += [(biomass.get(facts.experiment, "–"), False)] if biomass else []
        rows.append([*row, (duration(facts.wall_seconds), False)])
    return rows


def _facts_section(facts: Sequence[CampaignFacts]) -> ReportSection:
    body = render(
        "facts.html",
        campaigns=[(one, duration(one.wall_seconds)) for one in facts],
        events=sorted({name for one in facts for name in one.events}),
        endings=sorted({name for one in facts for name in one.hours}),
        versions=sorted({name for one in facts for name in one.versions}),
    )
    return ReportSection("facts", "Campaign facts", body)
