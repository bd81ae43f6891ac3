"""Grids of any rows and columns: areas add up to the Earth's, and means between them keep totals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.grids.placed_cells import EARTH_RADIUS
from phloem.io.land_models.rectilinear import AreaMeans, Rectilinear, read_rectilinear

EARTH = 4.0 * np.pi * EARTH_RADIUS**2


def grid(kind: str) -> Rectilinear:
    latitude, longitude = np.arange(-86.25, 90, 7.5), np.arange(-176.25, 180, 7.5)
    if kind == "gaussian":
        latitude = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(26)[0]))
    if kind == "polar halves":
        latitude, longitude = np.arange(-90, 90.1, 7.5), np.arange(0, 360, 7.5)
    if kind == "north to south":
        latitude = latitude[::-1]
    if kind == "fine":
        latitude, longitude = np.arange(-89, 90, 2.0), np.arange(1.0, 360, 2.0)
    return read_rectilinear(latitude, longitude, "f.nc")[0]


KINDS = ("plain", "gaussian", "polar halves", "north to south", "fine")


@pytest.mark.parametrize("kind", KINDS)
def test_areas_of_a_global_grid_are_those_of_the_earth(kind: str) -> None:
    assert grid(kind).areas().sum() == pytest.approx(EARTH, rel=1e-3 if kind == "gaussian" else 1e-12)


def test_half_cells_at_the_poles_have_half_the_height() -> None:
    halves = grid("polar halves")
    np.testing.assert_allclose([halves.south[0], halves.north[0], halves.north[-1]], [-90, -86.25, 90])


def test_missing_rows_in_the_south_stay_missing() -> None:
    found, odd = read_rectilinear(np.arange(-56.25, 90, 7.5), np.arange(-176.25, 180, 7.5), "f.nc")
    assert found.south[0] == -60.0
    assert odd == ("no rows south of -60",)


@given(st.sampled_from(KINDS), st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.floats(0.0, 0.8))
def test_means_times_covered_area_keep_the_total(first: str, second: str, seed: int, missing: float) -> None:
    source, target = grid(first), grid(second)
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(source.shape) < missing, np.nan, rng.normal(5.0, 3.0, source.shape))
    mean, share = AreaMeans(source, target).regrid(values)
    total = np.nansum(values * source.areas())
    # Gaussian rows end short of the poles: what lies beyond them is nowhere.
    tolerance = 1e-9 if "gaussian" not in (first, second) else 5e-3
    scale = np.nansum(np.abs(values) * source.areas()) + 1.0
    assert abs(np.nansum(mean * share * target.areas()) - total) <= tolerance * scale
    assert ((share > 0) == np.isfinite(mean)).all()
    if first == second:
        np.testing.assert_allclose(mean, values, rtol=1e-12)


@pytest.mark.parametrize(
    ("latitude", "longitude", "words"),
    [
        ([0.0, 10.0, 5.0], [0.0, 10.0], "latitude does not run"),
        ([0.0, 95.0], [0.0, 10.0], "beyond the poles"),
        ([0.0, 10.0], [10.0, 0.0], "longitude does not run eastwards"),
        ([0.0], [10.0, 20.0], "two or more"),
        ([[0.0, 1.0]], [10.0, 20.0], "one dimension"),
    ],
)
def test_what_is_no_grid_is_refused(latitude: list, longitude: list, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_rectilinear(np.array(latitude), np.array(longitude), "f.nc")
