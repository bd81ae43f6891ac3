"""`phloem ingest --what tower-patches`: patches of towers, from made-up files and from the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.clustered_towers.tower_clusters import great_circle_km
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.patches.patch_ingest import PatchIngest
from phloem.io.patches.patch_store import PatchStore, open_patches
from phloem.jobs.config.tower_patches_file import TowerPatchesFile, load_tower_patches_file
from phloem.jobs.ingest.ingest_tower_patches import ingest_tower_patches
from phloem.names import PREDICTOR_GROUPS
from tests.support.campaigns.campaigns import succeed

SITES = {"AA-One": (45.0, 8.0), "AA-Two": (45.5, 8.2), "BB-Far": (-20.0, 140.0), "AA-Tri": (46.0, 8.4)}
"""Three in a chain of some 60 km each, one elsewhere."""

MONTHS = 24
ROOT = Path(__file__).parents[3]


def monthly() -> xr.Dataset:
    rng, shape = np.random.default_rng(0), (len(SITES), MONTHS)
    season = np.cos(2 * np.pi * np.arange(MONTHS) / 12)
    cold = 5 - 8 * season + rng.normal(0, 1, shape)
    warm = cold + 9
    values = {
        "T2M_MIN": (cold, "degC"), "T2M_MAX": (warm + 273.15, "K"),
        "SSRD": (14 - 6 * season + np.zeros(shape), "MJ m-2 d-1"),
        "VPD": (0.12 * (saturation_pressure(warm) - saturation_pressure(cold)), "kPa"),
        "TOTAL_PREC": (rng.gamma(2, 1.2, shape), "mm d-1"), "CO2": (np.full(shape, 380.0), "ppm"),
        "GPP": (5 - 4 * season + rng.uniform(0, 0.3, shape), "gC m-2 d-1"),
        "NBE": (season + np.zeros(shape), "gC m-2 d-1"),
        "ET": (2 - season + np.zeros(shape), "mm d-1"), "LAI": (2 - season + np.zeros(shape), "m2 m-2"),
        "ABGB": (np.where(np.arange(MONTHS) == 11, 4000.0, np.nan) + np.zeros(shape), "gC m-2"),
    }  # fmt: skip
    made = {name: (("site", "time"), one, {"units": unit}) for name, (one, unit) in values.items()}
    made["GPP"][1][0, 6:12] = np.nan
    held = np.full(shape, np.nan)
    held[0, 6:12] = 7.0
    made |= {"GPP_val": (("site", "time"), held, {"units": "gC m-2 d-1"})}
    made |= {"csom0": (("site",), np.array([9e3, 1e4, -9999.0, 1.1e4]), {"units": "gC m-2"})}
    places = np.array(list(SITES.values()))
    time = np.arange("2001-01", "2003-01", dtype="datetime64[M]").astype("datetime64[ns]")
    coordinates = {
        "site": list(SITES), "time": time, "latitude": ("site", places[:, 0]), "longitude": ("site", places[:, 1])
    }  # fmt: skip
    return xr.Dataset(made, coordinates)


def predictors() -> xr.Dataset:
    shares = np.zeros((len(SITES), 10))
    shares[:, 2], shares[:, 8] = 0.75, 0.15
    own = np.eye(10)[[0, 1, 2, 6]]
    places = np.array(list(SITES.values()))
    still = {
        "MAT": ([282.15, 283.15, 293.15, 281.15], "K"), "map": ([900.0, 950.0, 500.0, 1000.0], "mm yr-1"),
        "elevation": ([300.0, 400.0, 100.0, 900.0], "m"), "sand": ([0.4, 0.5, 0.6, 0.7], "1"),
        "latitude": (places[:, 0], "degrees_north"), "longitude": (places[:, 1], "degrees_east"),
        "water_fraction": ([0.0, 0.6, 0.0, 0.0], "1"),
    }  # fmt: skip
    made: dict[str, Any] = {name: (("site",), np.asarray(one), {"units": unit}) for name, (one, unit) in still.items()}
    made |= {"pft_fraction_cell": (("site", "pft"), shares), "pft_of_tower": (("site", "pft"), own)}
    return xr.Dataset(made, {"site": list(SITES), "pft": list(PREDICTOR_GROUPS["PFT"])}).isel(site=[3, 1, 0, 2])


def ingest(folder: Path, change: Callable[[dict[str, xr.Dataset]], None] | None = None, **keys: Any) -> PatchStore:
    files = {"months.nc": monthly(), "sites.nc": predictors()}
    if change is not None:
        change(files)
    for name, one in files.items():
        if not (folder / name).exists():
            one.to_netcdf(folder / name)
    file = TowerPatchesFile(path="months.nc", predictors="sites.nc", **keys)
    return ingest_tower_patches(file, folder, folder / "store").store


def test_towers_near_each_other_are_one_patch(tmp_path: Path) -> None:
    store = ingest(tmp_path)
    assert store.names == ["BB-Far", "AA-One"]
    assert store.rows == 3
    assert store.step is None
    patch = store.read(1)
    assert patch.cells == ("AA-One", "AA-Two", "AA-Tri")
    assert store.table["south"][1] == 45.0


def test_a_shorter_distance_makes_more_patches(tmp_path: Path) -> None:
    store = ingest(tmp_path, within_km=10.0)
    assert (len(store), store.rows) == (4, 1)


def test_units_are_those_of_patches(tmp_path: Path) -> None:
    patch, file, sites = ingest(tmp_path).read(1), monthly(), predictors()
    here = [0, 1, 3]
    assert patch.forcing["tasmax"] == pytest.approx(file["T2M_MAX"].values[here].T - 273.15, abs=1e-4)
    assert patch.forcing["vpd"] == pytest.approx(10 * file["VPD"].values[here].T, rel=1e-5)
    assert (patch.forcing["burned_area"] == 0).all()
    assert patch.predictors["MAT"] == pytest.approx([9.0, 10.0, 8.0])
    assert patch.predictors["sand"] == pytest.approx([40.0, 50.0, 70.0])
    assert patch.predictors["EBF"].tolist() == [75.0] * 3
    assert np.isnan(patch.predictors["canopy_height"]).all()
    assert sites["elevation"].sel(site="AA-Tri") == patch.predictors["elevation"][2] == 900.0


def test_labels_are_fluxes_with_respiration_from_its_parts(tmp_path: Path) -> None:
    patch, file = ingest(tmp_path).read(1), monthly()
    here = [0, 1, 3]
    gpp = file["GPP"].values[here].T
    np.testing.assert_allclose(patch.labels["tower_gpp"], gpp, rtol=1e-6)
    np.testing.assert_allclose(patch.labels["tower_reco"], gpp + file["NBE"].values[here].T, rtol=1e-5)
    assert np.isnan(patch.labels["tower_gpp"][6:12, 0]).all(), "withheld"
    assert (patch.labels["biomass"][:12] == 4000).all()
    assert np.isnan(patch.labels["biomass"][12:]).all()
    assert patch.labels["soil_carbon"] == pytest.approx([9e3, 1e4, 1.1e4])
    log = (tmp_path / "store" / "ingest.log").read_text()
    assert "tower_gpp: 6 values that the file withholds are no labels" in log
    assert "biomass: 4 years with some months" in log
    assert "burned_area: not in the file; taken as 0" in log
    assert "1 towers stand in cells with more than 50 % water; they are kept" in log
    assert "predictors of AGE: not in the file" in log


def test_withheld_values_are_labels_where_the_user_says_so(tmp_path: Path) -> None:
    patch = ingest(tmp_path, withheld="take").read(1)
    assert (patch.labels["tower_gpp"][6:12, 0] == 7.0).all()


def test_own_plant_type_is_all_of_its_cell(tmp_path: Path) -> None:
    patch = ingest(tmp_path, plant_types="tower").read(1)
    assert [patch.predictors[name][0] for name in ("NF", "DBF")] == [100.0, 0.0]
    assert patch.predictors["GRA"].tolist() == [0.0, 0.0, 100.0]


def test_labels_can_be_chosen(tmp_path: Path) -> None:
    assert ingest(tmp_path, labels=["tower_et"]).streams == ["tower_et"]


def test_towers_that_break_a_rule_are_left_out_with_their_reason(tmp_path: Path) -> None:
    def change(files: dict[str, xr.Dataset]) -> None:
        one = files["months.nc"]
        one["T2M_MIN"].values[1, 3] = np.nan
        for name in ("GPP", "ET"):
            one[name].values[2, 5:] = np.nan
        files["sites.nc"] = files["sites.nc"].isel(site=slice(1, None))

    store = ingest(tmp_path, change)
    assert [store.read(n).cells for n in range(len(store))] == [("AA-One",)]
    text = store.paths.dropped.read_text()
    assert 'AA-Two,45.5,8.2,monthly forcing is not complete,"tasmin is missing in 1 months, first 2001-04"' in text
    assert "BB-Far,-20.0,140.0,too few months of fluxes,5; 12 are due" in text
    assert "AA-Tri,46.0,8.4,not in the file of predictors," in text
    assert store.facts["left_out"] == {
        "monthly forcing is not complete": 1, "too few months of fluxes": 1, "not in the file of predictors": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda one: one.assign(latitude=one["latitude"] + 1),
            "sites elsewhere than in the other file: BB-Far",
        ),
        (lambda one: one.drop_vars("map"), "variables MAT and MAP are due"),
        (lambda one: one.drop_vars("pft_fraction_cell"), r"pft_fraction_cell: is missing \(plant_types = 'cell'\)"),
        (lambda one: one.assign(pft_fraction_cell=one["pft_fraction_cell"] * 100), "shares from 0 to 1"),
        (lambda one: one.assign(MAT=one["MAT"].assign_attrs(units="m")), "variable MAT: unit 'm' is of another kind"),
        (lambda one: one.drop_vars("site"), "names of the sites are due"),
    ],
)
def test_predictors_that_are_no_such_file_are_refused_before_anything_is_written(
    tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        ingest(tmp_path, lambda files: files.update({"sites.nc": change(files["sites.nc"])}))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("after", range(2))
def test_interrupted_after_any_patch_it_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    (tmp_path / "whole").mkdir()
    whole = ingest(tmp_path / "whole")
    plain, written = PatchIngest.commit, []

    def commit(self: PatchIngest, patch: Any, name: str, *rest: Any) -> None:
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(name)
        plain(self, patch, name, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(PatchIngest, "commit", commit)
        with pytest.raises(KeyboardInterrupt):
            ingest(tmp_path)
    assert ingest(tmp_path).checksum == whole.checksum
    for name in ("dropped.csv", *(f"patches/{name}.h5" for name in whole.names)):
        assert (tmp_path / "store" / name).read_bytes() == (whole.paths.root / name).read_bytes()
    with pytest.raises(InputError, match=r"within_km: begun with 100.0, now 50.0"):
        ingest(tmp_path, within_km=50.0)


def test_no_tower_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tower is left of 4: too few months of fluxes"):
        ingest(tmp_path, least_months=99)


def test_the_command_reads_the_template(tmp_path: Path) -> None:
    ingest(tmp_path)
    succeed("ingest", "--what", "tower-patches", "--template", "towers.toml", folder=tmp_path)
    assert load_tower_patches_file(tmp_path / "towers.toml") == TowerPatchesFile(
        path="months.nc", predictors="sites.nc"
    )
    printed = succeed("ingest", "towers.toml", "--what", "tower-patches", "--out", "other", folder=tmp_path)
    assert "2 patches, 4 cells, 24 months from 2001-01 on" in printed
    assert open_patches(tmp_path / "other").checksum == open_patches(tmp_path / "store").checksum


def test_real_towers_are_patches_that_leave_out_all_within_100_km(data_dir: Path, tmp_path: Path) -> None:
    """CARDAMOM-FLUXVAL: 107 towers, of which 9 have less than a year of fluxes."""
    file = load_tower_patches_file(ROOT / "examples" / "fluxval_towers.toml")
    finished = ingest_tower_patches(file, ROOT / "examples", tmp_path / "store")
    store = finished.store
    assert (len(store), sum(store.table["cells"]), store.rows, store.months) == (68, 98, 5, 192)
    patches = [store.read(place) for place in range(len(store))]
    number = np.concatenate([np.full(len(one), n) for n, one in enumerate(patches)])
    apart = great_circle_km(*(np.concatenate([getattr(one, k) for one in patches]) for k in ("latitude", "longitude")))
    assert apart[number[:, None] != number].min() > 100
    assert store.count_labels("tower_gpp") == 6143
    totals = [sum(one.predictors[name] for name in PREDICTOR_GROUPS["PFT"]) for one in patches]
    assert 30 < min(map(np.min, totals)) < max(map(np.max, totals)) <= 100.0001
    assert "left out: 9 towers: too few months of fluxes" in finished.notes
    assert any(note.startswith("burned_area: 0 in all months") for note in finished.notes)
