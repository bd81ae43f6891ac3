"""Figures of trained networks: importance, Shapley values cell by cell, trait-environment curves, maps of change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from phloem.analysis.attribution.attribution_figures import pca_figure
from phloem.analysis.interpret.climate_response import ClimateResponse
from phloem.analysis.interpret.predictor_importance import NetworkImportance
from phloem.analysis.interpret.shapley_values import ShapleyValues
from phloem.analysis.interpret.trait_curves import GLOBAL, TraitCurve, TraitEnvironment
from phloem.analysis.parameters.strategy_axes import Axes as StrategyAxes
from phloem.analysis.style.coastline import draw_coasts
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, plain_axes, styled
from phloem.analysis.style.wording import typeset

GROUP_COLOURS = {
    "PFT": OKABE_ITO[2], "CLIM": OKABE_ITO[0], "AGE": OKABE_ITO[3], "SOIL": OKABE_ITO[4],
    "LATLON": OKABE_ITO[5], "HEMISPHERE": MUTED,
}  # fmt: skip

BINS = 60
"""Of a swarm's values: points of one bin are spread across the row."""

NEGLIGIBLE = 1e-6
"""Share of a predictor up to which it has no sign: what is left of sums of rounded numbers."""

EXTREME = 98.0
"""Per cent of |change| at which the colour scale of a map ends."""


@styled()
def network_importance_figure(importance: NetworkImportance) -> Figure:
    """Draw mean |phi| of each predictor, coloured by group, with its direction, and the groups' shares."""
    rows = importance.ranked[::-1]
    figure = Figure(figsize=(5.6, 1.1 + 0.2 * len(rows)), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, 7.5)
    for place, row in enumerate(rows):
        axes.barh(place, row.mean_absolute, height=0.72, color=_group_colour(row.group), linewidth=0)
        sign = "" if not row.share > NEGLIGIBLE or np.isnan(row.direction) else "+" if row.direction > 0 else "−"
        axes.text(0.99, place, sign, va="center", ha="right", fontsize=8, color=MUTED,
                  transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.predictor for row in rows], fontsize=7.5)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(0, 1.12 * max(row.mean_absolute for row in rows) or 1.0)
    axes.set_xlabel(f"mean |Shapley value|, {typeset(importance.unit)}", fontsize=8)
    axes.set_title(_title(importance.quantity, importance.plant_type or GLOBAL), fontsize=9.5, loc="left")
    handles = [
        Patch(color=_group_colour(group), label=f"{group.lower() if group == 'HEMISPHERE' else group} {share:.0%}")
        for group, share in importance.groups.items()
    ]
    axes.legend(handles=handles, loc="lower right", frameon=False, fontsize=7.5, bbox_to_anchor=(0.96, 0.02))
    return figure


@styled()
def swarm_figure(explained: ShapleyValues, quantity: str, most: int = 12) -> Figure:
    """Draw the Shapley values of each cell for the most important predictors, coloured by the predictor's rank."""
    place = explained.place(quantity)
    phi = explained.values[place]
    order = np.argsort(-np.abs(phi).mean(0), kind="stable")[:most][::-1]
    figure = Figure(figsize=(6.0, 1.1 + 0.3 * len(order)), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, 7.5)
    for row, column in enumerate(order):
        x = explained.rows[:, column]
        rank = np.searchsorted(np.sort(x), x)
        heights = row + _spread(phi[:, column])
        points = axes.scatter(
            phi[:, column], heights, c=rank / max(rank.max(), 1), s=5, cmap="cividis", vmin=0, vmax=1, linewidth=0
        )
    axes.axvline(0.0, color=INK, linewidth=0.6)
    axes.set_yticks(range(len(order)), [explained.predictors[column] for column in order], fontsize=7.5)
    axes.set_xlabel(f"Shapley value, {typeset(explained.quantities[place].unit)}", fontsize=8)
    axes.set_title(_title(quantity, GLOBAL), fontsize=9.5, loc="left")
    bar = figure.colorbar(points, ax=axes, ticks=[0, 1], shrink=0.6)
    bar.ax.set_yticklabels(["lowest", "highest"], fontsize=7.5)
    bar.set_label("predictor", fontsize=8)
    return figure


@styled()
def curves_figure(environment: TraitEnvironment) -> Figure:
    """Draw traits (rows) against predictors (columns): dashed for all cells, one colour a plant type."""
    traits = list(dict.fromkeys(one.trait for one in environment.curves))
    predictors = list(dict.fromkeys(one.predictor for one in environment.curves))
    types = list(dict.fromkeys(one.plant_type for one in environment.curves if one.plant_type != GLOBAL))
    figure = Figure(figsize=(1.0 + 2.5 * len(predictors), 0.9 + 1.8 * len(traits)), layout="constrained")
    panels = figure.subplots(len(traits), len(predictors), squeeze=False, sharex="col", sharey="row")
    for one in environment.curves:
        colour = INK if one.plant_type == GLOBAL else OKABE_ITO[types.index(one.plant_type) % len(OKABE_ITO)]
        _draw_curve(panels[traits.index(one.trait), predictors.index(one.predictor)], one, colour)
    for axes, trait in zip(panels[:, 0], traits, strict=True):
        unit = next(one.unit for one in environment.curves if one.trait == trait)
        axes.set_ylabel(f"{trait}, {typeset(unit)}", fontsize=8)
    for axes, predictor in zip(panels[-1], predictors, strict=True):
        axes.set_xlabel(predictor, fontsize=8)
    for axes in panels.ravel():
        plain_axes(axes, 7)
    handles = {line.get_label(): line for axes in panels.ravel() for line in axes.get_lines()}
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    return figure


@styled()
def climate_response_figure(response: ClimateResponse, quantities: Sequence[str] = ()) -> Figure:
    """Draw maps of the changes: without plant types, with them, and their difference; hatched outside the training.

    Args:
        response: the changes.
        quantities: names; by default all, one row each.
    """
    names = [one.name for one in response.quantities]
    chosen = [names.index(name) for name in quantities] or list(range(len(names)))
    changes = {
        "without plant types": response.agnostic, "with plant types": response.aware,
        "with less without": response.aware_less_agnostic,
    }  # fmt: skip
    figure = Figure(figsize=(11.0, 0.6 + 2.0 * len(chosen)), layout="constrained")
    panels = figure.subplots(len(chosen), len(changes), squeeze=False)
    for row, number in zip(panels, chosen, strict=True):
        one = response.quantities[number]
        end = max(float(np.percentile(np.abs(change[number]), EXTREME)) for change in changes.values()) or 1.0
        for axes, (words, change) in zip(row, changes.items(), strict=True):
            image = _draw_map(axes, response, change[number], end)
            axes.set_title(f"{one.name}, {words}", fontsize=8.5, loc="left")
        bar = figure.colorbar(image, ax=list(row), shrink=0.8, extend="both")
        bar.set_label(f"change, {typeset(one.unit)}", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def loadings_figure(axes: StrategyAxes) -> Figure:
    """Draw loadings of the first three components of an ensemble's maps."""
    return pca_figure(axes.to_json())


def _draw_curve(axes: Axes, curve: TraitCurve, colour: str) -> None:
    everywhere = curve.plant_type == GLOBAL
    axes.scatter(curve.x, curve.y, s=3, color=colour, alpha=0.2 if everywhere else 0.3, linewidth=0)
    style = (0, (5, 2)) if everywhere else "-"
    axes.plot(curve.grid, curve.trend, color=colour, linewidth=1.4, linestyle=style, label=curve.plant_type)


def _draw_map(axes: Axes, response: ClimateResponse, change: np.ndarray, end: float) -> QuadMesh:
    longitude, latitude = (_centres(one) for one in (response.longitude, response.latitude))
    values = np.full((len(latitude), len(longitude)), np.nan)
    hatched = np.zeros(values.shape)
    at = np.searchsorted(latitude, response.latitude), np.searchsorted(longitude, response.longitude)
    values[at] = change
    hatched[at] = response.outside
    image = axes.pcolormesh(
        longitude, latitude, values, cmap="RdBu_r", norm=TwoSlopeNorm(0.0, -end, end), shading="nearest"
    )
    if response.outside.any():
        axes.contourf(longitude, latitude, hatched, levels=[0.5, 1.5], colors="none", hatches=["/////"])
    draw_coasts(axes, response.longitude, response.latitude)
    axes.tick_params(length=2, labelsize=6.5)
    return image


def _centres(values: np.ndarray) -> np.ndarray:
    """Distinct coordinates in ascending order, with those between that no cell has, so that cells keep their size."""
    found = np.unique(values)
    if len(found) < 2:
        return np.array([found[0], found[0] + 0.5])
    step = float(np.diff(found).min())
    gaps = [np.arange(low + step, high - 0.5 * step, step) for low, high in pairwise(found)]
    return np.sort(np.concatenate([found, *gaps]))


def _spread(values: np.ndarray) -> np.ndarray:
    """Heights of points within a row, -0.35 to 0.35: the more values are alike, the further apart."""
    edges = np.linspace(values.min(), values.max() + 1e-12, BINS + 1)
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    order = np.argsort(bins, kind="stable")
    rank = np.empty(len(values))
    rank[order] = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    side = np.where(rank % 2 == 0, 1, -1) * ((rank + 1) // 2)
    return 0.7 * side / max(int(counts.max()), 20)


def _title(quantity: str, plant_type: str) -> str:
    return quantity if plant_type == GLOBAL else f"{quantity}, cells of {plant_type}"


def _group_colour(group: str) -> str:
    return GROUP_COLOURS.get(group, OKABE_ITO[7])
