"""Tables that fill what another lacks: drivers where they are missing, and never a flux."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.flux_towers.filled_table import filled_from
from phloem.io.flux_towers.tower_months import TowerMonths
from tests.io.flux_towers.test_cf_tower_table import months_of


def part(table: TowerMonths, sites: list[int], months: slice, *names: str) -> TowerMonths:
    return replace(
        table,
        sites=tuple(table.sites[n] for n in sites),
        months=table.months[months],
        values={name: table.values[name][sites][:, months] for name in names or table.values},
        of_site={name: values[sites] for name, values in table.of_site.items()},
        igbp=tuple(table.igbp[n] for n in sites),
    )


def test_missing_drivers_are_filled_by_tower_and_month_and_those_that_are_there_stay() -> None:
    whole = months_of(sites=4, count=20, seed=3)
    here = part(whole, [0, 1, 2], slice(2, 18), "GPP", "TA", "SWIN", "NEE_QC")
    other = months_of(sites=4, count=20, seed=9)
    filled = filled_from(here, part(other, [3, 2, 0], slice(0, 10)), "other.nc")
    lai = np.full((3, 16), np.nan)
    lai[[0, 2], :8] = other.values["LAI"][[0, 2], 2:10]
    np.testing.assert_array_equal(filled.values["LAI"], lai)
    air, offered = here.values["TA"], np.full((3, 16), np.nan)
    offered[[0, 2], :8] = other.values["TA"][[0, 2], 2:10]
    np.testing.assert_array_equal(filled.values["TA"], np.where(np.isnan(air), offered, air))
    np.testing.assert_array_equal(filled.of_site["lat"], here.of_site["lat"])
    for name in ("GPP", "NEE_QC"):
        np.testing.assert_array_equal(filled.values[name], here.values[name])
    assert not {"RECO", "NEE", "LE", "GPP_DT", "H", "LE_QC"} & filled.values.keys()
    count = int(np.isfinite(lai).sum())
    assert f"LAI: {count:,} months of 2 towers are of other.nc" in filled.notes


def test_class_and_numbers_that_are_unknown_are_filled() -> None:
    whole = replace(months_of(sites=2, seed=3), igbp=("DBF", "EBF"))
    numbers = {**whole.of_site, "koppen": np.array([np.nan, 2.0])}
    here = replace(whole, igbp=("", "MF"), of_site=numbers)
    filled = filled_from(here, replace(whole, of_site={**numbers, "koppen": np.array([3.0, 4.0])}), "other.nc")
    assert filled.igbp == ("DBF", "MF")
    np.testing.assert_array_equal(filled.of_site["koppen"], [3.0, 2.0])


def test_table_of_other_towers_or_years_is_refused() -> None:
    here = months_of(sites=2, count=6)
    with pytest.raises(InputError, match=r"other\.nc: no tower of it is one of the table; its towers are YY-A, YY-B"):
        filled_from(here, replace(here, sites=("YY-A", "YY-B")), "other.nc")
    with pytest.raises(InputError, match=r"other\.nc: no month of it"):
        filled_from(here, replace(here, months=here.months + 200), "other.nc")
