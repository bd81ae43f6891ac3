"""The dissimilarity index against its definition, the bound of its cover, its threshold and missing predictors."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from phloem.analysis.flux_skill.dissimilarity import BLOCK_BYTES, Applicability, applicability
from phloem.errors import InputError


def training(seed: int, rows: int = 300, predictors: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, predictors)) * 10.0 ** rng.integers(-2, 3, predictors) + rng.normal(size=predictors)
    return x, rng.integers(0, 12, rows), rng.uniform(0.1, 1, predictors)


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_index_of_all_rows_is_distance_to_the_nearest_over_the_mean_distance(seed: int) -> None:
    x, group, importance = training(seed)
    new = x[:50] + np.random.default_rng(seed).normal(size=(50, 6)) * x.std(0)
    scaled, moved = ((values - x.mean(0)) / x.std(0) * importance for values in (x, new))
    due = cdist(moved, scaled).min(1) / pdist(scaled).mean()
    found = applicability(x, group, importance, tolerance=0)
    np.testing.assert_allclose(found.index(new), due, rtol=1e-4, atol=1e-5)
    apart = cdist(scaled, scaled)
    apart[group[:, None] == group] = np.inf
    own = apart.min(1) / pdist(scaled).mean()
    low, high = np.quantile(own, [0.25, 0.75])
    assert found.threshold == pytest.approx(own[own <= high + 1.5 * (high - low)].max())


@given(seed=st.integers(0, 1000), tolerance=st.floats(0.05, 0.8))
@settings(max_examples=25, deadline=None)
def test_rows_that_stand_for_all_raise_the_index_by_the_radius_at_most(seed: int, tolerance: float) -> None:
    x, group, importance = training(seed)
    new = np.random.default_rng(seed).normal(size=(200, 6)) * 2 * x.std(0) + x.mean(0)
    all_rows, few = (applicability(x, group, importance, one) for one in (0.0, tolerance))
    more = few.index(new) - all_rows.index(new)
    assert few.radius <= tolerance * few.threshold
    assert few.threshold == all_rows.threshold
    assert more.min() > -1e-5
    assert more.max() <= few.radius + 1e-5


def test_places_far_from_all_towers_lie_outside_and_training_places_inside() -> None:
    x, group, importance = training(1)
    found = applicability(x, group, importance)
    assert not found.applies(found.index(x + 30 * x.std(0))).any()
    assert found.applies(found.index(x)).mean() > 0.99


def test_threshold_is_about_other_towers_and_not_other_months() -> None:
    """Months of a tower resemble each other: groups by row would call hardly anything applicable."""
    rng = np.random.default_rng(0)
    tower = np.repeat(np.arange(30), 20)
    x = rng.normal(size=(30, 4))[tower] + 0.01 * rng.normal(size=(600, 4))
    by_tower, by_row = applicability(x, tower, np.ones(4)), applicability(x, np.arange(600), np.ones(4))
    assert by_tower.threshold > 5 * by_row.threshold


def test_missing_predictor_stands_at_the_training_mean_and_is_told() -> None:
    x, group, importance = training(2)
    found = applicability(x, group, importance)
    holed, filled = x[:20].copy(), x[:20].copy()
    holed[:, 2], filled[:, 2] = np.nan, x[:, 2].mean()
    np.testing.assert_allclose(found.index(holed), found.index(filled), atol=1e-6)
    np.testing.assert_allclose(found.known(holed), 1 - importance[2] / importance.sum(), rtol=1e-6)
    assert np.isfinite(found.index(np.full((1, 6), np.nan))).all()


def test_constant_empty_and_unimportant_predictors_do_not_count() -> None:
    x, group, importance = training(3)
    wider = np.column_stack([x, np.full(300, 7.0), np.full(300, np.nan), np.random.default_rng(0).normal(size=300)])
    found = applicability(wider, group, np.r_[importance, 1, 1, -0.2])
    new = np.column_stack([x[:9], np.full((9, 3), 1e6)])
    np.testing.assert_allclose(found.index(new), applicability(x, group, importance).index(x[:9]), atol=1e-6)


def test_numbers_survive_a_file() -> None:
    x, group, importance = training(4)
    found = applicability(x, group, importance)
    again = Applicability.from_arrays(found.to_arrays())
    np.testing.assert_array_equal(again.index(x), found.index(x))
    assert again.index(x).dtype == np.float32
    assert again.threshold == found.threshold


def test_memory_of_an_index_is_its_block_and_not_rows_times_training_rows() -> None:
    x, group, importance = training(5, rows=2000)
    found = applicability(x, group, importance, tolerance=0)
    new = np.random.default_rng(0).normal(size=(50_000, 6)).astype(np.float32)
    tracemalloc.start()
    found.index(new)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2 * BLOCK_BYTES + 4 * len(new)


@pytest.mark.parametrize(
    ("x", "group", "importance", "message"),
    [
        (np.ones((4, 2)), np.arange(4), np.ones(2), "no predictor varies"),
        (np.eye(4), np.zeros(4), np.ones(4), "two or more"),
        (np.eye(4), np.arange(4), np.ones(3), "importances"),
    ],
)
def test_training_rows_that_give_no_index_are_refused(
    x: np.ndarray, group: np.ndarray, importance: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        applicability(x, group, importance)


def test_rows_of_other_predictors_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(rows, 6\) was due"):
        applicability(*training(6)).index(np.ones((3, 5)))
