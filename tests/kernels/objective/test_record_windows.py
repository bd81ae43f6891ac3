"""The years on which a lane walks first: whole, consecutive, of the calibration window, and the richest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.kernels.models.dalec_daily.forcing_terms import year_ends
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.objective.record_windows import richest_years
from phloem.kernels.objective.site import Site
from phloem.names import STREAMS
from tests.support.kernels.builders import made_site


@pytest.fixture(scope="module")
def plain() -> Site:
    """Six years from a first of January, of which four calibrate."""
    days = 6 * 365
    made = made_site(days, 55, STRICT, first_day=0)
    return replace(made, year_end=year_ends(np.arange(days) % 365 + 1), training_days=4 * 365)


def observed(site: Site, counts: list[list[int]]) -> Site:
    """Return the site with so many observations of each stream in each year."""
    seen = {}
    for stream, row in zip(STREAMS, counts, strict=True):
        values = np.full(site.days, np.nan)
        for year, count in enumerate(row):
            values[365 * year : 365 * year + count] = 1.0 + np.arange(count)
        seen[stream] = values
    return replace(site, observations=seen)


COUNTS = st.lists(st.lists(st.integers(0, 365), min_size=6, max_size=6), min_size=4, max_size=4)


@given(COUNTS, st.integers(1, 5))
def test_they_hold_the_most_observations(plain: Site, counts: list[list[int]], years: int) -> None:
    site = observed(plain, counts)
    found = richest_years(site, years)
    width = min(years, 4)
    assert found.days == found.training_days == 365 * width
    totals = np.maximum(1, np.array(counts)[:, :4].sum(1))
    shares = [(np.array(counts)[:, i : i + width].sum(1) / totals).sum() for i in range(4 - width + 1)]
    (first,) = np.flatnonzero(site.weather.sin_phase == found.weather.sin_phase[0])[:1]
    assert first % 365 == 0
    assert shares[first // 365] == pytest.approx(max(shares))
    assert first // 365 == int(np.argmax(np.round(shares, 9))), "of equals the first"
    for name, values in site.observations.items():
        np.testing.assert_array_equal(found.observations[name], values[first : first + found.days])
    for mine, theirs in zip(found.weather, site.weather, strict=True):
        np.testing.assert_array_equal(mine, theirs[first : first + found.days])
    assert found.year_end.sum() == width - 1
    assert (found.ce_opt, found.mean_temperature) == (site.ce_opt, site.mean_temperature)


def test_a_record_that_begins_within_a_year(plain: Site) -> None:
    """Its first part of a year is a candidate like any other, and wins only with more observations."""
    days = 900
    made = made_site(days, 55, STRICT, first_day=200)
    site = replace(made, year_end=year_ends((np.arange(days) + 200) % 365 + 1), training_days=days)
    found = richest_years(site, 1)
    assert 300 < found.days <= 366


def test_a_record_without_a_single_observation(plain: Site) -> None:
    assert richest_years(observed(plain, [[0] * 6] * 4), 2).days == 730
