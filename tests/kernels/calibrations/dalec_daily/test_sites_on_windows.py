"""A cell as the optimiser's windows see it, given what the whole run made of it: the same as without."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from phloem.io.drivers.grid_cell import GridCell, calendar_days
from phloem.jobs.synthetic.weather import boreal_weather
from phloem.kernels.calibrations.dalec_daily.experiment import DalecExperiment
from phloem.kernels.objective.site import site_data
from phloem.names import FORCING, STREAMS

YEARS: dict[str, Any] = {"calibration_years": [2001, 2003], "validation_years": [2004, 2005]}


def made_cell(seed: int) -> GridCell:
    """Return a cell of 1998 to 2006 with LAI every eighth day, on no day that begins a run."""
    rng = np.random.default_rng(seed)
    year, doy = calendar_days(1998, 2006, "standard")
    weather, count = boreal_weather(55.0, 9, rng, 1998), len(year)
    seen = {name: (1 + 3 * rng.random(count)).astype(np.float32) for name in STREAMS}
    seen["lai"][np.arange(count) % 8 != 5] = np.nan  # none on the first day of 2001: interpolated from 2000
    return GridCell(
        name=f"made {seed}", latitude=55.0, longitude=25.0, calendar="standard", year=year, doy=doy,
        forcing={name: np.asarray(weather[name], np.float32) for name in FORCING}, observations=seen,
        window_start=(np.arange(count) % 10 == 0).astype(np.int8),
        evaporative_fraction=rng.random(count).astype(np.float32),
        trajectory=np.linspace(100, 9000, 23).astype(np.float32), statics={"lcma": 60.0, "cue": 0.5},
    )  # fmt: skip


@pytest.mark.parametrize("forcing", [[1999, 2006], [2001, 2005]])
def test_site_on_windows_is_the_one_that_is_prepared_anew(forcing: list[int]) -> None:
    run = DalecExperiment(name="growth-curve", edc7=False, forcing_years=forcing, years=23, **YEARS)
    for seed in range(12):
        cell = made_cell(seed)
        given, anew = run.site_on_windows(cell, run.site(cell)), run.on_windows.site(cell)
        assert given.ce_opt == anew.ce_opt
        pairs = zip(*(jax.tree.leaves(site_data([one], np.float32)) for one in (given, anew)), strict=True)
        assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)
