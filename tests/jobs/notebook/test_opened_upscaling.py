"""An upscaling in a notebook: towers, scores, models applied to arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import phloem
from phloem.io.flux_towers.cf_tower_table import read_tower_table
from phloem.jobs.notebook.opened_upscaling import OpenedUpscaling
from tests.support.campaigns.campaigns import succeed
from tests.support.campaigns.upscaling_campaigns import write_upscaling


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> OpenedUpscaling:
    folder = tmp_path_factory.mktemp("opened")
    succeed("run", write_upscaling(folder, experiment={"cv": ["tower"]}), "--out", "made", folder=folder)
    campaign = phloem.open_campaign(folder / "made")
    assert isinstance(campaign, OpenedUpscaling)
    return campaign


def test_towers_are_listed_with_their_months(opened: OpenedUpscaling) -> None:
    cells = opened.cells
    assert cells.sizes == {"site": 14}
    assert int(cells.months_gpp.sum()) == opened.scores["blend"]["tower"]["gpp"]["n"]
    assert cells.latitude.values[0] == pytest.approx(-30.0, abs=1e-4)


def test_models_are_applied_to_columns(opened: OpenedUpscaling) -> None:
    table = read_tower_table(Path(opened.directory) / "towers.nc")
    count = len(table.months)
    columns = {
        name: values[3] for name, values in table.values.items() if name in ("TA", "SWIN", "VPD", "CO2", "LAI", "P")
    }
    columns |= {name: float(values[3]) for name, values in table.of_site.items()}
    columns["month"] = table.months.astype(int)
    fluxes = opened.apply(columns)
    assert fluxes.sizes == {"row": count}
    assert np.isfinite(fluxes.gpp).all()
    assert (fluxes.gpp_lower < fluxes.gpp).all()
    assert (fluxes.gpp < fluxes.gpp_upper).all()
    again = opened.apply(xr.Dataset({name: ("row", np.broadcast_to(one, count)) for name, one in columns.items()}))
    xr.testing.assert_identical(fluxes, again)
    np.testing.assert_allclose(fluxes.gpp, table.values["GPP"][3], atol=6.0)


def test_what_is_missing_is_asked_for_by_name(opened: OpenedUpscaling) -> None:
    with pytest.raises(phloem.InputError, match="SWIN"):
        opened.apply({"TA": np.zeros(3), "VPD": 1.0, "CO2": 400.0, "month": 3.0, "lat": 50.0})
    with pytest.raises(phloem.InputError, match="one length"):
        opened.apply({"TA": np.zeros(3), "VPD": np.zeros(4)})
    with pytest.raises(phloem.InputError, match="phloem apply"):
        opened.simulate("XX-000")
