"""Flat rows of scores and coverage, and figures of them: every group once, nothing of nothing."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.analysis.flux_drivers.importance_figures import effects_figure, flux_importance_figure
from phloem.analysis.flux_skill.conformal import leave_tower_out_coverage
from phloem.analysis.flux_skill.flux_scores import score_table
from phloem.analysis.flux_skill.left_out_figures import (
    coverage_figure,
    group_scores_figure,
    observed_predicted_figure,
    tower_map_figure,
)
from phloem.analysis.flux_skill.score_breakdown import coverage_rows, group_rows, score_rows
from phloem.analysis.style.plot_style import to_png
from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.errors import InputError

TOWERS, MONTHS = 30, 24


@pytest.fixture(scope="module")
def rows() -> FluxRows:
    """Two years of thirty towers of two classes."""
    rng = np.random.default_rng(1)
    site = np.repeat(np.arange(TOWERS), MONTHS)
    columns = {
        "month": np.tile(np.arange(360.0, 360.0 + MONTHS), TOWERS),
        "igbp": (site % 2 + 1).astype(float),
        "koppen": np.full(len(site), 3.0),
        "lat": np.full(len(site), 50.0),
    }
    observed = np.where(rng.random(len(site)) < 0.1, np.nan, rng.normal(3, 2, len(site)))
    return FluxRows(tuple(f"T{n}" for n in range(TOWERS)), site, columns, {"gpp": observed})


def predictions(rows: FluxRows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of members, off by less than the flux varies."""
    rng = np.random.default_rng(2)
    return np.nan_to_num(rows.observed["gpp"]) + rng.normal(0, 1, len(rows)), np.full(len(rows), 0.2)


def test_rows_of_scores_hold_every_group_once(rows: FluxRows) -> None:
    table = score_table(rows, {"gpp": predictions(rows)[0]})
    by_way = {"direct": {"tower": table}}
    what = by_way, ["direct"], ["tower"], ["gpp"]
    assert score_rows(*what)[0]["nse"] == table["gpp"]["nse"]
    groups = group_rows(*what)
    assert len({(row["by"], row["group"]) for row in groups}) == len(groups)
    assert {row["group"] for row in groups if row["by"] == "class"} == {"ENF", "EBF"}
    known = np.isfinite(rows.observed["gpp"]).sum()
    for by in ("class", "season", "climate", "tower"):
        assert sum(row["n"] for row in groups if row["by"] == by) == known


def test_shares_of_groups_are_means_over_their_months(rows: FluxRows) -> None:
    mean, spread = predictions(rows)
    observed = rows.observed["gpp"]
    coverage = leave_tower_out_coverage(observed, mean, spread, rows.site, 0.9)
    in_band = np.abs(observed - mean) < 0.3
    found = coverage_rows("gpp", coverage, in_band, rows)
    known = np.isfinite(coverage.held)
    for name, number in (("ENF", 0), ("EBF", 1)):
        row = next(one for one in found if one["group"] == name)
        here = known & (rows.site % 2 == number)
        assert row["n"] == here.sum()
        assert row["towers"] == TOWERS // 2
        assert row["share"] == pytest.approx(coverage.held[here].mean())
        assert row["ensemble_share"] == pytest.approx(in_band[here].mean())
    assert to_png(coverage_figure(found, 0.9, 30)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "draw",
    [
        lambda: observed_predicted_figure([]),
        lambda: group_scores_figure([{"group": "ENF", "flux": "gpp", "way": "direct", "n": 3, "nse": None}], ["gpp"],
                                    ["direct"]),
        lambda: coverage_figure([{"by": "tower", "n": 99, "flux": "gpp", "group": "T1"}], 0.9, 30),
        lambda: tower_map_figure(np.zeros(2), np.zeros(2), {"GPP": np.full(2, np.nan)}, "NSE", score=True),
        lambda: flux_importance_figure({}, "share"),
        lambda: effects_figure([], {}, "GPP"),
    ],
)  # fmt: skip
def test_figures_of_nothing_are_refused(draw) -> None:
    with pytest.raises(InputError, match="draw"):
        draw()
