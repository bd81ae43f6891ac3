"""Moments of places against the metrics of the same pairs held whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.benchmark.skill_scores import NAMES, finite, metrics
from phloem.analysis.network.place_moments import PlaceMoments

SHAPES = st.tuples(st.integers(1, 30), st.integers(1, 6))


def draw(shape: tuple[int, int], seed: int, offset: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = offset + scale * rng.normal(size=shape)
    x = y + 0.5 * scale * rng.normal(size=shape) + 0.1 * scale
    x[rng.random(shape) < 0.2] = np.nan
    y[rng.random(shape) < 0.2] = np.nan
    return x, y


def same(found: dict[str, float | None], expected: dict[str, float | None], rel: float = 1e-6) -> None:
    assert {name for name in NAMES if found[name] is None} == {name for name in NAMES if expected[name] is None}
    for name in (name for name in NAMES if found[name] is not None):
        assert found[name] == pytest.approx(expected[name], rel=rel, abs=rel), name


@given(SHAPES, st.integers(0, 10_000), st.sampled_from([0.0, 3.0, -50.0, 1e4]), st.sampled_from([1.0, 0.01]))
def test_moments_of_many_places_together_are_the_metrics_of_all_pairs(shape, seed, offset, scale) -> None:
    x, y = draw(shape, seed, offset, scale)
    same(PlaceMoments.of(x, y).metrics().to_json(), metrics(x, y).to_json())


@given(SHAPES, st.integers(0, 10_000), st.integers(0, 29))
def test_moments_joined_from_two_parts_of_the_months_are_those_of_all(shape, seed, cut) -> None:
    x, y = draw(shape, seed, 7.0, 1.0)
    cut = min(cut, len(x))
    joined = PlaceMoments.of(x[:cut], y[:cut]).joined(PlaceMoments.of(x[cut:], y[cut:]))
    same(joined.metrics().to_json(), metrics(x, y).to_json())
    whole = PlaceMoments.of(x, y)
    np.testing.assert_array_equal(joined.count, whole.count)
    for name in ("mean_x", "mean_y", "xx", "yy", "xy", "error_spread", "absolute_error", "relative_error"):
        np.testing.assert_allclose(getattr(joined, name), getattr(whole, name), rtol=1e-9, atol=1e-9)


@given(SHAPES, st.integers(0, 10_000), st.booleans())
def test_scores_by_place_are_the_metrics_of_each(shape, seed, has_zero) -> None:
    x, y = draw(shape, seed, 2.0, 1.0)
    by_place = PlaceMoments.of(x, y).by_place(has_zero=has_zero)
    for place in range(shape[1]):
        expected = metrics(x[:, place], y[:, place], has_zero=has_zero).to_json()
        found = {name: finite(float(values[place])) for name, values in by_place.items()}
        same({"pairs": expected["pairs"], **found}, expected)


def test_small_departures_from_large_values_are_not_lost() -> None:
    """Plain sums of squares of 1e6 lose departures of 1e-3 altogether: 1e12 has steps of 1e-4."""
    rng = np.random.default_rng(0)
    small_x, small_y = rng.normal(size=(200, 50)), rng.normal(size=(200, 50))
    found = PlaceMoments.of(1e6 + 1e-3 * small_x, 1e6 + 1e-3 * small_y).metrics()
    assert found.nse == pytest.approx(metrics(small_x, small_y).nse, rel=1e-5)
    assert found.r == pytest.approx(metrics(small_x, small_y).r, abs=1e-5)


def test_places_side_by_side_are_those_of_one_array() -> None:
    x, y = draw((20, 5), 3, 1.0, 1.0)
    beside = PlaceMoments.beside([PlaceMoments.of(x[:, :2], y[:, :2]), PlaceMoments.of(x[:, 2:], y[:, 2:])])
    np.testing.assert_array_equal(beside.xy, PlaceMoments.of(x, y).xy)


def test_a_constant_series_has_no_correlation() -> None:
    x, y = np.full((20, 1), 0.1), np.random.default_rng(0).normal(size=(20, 1))
    found = PlaceMoments.of(x, y)
    assert np.isnan(found.by_place()["r2_pearson"]).all()
    assert found.metrics().to_json()["r2_pearson"] is None
    assert found.metrics().to_json()["nse"] is not None


def test_places_with_few_pairs_have_no_scores() -> None:
    x, y = draw((30, 4), 1, 2.0, 1.0)
    x[5:, 2] = np.nan
    scores = PlaceMoments.of(x, y).by_place(least=12)
    assert np.isnan(scores["rmse"]).tolist() == [False, False, True, False]


def test_no_pairs_have_no_metrics() -> None:
    found = PlaceMoments.of(np.full((4, 3), np.nan), np.ones((4, 3)))
    assert set(found.metrics().to_json().values()) == {0, None}
    assert all(np.isnan(values).all() for values in found.by_place().values())
    for name, values in vars(PlaceMoments.none(3)).items():
        np.testing.assert_array_equal(values, getattr(found, name))
