"""The public towers, read plainly."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.io.flux_towers.tower_quantities import OF_SITE, QUANTITIES


@cache
def _read(path: Path) -> TowerMonths:
    with xr.open_dataset(path) as file:
        file = file.transpose("site", "time")
        return TowerMonths(
            sites=tuple(str(one) for one in file["site"].values),
            months=file["time"].values.astype("datetime64[M]"),
            values={name: file[name].values.astype(float) for name in QUANTITIES if name in file},
            of_site={name: file[name].values.astype(float) for name in OF_SITE if name in file},
            igbp=tuple(str(one) for one in file["igbp"].values),
        )


@pytest.fixture
def towers(data_dir: Path) -> Callable[[], TowerMonths]:
    """Return a function that reads the towers, or skips where they are not there."""
    path = data_dir / "uflux/towers_monthly.nc"

    def read() -> TowerMonths:
        if not path.is_file():
            pytest.skip("no uflux/towers_monthly.nc")
        months = _read(path)
        assert np.isfinite(months.of_site["lat"]).all()
        return months

    return read
