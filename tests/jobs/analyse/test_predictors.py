"""Predictors of an attribution: what the drivers give, maps and tables, and how wrong ones are refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.analysis.attribution.inputs import Predictor
from phloem.analysis.trees.settings import AttributionSettings
from phloem.errors import InputError
from phloem.io.drivers.climate_means import CLIMATE
from phloem.io.drivers.tower_files import read_tower
from phloem.jobs.analyse.predictors import coordinates, gather_predictors
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.config.attribution_file import AttributionSection, load_attribution_file, valid_targets
from phloem.jobs.config.toml_file import TEMPLATES, copy_template
from tests.support.campaigns.campaigns import tower_file, write_campaign
from tests.support.campaigns.merged_maps import make_cells, plan_baseline, write_store
from tests.support.kernels.dalec_names import FIRE_PARAMETERS, GRID

COUNT = 12


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A planned campaign over a store of a dozen cells with four statics."""
    folder = tmp_path_factory.mktemp("predictors")
    return plan_baseline(folder, write_store(folder / "store", make_cells(COUNT)))


def gathered(campaign: Campaign, folder: Path, text: str) -> dict[str, Predictor]:
    """Predictors of an attribution file of this text."""
    path = folder / "attribution.toml"
    path.write_text(text)
    return {one.name: one for one in gather_predictors(campaign, load_attribution_file(path, GRID), folder)}


def write_map(path: Path, name: str, values: np.ndarray, units: str = "", **further: np.ndarray) -> Path:
    """Write a half-degree map of 50 to 70 N, 10 to 40 E; further dimensions first."""
    lat, lon = np.arange(50.25, 70, 0.5), np.arange(10.25, 40, 0.5)
    shape = (*(len(one) for one in further.values()), len(lat), len(lon))
    coords = {
        **further,
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
    }
    array = xr.DataArray(np.broadcast_to(values, shape), coords, (*further, "lat", "lon"))
    made = array.assign_attrs({"long_name": f"map of {name}", **({"units": units} if units else {})})
    made.to_dataset(name=name).to_netcdf(path, mode="a" if path.exists() else "w")
    return path


def own(path: str, rest: str = "", name: str = "mine", head: str = "") -> str:
    """Text of a file with one predictor and no climate."""
    return (
        f'[attribution]\nclimate = []\nstatics = []\n{head}\n[[predictors]]\nname = "{name}"\ngroup = "soil"\n'
        f'path = "{path}"\n{rest}\n'
    )


class TestDrivers:
    def test_climate_soil_and_vegetation_by_default(self, campaign, tmp_path):
        found = gathered(campaign, tmp_path, "")
        assert [(one.name, one.group) for one in found.values()] == [
            *((name, "climate") for name in CLIMATE),
            ("soil_clay", "soil"),
            ("pft_enf", "vegetation"),
        ]
        assert (found["soil_clay"].units, found["soil_clay"].long_name) == ("%", "clay")
        assert (found["pft_enf"].units, found["pft_enf"].long_name) == ("1", "area of enf")
        assert (found["vpd"].units, found["mat"].long_name) == ("kPa", "annual mean temperature")
        assert all(one.values.shape == (COUNT,) and np.isfinite(one.values).all() for one in found.values())

    def test_a_choice(self, campaign, tmp_path):
        text = '[attribution]\nclimate = ["mat"]\nstatics = ["fires", "elevation", "soil_clay"]\nyears = [2004, 2005]\n'
        found = gathered(campaign, tmp_path, text)
        assert [(one.name, one.group) for one in found.values()] == [
            ("mat", "climate"),
            ("soil_clay", "soil"),
            ("fires", "store"),
            ("elevation", "terrain"),
        ]
        cell = campaign.read_unit(campaign.cells[3])
        days = np.isin(cell.year, (2004, 2005))
        mean = 0.5 * (cell.forcing["tasmin"].astype(float) + cell.forcing["tasmax"])[days].mean()
        assert found["mat"].values[3] == pytest.approx(mean, abs=1e-4)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ('statics = ["clay"]', "the driver store has no 'clay'; it has soil_clay, pft_enf, elevation, fires"),
            ("years = [1985, 2002]", r"chunk_000000.nc: drivers of 2003 to 2006; climate means of 1985 to 2002"),
            ("climate = []\nstatics = []", "no predictor: attribution.climate and statics are empty"),
        ],
    )
    def test_what_the_drivers_do_not_have(self, campaign, tmp_path, text, says):
        with pytest.raises(InputError, match=says):
            gathered(campaign, tmp_path, f"[attribution]\n{text}\n")

    def test_towers_have_climate_over_their_record(self, data_dir, tmp_path):
        data = {"kind": "tower", "path": str(data_dir / "fluxnet_daily"), "sites": ["FI-Hyy", "US-SRG"]}
        towers = open_or_plan(write_campaign(tmp_path, data=data), tmp_path / "towers", [])
        found = gathered(towers, tmp_path, "")
        assert list(found) == list(CLIMATE)
        for place, site in enumerate(("FI-Hyy", "US-SRG")):
            forcing = read_tower(data_dir / f"fluxnet_daily/{site}.nc").forcing
            mean = 0.5 * (forcing["tasmin"] + forcing["tasmax"]).mean()
            assert found["mat"].values[place] == pytest.approx(mean, abs=0.05)
        with pytest.raises(InputError, match=r"FI-Hyy.nc: drivers of 2006 to 2014; climate means of 1985 to 1990"):
            gathered(towers, tmp_path, "[attribution]\nyears = [1985, 1990]\n")
        with pytest.raises(InputError, match=r"statics: .* is a campaign of towers"):
            gathered(towers, tmp_path, '[attribution]\nstatics = ["soil_clay"]\n')
        (tmp_path / "sites.csv").write_text("site,mine\nUS-SRG,3\nFI-Hyy,2\n")
        assert gathered(towers, tmp_path, own("sites.csv"))["mine"].values.tolist() == [2, 3]
        write_map(tmp_path / "map.nc", "mine", np.array(1.0))
        np.testing.assert_array_equal(gathered(towers, tmp_path, own("map.nc"))["mine"].values, [1, np.nan])

    def test_towers_without_longitude(self, tmp_path):
        def forget(file):
            file.renameVariable("LON", "elsewhere")

        tower_file(tmp_path / "towers", "XX-Two", forget)
        data = {"kind": "tower", "path": str(tmp_path / "towers")}
        towers = open_or_plan(write_campaign(tmp_path, data=data), tmp_path / "campaign", [])
        write_map(tmp_path / "map.nc", "mine", np.array(1.0))
        with pytest.raises(
            InputError, match=r"1 \(mine\): .*XX-Two.nc: cell XX-Two has no longitude; .*site_coords.csv"
        ):
            gathered(towers, tmp_path, own("map.nc"))
        (tmp_path / "towers/site_coords.csv").write_text("SITE_ID,lat,lon\nXX-Two,61.0,24.3\n")
        assert coordinates(towers)[1].tolist() == [24.3]
        assert gathered(towers, tmp_path, own("map.nc"))["mine"].values.tolist() == [1.0]


class TestMaps:
    def test_values_units_and_ratio(self, campaign, tmp_path):
        carbon = np.linspace(5, 50, 40)[:, None] * np.ones(60)
        write_map(tmp_path / "soils.nc", "carbon", carbon, "g kg-1")
        write_map(tmp_path / "soils.nc", "nitrogen", np.full((40, 60), 2.0), "g kg-1")
        text = own("soils.nc", 'variable = "carbon"') + (
            '[[predictors]]\nname = "share"\ngroup = "soil"\npath = "soils.nc"\nvariable = "carbon"\nunits = "1"\n'
            '[[predictors]]\nname = "tenth"\ngroup = "soil"\npath = "soils.nc"\nvariable = "carbon"\nscale = 0.1\n'
            'units = "%"\nlong_name = "carbon of soil"\n'
            '[[predictors]]\nname = "cn"\ngroup = "soil"\npath = "soils.nc"\nratio = ["carbon", "nitrogen"]\n'
        )
        found = gathered(campaign, tmp_path, text)
        latitudes = np.array(campaign.cells.columns["latitude"])
        expected = carbon[np.round((latitudes - 50.25) / 0.5).astype(int), 0]
        assert found["mine"].values == pytest.approx(expected)
        assert (found["mine"].units, found["mine"].long_name) == ("g kg-1", "map of carbon")
        assert found["share"].values == pytest.approx(expected / 1000)
        assert found["tenth"].values == pytest.approx(expected / 10)
        assert (found["tenth"].units, found["tenth"].long_name) == ("%", "carbon of soil")
        assert found["cn"].values == pytest.approx(expected / 2)
        assert (found["cn"].units, found["cn"].long_name) == ("1", "carbon / nitrogen")

    def test_zero_below_is_missing_and_a_unit_of_another_kind_is_said(self, campaign, tmp_path, capsys):
        below = np.where(np.arange(60) % 2 == 0, 0.0, 4.0) * np.ones((40, 1))
        write_map(tmp_path / "m.nc", "above", np.full((40, 60), 8.0), "pH units")
        write_map(tmp_path / "m.nc", "below", below)
        values = gathered(campaign, tmp_path, own("m.nc", 'ratio = ["above", "below"]'))["mine"].values
        assert set(values[np.isfinite(values)]) == {2.0}
        assert np.isnan(values).any()
        found = gathered(campaign, tmp_path, own("m.nc", 'variable = "above"\nunits = "1"'))["mine"]
        assert found.units == "1"
        assert "gives 'pH units', taken as '1'" in capsys.readouterr().err

    def test_a_ratio_is_of_one_unit(self, campaign, tmp_path, capsys):
        write_map(tmp_path / "m.nc", "carbon", np.full((40, 60), 2.0), "kg m-2")
        write_map(tmp_path / "m.nc", "nitrogen", np.full((40, 60), 500.0), "g m-2")
        write_map(tmp_path / "m.nc", "warmth", np.full((40, 60), 0.5), "K")
        write_map(tmp_path / "m.nc", "plain", np.full((40, 60), 4.0))
        ratio = own("m.nc", 'ratio = ["carbon", "nitrogen"]')
        assert set(gathered(campaign, tmp_path, ratio)["mine"].values) == {4.0}
        with pytest.raises(InputError, match=r"\(mine\): .*m.nc: .*variable warmth: unit 'K' is of another kind"):
            gathered(campaign, tmp_path, own("m.nc", 'ratio = ["carbon", "warmth"]'))
        stated = own("m.nc", 'ratio = ["carbon", "warmth"]\nunits = "kg m-2 K-1"')
        found = gathered(campaign, tmp_path, stated)["mine"]
        assert (set(found.values), found.units) == ({4.0}, "kg m-2 K-1")
        assert "taken as of the same unit" not in capsys.readouterr().err
        assert set(gathered(campaign, tmp_path, own("m.nc", 'ratio = ["carbon", "plain"]'))["mine"].values) == {0.5}
        assert "plain without units, carbon and plain are taken as of the same unit" in capsys.readouterr().err

    def test_a_layer(self, campaign, tmp_path):
        layers = np.array([0.1, 0.2, 0.7])[:, None, None]
        write_map(tmp_path / "pft.nc", "fraction", layers, "1", kind=np.array([1, 4, 9]))
        text = own("pft.nc", 'variable = "fraction"\nselect = { kind = 4 }')
        assert set(gathered(campaign, tmp_path, text)["mine"].values) == {0.2}
        with pytest.raises(InputError, match=r"\(mine\): .*pft.nc: kind has no 5.*; it has 1, 4, 9"):
            gathered(campaign, tmp_path, text.replace("kind = 4", "kind = 5"))

    def test_the_public_map_of_the_template(self, campaign, tmp_path, data_dir):
        path = data_dir / "static_0p5/static_0p5.nc"
        text = own("$PHLOEM_DATA/static_0p5/static_0p5.nc", 'variable = "igbp_fraction"\nselect = { igbp_class = 1 }')
        values = gathered(campaign, tmp_path, text)["mine"].values
        with xr.open_dataset(path) as file:
            plain = file["igbp_fraction"].sel(igbp_class=1)
            cells = campaign.cells.columns
            at = {axis: xr.DataArray(cells[name]) for axis, name in (("lat", "latitude"), ("lon", "longitude"))}
            assert values == pytest.approx(plain.sel(at, method="nearest").values, abs=1e-6)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (own("none.nc"), r"\[\[predictors\]\] 1 \(mine\): .*none.nc: no such file"),
            (own("m.nc", name="clay"), r"\(clay\): .*m.nc: no variable clay; the file has .*there"),
            (own("m.nc", 'variable = "nothing"'), r"\(mine\): .*nothing has no value at any of the 12 cells; the file"),
            (own("far.nc", 'variable = "there"'), r"far.nc: there has no value at any of the 12 cells; .*latitude -"),
            (own("$NOWHERE/m.nc"), "names an environment variable that is not set"),
            (own("broken.nc"), r"\(mine\): .*broken.nc"),
            (own("m.nc", 'variable = "there"', "mat", "").replace("climate = []\n", ""), "two predictors are .* 'mat'"),
            (own("m.nc", 'variable = "there"', "soil_clay").replace("statics = []\n", ""), "called 'soil_clay': give"),
        ],
    )
    def test_what_is_wrong_is_named(self, campaign, tmp_path, text, says):
        write_map(tmp_path / "m.nc", "there", np.array(1.0))
        write_map(tmp_path / "m.nc", "nothing", np.array(np.nan))
        far = write_map(tmp_path / "far.nc", "there", np.array(1.0))
        with netCDF4.Dataset(far, "a") as file:
            file["lat"][:] = -file["lat"][:]
        (tmp_path / "broken.nc").write_bytes(b"not a map")
        with pytest.raises(InputError, match=says):
            gathered(campaign, tmp_path, text)


class TestTables:
    def test_by_cell_id(self, campaign, tmp_path):
        names = campaign.cells.names
        rows = [f"{name},{n},{2 * n + 1}" for n, name in enumerate(names)]
        rows[4] = f"{names[4]},,nan"
        lines = ["cell,age,other", *reversed(rows), "N00.25E000.25,7,7"]
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
        found = gathered(campaign, tmp_path, own("t.csv", 'units = "yr"', "age"))["age"]
        expected = np.arange(COUNT, dtype=float)
        expected[4] = np.nan
        np.testing.assert_array_equal(found.values, expected)
        assert (found.units, found.group) == ("yr", "soil")
        ratio = gathered(campaign, tmp_path, own("t.csv", 'ratio = ["other", "age"]'))["mine"].values
        assert np.isnan(ratio[[0, 4]]).all()
        assert ratio[5] == pytest.approx(11 / 5)

    @pytest.mark.parametrize(
        ("table", "says"),
        [
            ("id,mine\na,1\n", "a column cell or site of cell ids is due; the table has id, mine"),
            ("cell,other\na,1\n", "missing columns: mine; the table has: cell, other"),
            ("cell,mine\na,1\n", r"none of its 1 ids is a cell of .*baseline: a; cells are called N55.25E020.25"),
            ("cell,mine\nN55.25E020.25,x\n", r"line 2: mine = 'x' is not a number"),
            ("cell,mine\na,1\na,2\n", r"line 3: cell a stands twice"),
            ("cell,mine\nN55.25E020.25,\n", "mine has no value at any of the 12 cells"),
        ],
    )
    def test_what_is_wrong_is_named(self, campaign, tmp_path, table, says):
        (tmp_path / "t.csv").write_text(table)
        with pytest.raises(InputError, match=rf"\[\[predictors\]\] 1 \(mine\): .*t.csv.*{says}"):
            gathered(campaign, tmp_path, own("t.csv"))


class TestFile:
    def test_the_settings_are_all_there_with_their_defaults(self):
        assert load_attribution_file(None, GRID).attribution.settings() == AttributionSettings()
        keys = {one.name for one in fields(AttributionSettings)}
        assert set(AttributionSection.model_fields) == keys | {"targets", "years", "climate", "statics"}

    def test_the_template_holds_the_defaults(self, tmp_path):
        path = copy_template(TEMPLATES / "attribution.toml", tmp_path / "mine.toml")
        assert load_attribution_file(path, GRID) == load_attribution_file(None, GRID)
        assert "--config mine.toml" in path.read_text()
        with pytest.raises(InputError, match="exists already"):
            copy_template(TEMPLATES / "attribution.toml", path)
        text = path.read_text()
        commented = (
            text[text.index("# [[predictors]]") :].replace("\n# ", "\n").removeprefix("# ").replace("\n#\n", "\n")
        )
        path.write_text(commented)
        assert [one.name for one in load_attribution_file(path, GRID).predictors] == [
            "enf",
            "ph",
            "carbon_nitrogen",
            "stand_age",
        ]

    def test_targets(self):
        assert load_attribution_file(None, GRID).attribution.targets == list(GRID.attributed)
        assert len(valid_targets(GRID)) == 3 + 30 - len(FIRE_PARAMETERS)
        for name in valid_targets(GRID):
            assert load_attribution_file(None, GRID, [name]).attribution.targets == [name]
        with pytest.raises(InputError, match=r"'combustion_dom' is never read by the model. Valid are turnover_w"):
            load_attribution_file(None, GRID, ["combustion_dom"])
        with pytest.raises(
            InputError, match=r"'leaf_life' is unknown. Did you mean 'leaf_lifespan'\? Valid are .*uwue"
        ):
            load_attribution_file(None, GRID, ["lcma", "leaf_life"])
        with pytest.raises(InputError, match="targets: List should have at least 1 item"):
            load_attribution_file(None, GRID, [])

    def test_the_command_line_outweighs_the_file(self, tmp_path):
        path = tmp_path / "a.toml"
        path.write_text('[attribution]\nfolds = 3\ntargets = ["lcma"]\n')
        file = load_attribution_file(path, GRID, ["uwue"], ["attribution.folds=4", "estimator=exact", "log=['uwue']"])
        settings = file.attribution.settings()
        assert (settings.folds, settings.estimator, settings.log) == (4, "exact", ("uwue",))
        assert file.attribution.targets == ["uwue"]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[attribution]\nfold = 3", "unknown key 'attribution.fold'. Did you mean 'folds'.*Valid here: targets, "),
            ("folds = 3", r"unknown key 'folds'. It goes into \[attribution\]. Valid here: attribution, predictors"),
            ("[attribution]\nfolds = 1", r"attribution.folds: .*greater than or equal to 2 \(got 1\)"),
            ("[attribution]\nfolds = 3.0", "attribution.folds: .*valid integer"),
            ("[attribution]\nsubsample = 1.5", "attribution.subsample: .*less than or equal to 1"),
            ('[attribution]\nconvergence = "drop"', "'mask', 'weight' or 'none'"),
            ("[attribution]\nyears = [2000, 1990]", "years must ascend"),
            ('[attribution]\nclimate = ["tas"]', "climate: 'tas' is unknown; valid are mat, coldest_month"),
            ('[attribution]\ntargets = ["lcma", "lcma"]', "targets: 'lcma' stands twice"),
            ('[attribution]\nlog = ["lcma"]', "log: 'lcma' is no target; the targets are leaf_lifespan"),
            ("[attribution", "is not valid TOML"),
            ('[[predictors]]\nname = "a"\ngrup = "b"', r"\]\] a: .*'predictors.0.grup'. Did you mean 'group'"),
            ('[[predictors]]\nname = "a"\npath = "c"', r"missing key 'predictors.0.group'"),
            (own("m.nc", 'variable = "a"\nratio = ["a", "b"]'), r"\]\] mine: predictors.0: variable and ratio exclude"),
            (own("m.nc", "scale = 0.1"), r"\[\[predictors\]\] mine: predictors.0: scale changes the unit: say units"),
            (own("m.csv", "select = { a = 1 }"), r"\[\[predictors\]\] mine: predictors.0: select goes with maps"),
            (own("m.nc") + own("m.nc").split("\n\n")[1], "two predictors are called 'mine'"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path, text, says):
        path = tmp_path / "a.toml"
        path.write_text(text)
        with pytest.raises(InputError, match=says) as found:
            load_attribution_file(path, GRID)
        assert str(path) in str(found.value)

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError, match=r"attribution file .*none.toml: No such file"):
            load_attribution_file(tmp_path / "none.toml", GRID)
        with pytest.raises(InputError, match="--set 'folds': write key=value"):
            load_attribution_file(None, GRID, None, ["folds"])
