"""Values far too small show another unit; a winter, a desert and a few dry days do not."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.ingest.plausibility import is_too_small, over_the_seasons
from phloem.jobs.ingest.ingest_products import ingest
from tests.support.drivers import product_samples as samples

SECONDS = 86400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """All products with their ingest file, of one year."""
    path = samples.write_everything(tmp_path, (2003,))
    path.write_text(path.read_text().replace("years = [2003, 2004]", "years = [2003, 2003]"))
    return path


def small(path: Path, name: str) -> None:
    """Write a product as a rate per second under a unit per day."""
    root = path.parent
    if name == "gpp":
        for file in (root / "fluxsat").iterdir():
            scale(file, "GPP", 1.0 / SECONDS)
    elif name == "et":
        scale(root / "gleam/E_2003_GLEAM_v4.2a.nc", "E", 1.0 / SECONDS)
    elif name == "reco":
        scale(root / "reco/RECO_2003.nc", "RECO", 1.0 / SECONDS)
    elif name == "lai":
        for file in (root / "lai").iterdir():
            scale(file, "LAI", 1.0, scale_factor=0.001)
    else:
        samples.write_crujra(root / "cru", (2003,), change=lambda key, _, v: v / SECONDS if key == "pre" else v)


def scale(file: Path, name: str, factor: float, **attributes: float) -> None:
    with netCDF4.Dataset(str(file), "a") as opened:
        opened.set_auto_scale(False)
        if factor != 1.0:
            opened[name][:] = opened[name][:] * factor
        opened[name].setncatts(attributes)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "gpp",
            r"GPP_FluxSat_daily_v2_200301.nc4: variable GPP: at most .* less than 0.1; the file says 'g C m-2",
        ),
        (
            "reco",
            r"RECO_2003.nc: variable RECO: at most .* in 12 steps .* less than 0.1; the file says 'gC m-2 day",
        ),
        (
            "et",
            r"E_2003.*: variable E: at most .* mm d-1 in 12 steps .* less than 0.05; the file says 'mm day-1'",
        ),
        ("lai", r"A2003001.*: variable LAI: at most 0.03.* in 12 steps .* less than 0.1; the file says '1'"),
        (
            "pr",
            r"pre.2003.*: variable pre: at most .* mm d-1 in 365 steps .* less than 0.1; the file says 'mm/6h'",
        ),
    ],
)
def test_values_far_too_small(path, name, says):
    small(path, name)
    with pytest.raises(InputError, match=says):
        ingest(path, path.parent / "store")
    assert not (path.parent / "store").exists()


def test_rain_on_few_days_and_a_desert(path):
    """Rain on three days a year that the sample misses, and next to no leaves there: neither is another unit."""

    def desert(name, year, values):
        if name == "pre":
            values[:] = 1e-4
            values[200:212] = 2.0
        return values

    samples.write_crujra(path.parent / "cru", (2003,), change=desert)
    small(path, "lai")
    assert len(ingest(path, path.parent / "store").store) == 8


@pytest.mark.parametrize("years", [1, 2, 11, 12, 36])
def test_steps_of_all_seasons_and_years(years):
    dates = np.arange(np.datetime64("1985-01-01"), np.datetime64(f"{1985 + years}-01-01"))
    found = dates[over_the_seasons(dates)]
    month = found.astype("datetime64[M]").astype(int) % 12
    assert len(found) == 12
    assert len(set(month)) >= 11
    assert len(set(found.astype("datetime64[Y]"))) >= min(years, 11)


def test_what_is_not_judged():
    year = np.arange(np.datetime64("2003-01-01"), np.datetime64("2004-01-01"))
    low = np.full((12, 3), 1e-4)
    assert is_too_small(low, year, 0.1)
    assert not is_too_small(low, year[:250], 0.1)
    assert not is_too_small(0.0 * low, year, 0.1)
    winter = np.where(np.arange(12)[:, None] < 6, low, np.nan)
    assert not is_too_small(winter, year, 0.1)
    assert not is_too_small(np.where(np.arange(12)[:, None] == 6, 0.5, low), year, 0.1)
