"""Scores over cells and derived quantities, by hand."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from phloem.analysis.benchmark.cell_scores import scores
from phloem.kernels.calibrations.dalec_daily.derived_quantities import derive
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS

FINITE = st.floats(0.5, 400, allow_subnormal=False)


def test_the_printed_pair_of_the_paper() -> None:
    """0.82 against 0.37 years is +121.6 %: the paper's +123.1 % comes from unrounded values."""
    assert scores(np.array([0.82]), np.array([0.37])).pbias == pytest.approx(121.6, abs=0.1)
    assert scores(np.array([8.0, 12.0]), np.array([10.0, 10.0])).pbias == 0
    assert scores(np.array([9.0, 9.0]), np.array([10.0, 10.0])).pbias == pytest.approx(-10), "less than the reference"


@given(st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=20, unique_by=(lambda p: p[0], lambda p: p[1])))
def test_scores_against_their_definitions(pairs: list[tuple[float, float]]) -> None:
    x, y = np.array(pairs).T
    found = scores(x, y)
    errors = [a - b for a, b in pairs]
    assert found.rmse == pytest.approx(statistics.fmean(e * e for e in errors) ** 0.5)
    explained = 1 - statistics.fmean(e * e for e in errors) / statistics.pvariance(y.tolist())
    assert found.r2_explained == pytest.approx(explained, rel=1e-6, abs=1e-9)
    assert found.r2_pearson == pytest.approx(pearsonr(x, y).statistic ** 2, abs=1e-9)
    assert found.relative == pytest.approx(100 * np.mean(x / y - 1))


def test_only_what_both_have_is_compared() -> None:
    x, y = np.array([1.0, np.nan, 3.0, 4.0]), np.array([1.0, 2.0, np.nan, 5.0])
    assert scores(x, y).cells == 2
    assert scores(x, y).rmse == pytest.approx(np.sqrt(0.5))
    nothing = scores(x[1:2], y[1:2])
    assert nothing.cells == 0
    assert set(nothing.to_json().values()) == {0, None}


def test_a_constant_has_no_correlation() -> None:
    found = scores(np.array([2.0, 2.0]), np.array([1.0, 3.0]))
    assert np.isnan(found.r2_pearson)
    assert found.r2_explained == 0


def test_derived_quantities() -> None:
    rng = np.random.default_rng(0)
    low, high = (np.array([getattr(p, key) for p in PARAMETERS]) for key in ("lower", "upper"))
    values = low * (high / low) ** rng.random((7, 3, len(PARAMETERS)))
    found = derive(values)
    shares = found["npp_leaf"] + found["npp_wood"] + found["npp_root"]
    np.testing.assert_allclose(shares, 1, rtol=1e-12)
    row = [p.name for p in PARAMETERS].index("turnover_wood")
    np.testing.assert_allclose(found["turnover_wood"], 365.25 * values[..., row])
    assert (found["leaf_lifespan"] > 0).all()
    longer = values.copy()
    longer[..., [p.name for p in PARAMETERS].index("leaf_lifespan")] *= 1.2
    assert (derive(longer)["leaf_lifespan"] > found["leaf_lifespan"]).all()
