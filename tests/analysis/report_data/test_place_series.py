"""Means over windows of a place's series, and which places are shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.report_data.place_series import spread_by_rank, stream_means, window_begins

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


@given(st.lists(VALUES, max_size=40), st.integers(2, 12))
def test_places_are_spread_from_the_worst_to_the_best(scores: list[float], most: int) -> None:
    values = np.array(scores, float)
    chosen = spread_by_rank(values, most)
    known = np.sort(values[np.isfinite(values)])
    assert len(chosen) == min(most, len(known)) == len(set(chosen.tolist()))
    assert (np.diff(values[chosen]) >= 0).all()
    if len(known):
        assert (values[chosen[0]], values[chosen[-1]]) == (known[0], known[-1])
