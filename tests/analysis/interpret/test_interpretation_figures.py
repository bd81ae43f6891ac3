"""Figures say what their results say: bars, dots, lines, hatches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from phloem.analysis.interpret.climate_response import ClimateDelta, ClimateResponse, climate_response
from phloem.analysis.interpret.ensemble_axes import ensemble_axes
from phloem.analysis.interpret.explained_quantity import explained_quantities
from phloem.analysis.interpret.interpretation_figures import (
    climate_response_figure,
    curves_figure,
    loadings_figure,
    network_importance_figure,
    swarm_figure,
)
from phloem.analysis.interpret.predictor_importance import network_importance
from phloem.analysis.interpret.shapley_values import ShapleySettings, ShapleyValues, explain
from phloem.analysis.interpret.trait_curves import GLOBAL, trait_environment
from phloem.analysis.style.plot_style import to_png
from tests.support.analysis.small_ensembles import AGNOSTIC, FULL, drawn_ensemble, world

PNG = b"\x89PNG"
FEW = ShapleySettings("permutation", pairs=1)


@pytest.fixture(scope="module")
def explained() -> ShapleyValues:
    return explain(drawn_ensemble(FULL, 1), explained_quantities(["lcma", "cue"]), world(40), settings=FEW)


@pytest.fixture(scope="module")
def response() -> ClimateResponse:
    cells, (lat, lon) = world(12), np.meshgrid([40.25, 40.75, 42.25], [10.25, 10.75, 11.25, 11.75])
    ranges = {"MAT": (-9.0, float(np.median(cells.column("MAT"))) + 2.0), "MAP": (-9.0, 9.0)}
    networks = drawn_ensemble(AGNOSTIC), drawn_ensemble(FULL)
    return climate_response(*networks, cells, ClimateDelta(2.0, 1.1), ranges, (lat.ravel(), lon.ravel()))


def test_bars_are_the_importance_in_its_order(explained: ShapleyValues) -> None:
    importance = network_importance(explained, "lcma")
    figure = network_importance_figure(importance)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(widths[::-1], [row.mean_absolute for row in importance.ranked])
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels[::-1] == [row.predictor for row in importance.ranked]
    assert to_png(figure).startswith(PNG)


def test_swarm_holds_every_cell_at_its_value(explained: ShapleyValues) -> None:
    figure = swarm_figure(explained, "cue", most=5)
    axes = figure.axes[0]
    assert len(axes.collections) == 5
    order = np.argsort(-np.abs(explained.values[1]).mean(0))[:5][::-1]
    for row, (column, points) in enumerate(zip(order, axes.collections, strict=True)):
        at = np.asarray(points.get_offsets())
        np.testing.assert_allclose(at[:, 0], explained.values[1, :, column])
        assert (np.abs(at[:, 1] - row) <= 0.5).all()
    assert to_png(figure).startswith(PNG)


def test_curves_of_all_cells_are_dashed_and_each_type_is_named() -> None:
    table = world(40)
    values = table.values.copy()
    values[:, 1:11] = 0.0
    values[:, table.names.index("CRO")] = 100.0
    found = trait_environment(
        drawn_ensemble(AGNOSTIC, 1), drawn_ensemble(FULL, 1), replace(table, values=values), np.ones((1, 40), bool),
        ("CRO",), traits=("ce", "cue"), environment=("MAT", "MAP"), settings=FEW,
    )  # fmt: skip
    figure = curves_figure(found)
    assert len(figure.axes) == 4
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == [GLOBAL, "CRO"]
    assert [line.get_linestyle() for line in lines] == ["--", "-"]
    np.testing.assert_array_equal(lines[0].get_ydata(), found.curves[0].trend)
    assert to_png(figure).startswith(PNG)


def test_maps_hold_the_changes_and_hatch_what_is_outside(response: ClimateResponse) -> None:
    assert 0 < response.outside.sum() < 12
    figure = climate_response_figure(response, ["lcma"])
    mesh = figure.axes[0].collections[0]
    shown = np.ma.compressed(np.ma.masked_invalid(mesh.get_array()))
    np.testing.assert_allclose(np.sort(shown), np.sort(response.agnostic[1]))
    assert mesh.get_array().shape == (5, 4), "rows without a cell between 40.75 and 42.25 stay empty"
    hatched = to_png(figure)
    plain = to_png(climate_response_figure(replace(response, outside=np.zeros(12, bool)), ["lcma"]))
    assert hatched.startswith(PNG)
    assert hatched != plain
    assert len(climate_response_figure(response).axes) == 4 * 4


def test_loadings_are_drawn() -> None:
    axes = ensemble_axes(drawn_ensemble(AGNOSTIC), world(60))
    figure = loadings_figure(axes)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(widths[::-1], axes.loadings[0])
