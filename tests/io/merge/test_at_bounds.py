"""What stands at a bound, and which basins are poor."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from phloem.io.campaign.tile_schema import good_lanes, with_basins
from phloem.io.merge.at_bounds import at_bound, mostly_at_bounds, without_bounds
from phloem.io.merge.by_name import named_values, named_variables
from phloem.io.merge.member_statistics import member_statistics
from phloem.kernels.calibrations.dalec_daily.tables import TOWERS
from phloem.names import POOR_BASIN_GAP, STATUS

PARAMETERS = TOWERS.parameters


def at_share(share: float) -> np.ndarray:
    """Every parameter at a share of its range of logarithms."""
    return np.array([one.lower * (one.upper / one.lower) ** share for one in PARAMETERS])


def test_within_one_percent_of_a_bound():
    for share, side in ((0.0, -1), (0.009, -1), (0.011, 0), (0.5, 0), (0.989, 0), (0.991, 1), (1.0, 1)):
        assert (at_bound(at_share(share), PARAMETERS) == side).all(), share
    assert not at_bound(np.full(len(PARAMETERS), np.nan), PARAMETERS).any()


def test_members_that_all_stand_at_a_bound_have_not_agreed():
    values = np.tile(at_share(0.5), (2, 5, 1))
    column = TOWERS.column("turnover_root")
    values[1, :, column] = PARAMETERS[column].upper
    valid, pools = np.ones((2, 5), bool), np.full((2, 5, len(TOWERS.pools)), 50.0)
    found = member_statistics(values, pools, valid, TOWERS)
    assert found["parameters_rcv"][0, column] == 0
    assert np.isnan(found["parameters_rcv"][1, column])
    assert np.isnan(found["parameters_screened"][1, column])
    assert found["parameters_median"][1, column] == PARAMETERS[column].upper
    assert found["at_bound"][1, :, column].tolist() == [1] * 5
    others = np.arange(len(PARAMETERS)) != column
    assert np.isfinite(found["parameters_rcv"][:, others]).all()
    np.testing.assert_array_equal(without_bounds(np.zeros(2), values[..., column], PARAMETERS[column]), [0.0, np.nan])


def test_half_of_the_members_is_not_most():
    values = np.tile(at_share(0.5), (1, 4, 1))
    values[0, :2] = at_share(1.0)
    valid = np.ones((1, 4), bool)
    assert not mostly_at_bounds(values, valid, PARAMETERS).any()
    valid[0, 3] = False  # two of three that count
    assert mostly_at_bounds(values, valid, PARAMETERS).all()


LOSS = numpy_arrays(float, (5, 4), elements=st.floats(-4, 4) | st.just(np.nan))
CODES = numpy_arrays(np.int8, (5, 4), elements=st.sampled_from(sorted(STATUS.values())))


@given(CODES, LOSS)
def test_basins_are_told_apart_by_the_stated_gap(status, loss):
    found = with_basins(status, loss)
    assert np.array_equal(with_basins(found, loss), found)
    for before, after, losses in zip(status, found, loss, strict=True):
        ended = (good_lanes(before) | (before == STATUS["poor_basin"])) & np.isfinite(losses)
        for member in range(4):
            if not ended[member]:
                assert after[member] == before[member]
                continue
            poor = losses[member] > losses[ended].min() + POOR_BASIN_GAP
            assert (after[member] == STATUS["poor_basin"]) == poor


def test_variables_by_name_hold_the_same_values_within_their_valid_range():
    rng = np.random.default_rng(0)
    parameters = at_share(0.0) * (1 - 1e-16) * np.ones((3, 2, 1)) + 0 * rng.random((3, 2, len(PARAMETERS)))
    pools = np.full((3, 2, len(TOWERS.pools)), np.nan)
    values, texts = named_values(parameters, pools, TOWERS), named_variables(TOWERS)
    assert list(values) == list(texts) == list(TOWERS.unknown_names)
    for place, one in enumerate(PARAMETERS):
        np.testing.assert_allclose(values[one.name], parameters[..., place].T, rtol=1e-12)
        assert values[one.name].min() >= texts[one.name]["valid_range"][0]
        assert texts[one.name]["units"] == one.unit
        assert ("not read by the model" in texts[one.name]["long_name"]) == (not one.read)
    assert np.isnan(values["initial_som"]).all()
