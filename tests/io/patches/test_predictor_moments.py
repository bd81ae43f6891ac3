from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.patches.predictor_moments import add_moments, mean_and_deviation, moments_of

finite = st.floats(-1e4, 1e4).map(lambda value: round(value, 3)) | st.just(float("nan"))


@given(st.lists(st.lists(finite, max_size=8), min_size=1, max_size=6))
def test_moments_put_together_are_those_of_all_values(parts: list[list[float]]) -> None:
    count, mean, squares = add_moments(moments_of({"x": np.array(part)}) for part in parts)["x"]
    values = np.array([value for part in parts for value in part if np.isfinite(value)])
    assert count == len(values)
    if count:
        np.testing.assert_allclose(mean, values.mean(), atol=1e-9)
        np.testing.assert_allclose(squares, ((values - values.mean()) ** 2).sum(), rtol=1e-9, atol=1e-5)


def test_region_of_one_hemisphere_has_a_hemisphere_that_acts_as_a_bias() -> None:
    north = moments_of({"hemisphere": 1 / (1 + np.exp(-np.linspace(40.0, 60.0, 9)))})
    assert mean_and_deviation(north, ["hemisphere"])["hemisphere"] == (pytest.approx(1.0), 1.0)


def test_predictor_that_is_the_same_everywhere_is_refused_by_name() -> None:
    moments = moments_of({"sand": np.full(9, 43.7), "clay": np.arange(9.0), "silt": np.full(9, np.nan)})
    assert mean_and_deviation(moments, ["clay"])["clay"] == (4.0, pytest.approx(np.arange(9.0).std()))
    with pytest.raises(InputError, match=r"predictor sand: 43\.7 in all training cells"):
        mean_and_deviation(moments, ["clay", "sand"])
    with pytest.raises(InputError, match="predictor silt: no cell has a value"):
        mean_and_deviation(moments, ["silt"])
