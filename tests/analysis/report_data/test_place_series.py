"""Means over windows of a place's series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.report_data.place_series import stream_means, window_begins

VALUES = st.one_of(st.just(np.nan), st.floats(-50, 50))


@given(st.lists(st.integers(5, 9), min_size=1, max_size=6), st.data())
def test_means_are_those_of_each_window(lengths: list[int], data: st.DataObject) -> None:
    days = sum(lengths)
    observed, withheld = (np.array(data.draw(st.lists(VALUES, min_size=days, max_size=days))) for _ in range(2))
    members = np.random.default_rng(days).normal(size=(3, days))
    members[1] = np.nan
    begins = window_begins(np.repeat(np.arange(len(lengths)), lengths) + 7)
    assert begins.tolist() == [0, *np.cumsum(lengths)[:-1].tolist()]
    found = stream_means(begins, observed, withheld, members)
    for number, (begin, length) in enumerate(zip(begins, lengths, strict=True)):
        part = slice(begin, begin + length)
        for values, shown in ((observed, found.observed), (withheld, found.withheld)):
            seen = values[part][np.isfinite(values[part])]
            assert shown[number] == pytest.approx(seen.mean() if len(seen) else np.nan, nan_ok=True)
        own = members[[0, 2], part].mean(1)
        assert (found.low[number], found.median[number], found.high[number]) == pytest.approx(
            (own.min(), own.mean(), own.max())
        )


def test_weeks_stand_for_windows_of_single_days() -> None:
    assert window_begins(np.arange(20)).tolist() == [0, 7, 14]
