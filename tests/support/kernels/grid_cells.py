"""A made grid cell for the tests of the grid experiments: 36 Gregorian years of weather, everything observed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from phloem.io.drivers.grid_cell import GridCell, calendar_days
from phloem.jobs.synthetic.weather import boreal_weather
from phloem.kernels.calibrations.dalec_daily.grid_site import GridSite, grid_site
from phloem.kernels.calibrations.protocol import RunProtocol
from phloem.kernels.models.dalec_daily.mode_switches import switches
from phloem.names import FORCING, STREAMS, WINDOW_MEANS

FIRST, LAST = 1985, 2020
BASELINE = RunProtocol((2001, 2019), 19, (2001, 2012), (2013, 2019))
SINGLE = RunProtocol((2001, 2019), 19, (2001, 2012), (2013, 2019), "snapshot")
GROWTH = RunProtocol((FIRST, LAST), 107, (2001, 2012), (2013, 2019), "trajectory")

YEAR, DOY = calendar_days(FIRST, LAST, "standard")
DATES = (YEAR - 1970).astype("datetime64[Y]").astype("datetime64[D]") + (DOY - 1)
OF_MONTH = (DATES - DATES.astype("datetime64[M]")).astype(int) + 1
DEKADS = np.isin(OF_MONTH, (1, 11, 21)).astype(int)
TRAJECTORY = 9000 * (1 - np.exp(-0.03 * np.arange(1, 108))) ** 1.2
SNAPSHOT = 8500.0


def observations(seed: int = 1) -> dict[str, np.ndarray]:
    """Return made observations on the days they belong to, with gaps."""
    rng = np.random.default_rng(seed)
    ends = np.append(DEKADS[1:], 1) > 0
    kept = {"gpp": True, "et": True, "reco": ends, "lai": (DOY - 1) % 8 == 0}
    return {
        name: np.where((rng.random(len(YEAR)) < 0.8) & kept[name], 1 + 2 * rng.random(len(YEAR)), np.nan)
        for name in STREAMS
    }


def cell(
    protocol: RunProtocol,
    latitude: float = 62.0,
    seed: int = 1,
    windowed: tuple[str, ...] = WINDOW_MEANS,
    **changes: Any,
) -> GridSite:
    """Return the cell as the kernels read it; changes are of the record."""
    made = boreal_weather(latitude, LAST - FIRST + 1, np.random.default_rng(seed), FIRST)
    record = GridCell(
        name="made",
        latitude=latitude,
        longitude=25.0,
        calendar="standard",
        year=YEAR,
        doy=DOY,
        forcing={name: made[name] for name in FORCING},
        observations=observations(seed),
        window_start=DEKADS,
        evaporative_fraction=np.random.default_rng(seed + 9).random(len(YEAR)),
        trajectory=TRAJECTORY,
        statics={"biomass_snapshot": SNAPSHOT, "lcma": 60.0, "cue": 0.5},
    )
    return grid_site(replace(record, **changes), protocol, switches("strict"), windowed)
