"""Causal networks of regions as causes.json and figures (docs/causes.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from phloem.analysis.causes.causal_graph import CLIMATE, FLUXES, CausalGraph, climate_flux_graph
from phloem.analysis.causes.cause_figures import network_figure
from phloem.analysis.causes.copula_network import fit_copula_network, rank_correlation_intervals
from phloem.analysis.causes.driver_series import Box, DriverSeries, standardise, tower_series, whole_months
from phloem.analysis.causes.linear_network import fit_linear_network
from phloem.analysis.causes.printed_effects import EUROPE, mean_departure
from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.errors import InputError
from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.jobs.upscaling_analyses.written_files import write_document, write_figure

RESULT = "causes.json"
FIGURE = "causes"
"""Name of the first region's figure; that of another ends in the region's name."""


@dataclass(frozen=True)
class CauseSettings:
    """What is estimated, and how.

    Attributes:
        graph: nodes and ordered parents; None: climate and carbon fluxes, without the climate nodes that a region has
            no values of.
        deseasonalise: whether each calendar month's mean is taken off before.
        igbp: plant classes of the towers that count; empty: all.
        koppen: climate classes, likewise.
        least_towers: towers of a month's mean.
        draws: of years for intervals of rank correlations.
        posterior_draws: of coefficients.
        level: share that an interval holds.
        seed: of all draws.
    """

    graph: CausalGraph | None = None
    deseasonalise: bool = False
    igbp: tuple[str, ...] = ()
    koppen: tuple[int, ...] = ()
    least_towers: int = 1
    draws: int = 500
    posterior_draws: int = 2000
    level: float = 0.9
    seed: int = 0


def describe_causes(
    folder: Path,
    towers: FluxRows | TowerMonths,
    regions: Sequence[str | Box] = ("Europe",),
    settings: CauseSettings | None = None,
) -> dict[str, Any]:
    """Estimate causal networks of the means of regions' towers, and write causes.json, figures as PNG and SVG.

    A region that cannot be described is left out, and the document says why.

    Args:
        folder: is made where it is not there; other files in it stay.
        towers: months of towers.
        regions: of `driver_series.REGIONS`, or south, north, west and east.
        settings: by default those of `CauseSettings`.

    Returns:
        What causes.json holds.

    Raises:
        InputError: no region can be described, or one that is not known; nothing is written.
    """
    chosen = settings or CauseSettings()
    series, left_out = [], []
    for region in regions:
        try:
            series.append(_series_of(towers, region, chosen))
        except InputError as error:
            left_out.append(str(error))
    return write_causes(folder, series, chosen, left_out)


def write_causes(
    folder: Path, all_series: Sequence[DriverSeries], settings: CauseSettings, left_out: Sequence[str] = ()
) -> dict[str, Any]:
    """Estimate causal networks of series, of towers or of gridded products, and write causes.json and figures.

    Args:
        folder: is made where it is not there; other files in it stay.
        all_series: one a region, of raw values.
        settings: what is estimated.
        left_out: what could not be done so far, in words.

    Returns:
        What causes.json holds.

    Raises:
        InputError: nothing can be described; nothing is written.
    """
    described: list[dict[str, Any]] = []
    figures, refused = [], list(left_out)
    for series in all_series:
        try:
            document, figure = network_of(series, settings)
        except InputError as error:
            refused.append(str(error))
            continue
        name = FIGURE if not described else f"{FIGURE}_{re.sub(r'[^a-z0-9]+', '-', series.region.lower()).strip('-')}"
        described.append({**document, "figure": f"{name}.svg"})
        figures.append((name, figure, f"causal network of {series.region}: rank correlations"))
    if not described:
        raise InputError("no causal network: " + "; ".join(refused or ["no region was asked for"]))
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure, label in figures:
        write_figure(folder, name, figure, label)
    about = {
        "headline": "rank_correlation",
        "level": settings.level,
        "deseasonalised": settings.deseasonalise,
        "draws": settings.draws,
        "seed": settings.seed,
    }
    return write_document(folder / RESULT, {**about, "regions": described, "left_out": refused})


def network_of(series: DriverSeries, settings: CauseSettings) -> tuple[dict[str, Any], Figure]:
    """Return one entry of the `regions` of causes.json, and its figure.

    Args:
        series: raw values of the graph's nodes at least; months that lack one are left out.
        settings: what is estimated.

    Raises:
        InputError: a node that is missing or constant, or too few months; the message names region and node.
    """
    notes = []
    graph = settings.graph
    if graph is None:
        known = np.isfinite(series.values).any(axis=0).tolist()
        valued = [name for name, has_value in zip(series.nodes, known, strict=True) if has_value]
        climate, fluxes = ([name for name in names if name in valued] for names in (CLIMATE, FLUXES))
        if not climate or not fluxes:
            raise InputError(f"{series.region}: no climate node or no flux has values; there are {', '.join(valued)}")
        notes = [f"no values of {name}: left out" for name in (*CLIMATE, *FLUXES) if name not in valued]
        graph = climate_flux_graph(climate, fluxes)
    raw = whole_months(series, graph.nodes)
    standard = standardise(raw, deseasonalise=settings.deseasonalise)
    copula = fit_copula_network(standard, graph)
    ranks = copula.rank_correlation()
    intervals = rank_correlation_intervals(standard, graph, settings.draws, settings.seed, settings.level)
    linear = fit_linear_network(standard, graph)
    direct, total = (
        effects(settings.posterior_draws, settings.seed, settings.level)
        for effects in (linear.direct_effects, linear.total_effects)
    )
    arcs = [
        {
            "parent": arc[0], "child": arc[1], "rank_correlation": ranks[arc], "low": intervals[arc][0],
            "high": intervals[arc][1], "conditional_rank_correlation": copula.conditional[arc],
            "direct": vars(direct[arc]), "total": vars(total[arc]),
        }
        for arc in graph.arcs
    ]  # fmt: skip
    document = {
        "region": series.region,
        "places": series.places,
        "months": len(raw),
        "first": str(np.datetime64(int(raw.months[0]), "M")),
        "last": str(np.datetime64(int(raw.months[-1]), "M")),
        "graph": graph.to_json(),
        "arcs": arcs,
        "total_effects": [{"ancestor": a, "descendant": b, **vars(effect)} for (a, b), effect in total.items()],
        "notes": [*raw.notes, *notes],
    }
    if series.region == "Europe" and not settings.deseasonalise:
        document["printed"] = {
            "effects": [{"parent": a, "child": b, "printed": value} for (a, b), value in EUROPE.items()],
            "mean_absolute_difference": {
                "rank_correlation": mean_departure(ranks),
                "direct": mean_departure({arc: effect.mean for arc, effect in direct.items()}),
                "total": mean_departure({arc: effect.mean for arc, effect in total.items()}),
            },
        }
    words = f"{series.region}: rank correlation, {len(raw)} months, {series.places} places"
    return document, network_figure(graph, ranks, intervals, words)


def _series_of(towers: FluxRows | TowerMonths, region: str | Box, settings: CauseSettings) -> DriverSeries:
    """Return the series of a region's towers, of the nodes that the table has."""
    if settings.graph is not None:
        nodes: tuple[str, ...] = settings.graph.nodes
    else:
        columns = towers.columns if isinstance(towers, FluxRows) else towers.values
        observed = {key.upper() for key in towers.observed} if isinstance(towers, FluxRows) else set()
        there = {*columns, *observed}
        nodes = tuple(name for name in (*CLIMATE, *FLUXES) if name in there or (name == "NEP" and "NEE" in there))
    series = tower_series(
        towers, nodes, region, igbp=settings.igbp, koppen=settings.koppen, least_towers=settings.least_towers
    )
    absent = [name for name in (*CLIMATE, *FLUXES) if name not in nodes] if settings.graph is None else []
    return replace(series, notes=(*series.notes, *(f"no column {name}: left out" for name in absent)))
