"""Series of a region: means of towers and of grids, standardised, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phloem.analysis.causes.driver_series import (
    REGIONS,
    DriverSeries,
    gridded_series,
    region_box,
    standardise,
    tower_series,
    whole_months,
)
from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.errors import InputError
from phloem.io.flux_towers.tower_months import TowerMonths

MONTHS = np.arange("2001-01", "2001-04", dtype="datetime64[M]")


def three_towers() -> TowerMonths:
    nan = np.nan
    return TowerMonths(
        sites=("DE-A", "DE-B", "US-C"),
        months=MONTHS,
        values={
            "TA": np.array([[1.0, 2.0, 3.0], [3.0, nan, 5.0], [50.0, 50.0, 50.0]]),
            "NEE": np.array([[-1.0, nan, -3.0], [-2.0, nan, 1.0], [9.0, 9.0, 9.0]]),
        },
        of_site={
            "lat": np.array([50.0, 51.0, 40.0]),
            "lon": np.array([10.0, 11.0, -100.0]),
            "koppen": np.array([3.0, 4.0, 4.0]),
        },
        igbp=("DBF", "ENF", "ENF"),
    )


def test_a_month_is_the_mean_of_the_towers_that_have_it() -> None:
    series = tower_series(three_towers(), ("TA", "NEP"), "Europe")
    assert series.places == 2
    np.testing.assert_allclose(series.values, [[2.0, 1.5], [2.0, np.nan], [4.0, 1.0]])
    assert series.years.tolist() == [2001, 2001, 2001]


def test_a_class_narrows_the_towers() -> None:
    assert tower_series(three_towers(), ("TA",), igbp=("ENF",)).values[0, 0] == pytest.approx(26.5)
    assert tower_series(three_towers(), ("TA",), "Europe", koppen=(4,)).values[0, 0] == pytest.approx(3.0)
    assert np.isnan(tower_series(three_towers(), ("TA",), "Europe", least_towers=2).values[1, 0])


def test_rows_and_tables_give_the_same_series(towers: Callable[[], TowerMonths]) -> None:
    """Rows in any order, with fluxes in `observed`."""
    months = towers()
    shape = months.values["TA"].shape
    shuffled = np.random.default_rng(0).permutation(shape[0] * shape[1])
    columns = {name: months.values[name].reshape(-1)[shuffled] for name in ("TA", "SWIN")}
    columns |= {name: np.repeat(months.of_site[name], shape[1])[shuffled] for name in ("lat", "lon")}
    columns["month"] = np.tile(months.months.astype(float), shape[0])[shuffled]
    site = np.repeat(np.arange(shape[0]), shape[1])[shuffled]
    rows = FluxRows(months.sites, site, columns, {"nee": months.values["NEE"].reshape(-1)[shuffled]})
    nodes = ("TA", "SWIN", "NEP")
    a, b = (tower_series(one, nodes, "North America") for one in (rows, months))
    np.testing.assert_allclose(a.values, b.values, rtol=1e-12)
    assert np.array_equal(a.months, b.months)


def test_whole_months_say_what_was_left_out() -> None:
    series = whole_months(tower_series(three_towers(), ("TA", "NEP"), "Europe"), ("TA", "NEP"))
    assert len(series) == 2
    assert "1 of 3 months lack a node" in series.notes[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tower_series(three_towers(), ("TA",), "Eurpe"), "Did you mean 'Europe'"),
        (lambda: tower_series(three_towers(), ("TAA",)), r"node TAA: no column .* Did you mean 'TA'"),
        (lambda: tower_series(three_towers(), ("TA",), "Africa"), "Africa: no tower"),
        (lambda: tower_series(three_towers(), ("TA",), igbp=("XYZ",)), "igbp XYZ: no class"),
        (lambda: tower_series(three_towers(), ("TA",), (50.0, 40.0, 0.0, 1.0)), "south, north, west and east"),
        (lambda: whole_months(tower_series(three_towers(), ("TA",)), ("TA", "P")), "no series of P; there are TA"),
    ],
)
def test_what_is_not_there_is_refused_by_name(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


def test_a_node_without_any_value_is_refused_by_name() -> None:
    values = np.column_stack([np.arange(5.0), np.full(5, np.nan)])
    with pytest.raises(InputError, match="TS has no value in any month"):
        whole_months(DriverSeries(("TA", "TS"), np.arange(5), values, "here", 1), ("TA", "TS"))


@given(arrays(float, (36, 2), elements=st.floats(-100, 100)))
def test_standardised_series_have_mean_0_and_deviation_1(values: np.ndarray) -> None:
    values = values + np.linspace(0, 1, 36)[:, None]
    if (values.std(axis=0) < 1e-3).any():
        return
    done = standardise(DriverSeries(("a", "b"), np.arange(36), values, "here", 1)).values
    assert np.abs(done.mean(axis=0)).max() < 1e-9
    assert done.std(axis=0) == pytest.approx([1, 1])


def test_constant_missing_and_purely_seasonal_nodes_are_refused_by_name() -> None:
    months = np.arange(36)
    good = np.random.default_rng(0).standard_normal(36)
    for bad, words in (
        (np.full(36, 7.0), "P is constant over 36 months"),
        (np.where(months == 3, np.nan, good), r"some are missing in P \(1\)"),
    ):
        with pytest.raises(InputError, match=words):
            standardise(DriverSeries(("TA", "P"), months, np.column_stack([good, bad]), "here", 1))
    season = np.sin(2 * np.pi * months / 12)
    with pytest.raises(InputError, match="P has only a season"):
        standardise(DriverSeries(("TA", "P"), months, np.column_stack([good, season]), "here", 1), deseasonalise=True)


def test_grids_are_weighed_by_area_over_cells_that_have_all_nodes() -> None:
    lat, lon = np.array([40.0, 50.0, -30.0]), np.array([0.0, 10.0])
    area = np.array([[2.0, 2.0], [1.0, 1.0], [9.0, 9.0]])

    def fields() -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        ta = np.array([[1.0, 2.0], [4.0, np.nan], [99.0, 99.0]])
        yield 13, {"TA": ta + 1, "GPP": np.ones((3, 2))}
        yield 12, {"TA": ta, "GPP": np.where(ta == 2.0, np.nan, 5.0)}

    series = gridded_series(fields(), ("TA", "GPP"), lat, lon, area, "Europe")
    assert series.months.tolist() == [12, 13]
    assert series.values[0] == pytest.approx([(2 * 1 + 1 * 4) / 3, 5.0])
    assert series.values[1] == pytest.approx([(2 * 2 + 2 * 3 + 1 * 5) / 5, 1.0])


def test_a_grid_that_lacks_a_node_or_a_cell_is_refused_by_month() -> None:
    empty = {"TA": np.full((1, 1), np.nan)}
    for fields, words in (
        (iter([(12, {"TA": np.ones((1, 1))}), (12, {"TA": np.ones((1, 1))})]), "month 1971-01 stands twice"),
        (iter([(12, {"P": np.ones((1, 1))})]), "month 1971-01: no map of TA; there are P"),
        (iter([(12, empty)]), "month 1971-01: no cell in which TA all have a value"),
    ):
        with pytest.raises(InputError, match=words):
            gridded_series(fields, ("TA",), np.array([50.0]), np.array([5.0]), np.ones((1, 1)), "Europe")


def test_boxes_cross_the_date_line() -> None:
    name, box = region_box((-20.0, 20.0, 170.0, 200.0))
    assert box == (-20.0, 20.0, 170.0, 200.0)
    assert "170 to 200 E" in name
    ta = np.array([[1.0, 2.0, 3.0]])
    series = gridded_series(
        iter([(0, {"TA": ta})]), ("TA",), np.array([0.0]), np.array([-175.0, 0.0, 175.0]), np.ones((1, 1)), box
    )
    assert series.values[0, 0] == pytest.approx(2.0)
    assert set(REGIONS) >= {"Europe", "Asia", "Africa"}
