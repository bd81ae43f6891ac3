"""Traits in a changed climate: nothing changes where nothing does, ranges are told, changes are checked."""

from __future__ import annotations

import json

import numpy as np
import pytest

from phloem.analysis.interpret.climate_response import (
    ClimateDelta,
    ClimateResponse,
    climate_delta,
    climate_response,
    outside_range,
)
from phloem.analysis.interpret.predictor_table import PredictorTable
from phloem.errors import InputError
from tests.support.analysis.small_ensembles import AGNOSTIC, FULL, drawn_ensemble, world

WIDE = {"MAT": (-99.0, 99.0), "MAP": (-99.0, 99.0)}
PLACE = np.linspace(-50, 70, 12), np.linspace(-120, 140, 12)


def response(delta: ClimateDelta, ranges: dict[str, tuple[float, float]] = WIDE) -> ClimateResponse:
    return climate_response(drawn_ensemble(AGNOSTIC), drawn_ensemble(FULL), world(12), delta, ranges, PLACE)


def test_no_change_of_climate_changes_no_trait() -> None:
    found = response(ClimateDelta(0.0, 1.0))
    for change in (found.agnostic, found.aware, found.aware_less_agnostic):
        np.testing.assert_array_equal(change, np.zeros((4, 12)))
    assert not found.outside.any()


def test_change_is_of_the_ensemble_at_new_temperature_and_rain_and_all_else_as_it_was() -> None:
    rng = np.random.default_rng(2)
    warming, ratio = rng.normal(3, 1, 12), rng.uniform(0.5, 1.5, 12)
    found, cells = response(ClimateDelta(warming, ratio)), world(12)
    new = PredictorTable(cells.names, cells.values.copy())
    new.values[:, cells.names.index("MAT")] += warming
    new.values[:, cells.names.index("MAP")] *= ratio
    for ensemble, change in ((drawn_ensemble(AGNOSTIC), found.agnostic), (drawn_ensemble(FULL), found.aware)):
        now, then = ensemble.by_name(cells), ensemble.by_name(new)
        np.testing.assert_allclose(change[1], then["lcma"] - now["lcma"], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(change[2], now["f_auto"] - then["f_auto"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.aware_less_agnostic, found.aware - found.agnostic)
    assert np.abs(found.aware_less_agnostic).max() > 0


def test_cells_that_leave_the_training_range_are_marked() -> None:
    cells = world(12)
    mat, rain = cells.column("MAT"), cells.column("MAP")
    ranges = {"MAT": (mat.min(), mat.max()), "MAP": (rain.min(), rain.max())}
    assert not outside_range(cells, ranges).any()
    found = response(ClimateDelta(1.0, 1.0), ranges)
    np.testing.assert_array_equal(found.outside, mat + 1 > mat.max())
    assert 0 < found.outside.sum() < 12
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["outside"] == int(found.outside.sum())
    inside = ~found.outside
    assert document["median_change"][0]["agnostic"] == pytest.approx(np.median(found.agnostic[0, inside]), rel=1e-6)
    everywhere = response(ClimateDelta(500.0, 1.0), ranges)
    assert everywhere.to_json()["median_change"][0]["aware"] is None


def test_maps_are_laid_out_by_cell() -> None:
    found = response(ClimateDelta(2.0, 0.9))
    data = found.to_dataset()
    np.testing.assert_array_equal(data.aware_change.sel(quantity="lcma"), found.aware[1])
    np.testing.assert_array_equal(data.lat, PLACE[0])
    assert data.outside.dtype == np.int8
    assert list(data.quantity.values) == ["ce", "lcma", "cue", "gpp_root"]


def test_change_between_two_climates_of_one_set_of_models() -> None:
    delta = climate_delta((np.array([10.0, 2.0]), np.array([13.0, 1.0])), (np.array([4.0, 2.0]), np.array([2.0, 3.0])))
    np.testing.assert_allclose(delta.warming, [3, -1])
    np.testing.assert_allclose(delta.rain_ratio, [0.5, 1.5])
    with pytest.raises(InputError, match="present precipitation is not above 0 in cells 1"):
        climate_delta((np.zeros(2), np.zeros(2)), (np.array([1.0, 0.0]), np.ones(2)))


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (ClimateDelta(np.zeros(5), 1.0), r"warming: shape \(5,\), due is one number or 12"),
        (ClimateDelta(np.where(np.arange(12) == 3, np.nan, 0.0), 1.0), "warming: not finite, or .* in cells 3"),
        (ClimateDelta(0.0, np.where(np.arange(12) == 7, -0.1, 1.0)), "rain ratio: .* in cells 7"),
    ],
)
def test_changes_that_are_none_are_refused(delta: ClimateDelta, words: str) -> None:
    with pytest.raises(InputError, match=words):
        response(delta)


def test_networks_without_climate_and_ranges_that_are_none_are_refused() -> None:
    change = ClimateDelta(1.0, 1.0)
    with pytest.raises(InputError, match="networks of PFT do not see the climate"):
        climate_response(drawn_ensemble(("PFT",)), drawn_ensemble(FULL), world(12), change, WIDE, PLACE)
    with pytest.raises(InputError, match="training range: MAP is missing"):
        response(change, {"MAT": (0.0, 1.0)})
    with pytest.raises(InputError, match="training range of MAT: 3 to 3 is none"):
        response(change, {"MAT": (3.0, 3.0), "MAP": (0.0, 1.0)})
