"""Scores between 0 and 1: what they are where they can be worked out by hand, and on whom they do not depend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.benchmark.pairs import Pairs, compare
from phloem.analysis.benchmark.result_files import write_benchmark
from phloem.analysis.benchmark.scorecard import NAMES, scorecard

YEARS, CELLS = 3, 4
DATES = [f"{2001 + year}-{month:02d}" for year in range(YEARS) for month in range(1, 13)]


def course(peak: int) -> np.ndarray:
    """(months,) with its greatest value in one month."""
    return np.tile(np.cos(2 * np.pi * (np.arange(12) - peak) / 12), YEARS)


def months(reference: np.ndarray, simulated: np.ndarray, **more: object) -> Pairs:
    """Pairs of (cells, months)."""
    count, width = reference.shape
    return Pairs(
        "s", "n", "gpp", "1", "l", "series", "f", "cells", [f"c{n}" for n in range(count)],
        np.linspace(50, 60, count), np.zeros(count), np.repeat(np.arange(count), width), reference.reshape(-1),
        simulated.reshape(-1), simulated.reshape(-1, 1), date=np.array(DATES * count),
        year=np.array([int(date[:4]) for date in DATES] * count), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def reference() -> np.ndarray:
    rng = np.random.default_rng(0)
    return 5 + np.arange(CELLS)[:, None] + 2 * course(6) + 0.05 * rng.standard_normal((CELLS, 12 * YEARS))


def test_the_same_is_one_in_all() -> None:
    card = scorecard(months(reference(), reference()))
    assert all(getattr(card, name) == pytest.approx(1.0) for name in NAMES)


def test_each_score_sees_its_own_error() -> None:
    y = reference()
    size = y.std(axis=1).mean()
    higher = scorecard(months(y, y + size))
    assert higher.bias == pytest.approx(np.exp(-1), rel=0.02)
    assert (higher.rmse, higher.phase, higher.iav, higher.distribution) == pytest.approx((1, 1, 1, 1))
    late = scorecard(months(y, y - 2 * course(6) + 2 * course(9)))
    assert late.phase == pytest.approx(0.5)
    assert late.bias == pytest.approx(1, abs=1e-9)
    assert late.rmse < np.exp(-1)
    calm = np.tile(y.reshape(CELLS, YEARS, 12).mean(1), YEARS)
    assert scorecard(months(y, calm)).iav == pytest.approx(np.exp(-1))
    alike = y - np.arange(CELLS)[:, None]
    assert scorecard(months(y, alike)).distribution < 0.5
    card = scorecard(months(y, alike + 1))
    assert card.overall == pytest.approx((card.bias + 2 * card.rmse + card.phase + card.iav + card.distribution) / 6)


@pytest.mark.parametrize("peak", [0, 6])
def test_a_simulation_without_a_season_has_missed_it(peak: int) -> None:
    """Also where the reference is greatest in January; a reference without one says nothing."""
    y = np.tile(5 + course(peak), (CELLS, 1)) + np.arange(CELLS)[:, None]
    assert scorecard(months(y, np.zeros_like(y))).phase == 0.0
    still = np.tile(np.repeat(np.arange(YEARS, dtype=float), 12), (CELLS, 1))
    assert np.isnan(scorecard(months(still, y)).phase)


def test_a_cell_of_one_month_has_no_say() -> None:
    y = reference()
    pairs = months(y, y + 0.5)
    alone = pairs.only(np.flatnonzero((pairs.cell > 0) | (np.arange(len(pairs.cell)) == 3)))
    whole = pairs.only(np.flatnonzero(pairs.cell > 0))
    assert scorecard(alone).bias == pytest.approx(scorecard(whole).bias)


@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_units_change_no_score(factor: float, offset: float) -> None:
    y = reference()
    x = y + 0.5 * course(3) + 0.2
    one, other = scorecard(months(y, x)), scorecard(months(factor * y + offset, factor * x + offset))
    for name in NAMES:
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6)


@given(shift=st.floats(-200, 200))
def test_where_zero_means_nothing_no_score_depends_on_it(shift: float) -> None:
    """Days of the year can be counted from any day."""
    y = np.array([[100.0], [140.0], [190.0], [130.0]])
    pairs = replace(months(np.tile(y, 36), np.tile(y + 12, 36)).only(np.arange(4) * 36), date=None, year=None)
    days = replace(pairs, reference=pairs.reference + shift, simulated=pairs.simulated + shift, has_zero=False)
    card, plain = scorecard(days), scorecard(pairs)
    assert np.isnan(card.bias)
    assert card.overall == card.distribution == pytest.approx(plain.distribution)
    assert plain.bias == pytest.approx(np.mean(np.exp(-12 / y)))
    scores = compare(days)["scores"]
    assert scores["pbias"] is scores["nrmse"] is scores["relative"] is None
    assert scores["bias"] == pytest.approx(12)


def test_the_order_of_the_pairs_and_cells_without_area_change_nothing() -> None:
    y = reference()
    pairs = months(y, y + 0.5 * course(3) + 0.2 * np.arange(CELLS)[:, None], area=np.array([1.0, 2, 3, 0]))
    shuffled = pairs.only(np.random.default_rng(1).permutation(len(pairs.cell)))
    assert scorecard(shuffled).to_json() == pytest.approx(scorecard(pairs).to_json())
    whole = replace(pairs, area=np.array([1.0, 2, 3, 4]))
    assert scorecard(pairs).bias == pytest.approx(scorecard(whole.only(whole.cell < 3)).bias)


def test_what_cannot_be_told_is_missing_and_not_in_the_whole(tmp_path: Path) -> None:
    y = reference()
    two = months(y, y + 1).only(np.flatnonzero(months(y, y).cell < 2))
    assert np.isnan(scorecard(two).distribution)
    year = two.only(np.tile(np.arange(36) < 12, 2))
    card = scorecard(year)
    assert np.isnan(card.iav)
    assert np.isfinite(card.phase)
    half = scorecard(two.only(np.tile(np.arange(36) % 12 < 6, 2)))
    assert np.isnan(half.phase)
    assert half.overall == pytest.approx((half.bias + 2 * half.rmse) / 3)
    still = replace(two.only(np.array([0])), date=None, year=None)
    alone = scorecard(still)
    assert alone.bias == pytest.approx(np.exp(-1 / float(still.reference[0])))
    assert np.isnan(alone.rmse)
    write_benchmark(tmp_path / "b", [two, replace(year, slug="year")], {})
    rows = (tmp_path / "b/scorecard.csv").read_text().splitlines()
    assert rows[0] == "comparison,bias,rmse,phase,iav,distribution,overall"
    assert rows[1].split(",")[-2] == ""
    assert (tmp_path / "b/scorecard.png").read_bytes().startswith(b"\x89PNG")
