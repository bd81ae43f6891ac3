"""Biomass of models against maps: pooled cell-years, years in common, differences cell by cell."""

from __future__ import annotations

import json

import numpy as np
import pytest

from phloem.analysis.benchmark.skill_scores import metrics
from phloem.analysis.causes.biomass_comparison import BiomassComparison, above_ground_carbon, compare_biomass
from phloem.errors import InputError

LAT, LON = np.array([10.0, 20.0]), np.array([0.0, 10.0, 20.0])
YEARS = np.array([2010, *range(2015, 2022)])


def worlds(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    reference = rng.gamma(1.2, 60, (len(YEARS), 2, 3))
    years = np.arange(2003, 2019)
    common = np.isin(YEARS, years)
    model = rng.gamma(1.2, 60, (len(years), 2, 3))
    model[np.isin(years, YEARS)] = 0.8 * reference[common] + 10
    return {"mean": model, "q25": 0.7 * model, "q75": 1.3 * model}, years, reference


def compared() -> BiomassComparison:
    models, years, reference = worlds()
    return compare_biomass(models, years, reference, YEARS, LAT, LON)


def test_the_cell_years_in_common_are_pooled() -> None:
    models, years, reference = worlds()
    found = compared()
    assert found.years.tolist() == [2010, 2015, 2016, 2017, 2018]
    one = found.versions["mean"]
    due = metrics(models["mean"][np.isin(years, YEARS)], reference[:5])
    assert one.pooled == due
    assert one.pooled.pairs == 5 * 6
    assert one.pooled.slope_pred_on_obs == pytest.approx(0.8)
    assert one.pooled.r2_pearson == pytest.approx(1)
    assert one.below.pairs + one.above.pairs == 30
    assert one.below.bias > 0 > one.above.bias


def test_versions_stand_beside_the_mean_and_document_is_plain_json() -> None:
    found = compared()
    assert found.versions["q25"].pooled.bias < found.versions["mean"].pooled.bias < found.versions["q75"].pooled.bias
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["versions"]["q75"]["scores"]["pairs"] == 30
    assert document["versions"]["mean"]["cells"] == 6


def test_differences_are_means_over_the_years_that_both_have() -> None:
    model = np.full((2, 2, 3), 30.0)
    reference = np.full((2, 2, 3), 20.0)
    reference[0, 0, 0] = np.nan
    reference[1, 0, 0] = 50.0
    reference[:, 1, 2] = 0.0
    model[:, 0, 1] = np.nan
    found = compare_biomass({"mean": model}, np.array([2015, 2016]), reference, np.array([2015, 2016]), LAT, LON)
    one = found.versions["mean"]
    assert one.difference[0, 0] == pytest.approx(-20)
    assert one.relative[0, 0] == pytest.approx(-40)
    assert one.difference[0, 2] == pytest.approx(10)
    assert np.isnan(one.difference[0, 1])
    assert one.difference[1, 2] == pytest.approx(30)
    assert np.isnan(one.relative[1, 2])


def test_cells_off_land_do_not_count() -> None:
    models, years, reference = worlds()
    land = np.array([[True, False, False], [False, False, False]])
    assert compare_biomass(models, years, reference, YEARS, LAT, LON, land).versions["mean"].pooled.pairs == 5


def test_leaves_and_wood_are_added_and_converted() -> None:
    assert above_ground_carbon(np.array([100.0]), np.array([4600.0]), "gC m-2") == pytest.approx([47.0])
    assert above_ground_carbon(np.array([0.1]), np.array([4.6]), "kgC m-2") == pytest.approx([47.0])
    assert np.isnan(above_ground_carbon(np.array([np.nan]), np.array([1.0]), "kgC m-2"))
    with pytest.raises(InputError, match="cLeaf \\+ cWood: unit 'K'"):
        above_ground_carbon(np.array([1.0]), np.array([1.0]), "K")


def test_what_has_nothing_in_common_is_refused() -> None:
    models, years, reference = worlds()
    with pytest.raises(InputError, match=r"no year in common: the model has 1903, .* the reference 2010, 2015"):
        compare_biomass(models, years - 100, reference, YEARS, LAT, LON)
    with pytest.raises(InputError, match="mean: no cell and year"):
        compare_biomass({"mean": np.nan * models["mean"]}, years, reference, YEARS, LAT, LON)
    with pytest.raises(InputError, match=r"q25 has shape \(3, 2\); \(16, 2, 3\) is due"):
        compare_biomass({"q25": np.ones((3, 2))}, years, reference, YEARS, LAT, LON)
