import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phloem.analysis.report_data.packed_layers import (
    RCV_STEPS,
    compress,
    decompress,
    pack,
    pack_between,
    pack_rcv,
    screened,
    unpack,
)
from phloem.io.merge.member_statistics import SCREENING_RCV

ANY = arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e300, 1e300) | st.just(np.nan))
POSITIVE = arrays(np.float64, st.integers(1, 40), elements=st.floats(1e-300, 1e300) | st.just(np.nan))


@given(ANY, st.sampled_from([8, 16]))
@example(np.array([np.nan, np.nan]), 16)
@example(np.array([3.0]), 8)
@example(np.array([-1e300, 0.0, 1e300]), 16)
def test_what_is_unpacked_is_within_half_a_step(values, bits):
    packed = pack(values, bits)
    told = unpack(packed)
    np.testing.assert_array_equal(np.isnan(told), np.isnan(values))
    known = ~np.isnan(values)
    if not known.any():
        return
    assert packed.bits == bits
    if packed.logarithmic:
        stretch = np.log(packed.high) - np.log(packed.low)
        error = np.abs(np.log(told[known]) - np.log(values[known]))
        assert (error <= 0.5 * stretch / (2**bits - 2) + 1e-12 * max(1, stretch)).all()
    else:
        half = packed.high / 2 - packed.low / 2
        error = np.abs(told[known] / 2 - values[known] / 2)
        assert (error <= half / (2**bits - 2) * 0.5 + 1e-12 * np.abs(values[known]).max()).all()


@given(POSITIVE, st.sampled_from([8, 16]))
def test_order_and_ends_survive(values, bits):
    packed = pack(values, bits)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    assert (np.diff(packed.codes[order].astype(int)) >= 0).all()
    if known.size:
        assert unpack(packed)[order[[0, -1]]] == pytest.approx(values[order[[0, -1]]], rel=1e-12)


@given(
    arrays(np.float64, st.integers(0, 60), elements=st.floats(0, 10) | st.just(np.nan) | st.just(np.inf)),
    st.sampled_from([8, 16]),
)
@example(np.array([SCREENING_RCV, np.nextafter(SCREENING_RCV, 1), np.nextafter(SCREENING_RCV, 0), 0.0]), 16)
@example(np.array([SCREENING_RCV, np.nextafter(SCREENING_RCV, 1), np.nextafter(SCREENING_RCV, 0), 0.0]), 8)
def test_packed_rcvs_pass_the_screen_exactly_where_the_rcvs_do(rcv, bits):
    packed = pack_rcv(rcv, bits)
    np.testing.assert_array_equal(screened(packed), rcv <= SCREENING_RCV)
    told, inside = unpack(packed), rcv <= packed.high
    assert (np.abs(told[inside] - rcv[inside]) <= RCV_STEPS[bits] * 1.01).all()
    assert (told[rcv > packed.high] == packed.high).all()
    np.testing.assert_array_equal(np.isnan(told), np.isnan(rcv))


def test_infinities_become_the_ends_and_codes_are_kept_as_they_are():
    packed = pack(np.array([1.0, np.inf, -np.inf, 2.0, np.nan]))
    np.testing.assert_allclose(unpack(packed), [1, 2, 1, 2, np.nan])
    status = np.array([0, 1, 5, 3])
    kept = pack_between(status, 0, 254, 8)
    np.testing.assert_array_equal(kept.codes, status + 1)
    np.testing.assert_array_equal(unpack(kept), status)


@given(st.binary(max_size=500))
def test_compression_keeps_bytes_and_knows_no_time(data):
    text = compress(data)
    assert decompress(text) == data
    assert compress(data) == text
    assert decompress(text[:0] + compress(b"")) == b""


def test_the_payload_is_all_lower_bytes_then_all_upper():
    packed = pack_between(np.array([0.0, 65534.0, 256.0, np.nan]), 0, 65534, 16)
    codes = np.array([1, 65535, 257, 0], "<u2")
    np.testing.assert_array_equal(packed.codes, codes)
    assert decompress(packed.payload()) == codes.view(np.uint8)[0::2].tobytes() + codes.view(np.uint8)[1::2].tobytes()
