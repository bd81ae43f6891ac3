"""Runs that keep what a year ends with, against the daily trajectory."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.forcing_terms import Weather
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.simulate.pools_at_year_ends import yearly_pools
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
    plain = site_data([made], np.float64).tables
    table = plain._replace(
        weather=plain.weather[:, :-1],
        weather_row=jnp.asarray(rows, jnp.int32),
        observed_row=jnp.zeros(len(rows), jnp.int32),
    )
    out = trajectory(dalec("strict"), inputs(parameters.T), state(pools.T), table, jnp.zeros(2, jnp.int32))
    ends = np.cumsum([span.stop - span.start for span in spans]) - 1
    first = np.concatenate([[0], ends[:-1] + 1])
    for (found, gpp), begin, end in zip(runs, first, ends, strict=True):
        names = ("labile", "foliar", "root", "wood", "litter", "som", "paw", "puw")
        expected = np.stack([np.asarray(getattr(out, name))[end] for name in names], 1)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        np.testing.assert_allclose(gpp, np.asarray(out.gpp)[begin : end + 1].sum(0), rtol=1e-10)
