"""A monthly simulation of a campaign as one of the land models: its years against the product's own months."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.store import Store
from phloem.io.land_models.simulation_product import SimulationModel
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.run.engines import run_planned
from phloem.jobs.simulation.simulate_campaign import Wanted, simulate_campaign
from tests.support.campaigns.stores import write_grid_campaign


def test_a_simulation_on_a_grid_is_a_land_model_whose_fluxes_are_its_months(store: Store, tmp_path: Path) -> None:
    campaign = open_or_plan(write_grid_campaign(tmp_path, store, "baseline"), tmp_path / "made", [])
    run_planned(campaign, 1)
    out = simulate_campaign(tmp_path / "made", tmp_path / "dalec.nc", Wanted(what="monthly"))
    model = SimulationModel(out)
    with xr.open_dataset(out, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as file:
        product = file.load()
    years = model.years("gpp")
    assert years
    year = years[-1]
    found = {name: next(model.annual(name, [year]))[1] for name in
             ("gpp", "ra", "rh", "npp", "cVeg", "cLeaf", "cWood", "cRoot", "cLitter", "cSoil")}  # fmt: skip
    months = product.sel(time=[moment.year == year for moment in product.time.values])
    days = product.time_bnds.sel(time=months.time).values
    length = np.array([(high - low).days if hasattr(high - low, "days") else high - low for low, high in days], float)
    wanted = np.tensordot(length, months.gpp.mean("member").values, axes=1)
    known = np.isfinite(wanted)
    assert known.any()
    np.testing.assert_allclose(found["gpp"][known], wanted[known], rtol=1e-5)
    np.testing.assert_allclose(found["npp"], found["gpp"] - found["ra"], rtol=1e-6)
    np.testing.assert_allclose(found["cVeg"], found["cLeaf"] + found["cWood"] + found["cRoot"], rtol=1e-6)
    reco = np.tensordot(length, months.reco.mean("member").values, axes=1)
    np.testing.assert_allclose((found["ra"] + found["rh"])[known], reco[known], rtol=1e-4)
    assert not model.has("nbp")
    with pytest.raises(InputError, match="no nbp"):
        next(model.annual("nbp"))
    annual = simulate_campaign(tmp_path / "made", tmp_path / "years.nc", Wanted(what="annual"))
    with pytest.raises(InputError, match="it has years; months are due"):
        SimulationModel(annual)


def test_a_simulation_of_towers_is_refused_with_what_is_due(finished: Path, tmp_path: Path) -> None:
    out = simulate_campaign(finished, tmp_path / "O.nc", Wanted(what="monthly"))
    with pytest.raises(InputError, match="a monthly simulation on a grid is due"):
        SimulationModel(out)
