import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from phloem.io.merge.member_statistics import circular_median_and_rcv, median_and_rcv
from phloem.names import PERIOD

DAYS = st.lists(st.floats(0, 365.25, exclude_max=True), min_size=3, max_size=7)
VALUES = numpy_arrays(float, (4, 6), elements=st.floats(-1e6, 1e6) | st.just(np.nan))
MASKS = numpy_arrays(bool, (4, 6))


def circular_distance(a: np.ndarray, b: float) -> np.ndarray:
    """By the angle between unit vectors: shares no formula with the code under test."""
    turn = 2 * np.pi / PERIOD
    return np.abs(np.angle(np.exp(1j * (np.asarray(a) - b) * turn))) / turn


def mean_distance(point: float, days: list[float]) -> float:
    return float(circular_distance(np.array(days), point).mean())


def circular(days: list[float]) -> tuple[float, float]:
    median, rcv = circular_median_and_rcv(np.array(days), np.ones(len(days), bool))
    return float(median), float(rcv)


@given(VALUES, MASKS)
def test_linear_equals_brute_force(values: np.ndarray, valid: np.ndarray) -> None:
    median, rcv = median_and_rcv(values, valid)
    for row in range(len(values)):
        kept = values[row][valid[row] & np.isfinite(values[row])]
        if len(kept) < 3:
            assert np.isnan(median[row])
            assert np.isnan(rcv[row])
            continue
        assert median[row] == pytest.approx(np.median(kept), rel=1e-14, abs=1e-300)
        spread = 1.4826 * np.median(np.abs(kept - np.median(kept)))
        if abs(median[row]) > 1e-9:
            assert rcv[row] == pytest.approx(spread / abs(np.median(kept)), rel=1e-9, abs=1e-9)


def test_linear_by_hand() -> None:
    median, rcv = median_and_rcv(np.array([1.0, 2.0, 3.0, 4.0, 100.0]), np.ones(5, bool))
    assert (median, rcv) == (3.0, 1.4826 * 1.0 / 3.0)
    median, rcv = median_and_rcv(np.array([1.0, 2.0, 3.0, 9e9]), np.array([1, 1, 1, 0], bool))
    assert (median, rcv) == (2.0, 1.4826 / 2.0)
    assert median_and_rcv(np.zeros(3), np.ones(3, bool)) == (0.0, 0.0)
    assert median_and_rcv(np.array([-1.0, 0.0, 1.0]), np.ones(3, bool)) == (0.0, np.inf)


@given(DAYS)
def test_circular_median_has_the_least_mean_distance(days: list[float]) -> None:
    median, rcv = circular(days)
    assert 0 <= median < PERIOD
    grid = np.concatenate([np.linspace(0, PERIOD, 721), days])
    least = min(mean_distance(point, days) for point in grid)
    assert mean_distance(median, days) <= least + 1e-6
    spread = np.median(circular_distance(np.array(days), median))
    assert rcv == pytest.approx(1.4826 * spread / (PERIOD / (2 * np.pi)), abs=1e-6)


def is_well_determined(days: list[float]) -> bool:
    """No two points far apart are nearly equally good: rounding cannot change which one is taken."""
    ranked = sorted(days)
    following = [*ranked[1:], ranked[0] + PERIOD]
    points = ranked if len(days) % 2 else [(a + b) / 2 for a, b in zip(ranked, following, strict=True)]
    costs = [mean_distance(point, days) for point in points]
    good = [p for p, cost in zip(points, costs, strict=True) if cost < min(costs) + 1e-3]
    return all(circular_distance(np.array(good[0]), p) < 1e-3 for p in good)


@example([364.0, 1.0, 3.0], 200.0)
@example([350.0, 360.0, 5.0, 20.0], -90.0)
@given(DAYS, st.floats(-1000, 1000))
def test_circular_statistics_turn_with_the_year(days: list[float], offset: float) -> None:
    assume(is_well_determined(days))
    median, rcv = circular(days)
    turned_median, turned_rcv = circular([day + offset for day in days])
    assert circular_distance(np.array(median + offset), turned_median) < 2e-3
    assert turned_rcv == pytest.approx(rcv, abs=1e-4)


@given(st.lists(st.floats(100, 200), min_size=3, max_size=7))
def test_within_half_a_year_the_circular_median_is_the_median(days: list[float]) -> None:
    assert circular(days)[0] == pytest.approx(np.median(days), abs=1e-6)


def test_circular_by_hand() -> None:
    assert circular([364.0, 1.0, 3.0]) == pytest.approx((1.0, 1.4826 * 2.0 * 2 * np.pi / PERIOD))
    assert circular([360.25, 364.25, 1.0, 100.0])[0] == pytest.approx(0.0, abs=1e-9)
    assert circular([10.0, 10.0, 10.0]) == (10.0, 0.0)
    assert circular([-1e-20, 0.0, 0.0]) == (0.0, 0.0)


@given(numpy_arrays(float, (3, 6), elements=st.floats(0, 365)), numpy_arrays(bool, (3, 6)))
def test_members_left_out_do_not_count(values: np.ndarray, valid: np.ndarray) -> None:
    for statistic in (median_and_rcv, circular_median_and_rcv):
        median, rcv = statistic(np.where(valid, values, np.nan), valid)
        again = statistic(np.where(valid, values, 7.0), valid)
        assert np.array_equal([median, rcv], again, equal_nan=True)
        for row in range(3):
            kept = values[row][valid[row]]
            alone = statistic(kept, np.ones(len(kept), bool)) if len(kept) > 2 else (np.nan, np.nan)
            assert np.array_equal([median[row], rcv[row]], alone, equal_nan=True)
