"""The towers in the report: scores, series, members and parameters of each, failed lanes, recovery of a truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phloem.analysis.report.figures.tower_figures import Panel, Span, loss_figure, seasonal_figure, series_figure
from phloem.analysis.report.files import ReportFiles, slug
from phloem.analysis.report.parameter_recovery import recovery
from phloem.analysis.report.sections import CampaignFacts, ReportSection, render
from phloem.analysis.report.tables import (
    agreement_rows,
    ceiling_words,
    failed_lanes,
    member_rows,
    parameter_rows,
    score_rows,
    shade,
)
from phloem.analysis.report_data.tower_product import (
    BINS,
    WEEK,
    Floats,
    TowerProduct,
    envelope,
    read_product,
    seasonal_means,
    weekly_means,
)
from phloem.analysis.style.inline_svg import Drawing
from phloem.analysis.style.wording import fixed, stream_title, typeset
from phloem.errors import InputError
from phloem.io.drivers.variables import driver_variables
from phloem.io.merge.member_statistics import SCREENING_RCV
from phloem.model_tables import ModelTables

LEGEND = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
"""Efficiencies that the legend of the scores shows."""


@dataclass(frozen=True)
class SiteSeries:
    """Observed and simulated daily series of one cell.

    Attributes:
        cell: Name of the cell, as in the merged product.
        time: (days,) datetime64[D], contiguous.
        training_days: Days of the calibration period, at the start of the record.
        observed: Stream -> (days,), NaN = missing; a stream may be absent.
        simulated: Stream -> (members, days), NaN for a lane without result; a stream may be absent.
        findings: What the quality check of the drivers said, in words.
    """

    cell: str
    time: NDArray[np.datetime64]
    training_days: int
    observed: Mapping[str, Floats]
    simulated: Mapping[str, Floats]
    findings: tuple[str, ...] = ()


def tower_sections(
    merged: xr.Dataset, sites: Iterable[SiteSeries], facts: CampaignFacts, tables: ModelTables, files: ReportFiles
) -> list[ReportSection]:
    """Return the sections of a campaign of towers.

    Args:
        merged: The merged product, with dimensions cell, member, parameter, stream, term and trace.
        sites: Daily series, read one after the other; cells without series get a section without figures.
        facts: What is known about the campaign.
        tables: Of the model.
        files: Takes figures and data.

    Raises:
        InputError: A variable, parameter or cell is missing or does not fit the others.
    """
    product = read_product(merged, tables)
    series: dict[str, dict[str, Any]] = {}
    for site in sites:
        if site.cell not in product.cells:
            raise InputError(f"cell {site.cell} is not in the merged product: {', '.join(product.cells)}")
        series[site.cell] = _series(site, product, files)
    cells = [_cell(product, index, series.get(name), files) for index, name in enumerate(product.cells)]
    shared = {"cells": cells, "streams": [stream_title(stream) for stream in tables.streams], "limit": SCREENING_RCV}
    legend = [(fixed(value, 1), shade(value)) for value in LEGEND]
    failed = failed_lanes(product.cells, product.status, product.redraws)
    terms = [term.replace("_", " ") for term in tables.terms]
    sections = [
        ReportSection(
            "scores", "Scores", render("towers_scores.html", scores=score_rows(product), legend=legend, **shared)
        ),
        failed_section(failed),
        ReportSection("cells", "Cells", render("towers_cells.html", terms=terms, **shared), bare=True),
        agreement_section(agreement_rows(product)),
    ]
    found = recovery(product, facts.truth) if facts.truth else None
    if found:
        found["figure"] = files.drawing(found["figure"])
        body = render("towers_truth.html", truth=found, limit=SCREENING_RCV)
        sections.append(ReportSection("truth", "Recovery of the true parameters", body))
    return sections


def failed_section(failed: list[dict[str, Any]], more: int = 0) -> ReportSection:
    """Return the section of failed lanes.

    Args:
        failed: as `report_tables.failed_lanes` gives them.
        more: cells with failed lanes that are not among them.
    """
    return ReportSection("failed", "Failed lanes", render("failed.html", failed=failed, more=more), warn=bool(failed))


def agreement_section(rows: list[dict[str, Any]]) -> ReportSection:
    """Return the section on how the members agree on each parameter."""
    body = render("agreement.html", agreement=rows, limit=SCREENING_RCV)
    return ReportSection("parameters", "Agreement of the members, by parameter", body)


def _cell(product: TowerProduct, index: int, series: dict[str, Any] | None, files: ReportFiles) -> dict[str, Any]:
    best = product.best_member(index)
    lanes = int(product.calibrated[index].sum())
    return {
        "name": product.cells[index],
        "anchor": f"cell-{index}",
        "lanes": lanes,
        "members": product.members,
        "loss": fixed(product.loss[index, best], 2) if best is not None else None,
        "series": series,
        "curves": files.drawing(loss_figure(f"loss-{index}", product.trace_iteration, product.loss_trace[index])),
        "rows": member_rows(product, index),
        "parameters": parameter_rows(product, index),
        "ceilings": ceiling_words(product, index),
        "judged": bool(np.isfinite(product.parameters_rcv[index]).any()),
    }


def panels(site: SiteSeries, product: TowerProduct) -> tuple[list[Panel], list[Panel]]:
    """Return what the figures of a cell show of each stream: seven-day means, and the mean seasonal cycle.

    Raises:
        InputError: a series that does not fit the others.
    """
    index = product.cells.index(site.cell)
    time = np.asarray(site.time).astype("datetime64[D]")
    weekly, seasonal = [], []
    for spec in driver_variables(product.tables).streams:
        stream, unit = spec.name, typeset(spec.unit)
        observed = _checked(site, "observed", stream, (time.size,))
        simulated = _checked(site, "simulated", stream, (product.members, time.size))
        simulated = np.where(product.calibrated[index][:, None], simulated, np.nan)
        weekly.append(Panel(stream, unit, weekly_means(observed), *envelope(weekly_means(simulated))))
        seen = np.isfinite(observed)
        alike = np.where(seen, simulated, np.nan) if seen.any() else simulated
        seasonal.append(Panel(stream, unit, seasonal_means(observed, time), *envelope(seasonal_means(alike, time))))
    return weekly, seasonal


def weekly_figure(name: str, site: SiteSeries, weekly: Sequence[Panel]) -> Drawing:
    """Draw seven-day means of a tower over its record.

    Args:
        name: identifier, unique on the page.
        site: of which the panels are.
        weekly: as `panels` gives them.
    """
    time = np.asarray(site.time).astype("datetime64[D]")
    span = Span(time[0], time[-1], time[site.training_days] if site.training_days < time.size else None)
    centres = time[::WEEK].astype(np.int64) + (WEEK - 1) / 2
    label = "Seven-day means of observed and simulated streams over the whole record"
    return series_figure(name, span, centres, weekly, label)


def _series(site: SiteSeries, product: TowerProduct, files: ReportFiles) -> dict[str, Any]:
    """Figures and words of a cell; the daily series themselves are let go before the next cell is read."""
    index = product.cells.index(site.cell)
    time = np.asarray(site.time).astype("datetime64[D]")
    weekly, seasonal = panels(site, product)
    last = min(max(site.training_days, 1), time.size) - 1
    starts = [str(day) for day in time[::WEEK]]
    keep_panels(files, f"{index}_{slug(site.cell)}_weeks", "first_day", starts, weekly)
    keep_panels(files, f"{index}_{slug(site.cell)}_seasons", "week_of_year", list(range(1, BINS + 1)), seasonal)
    return {
        "figure": files.drawing(weekly_figure(f"series-{index}", site, weekly)),
        "seasonal": files.drawing(seasonal_figure(f"season-{index}", seasonal)),
        "start": str(time[0]),
        "border": str(time[last]),
        "end": str(time[-1]),
        "validated": site.training_days < time.size,
        "findings": site.findings,
    }


def keep_panels(files: ReportFiles, name: str, axis: str, places: Sequence[Any], panels: Sequence[Panel]) -> None:
    """Keep what panels show as a table.

    Args:
        files: takes it.
        name: of the table, after `series_`.
        axis: heading of what the points stand at.
        places: the same at each point.
        panels: with their points.
    """
    columns = [axis]
    values: list[Any] = [places]
    for panel in panels:
        for kind in ("observed", *(("withheld",) if panel.withheld is not None else ()), "median", "low", "high"):
            columns.append(f"{panel.stream}_{kind}")
            values.append(getattr(panel, kind).tolist())
    files.table(f"series_{name}", columns, zip(*values, strict=True))


def _checked(site: SiteSeries, kind: str, stream: str, shape: tuple[int, ...]) -> Floats:
    values = (site.observed if kind == "observed" else site.simulated).get(stream)
    if values is None:
        return np.full(shape, np.nan)
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise InputError(f"cell {site.cell}: {kind} {stream} has shape {array.shape}, not {shape}")
    return np.where(np.isfinite(array), array, np.nan)
