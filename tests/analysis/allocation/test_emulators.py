"""Emulators: folds that keep years of a cell and cells of a block together; skill falls where nothing is near."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from phloem.analysis.allocation.emulators import (
    TREES,
    AllocationRows,
    cross_validated,
    fit_emulators,
    folds_of,
    score,
    skill,
)
from phloem.analysis.allocation.model_statistics import STATISTICS
from phloem.analysis.allocation.ratios import STRICT_TARGETS, RatioMode, learned_values

QUICK = replace(TREES, n_estimators=60, block_degrees=30.0)


def made(seed: int = 0) -> AllocationRows:
    """Cells whose CUE follows a smooth field of the Earth that coordinates show, and residence a true predictor."""
    rng = np.random.default_rng(seed)
    latitude, longitude = (one.ravel() for one in np.meshgrid(np.arange(-57.5, 60, 5), np.arange(-177.5, 180, 5)))
    cells = np.arange(len(latitude))
    rows = np.repeat(cells, 2)
    warm = rng.normal(size=len(cells))[rows] + 0.1 * rng.normal(size=len(rows))
    bumps = rng.normal(size=(4, 6, 12)).repeat(4, 1).repeat(6, 2)[0].T.reshape(-1)[cells][rows]
    x = np.stack([warm, latitude[rows], longitude[rows]], axis=1)
    gpp = rng.uniform(200, 3000, len(rows))
    cue = 1.0 / (1.0 + np.exp(-bumps))
    npp, ra = cue * gpp, (1.0 - cue) * gpp
    rh, vegetation = 0.9 * npp, np.exp(2.0 + 0.5 * warm) * npp
    every = {
        "gpp": gpp, "npp": npp, "ra": ra, "rh": rh, "cVeg": vegetation, "cLeaf": 0.1 * vegetation,
        "cWood": 0.7 * vegetation, "cRoot": 0.2 * vegetation, "cLitter": npp, "cSoil": 20 * npp,
    }  # fmt: skip
    return AllocationRows(
        predictors=("warm", "latitude", "longitude"), x=x, cell=rows, latitude=latitude[rows],
        longitude=longitude[rows], fluxes={s: np.stack([gpp, ra], 1) for s in STATISTICS},
        parts={t.name: {s: {part: every[part] for part in t.parts} for s in STATISTICS} for t in STRICT_TARGETS},
        ocean_rows=4 * len(rows),
    )  # fmt: skip


@pytest.mark.parametrize("scheme", ["random", "blocked"])
def test_years_of_a_cell_and_cells_of_a_block_are_left_out_together(scheme: str) -> None:
    rows = made()
    fold = folds_of(rows, scheme, QUICK)
    assert sorted(set(fold.tolist())) == list(range(QUICK.folds))
    for cell in np.unique(rows.cell):
        assert len(set(fold[rows.cell == cell])) == 1
    block = np.floor((rows.latitude + 90) / 30) * 100 + np.floor((rows.longitude + 180) / 30)
    together = [len(set(fold[block == one])) for one in np.unique(block)]
    assert max(together) == (1 if scheme == "blocked" else QUICK.folds)


def test_blocked_skill_is_lower_where_only_neighbours_tell_and_equal_where_a_cause_is_known() -> None:
    rows = made()
    found = {
        scheme: skill(
            rows, RatioMode.STRICT, cross_validated(rows, RatioMode.STRICT, scheme, QUICK), include_ocean=False
        )
        for scheme in ("random", "blocked")
    }
    ratios = {scheme: one["mean"]["ratios"] for scheme, one in found.items()}
    assert ratios["random"]["cue"].r2 > ratios["blocked"]["cue"].r2 + 0.3
    assert ratios["blocked"]["vegetation_residence"].r2 > 0.8
    assert ratios["random"]["vegetation_residence"].r2 > 0.8
    assert ratios["blocked"]["cue"].n == len(rows)


def test_predictions_of_a_fold_do_not_know_it() -> None:
    """A mark that only held-out rows carry does not show in what is predicted of them."""
    rows = made()
    fold = folds_of(rows, "random", QUICK)
    marked = {name: dict(by) for name, by in rows.parts.items()}
    parts = dict(marked["vegetation_residence"]["mean"])
    parts["cVeg"] = np.where(fold == 0, parts["cVeg"] * 1000.0, parts["cVeg"])
    marked["vegetation_residence"] = {**marked["vegetation_residence"], "mean": parts}
    plain = cross_validated(rows, RatioMode.STRICT, "random", QUICK)["vegetation_residence", "mean"]
    other = cross_validated(replace(rows, parts=marked), RatioMode.STRICT, "random", QUICK)
    np.testing.assert_array_equal(other["vegetation_residence", "mean"][fold == 0], plain[fold == 0])


def test_ocean_as_zeros_raises_the_score_and_is_not_the_default_of_ratios() -> None:
    rows = made()
    predicted = cross_validated(rows, RatioMode.STRICT, "blocked", QUICK)
    land, everywhere = (skill(rows, RatioMode.STRICT, predicted, include_ocean=one)["mean"] for one in (False, True))
    assert everywhere["quantities"]["npp"].r2 > land["quantities"]["npp"].r2
    assert everywhere["quantities"]["npp"].n == 5 * len(rows)
    assert everywhere["ratios"]["cue"] == land["ratios"]["cue"]


def test_fitted_emulators_give_the_ratios_they_saw() -> None:
    rows = made()
    emulators = fit_emulators(rows, RatioMode.STRICT, QUICK)
    stocks = emulators.predict(rows.x, "q25", rows.fluxes["q25"], stocks=True)
    target = next(one for one in STRICT_TARGETS if one.name == "vegetation_residence")
    known = learned_values(target, rows.parts[target.name]["q25"])
    assert score(known, stocks["vegetation_residence"]).r2 > 0.9
    assert set(emulators.predict(rows.x, "mean")) == {"cue", "ra_share"}
    with pytest.raises(ValueError, match="from GPP and Ra too"):
        emulators.predict(rows.x, "mean", stocks=True)
