"""The page that a modeller wants to see after a campaign: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import xarray as xr
from markupsafe import Markup
from numpy.typing import NDArray

from phloem.analysis.figures import Panel, loss_figure, seasonal_figure, series_figure
from phloem.analysis.recovery import recovery
from phloem.analysis.report_tables import (
    SHOWN,
    Bounds,
    agreement_rows,
    failed_lanes,
    fixed,
    member_rows,
    parameter_rows,
    score_rows,
    shade,
)
from phloem.analysis.summaries import Floats, Product, envelope, read_product, seasonal_means, weekly_means
from phloem.errors import InputError
from phloem.io.atomic import write_atomically
from phloem.io.statistics import SCREENING_RCV
from phloem.names import LOSS_TERMS, STATUS, STREAMS

_LEGEND = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)


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


@dataclass(frozen=True)
class CampaignFacts:
    """What is known about a campaign besides its results.

    Attributes:
        name, version, configuration_hash, seed, members, optimiser: As in the campaign's files.
        wall_seconds: Time that its tiles took, or None where it was not recorded.
        events: Name -> count (attempts, redraws, ...).
        configuration_text: The frozen campaign file.
        truth: Cell -> parameter -> value for a synthetic campaign, else None.
    """

    name: str
    version: str
    configuration_hash: str
    seed: int
    members: int
    optimiser: str
    wall_seconds: float | None
    events: Mapping[str, int]
    configuration_text: str
    truth: Mapping[str, Mapping[str, float]] | None = None


def write_report(
    merged: xr.Dataset, sites: Iterable[SiteSeries], facts: CampaignFacts, bounds: Bounds, out: Path
) -> Path:
    """Write the report of a campaign, whole or not at all; the same input gives the same bytes.

    Args:
        merged: The merged product, with dimensions cell, member, parameter, stream, term and trace.
        sites: Daily series, read one after the other; cells without series get a section without figures.
        facts: What is known about the campaign.
        bounds: Parameter -> (lower bound, upper bound, unit, meaning).
        out: The file to write, or an existing folder to put `index.html` into.

    Returns:
        The file that was written.

    Raises:
        InputError: A variable, parameter or cell is missing or does not fit the others.
    """
    product = read_product(merged)
    absent = [name for name in SHOWN if name not in bounds]
    if absent:
        raise InputError(f"no bounds for the parameters {', '.join(absent)}")
    series: dict[str, dict[str, Any]] = {}
    for site in sites:
        if site.cell not in product.cells:
            raise InputError(f"cell {site.cell} is not in the merged product: {', '.join(product.cells)}")
        series[site.cell] = _series(site, product)
    found = recovery(product, facts.truth, bounds) if facts.truth else None
    page = _template().render(
        facts=facts,
        wall=_duration(facts.wall_seconds),
        counts=_counts(product),
        streams=[stream.upper() for stream in STREAMS],
        terms=[term.replace("_", " ") for term in LOSS_TERMS],
        legend=[(fixed(value, 1), shade(value)) for value in _LEGEND],
        scores=score_rows(product),
        cells=[_cell(product, index, series.get(name), bounds) for index, name in enumerate(product.cells)],
        agreement=agreement_rows(product, bounds),
        limit=SCREENING_RCV,
        failed=failed_lanes(product),
        truth=found,
    )
    target = out / "index.html" if out.is_dir() else out
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, page.encode("utf-8"))
    return target


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup
    return environment.get_template("report.html")


def _counts(product: Product) -> dict[str, int]:
    status = product.status
    return {
        "cells": len(product.cells),
        "cells_calibrated": int(product.calibrated.any(axis=1).sum()),
        "cells_whole": int(product.calibrated.all(axis=1).sum()),
        "lanes": int(status.size),
        "calibrated": int(product.calibrated.sum()),
        "redrawn": int((status == STATUS["calibrated_after_redraw"]).sum()),
        "diverged": int((status == STATUS["diverged"]).sum()),
        "missing": int((~product.calibrated & (status != STATUS["diverged"])).sum()),
    }


def _cell(product: Product, index: int, series: dict[str, Any] | None, bounds: Bounds) -> dict[str, Any]:
    best = product.best_member(index)
    lanes = int(product.calibrated[index].sum())
    return {
        "name": product.cells[index],
        "anchor": f"cell-{index}",
        "lanes": lanes,
        "members": product.members,
        "loss": fixed(product.loss[index, best], 2) if best is not None else None,
        "series": series,
        "curves": loss_figure(f"loss-{index}", product.trace_iteration, product.loss_trace[index]),
        "rows": member_rows(product, index),
        "parameters": parameter_rows(product, index, bounds),
        "judged": bool(np.isfinite(product.parameters_rcv[index]).any()),
    }


def _series(site: SiteSeries, product: Product) -> dict[str, Any]:
    """Figures and words of a cell; the daily series themselves are let go before the next cell is read."""
    index = product.cells.index(site.cell)
    time = np.asarray(site.time).astype("datetime64[D]")
    weekly, seasonal = [], []
    for stream in STREAMS:
        observed = _checked(site, "observed", stream, (time.size,))
        simulated = _checked(site, "simulated", stream, (product.members, time.size))
        simulated = np.where(product.calibrated[index][:, None], simulated, np.nan)
        weekly.append(Panel(stream, weekly_means(observed), *envelope(weekly_means(simulated))))
        seen = np.isfinite(observed)
        alike = np.where(seen, simulated, np.nan) if seen.any() else simulated
        seasonal.append(Panel(stream, seasonal_means(observed, time), *envelope(seasonal_means(alike, time))))
    last = min(max(site.training_days, 1), time.size) - 1
    return {
        "figure": series_figure(f"series-{index}", time[0], time.size, site.training_days, weekly),
        "seasonal": seasonal_figure(f"season-{index}", seasonal),
        "start": str(time[0]),
        "border": str(time[last]),
        "end": str(time[-1]),
        "validated": site.training_days < time.size,
        "findings": site.findings,
    }


def _checked(site: SiteSeries, kind: str, stream: str, shape: tuple[int, ...]) -> Floats:
    values = (site.observed if kind == "observed" else site.simulated).get(stream)
    if values is None:
        return np.full(shape, np.nan)
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise InputError(f"cell {site.cell}: {kind} {stream} has shape {array.shape}, not {shape}")
    return np.where(np.isfinite(array), array, np.nan)


def _duration(seconds: float | None) -> str:
    if seconds is None or not np.isfinite(seconds):
        return "not recorded"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
