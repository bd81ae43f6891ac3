"""Runs that keep what a year ends with, against the daily trajectory."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.forcing_terms import Weather
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.simulate.pools_at_year_ends import yearly_pools
from phloem.kernels.time_loop.day_tables import day_tables
from tests.support.kernels.builders import STATE, G
from tests.support.kernels.grid_cells import BASELINE, YEAR, cell


@pytest.mark.parametrize("backend", ["cpu", "xla"])
def test_year_ends_are_those_of_the_trajectory(backend) -> None:
    made = cell(BASELINE)
    years = YEAR[(YEAR >= 2001) & (YEAR <= 2019)]
    spans = [slice(int(np.argmax(years == y)), int(np.flatnonzero(years == y)[-1]) + 1) for y in (2001, 2002, 2004)]
    spans.append(spans[0])  # a year that is met again
    parameters, pools = np.stack([G, G * 1.01]), np.stack([STATE, STATE * 0.9])
    runs = list(yearly_pools(
        dalec("strict"), [Weather(*made.weather[:-1])] * 2, spans, parameters, pools, np.zeros(2, int), "gpp",
        dtype=np.float64, backend=backend,
    ))  # fmt: skip
    rows = np.concatenate([np.arange(span.start, span.stop) for span in spans])
    plain = [Weather(*made.weather[:-1])] * 2
    table = day_tables(
        plain, [made.observed("calibration")[0]] * 2, np.float64, weather_row=rows, observed_row=rows * 0
    )
    out = trajectory(dalec("strict"), inputs(parameters.T), state(pools.T), table, jnp.zeros(2, jnp.int32))
    ends = np.cumsum([span.stop - span.start for span in spans]) - 1
    first = np.concatenate([[0], ends[:-1] + 1])
    for (found, gpp), begin, end in zip(runs, first, ends, strict=True):
        names = ("labile", "foliar", "root", "wood", "litter", "som", "paw", "puw")
        expected = np.stack([np.asarray(getattr(out, name))[end] for name in names], 1)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        np.testing.assert_allclose(gpp, np.asarray(out.gpp)[begin : end + 1].sum(0), rtol=1e-10)
