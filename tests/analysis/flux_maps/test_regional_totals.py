"""Totals of fluxes: known areas and months, any cut into blocks, whole years, missing cells, members."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.analysis.benchmark.skill_scores import cell_area
from phloem.analysis.flux_maps.regional_totals import (
    LATENT_HEAT,
    LATITUDE_BANDS,
    NOWHERE,
    FluxBlock,
    FluxTotals,
    latitude_band,
)
from phloem.errors import InputError
from phloem.io.grids.placed_cells import EARTH_RADIUS

UNITS = {"gpp": "gC m-2 d-1", "le": "W m-2"}
MONTHS = np.arange("2003-01", "2006-01", dtype="datetime64[M]")


def earth(step: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and area of every cell."""
    latitude = np.repeat(np.arange(-90 + step / 2, 90, step), round(360 / step))
    return latitude, cell_area(latitude, step)


def random_map(seed: int, members: int = 2) -> FluxBlock:
    rng = np.random.default_rng(seed)
    latitude, area = earth(30.0)
    shape = (members, len(MONTHS), len(area))
    fluxes = {"gpp": rng.normal(3, 2, shape).astype("f4"), "le": rng.normal(40, 30, shape).astype("f4")}
    for values in fluxes.values():
        values[:, rng.random(shape[1:]) < 0.1] = np.nan
    labels = {"band": latitude_band(latitude), "user": rng.integers(NOWHERE, 2, len(area))}
    return FluxBlock(MONTHS[0], area, rng.random(len(area)), labels, fluxes)


def totals(members: int = 2) -> FluxTotals:
    return FluxTotals(MONTHS, UNITS, {"band": LATITUDE_BANDS, "user": ("mine", "yours")}, members)


def cut(block: FluxBlock, months: slice, cells: np.ndarray) -> FluxBlock:
    return FluxBlock(
        MONTHS[months][0],
        block.area[cells],
        block.land[cells],
        {name: label[cells] for name, label in block.labels.items()},
        {name: values[:, months][:, :, cells] for name, values in block.fluxes.items()},
    )


def test_constant_field_gives_the_area_of_the_sphere_times_land_and_days() -> None:
    latitude, area = earth()
    constant = np.ones((len(MONTHS), len(area)))
    found = FluxTotals(MONTHS, UNITS, {"band": LATITUDE_BANDS})
    labels = {"band": latitude_band(latitude)}
    found.add(FluxBlock(MONTHS[0], area, np.full(len(area), 0.3), labels, {"gpp": constant, "le": 80 * constant}))
    land = 4 * np.pi * EARTH_RADIUS**2 * 0.3
    gpp, le = found.yearly("gpp"), found.yearly("le")
    np.testing.assert_allclose(gpp.total, land * np.array([365, 366, 365]) / 1e15, rtol=1e-9)
    np.testing.assert_allclose(gpp.mean_flux, 1, rtol=1e-9)
    np.testing.assert_allclose(le.total, 80 * 86400 / LATENT_HEAT * land * np.array([365, 366, 365]) / 1e12, rtol=1e-9)
    np.testing.assert_allclose(le.mean_flux, 80, rtol=1e-9)
    bands = sum(found.yearly("gpp", "band", name).total for name in LATITUDE_BANDS)
    np.testing.assert_allclose(bands, gpp.total, rtol=1e-12)
    assert (gpp.missing == 0).all()
    assert gpp.low is None


@given(seed=st.integers(0, 50), data=st.data())
@settings(max_examples=25, deadline=None)
def test_totals_have_the_same_bits_for_any_cut_and_order_of_blocks(seed: int, data: st.DataObject) -> None:
    block = random_map(seed)
    whole, pieces, other = totals(), totals(), totals()
    whole.add(block)
    split = data.draw(st.lists(st.integers(0, 3), min_size=len(block.area), max_size=len(block.area)))
    year = data.draw(st.integers(1, len(MONTHS) - 1))
    blocks = [
        cut(block, months, cells)
        for piece in range(4)
        if len(cells := np.flatnonzero(np.array(split) == piece))
        for months in (slice(0, year), slice(year, None))
    ]
    for place, one in enumerate(data.draw(st.permutations(blocks))):
        (pieces if place % 2 else other).add(one)
    other.merge(pieces)
    again = totals()
    again.add_arrays(other.to_arrays())
    assert again.to_json() == whole.to_json()


def test_totals_are_those_of_a_plain_sum() -> None:
    block = random_map(3)
    found = totals()
    found.add(block)
    days = ((MONTHS + 1).astype("M8[D]") - MONTHS.astype("M8[D]")).astype(int)
    cells = block.labels["user"] == 1
    amount = block.fluxes["gpp"].astype(float) * (block.area * block.land) * days[:, None]
    due = np.nansum(amount[:, :, cells], axis=2).reshape(2, 3, 12).sum(2) / 1e15
    yours = found.yearly("gpp", "user", "yours")
    np.testing.assert_allclose(yours.total, due.mean(0), rtol=1e-9)
    np.testing.assert_allclose(yours.low, np.quantile(due, 0.05, axis=0), rtol=1e-9)
    weight = (block.area * block.land)[cells] * days[:, None]
    unknown = np.isnan(block.fluxes["gpp"][0][:, cells])
    share = (weight * unknown).reshape(3, 12, -1).sum((1, 2)) / weight.reshape(3, 12, -1).sum((1, 2))
    np.testing.assert_allclose(yours.missing, share, atol=1e-9)
    assert yours.spread_of_mean[0] < yours.total.mean() < yours.spread_of_mean[1]


def test_trend_and_variability_of_known_years_are_found() -> None:
    _, area = earth()
    months = np.arange("2001-01", "2021-01", dtype="datetime64[M]")
    per_year = 100 + 0.5 * np.arange(20)
    land = 4 * np.pi * EARTH_RADIUS**2
    days = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(int)
    of_month = np.repeat(per_year, 12) * 1e15 / land / np.repeat(days.reshape(20, 12).sum(1), 12)
    found = FluxTotals(months, {"gpp": "gC m-2 d-1"}, {})
    values = np.repeat(of_month[:, None], len(area), 1)
    found.add(FluxBlock(months[0], area, np.ones(len(area)), {}, {"gpp": values}))
    totals_of_years = found.yearly("gpp")
    assert totals_of_years.trend.slope == pytest.approx(0.5, rel=1e-6)
    assert totals_of_years.trend.theil_sen == pytest.approx(0.5, rel=1e-6)
    assert totals_of_years.variability == pytest.approx(per_year.std() / per_year.mean(), rel=1e-6)


@pytest.mark.parametrize("lack", ["no month", "month of some cells", "month without a value"])
def test_year_of_which_a_month_is_not_all_there_has_no_total(lack: str) -> None:
    block = random_map(1)
    found = totals()
    half = np.arange(len(block.area) // 2)
    if lack == "month without a value":
        for values in block.fluxes.values():
            values[:, 13] = np.nan
        found.add(block)
    else:
        every = np.arange(len(block.area))
        found.add(cut(block, slice(0, 13), every))
        found.add(cut(block, slice(14, None), every))
        if lack == "month of some cells":
            found.add(cut(block, slice(13, 14), half))
    assert np.isfinite(found.yearly("gpp").total).tolist() == [True, False, True]
    document = found.to_json()["gpp"]["global"]["global"]
    assert document["total"][1] is None
    assert document["whole_years"] == 2


def test_years_cut_by_the_first_and_last_month_have_no_total() -> None:
    _, area = earth()
    months = np.arange("2003-02", "2005-12", dtype="datetime64[M]")
    found = FluxTotals(months, {"gpp": "gC m-2 d-1"}, {})
    found.add(FluxBlock(months[0], area, np.ones(len(area)), {}, {"gpp": np.ones((len(months), len(area)))}))
    assert np.isfinite(found.yearly("gpp").total).tolist() == [False, True, False]


def test_centres_lie_in_their_band() -> None:
    assert latitude_band(np.array([-90, -60.25, -0.25, 0.25, 30, 89.75, 90])).tolist() == [0, 0, 2, 3, 4, 5, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first_month": np.datetime64("2005-06")}, "lie outside 2003-01 to 2005-12"),
        ({"land": np.ones(3)}, "were due"),
        ({"labels": {"band": np.zeros(72, int)}}, "lacks user"),
        ({"labels": {"band": np.full(72, 6), "user": np.zeros(72, int)}}, "label of band is not one of -1 to 5"),
        ({"fluxes": {"gpp": np.ones((2, 36, 72))}}, "lacks le"),
        ({"fluxes": {"gpp": np.full((2, 36, 72), 1e9), "le": np.ones((2, 36, 72))}}, "gpp has values too large"),
    ],
)
def test_block_that_does_not_fit_is_refused_and_adds_nothing(change: dict, message: str) -> None:
    block = random_map(1)
    found = totals()
    with pytest.raises(InputError, match=message):
        found.add(FluxBlock(**vars(block) | change))
    assert all((values == 0).all() for values in found.to_arrays().values())


def test_unit_without_a_total_and_months_with_gaps_are_refused() -> None:
    with pytest.raises(InputError, match="lai in '1' has no total"):
        FluxTotals(MONTHS, {"lai": "1"}, {})
    with pytest.raises(InputError, match="consecutive"):
        FluxTotals(MONTHS[::2], UNITS, {})


def test_sums_of_another_period_or_map_cannot_be_added() -> None:
    found, other = totals(), FluxTotals(MONTHS[:12], UNITS, {})
    with pytest.raises(InputError, match="other months"):
        found.merge(other)
    with pytest.raises(InputError, match="another map or period"):
        found.add_arrays(other.to_arrays())
