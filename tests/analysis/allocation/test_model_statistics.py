"""Statistics over land models: only those with all parts, of the parts before the ratio."""

from __future__ import annotations

import numpy as np

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
