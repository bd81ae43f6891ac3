"""Which places of a campaign its report shows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from phloem.jobs.analyse.place_series import spread_by_rank

VALUES = st.one_of(st.just(np.nan), st.floats(-50, 50))


@given(st.lists(VALUES, max_size=40), st.integers(2, 12))
def test_places_are_spread_from_the_worst_to_the_best(scores: list[float], most: int) -> None:
    values = np.array(scores, float)
    chosen = spread_by_rank(values, most)
    known = np.sort(values[np.isfinite(values)])
    assert len(chosen) == min(most, len(known)) == len(set(chosen.tolist()))
    assert (np.diff(values[chosen]) >= 0).all()
    if len(known):
        assert (values[chosen[0]], values[chosen[-1]]) == (known[0], known[-1])
