"""Cells of a driver store in a notebook: the days and scores of the campaign's own runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import phloem
from phloem.io.drivers.store import Store
from phloem.jobs.analyse.member_runs import late_runs
from phloem.jobs.calibration.merged_members import read_members
from tests.support.campaigns.campaigns import succeed
from tests.support.campaigns.stores import write_grid_campaign
from tests.support.once import once_a_run


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, store: Store) -> phloem.OpenedCampaign:
    def make(folder: Path) -> None:
        succeed("run", write_grid_campaign(folder, store), "--out", "made", folder=folder)

    found = phloem.open_campaign(once_a_run(tmp_path_factory, "notebook-store", make) / "made")
    assert isinstance(found, phloem.OpenedCampaign)
    return found


def test_a_cell_of_a_store_is_simulated_as_the_benchmark_does(opened: phloem.OpenedCampaign) -> None:
    name = str(opened.cells.cell.values[1])
    found = opened.simulate(name)
    members = read_members(opened._campaign, [name])
    (run,) = late_runs(members, [0], ("gpp", "wood"), int(found.year.values[0]), withheld=False)
    days = run.simulated["gpp"].shape[1]
    assert days > 365
    for flux in ("gpp", "wood"):
        expected = run.simulated[flux][members.good[0]]
        np.testing.assert_allclose(found[flux].values[:, -days:], expected, rtol=1e-5, atol=1e-5)
    assert np.array_equal(found.year[-days:], run.year)
    assert np.array_equal(found.day_of_year[-days:], run.doy)
    assert found.time.values.tolist() == list(range(found.sizes["time"]))


def test_a_cell_of_a_store_scores_what_the_product_has(opened: phloem.OpenedCampaign) -> None:
    name = str(opened.cells.cell.values[0])
    found = opened.evaluate(name)
    merged = opened.merged
    where = np.argwhere(merged["cell"].values == name)[0]
    axes = [axis for axis in merged["nnse"].dims if axis not in ("member", "stream")]
    expected = merged["nnse"].isel(dict(zip(axes, where, strict=True))).transpose("member", "stream")
    observed = found.nnse.observed.values
    assert observed.sum() >= 3
    good = found.nnse.member.values
    np.testing.assert_allclose(found.nnse.values[:, observed], expected.values[good][:, observed], atol=1e-4)


def test_daily_series_of_a_store_are_not_drawn_and_a_map_is(opened: phloem.OpenedCampaign) -> None:
    name = str(opened.cells.cell.values[0])
    with pytest.raises(phloem.InputError, match=f"{name} is a cell of a driver store.*simulate"):
        opened.plot.series(name)
    assert opened.plot.map("loss").axes
