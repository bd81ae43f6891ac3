import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.report.tables import shade
from phloem.analysis.report_data.tower_product import apart, envelope, position, seasonal_means, weekly_means
from phloem.analysis.style.wording import fixed, number, typeset
from phloem.model_tables import Parameter
from phloem.names import PERIOD


@given(st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan"))), min_size=1, max_size=40))
def test_weekly_means(values):
    means = weekly_means(np.array(values))
    assert means.size == -(-len(values) // 7)
    for index, mean in enumerate(means):
        window = [value for value in values[7 * index : 7 * index + 7] if value == value]
        expected = np.mean(window) if len(window) >= 4 else np.nan
        np.testing.assert_allclose(mean, expected, atol=1e-12)


def test_seasonal_means_start_on_the_first_of_january():
    time = np.datetime64("2003-12-30") + np.arange(400)
    values = np.where(time.astype(str) >= "2004-01-08", 5.0, 1.0)
    means = seasonal_means(np.stack([values, np.full(400, np.nan)]), time)
    assert means.shape == (2, 52)
    # The first week of 2004 has seven ones and that of 2005 seven fives; the last has two ones of 2003.
    np.testing.assert_allclose(means[0, [0, 1, 51]], [3.0, 5.0, (2 * 1 + 9 * 5) / 11])
    assert np.isnan(means[1]).all()


@given(st.floats(-800, 800), st.floats(-800, 800))
def test_apart_is_the_short_way(value, reference):
    way = float(apart(np.array(value), reference, PERIOD))
    assert -PERIOD / 2 <= way <= PERIOD / 2
    turns = (value - reference - way) / PERIOD
    assert abs(turns - round(turns)) < 1e-9


def test_formats():
    assert [number(value) for value in (0.0, 0.5, 1e4, 12345.6, 3.14159, -2e-5, float("nan"))] == [
        *("0", "0.5", "10,000", "12,346", "3.142", "−2×10⁻⁵", "–")
    ]
    assert [fixed(value) for value in (-3.0124, -0.0001, 1234.5, float("inf"))] == [
        "−3.012",
        "0.000",
        "1,234.500",
        "–",
    ]
    assert typeset("g hPa0.5 kg-1") == "g hPa⁰·⁵ kg⁻¹"
    assert typeset("gC m-2 (kg H2O)-1 d-1") == "gC m⁻² (kg H2O)⁻¹ d⁻¹"
    assert shade(0.5) == "background:#ffffff;color:#111"
    assert shade(1.0) == "background:#0072b2;color:#fff"
    assert shade(0.0).startswith("background:#d55e00")


def test_envelope_leaves_missing_members_out():
    values = np.array([[1.0, np.nan, np.nan], [4.0, 2.0, np.nan], [2.0, 8.0, np.nan]])
    median, low, high = envelope(values)
    np.testing.assert_array_equal(median, [2.0, 5.0, np.nan])
    np.testing.assert_array_equal(low, [1.0, 2.0, np.nan])
    np.testing.assert_array_equal(high, [4.0, 8.0, np.nan])


def test_position_is_logarithmic_between_the_bounds():
    np.testing.assert_allclose(
        position(np.array([0.1, 1.0, 10.0]), Parameter("x", "x", "1", 0.1, 10.0, "", "")), [0.0, 0.5, 1.0], atol=1e-12
    )
    days = np.array([PERIOD + 36.525, 3.5 * PERIOD])
    np.testing.assert_allclose(
        position(days, Parameter("d", "d", "d", 365.25, 1461.0, "", "", period=PERIOD)), [0.1, 0.5]
    )
