"""An opened campaign: what the product says, what the commands say, and the same numbers again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import phloem
from phloem.jobs.campaign.planning import open_or_plan
from tests.support.campaigns.campaigns import succeed, write_campaign


def test_the_product_is_that_of_the_file(campaign: phloem.OpenedCampaign, root: Path) -> None:
    with xr.open_dataset(root / "merged.nc") as file:
        expected = file.load()
    xr.testing.assert_identical(campaign.merged.load(), expected)
    for given in (str(root), root / "merged.nc"):
        again = phloem.open_campaign(given)
        assert isinstance(again, phloem.OpenedCampaign)
        assert again.directory == root


def test_cells_and_parameters_are_those_of_the_product(campaign: phloem.OpenedCampaign) -> None:
    merged, cells = campaign.merged, campaign.cells
    assert np.array_equal(cells.least_loss, merged["loss"].min("member"))
    assert np.array_equal(cells.latitude, merged["latitude"])
    assert cells.members_calibrated.values.tolist() == [3, 3]
    both = np.concatenate([merged["parameters"], merged["initial_pools"]], axis=2)
    assert np.array_equal(campaign.parameters, both)


def test_a_cell_is_simulated_as_the_command_does_with_its_parameters(
    campaign: phloem.OpenedCampaign, root: Path, tmp_path: Path
) -> None:
    phloem.write_parameters(tmp_path / "P.csv", campaign.parameters.sel(cell="T001"))
    drivers = root / "drivers/T001.nc"
    succeed("simulate", "--drivers", drivers, "--parameters", "P.csv", "--out", "O.nc", folder=tmp_path)
    found = campaign.simulate("T001")
    with xr.open_dataset(tmp_path / "O.nc") as written:
        xr.testing.assert_identical(found.drop_vars("member"), written.load())
    assert campaign.simulate("T001", members=2).member.values.tolist() == [2]


def test_a_cell_scores_what_the_product_has(campaign: phloem.OpenedCampaign) -> None:
    for cell in ("T000", "T001"):
        found = campaign.evaluate(cell, gradient=True)
        for window in ("nnse", "nnse_validation"):
            np.testing.assert_allclose(getattr(found, window), campaign.merged[window].sel(cell=cell), atol=2e-5)
        assert found.gradient is not None
        assert np.isfinite(found.gradient).all()


def test_the_status_is_that_of_the_command(campaign: phloem.OpenedCampaign, root: Path) -> None:
    told = json.loads(succeed("status", root, "--json", folder=root))
    assert dict(campaign.status()) == told
    assert str(campaign.status()).strip() == succeed("status", root, folder=root).strip()
    assert "<pre>campaign transect" in campaign.status()._repr_html_()
    assert "1 of 1" in campaign._repr_html_()


def test_an_open_product_does_not_crash_what_reads_beside_it(root: Path) -> None:
    """With `xarray.open_dataset` in the place of `.merged` this program ended by a signal."""
    program = (
        "import phloem, sys; campaign = phloem.open_campaign(sys.argv[1]); held = campaign.merged\n"
        "for _ in range(5): campaign.cells, campaign.parameters, held['loss'].sum().item()\n"
        "print('done')"
    )
    done = subprocess.run([sys.executable, "-c", program, str(root)], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_campaign_merged_anew_is_read_anew(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "copy")
    campaign = phloem.open_campaign(tmp_path / "copy")
    assert isinstance(campaign, phloem.OpenedCampaign)
    before = campaign.merged
    assert campaign.merged is before
    os.utime(tmp_path / "copy/merged.nc", ns=(1, 1))
    assert campaign.merged is not before
    with pytest.raises(phloem.WorkError, match="was merged anew"):
        before["loss"].load()


def test_a_campaign_without_product_says_how_to_go_on(tmp_path: Path) -> None:
    open_or_plan(write_campaign(tmp_path), tmp_path / "made", [])
    campaign = phloem.open_campaign(tmp_path / "made")
    assert isinstance(campaign, phloem.OpenedCampaign)
    assert campaign.cells.status.values.tolist() == ["not merged"] * 3
    way = f"0 of 3 tiles have a result. Go on with: phloem run {tmp_path}/made"
    for ask in (lambda: campaign.merged, lambda: campaign.parameters, lambda: campaign.simulate("T000"),
                lambda: campaign.plot.map("lcma"), lambda: campaign.plot.loss("T000")):  # fmt: skip
        with pytest.raises(phloem.WorkError, match=way):
            ask()


def test_wrong_cells_members_and_paths_are_refused(campaign: phloem.OpenedCampaign, tmp_path: Path, root: Path) -> None:
    for ask in (campaign.simulate, campaign.evaluate, campaign.plot.series, campaign.plot.loss):
        with pytest.raises(phloem.InputError, match=r"no cell 'T0001'. Did you mean 'T001'\? It has T000, T001"):
            ask("T0001")  # type: ignore[operator]
    with pytest.raises(phloem.InputError, match="cell T000: member 3 has no result; those with one are 0, 1, 2"):
        campaign.simulate("T000", members=[0, 3])
    with pytest.raises(phloem.InputError, match=r"no campaign here \(no plan.json\)"):
        phloem.open_campaign(tmp_path)
    shutil.copy(root / "merged.nc", tmp_path / "alone.nc")
    with pytest.raises(phloem.InputError, match=r"alone.nc: no campaign beside it .*xarray.open_dataset"):
        phloem.open_campaign(tmp_path / "alone.nc")
