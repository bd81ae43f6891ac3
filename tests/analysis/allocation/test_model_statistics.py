"""Statistics over land models: only those with all parts, of the parts before the ratio."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.allocation.model_statistics import part_statistics


def test_models_that_lack_a_part_do_not_count() -> None:
    gpp = np.array([[100.0, 10.0], [300.0, 20.0], [900.0, np.nan]])
    npp = np.array([[40.0, 5.0], [180.0, np.nan], [np.nan, np.nan]])
    found = part_statistics({"npp": npp, "gpp": gpp})
    np.testing.assert_array_equal(found.models, [2, 1])
    np.testing.assert_allclose(found.values["mean"]["gpp"], [200.0, 10.0])
    np.testing.assert_allclose(found.values["mean"]["npp"] / found.values["mean"]["gpp"], [0.55, 0.5])
    assert 0.5 * (0.4 + 0.6) != 0.55, "the ratio of means is not the mean of ratios"
    np.testing.assert_allclose(found.values["q25"]["gpp"], [150.0, 10.0])
    np.testing.assert_allclose(found.values["q75"]["npp"], [145.0, 5.0])


def test_a_cell_that_no_model_has_is_missing_with_none_counted() -> None:
    found = part_statistics({"a": np.full((3, 2), np.nan), "b": np.ones((3, 2))})
    np.testing.assert_array_equal(found.models, [0, 0])
    assert all(np.isnan(one).all() for by in found.values.values() for one in by.values())


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.floats(0.0, 0.9))
def test_quartiles_are_those_of_numpy_over_the_models_that_are_there(seed: int, models: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, models, 4, 3))
    first[rng.random(first.shape) < missing] = np.nan
    found = part_statistics({"a": first, "b": second})
    both = np.where(np.isnan(first), np.nan, second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of cells that no model has
        for name, wanted in (("q25", np.nanpercentile(both, 25, axis=0)), ("q75", np.nanpercentile(both, 75, axis=0)),
                             ("mean", np.nanmean(both, axis=0))):  # fmt: skip
            np.testing.assert_allclose(found.values[name]["b"], wanted, atol=1e-12)
    np.testing.assert_array_equal(found.models, np.isfinite(first).sum(axis=0))
