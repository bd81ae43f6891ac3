"""`phloem parameters` and `phloem simulate` of networks: the files against what networks predict, and refusals."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

import phloem
from phloem.errors import InputError, WorkError
from phloem.io.patches.patch_store import PatchStorePaths, open_patches, seal_patches, write_patch
from phloem.jobs.network.trained_networks import SPLIT, TrainedNetworks
from phloem.jobs.network_products import parameter_maps
from phloem.jobs.network_products.parameter_maps import MapChoice, write_maps_apart, write_parameter_maps
from phloem.jobs.network_products.predict import predicted, quantities_of_members
from phloem.jobs.network_products.product_places import places_of
from phloem.jobs.network_products.simulate_networks import PredictionChoice, write_predictions, write_predictions_apart
from phloem.kernels.models.dalec_monthly.file_names import TABLES
from phloem.names import PERIOD
from tests.io.merge.test_cf_conventions import findings
from tests.support.campaigns.campaigns import command, succeed
from tests.support.patches import stored_patch

FULL = "PFT+CLIM+AGE+SOIL"


def maps(training: Path, out: Path, **choice: str) -> xr.Dataset:
    write_maps_apart((training, out, MapChoice(**choice)), lambda _: None)
    with xr.open_dataset(out) as file:
        return file.load()


def months(training: Path, out: Path, **choice: object) -> xr.Dataset:
    write_predictions_apart((training, out, PredictionChoice(**choice)), lambda _: None)  # type: ignore[arg-type]
    with xr.open_dataset(out) as file:
        return file.load()


def at_cells(file: xr.Dataset, networks: TrainedNetworks, patch: int, name: str) -> np.ndarray:
    """Values of a patch's cells, places last."""
    stored = networks.store.read(patch)
    found = file[name].sel(lat=xr.DataArray(stored.latitude, dims="c"), lon=xr.DataArray(stored.longitude, dims="c"))
    return found.transpose(..., "c").values


class TestMaps:
    def test_mean_and_spread_are_those_of_the_networks_that_count(
        self, training: Path, networks: TrainedNetworks, tmp_path: Path
    ) -> None:
        found = maps(training, tmp_path / "maps.nc")
        assert found.lcma.dims == ("set_up", "lat", "lon")
        assert found.set_up.values.tolist() == list(networks.set_ups)
        for set_up in networks.set_ups:
            members = networks.kept_members(set_up)
            for patch in range(len(networks.store)):
                values = quantities_of_members(networks, set_up, members, networks.store.read(patch)).astype(float)
                chosen = found.sel(set_up=set_up)
                for number, name in enumerate(TABLES.unknown_names):
                    here, spread = (at_cells(chosen, networks, patch, one) for one in (name, f"{name}_sd"))
                    if TABLES.unknowns[number].period:
                        angles = np.exp(2j * np.pi * values[:, number] / PERIOD).mean(0)
                        turned = here * 2 * np.pi / PERIOD
                        np.testing.assert_allclose(np.cos(turned - np.angle(angles)), 1, atol=1e-9)
                        radians = np.sqrt(-2 * np.log(np.abs(angles)))
                        np.testing.assert_allclose(spread, radians * PERIOD / (2 * np.pi), rtol=1e-4, atol=1e-3)
                    else:
                        np.testing.assert_allclose(here, values[:, number].mean(0), rtol=1e-6)
                        scale = np.abs(values[:, number]).max()
                        np.testing.assert_allclose(spread, values[:, number].std(0), atol=1e-6 * scale)

    def test_there_are_as_many_values_as_cells(self, training: Path, networks: TrainedNetworks, tmp_path: Path) -> None:
        found = maps(training, tmp_path / "maps.nc", set_ups="PFT")
        cells = sum(networks.store.table["cells"])
        assert networks.store.rows > networks.store.table["cells"][0]
        for name in (*TABLES.unknown_names, "lcma_sd"):
            assert int(found[name].notnull().sum()) == cells, name

    def test_each_member_is_there_and_others_are_missing(
        self, training: Path, networks: TrainedNetworks, tmp_path: Path
    ) -> None:
        found = maps(training, tmp_path / "maps.nc", members="all")
        assert found.lcma.dims == ("set_up", "member", "lat", "lon")
        assert "lcma_sd" not in found
        for set_up in networks.set_ups:
            kept = networks.kept_members(set_up)
            there = found.lcma.sel(set_up=set_up).notnull().any(("lat", "lon"))
            assert there.member[there].values.tolist() == kept
            assert found.shown.sel(set_up=set_up).values.tolist() == [run in kept for run in found.member.values]
        part = maps(training, tmp_path / "part.nc", members="2,0", set_ups=" SOIL+AGE+CLIM+PFT")
        assert part.member.values.tolist() == [0, 2]
        assert part.set_up.values.tolist() == [FULL]
        values = quantities_of_members(networks, FULL, [0, 2], networks.store.read(3))
        place = TABLES.unknown_names.index("bud_burst_day")
        chosen = part.sel(set_up=FULL)
        np.testing.assert_allclose(at_cells(chosen, networks, 3, "bud_burst_day"), values[:, place], rtol=1e-6)

    def test_split_says_what_each_cell_was_to_each_run(
        self, training: Path, networks: TrainedNetworks, tmp_path: Path
    ) -> None:
        found = maps(training, tmp_path / "maps.nc", members="0,1,2", set_ups="PFT")
        assert found.split.attrs["flag_meanings"] == "train dev test"
        for run in range(3):
            for part, code in SPLIT.items():
                for patch in networks.patches(part, run):
                    assert (at_cells(found.sel(member=run), networks, patch, "split") == code).all()

    def test_places_on_no_grid_are_cells(
        self, training: Path, networks: TrainedNetworks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A store without a step, in the place of the campaign's own."""
        own = networks.store
        plain = replace(own, facts={key: value for key, value in own.facts.items() if key not in ("step", "box")})
        monkeypatch.setattr(parameter_maps, "read_networks", lambda _: replace(networks, store=plain))
        found = maps(training, tmp_path / "maps.nc", set_ups="PFT", cells="N00E005,N00E010-3")
        assert found.lcma.dims == ("set_up", "cell")
        assert found.cell.values.tolist() == [*own.read(1).cells, "N00E010-3"]
        values = quantities_of_members(networks, "PFT", networks.kept_members("PFT"), own.read(2)).astype(float)
        lcma = TABLES.unknown_names.index("lcma")
        assert float(found.lcma[0, -1]) == pytest.approx(values[:, lcma, 3].mean(), rel=1e-6)
        assert findings(tmp_path / "maps.nc")[0] == []


class TestPredictions:
    def test_mean_and_spread_of_months(self, training: Path, networks: TrainedNetworks, tmp_path: Path) -> None:
        found = months(training, tmp_path / "O.nc")
        assert found.gpp.dims == ("time", "lat", "lon")
        assert found.attrs["set_up"] == FULL
        assert str(found.time.values[0])[:7] == "2001-01"
        assert found.time_bnds.shape == (24, 2)
        run = predicted(networks, FULL, networks.kept_members(FULL), range(len(networks.store)))
        for patch, (_, outputs) in enumerate(run):
            for name, values in outputs.items():
                here, spread = (at_cells(found, networks, patch, one) for one in (name, f"{name}_sd"))
                scale = np.abs(values).max() + 1e-9
                np.testing.assert_allclose(here, values.astype(float).mean(0), atol=1e-6 * scale, err_msg=name)
                np.testing.assert_allclose(spread, values.astype(float).std(0), atol=1e-6 * scale, err_msg=name)
        assert int(found.gpp.notnull().sum()) == 24 * sum(networks.store.table["cells"])

    def test_years_are_means_by_the_lengths_of_months(
        self, training: Path, networks: TrainedNetworks, tmp_path: Path
    ) -> None:
        found = months(training, tmp_path / "O.nc", what="annual", members="1", outputs="nbe,SIF,water")
        assert list(found.data_vars)[-3:] == ["nbe", "sif", "water"]
        assert found.nbe.dims == ("member", "time", "lat", "lon")
        ((_, outputs),) = predicted(networks, FULL, [1], [2], ("nbe",))
        days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
        expected = np.average(outputs["nbe"][0, 12:].astype(float), axis=0, weights=days)
        np.testing.assert_allclose(at_cells(found, networks, 2, "nbe")[0, 1], expected, rtol=1e-5, atol=1e-7)

    def test_cells_years_and_outputs_that_were_asked_for(
        self, training: Path, networks: TrainedNetworks, tmp_path: Path
    ) -> None:
        whole = months(training, tmp_path / "O.nc", set_up="PFT", outputs="gpp")
        part = months(training, tmp_path / "P.nc", set_up="PFT", outputs="gpp", years="2002", cells="N00E015-1,N00E020")
        assert part.sizes["time"] == 12
        assert int(part.gpp.notnull().sum()) == 12 * 7
        np.testing.assert_array_equal(
            at_cells(part, networks, 4, "gpp"), at_cells(whole.isel(time=slice(12, 24)), networks, 4, "gpp")
        )
        assert float(part.gpp.isel(time=0).sel(lat=0.75, lon=3.25)) == float(
            whole.gpp.isel(time=12).sel(lat=0.75, lon=3.25)
        )

    def test_other_drivers_of_other_years(self, training: Path, networks: TrainedNetworks, tmp_path: Path) -> None:
        other = PatchStorePaths(tmp_path / "later")
        rows = [write_patch(other, replace(stored_patch("N00E000", 0, 6, 36)), 0.0, 0.0)]
        co2 = (450 + 0.2 * np.arange(36)).tolist()
        seal_patches(other.root, {**networks.store.facts, "months": 36, "first_month": "2051-01", "co2": co2}, rows)
        found = months(training, tmp_path / "O.nc", drivers=other.root, outputs="gpp", years="2052-2053")
        assert str(found.time.values[0])[:7] == "2052-01"
        assert found.sizes["time"] == 24
        assert found.attrs["drivers"] == str(other.root)
        store = open_patches(other.root)
        members = networks.kept_members(FULL)
        ((_, outputs),) = predicted(networks, FULL, members, [0], ("gpp",), store)
        np.testing.assert_allclose(
            at_cells(found, networks, 0, "gpp"), outputs["gpp"][:, 12:].astype(float).mean(0), rtol=1e-5
        )

    def test_memory_holds_one_patch_of_the_product_and_boxes_are_chunks(
        self, training: Path, networks: TrainedNetworks, tmp_path: Path
    ) -> None:
        """Boxes of four by five half degrees, side by side."""
        root = PatchStorePaths(tmp_path / "tiled")
        rows = []
        for number, (south, west) in enumerate([(0.0, 0.0), (0.0, 2.5), (2.0, 0.0), (2.0, 5.0)]):
            patch = stored_patch(f"B{number}", number, 20, 24)
            north, east = np.divmod(np.arange(20), 5)
            patch = replace(patch, latitude=south + 0.25 + north / 2, longitude=west + 0.25 + east / 2)
            rows.append(write_patch(root, patch, south, west))
        store = seal_patches(root.root, {**networks.store.facts, "box": [2.0, 2.5], "rows": 20}, rows)
        places = places_of(store)
        assert places.placed is not None
        assert places.placed.grid.shape == (8, 15)
        assert places.box == (4, 5)
        found = months(training, tmp_path / "O.nc", drivers=root.root, outputs="som", members="0")
        assert int(found.som.isel(time=0).notnull().sum()) == 80
        for patch, (_, outputs) in enumerate(predicted(networks, FULL, [0], range(4), ("som",), store)):
            ours = replace(networks, store=store)
            np.testing.assert_array_equal(at_cells(found, ours, patch, "som"), outputs["som"])


@pytest.fixture(scope="module")
def products(training: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files as the commands write them."""
    folder = tmp_path_factory.mktemp("products")
    assert succeed("parameters", training, "--out", "maps.nc", folder=folder).strip() == "maps.nc"
    assert succeed("simulate", training, "--out", "O.nc", folder=folder).strip() == "O.nc"
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".cache") == ["O.nc", "maps.nc"]
    return {"maps": folder / "maps.nc", "months": folder / "O.nc"}


@pytest.mark.parametrize("name", ["maps", "months"])
def test_products_follow_the_conventions_and_open_in_cdo(products: dict[str, Path], name: str) -> None:
    path = products[name]
    assert findings(path)[0] == []
    with netCDF4.Dataset(path) as file:
        for variable in file.variables.values():
            variable.set_auto_maskandscale(False)
            if variable.dtype.kind == "f":
                assert not np.isnan(variable[:]).any(), variable.name
    if shutil.which("cdo") is None:
        pytest.skip("no cdo here")
    shown = subprocess.run(["cdo", "-s", "showname", path], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    assert ("lcma_sd" if name == "maps" else "gpp") in shown.stdout.split()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("parameters", "--cell", "A"), "--cell goes with a campaign that calibrates cells"),
        (("parameters", "--set-ups", "SOIL"), "no set-up 'SOIL': it has PFT, PFT+CLIM+AGE+SOIL"),
        (("parameters", "--members", "median"), "--members median"),
        (("parameters", "--members", "9"), "no network of run 9"),
        (("simulate", "--what", "daily"), "--what daily: networks' model has steps of a month"),
        (("simulate", "--set-up", "SOIL"), "no set-up"),
        (("simulate", "--outputs", "gpp,npp"), "no output 'npp'"),
        (("simulate", "--years", "1990-1995"), "has the years 2001-2002"),
        (("simulate", "--cells", "N00E000,here"), "has no patch and no cell here"),
        (("simulate", "--mode", "compat"), "--mode does not go with a campaign that trains networks"),
        (("simulate", "--workers", "2"), "--workers does not go"),
        (("simulate", "--drivers", "nowhere"), "no patch store here"),
    ],
)
def test_wrong_choices_are_refused_and_nothing_is_written(
    training: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = command(words[0], training, "--out", "O.nc", *words[1:], folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert list(tmp_path.glob("*.nc*")) == []


def test_maps_are_netcdf_and_the_folder_must_be_there(training: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "maps.csv", tmp_path / "nowhere/maps.nc"):
        with pytest.raises(InputError, match="--out"):
            write_parameter_maps(training, out)


def test_campaign_that_is_not_merged_says_what_merges_it(training: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(training, tmp_path / "copy")
    (copy / "merged.nc").unlink()
    with pytest.raises(WorkError, match="phloem merge"):
        write_predictions(copy, tmp_path / "O.nc")


def test_damaged_patch_leaves_the_old_file_as_it_was(training: Path, tmp_path: Path) -> None:
    store = shutil.copytree(training.parent / "store", tmp_path / "store")
    (tmp_path / "O.nc").write_text("old")
    patch = sorted((store / "patches").iterdir())[-1]
    data = bytearray(patch.read_bytes())
    data[len(data) // 2] ^= 1
    patch.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"its bytes are not those of the table"):
        write_predictions(training, tmp_path / "O.nc", PredictionChoice(drivers=store))
    assert (tmp_path / "O.nc").read_text() == "old"
    assert [path.name for path in tmp_path.glob("O.nc*")] == ["O.nc"]


class TestNotebook:
    def test_training_is_opened_as_what_it_is(self, training: Path, networks: TrainedNetworks) -> None:
        opened = phloem.open_campaign(training)
        assert repr(opened).startswith("<phloem.OpenedTraining made")
        assert isinstance(opened, phloem.OpenedCampaign)
        assert opened.merged.sizes["set_up"] == 2
        assert opened.status()["tiles"]["pending"] == 0
        assert opened.cells.sizes["cell"] == 36
        assert opened.parameters.dims == ("cell", "member", "parameter")
        assert opened.parameters.member.values.tolist() == networks.kept_members(FULL)
        values = opened.parameters_of("PFT", 1, ["N00E010"]).sel(member=1)
        expected = quantities_of_members(networks, "PFT", [1], networks.store.read(2))[0]
        np.testing.assert_array_equal(values.values.T, expected)

    def test_cell_is_simulated_month_by_month(self, training: Path, networks: TrainedNetworks) -> None:
        found = phloem.open_campaign(training).simulate("N00E010-4", [2, 1])
        assert found.gpp.dims == ("member", "time")
        ((_, outputs),) = predicted(networks, FULL, [2, 1], [2], ("reco",))
        np.testing.assert_allclose(found.reco.values, outputs["reco"][..., 4], rtol=1e-5)
        assert str(found.time.values[-1])[:7] == "2002-12"

    def test_what_there_is_not_of_networks_is_refused_in_words(self, training: Path) -> None:
        opened = phloem.open_campaign(training)
        for attempt in (
            lambda: opened.evaluate("N00E010-4"),
            lambda: opened.plot,
            lambda: opened.simulate("N00E010"),
            lambda: opened.simulate("nowhere"),
        ):
            with pytest.raises(InputError, match=r"phloem report|one; it has|no cell nowhere"):
                attempt()
