"""Scores at towers against scipy on the means of sites."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import pearsonr

from phloem.analysis.network.tower_scores import tower_scores
from phloem.errors import InputError


def towers() -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    level = rng.uniform(1, 9, 8)
    y = level + rng.normal(0, 1, (60, 8))
    x = 0.8 * level + 1 + rng.normal(0, 1, (60, 8))
    y[rng.random(y.shape) < 0.3] = np.nan
    y[11:, 3] = np.nan
    y[:11, 3] = 5.0
    y[12:, 4] = np.nan
    y[:12, 4] = level[4]
    return [f"site {n}" for n in range(8)], x, y, np.arange(8) >= 4


def test_r_is_that_of_the_means_of_sites_over_their_own_months() -> None:
    sites, x, y, held = towers()
    found = tower_scores("tower_gpp", sites, x, y, held)
    assert found.too_short == ("site 3",)
    assert found.sites == tuple(site for site in sites if site != "site 3")
    kept = [n for n in range(8) if n != 3]
    means = [(x[np.isfinite(y[:, n]), n].mean(), np.nanmean(y[:, n])) for n in kept]
    np.testing.assert_allclose(np.stack([found.mean_simulated, found.mean_observed], 1), means)
    assert found.all_sites.r == pytest.approx(pearsonr(*np.transpose(means))[0])
    assert found.held_out_sites.r == pytest.approx(pearsonr(*np.transpose(means[3:]))[0])
    assert found.all_sites.pairs == 7
    assert found.held_out_sites.pairs == 4


def test_towers_without_held_out_sites_have_no_held_out_score() -> None:
    sites, x, y, _ = towers()
    document = json.loads(
        json.dumps(tower_scores("tower_et", sites, x, y, np.zeros(8, bool)).to_json(), allow_nan=False)
    )
    assert document["held_out"]["r"] is None
    assert document["held_out"]["pairs"] == 0
    assert document["all"]["r"] > 0.5
    assert document["too_short"] == ["site 3"]
    assert document["sites"][3]["months"] == 12


def test_no_towers_at_all_give_none() -> None:
    document = tower_scores("tower_gpp", [], np.empty((24, 0)), np.empty((24, 0)), []).to_json()
    assert document["all"]["r"] is None
    assert document["sites"] == []


def test_wrong_towers_are_refused() -> None:
    sites, x, y, held = towers()
    with pytest.raises(InputError, match="tower_gpp: site site 0 is named twice"):
        tower_scores("tower_gpp", ["site 0", *sites[:-1]], x, y, held)
    with pytest.raises(InputError, match=r"tower_gpp: 8 sites, simulated \(60, 7\)"):
        tower_scores("tower_gpp", sites, x[:, :7], y, held)
    with pytest.raises(InputError, match=r"held out \(3,\)"):
        tower_scores("tower_gpp", sites, x, y, held[:3])
