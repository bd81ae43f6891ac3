"""`phloem ingest --what patches`: what the store holds, what is refused, killed and resumed, memory."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError, WorkError
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.global_products.patch_catalogue import IGBP
from phloem.io.ingest.ingest_folder import IngestFolder
from phloem.io.patches.patch_store import PatchStorePaths, open_patches
from phloem.io.patches.stored_patch import StoredPatch
from phloem.jobs.commands.ingest import OWN_TEMPLATES
from phloem.jobs.commands.options import What
from phloem.jobs.config.patches_file import load_patches_file, patch_choices
from phloem.jobs.config.toml_file import copy_template
from phloem.jobs.ingest import ingest_patches as job
from phloem.jobs.ingest.ingest_patches import ingest_patches
from phloem.names import PERIOD, PREDICTORS
from tests.support.drivers import patch_samples as samples
from tests.support.faults.shim import CHANGES, Fault, build, read_log
from tests.support.processes import environment

KILLS = 10
CALLS = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """All products with their ingest file, and the store that an undisturbed ingest makes of them."""
    root = tmp_path_factory.mktemp("products")
    path = samples.write_everything(root)
    samples.write_grouped_cover(root / "parts.nc", IGBP, said="%")
    ingest_patches(path, root / "store")
    return path, root / "store"


def content(store: Path) -> dict[str, bytes]:
    """The bytes of the table, of all patches and of what was left out."""
    files = [store / "patches.json", store / "dropped.csv", *sorted(store.glob("patches/*"))]
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def patches(store: Path) -> dict[str, StoredPatch]:
    found = open_patches(store)
    return {name: found.read(place) for place, name in enumerate(found.names)}


def rewritten(path: Path, *changes: tuple[str, str], name: str = "other.toml") -> Path:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    other = path.with_name(name)
    other.write_text(text)
    return other


def cell_of(patch: StoredPatch, latitude: float, longitude: float) -> int:
    (place,) = np.flatnonzero((patch.latitude == latitude) & (patch.longitude == longitude))
    return int(place)


class TestStore:
    def test_patches_and_why_others_are_not_there(self, made):
        _, store = made
        found = open_patches(store)
        assert found.names == ["N42W005", "N42E000", "N46W005"]
        assert found.table["cells"] == [18, 20, 14]
        assert (found.rows, found.months, str(found.first_month), found.step) == (20, 24, "2001-01", 1.0)
        rows = list(csv.DictReader((store / "dropped.csv").open()))
        assert [(row["cell"], row["reason"]) for row in rows][:3] == [
            ("N42.50W003.50", "not vegetated"),
            ("N46.50W001.50", "incomplete forcing"),
            ("N46E000", "too few valid cells"),
        ]
        assert rows[1]["detail"].startswith("tasmin: no value in 1 months, first 2001-03; vpd: ")
        assert [row["detail"] for row in rows[3:]] == ["canopy_height"] * 5

    def test_a_cell_whose_minimum_exceeds_its_maximum_is_left_out(self, made, tmp_path):
        lat, lon = samples.axis(30, 60, 1.0), samples.axis(-180, 180, 1.0)
        values = np.full((24, len(lat), len(lon)), -5.0)
        values[4:6, int(np.flatnonzero(lat == 43.5)[0]), int(np.flatnonzero(lon == 2.5)[0])] = 40.0
        samples.write_grid(
            tmp_path / "low.nc", "tasmin", values, lat, lon, units="degC",
            time=samples.days(samples.months(), "2000-01-01") + 3,
        )  # fmt: skip
        other = rewritten(made[0], ("[products]\n", f'[products]\ntasmin = {{ path = "{tmp_path}/low.nc" }}\n'))
        ingest_patches(other, tmp_path / "store")
        rows = list(csv.DictReader((tmp_path / "store/dropped.csv").open()))
        (row,) = [row for row in rows if row["reason"] == "incomplete forcing"]
        assert (row["cell"], row["detail"]) == ("N43.50E002.50", "tasmin exceeds tasmax in 2 months, first 2001-05")
        assert (float(row["latitude"]), float(row["longitude"])) == (43.5, 2.5)

    def test_what_a_store_says_of_itself(self, made):
        facts = open_patches(made[1]).facts
        np.testing.assert_allclose(facts["co2"], 370 + 0.2 * np.arange(24))
        assert facts["sources"]["nbe"].startswith("CMS-Flux")
        assert facts["climate"] == {"MAT": "forcing", "MAP": "forcing"}
        assert facts["limits"]["coarse"] == 0.8
        assert facts["predictors"][:2] == ["NF", "DBF"]

    def test_forcing_of_a_cell_at_the_seam_of_longitudes(self, made):
        """From 0.25 W to 0.25 E the nodes of ERA5 are at 359 and 0 degrees; a mean of four of them is the plane."""
        patch = patches(made[1])["N42W005"]
        cell = cell_of(patch, 43.5, -0.5)
        flat = samples.plane(np.array([43.5]), np.array([-0.5]))[0, 0]
        cold = 280.0 - 273.15 + 8.0 * samples.season() + flat
        np.testing.assert_allclose(patch.forcing["tasmin"][:, cell], cold, atol=2e-3)
        np.testing.assert_allclose(patch.forcing["rsds"][:, cell], 12 + 8 * samples.season() + flat, atol=2e-3)
        np.testing.assert_allclose(patch.forcing["pr"][:, cell], 2.5 + 0.5 * samples.season() + flat, atol=2e-3)
        dew = 278.0 - 273.15 + 7.0 * samples.season() + flat
        warm = 288.0 - 273.15 + 9.0 * samples.season() + flat
        due = 0.5 * sum(np.maximum(saturation_pressure(air) - saturation_pressure(dew), 0.0) for air in (cold, warm))
        np.testing.assert_allclose(patch.forcing["vpd"][:, cell], due, rtol=2e-3)
        np.testing.assert_allclose(
            patch.forcing["burned_area"][:, cell], 0.01 * (np.arange(24) % 12 + 1) / 12, rtol=1e-5
        )

    def test_predictors_of_a_cell(self, made):
        patch = patches(made[1])["N42E000"]
        cell = cell_of(patch, 43.5, 1.5)
        flat = samples.plane(np.array([43.5]), np.array([1.5]))[0, 0]
        shares = {name: patch.predictors[name][cell] for name in IGBP if name != "water"}
        assert shares == {"NF": 0, "DBF": 28, "EBF": 0, "MF": 0, "SH": 0, "SAV": 0, "GRA": 40, "WET": 0, "CRO": 20,
                          "NVG": 2}  # fmt: skip
        days = samples.lengths(samples.months())
        cold, warm = patch.forcing["tasmin"][:, cell], patch.forcing["tasmax"][:, cell]
        assert patch.predictors["MAT"][cell] == pytest.approx(np.average(0.5 * (cold + warm), weights=days), rel=1e-6)
        rain = np.average(patch.forcing["pr"][:, cell], weights=days) * PERIOD
        assert patch.predictors["MAP"][cell] == pytest.approx(rain, rel=1e-6)
        expected = {
            "elevation": 300,
            "canopy_height": 12,
            "forest_age": 60,
            "bulk_density": 1.4,
            "sand": 40,
            "clay": 25,
        }
        for name, value in expected.items():
            assert patch.predictors[name][cell] == pytest.approx(value + flat, abs=1e-3), name

    def test_labels_of_a_cell(self, made):
        patch = patches(made[1])["N42W005"]
        cell = cell_of(patch, 43.5, -2.5)
        flat, wave = samples.plane(np.array([43.5]), np.array([-2.5]))[0, 0], samples.season()
        np.testing.assert_allclose(patch.labels["sif"][:, cell], 0.4 + 0.3 * wave + 0.01 * flat, atol=1e-5)
        np.testing.assert_allclose(patch.labels["lai"][:, cell], 2 + 1.5 * wave + flat, atol=0.051)
        np.testing.assert_allclose(patch.labels["et"][:, cell], 1.5 + wave + flat, atol=1e-3)
        np.testing.assert_allclose(patch.labels["fire"][:, cell], 0.02, rtol=1e-6)
        np.testing.assert_allclose(
            patch.labels["biomass"][:, cell], 100 * (np.repeat([50.0, 60.0], 12) + flat), rtol=1e-4
        )
        assert patch.labels["soil_carbon"][cell] == pytest.approx(9000.0 + 2000.0 * flat, rel=1e-4)
        assert np.isnan(patch.labels["et"][:, cell_of(patch, 44.5, -2.5)]).all()

    def test_nbe_is_the_mean_over_the_patch_of_what_overlaps_it(self, made):
        """GEOS-Chem's boxes go from 40 to 44 and from 44 to 48 N, from 7.5 to 2.5 W and from there to 2.5 E."""
        patch = patches(made[1])["N42W005"]
        lat, lon = np.array([42.0, 46.0]), np.array([-5.0, 0.0])
        tall = np.diff(np.sin(np.deg2rad([42.0, 44.0, 46.0])))
        plane = samples.plane(lat, lon)
        mean = (tall[:, None] * plane).sum() / (2 * tall.sum())
        np.testing.assert_allclose(patch.labels["nbe"], 0.1 - 0.8 * samples.season() + 0.05 * mean, atol=1e-6)

    def test_missing_months_of_grace_stay_missing_and_two_solutions_are_averaged(self, made):
        patch = patches(made[1])["N42E000"]
        found = patch.labels["water_storage"]
        assert np.flatnonzero(np.isnan(found)).tolist() == list(samples.MISSING_GRACE)
        flat = samples.plane(np.array([44.0]), np.array([2.5]))[0, 0]
        due = 10 * (1.0 + 5.0 * samples.season() + 0.1 * flat)
        due[9] += 10.0
        there = np.isfinite(found)
        np.testing.assert_allclose(found[there], due[there], atol=0.05)

    def test_labels_of_patches_need_most_of_their_cells(self, made, tmp_path):
        path, store = made
        found = patches(store)
        assert ["nbe" in one.labels for one in found.values()] == [True, True, False]
        assert "fire" in found["N46W005"].labels
        other = rewritten(path, ("[products]", "[valid]\ncoarse = 0.7\n\n[products]"))
        ingest_patches(other, tmp_path / "store")
        assert all(
            "nbe" in one.labels and "water_storage" in one.labels for one in patches(tmp_path / "store").values()
        )

    def test_towers_of_a_cell_are_averaged_and_weighted_by_their_type(self, made):
        found = patches(made[1])
        patch = found["N46W005"]
        cell = cell_of(patch, 46.5, -2.5)
        np.testing.assert_allclose(patch.labels["tower_gpp"][[0, 1, 2], cell], [5.0, 6.0, 5.0])
        np.testing.assert_allclose(patch.labels["tower_et"][:, cell], 6 * 0.3, rtol=1e-6)
        np.testing.assert_allclose(patch.weights["tower_gpp"][:, cell], 0.6, rtol=1e-6)
        others = np.arange(len(patch)) != cell
        assert np.isnan(patch.labels["tower_gpp"][:, others]).all()
        assert (patch.weights["tower_gpp"][:, others] == 0).all()
        assert found["N42E000"].weights["tower_reco"].max() == pytest.approx(0.28)
        log = (made[1] / "ingest.log").read_text()
        assert "3 of 5 towers count, in 2 cells" in log
        assert "CC-Ice: NVG covers 2.0 % of N43.50E002.50, 25 are due" in log
        assert "DD-Sea: in no valid cell" in log

    def test_a_tower_without_a_value_has_no_weight(self, made, tmp_path):
        root = made[0].parent
        with netCDF4.Dataset(str(samples.write_towers(tmp_path / "towers.nc")), "r+") as file:
            file["gpp"][1, 1] = -9999.0
            file.createVariable("weight", "f8", ("site",))[:] = [0.5, 0.9, 1.0, 1.0, 1.0]
        other = rewritten(made[0], ('path = "towers.nc"', f'path = "{tmp_path}/towers.nc"'))
        ingest_patches(other, tmp_path / "store")
        patch = patches(tmp_path / "store")["N46W005"]
        cell = cell_of(patch, 46.5, -2.5)
        assert np.isnan(patch.labels["tower_gpp"][1, cell])
        np.testing.assert_allclose(patch.weights["tower_gpp"][:3, cell], [0.7, 0.0, 0.7], rtol=1e-6)
        assert root.is_dir()

    def test_herbs_are_added_to_biomass(self, made, tmp_path):
        lat, lon = samples.axis(30, 60, 1.0), samples.axis(-180, 180, 1.0)
        samples.write_grid(
            tmp_path / "gpp.nc", "GPP", samples.in_time(lat, lon, 4.0, 2.0, 0.0), lat, lon, units="gC m-2 d-1",
            time=samples.days(samples.months(), "2000-01-01") + 3,
        )  # fmt: skip
        text = f'gpp = {{ path = "{tmp_path}/gpp.nc", herbaceous = ["GRA"] }}\n'
        other = rewritten(made[0], ("[products]\n", f"[products]\n{text}"))
        ingest_patches(other, tmp_path / "store")
        with_herbs, without = patches(tmp_path / "store")["N42E000"], patches(made[1])["N42E000"]
        herbs = 0.4 * 4.0 * PERIOD * 0.5
        np.testing.assert_allclose(with_herbs.labels["biomass"] - without.labels["biomass"], herbs, rtol=1e-4)

    def test_a_store_of_what_must_be_there_alone(self, made, tmp_path):
        root = made[0].parent
        path = root / "least.toml"
        kept = ("forcing", "co2", "burned_area", "pft")
        lines = [line for line in samples.INGEST.splitlines() if " = { path" not in line or line.split()[0] in kept]
        path.write_text("\n".join(lines))
        ingest_patches(path, tmp_path / "store")
        store = open_patches(tmp_path / "store")
        assert len(store) == 3
        assert store.streams == []
        patch = store.read(0)
        given = {name for name in PREDICTORS if np.isfinite(patch.predictors[name]).all()}
        assert given == set(PREDICTORS[:12])
        assert all(np.isnan(patch.predictors[name]).all() for name in PREDICTORS[12:])
        assert (
            "predictors AGE: no canopy_height, forest_age: NaN in the store"
            in (tmp_path / "store/ingest.log").read_text()
        )

    @pytest.mark.parametrize(("step", "cells"), [("0.5", 80), ("1.0", 20)])
    def test_cells_of_another_size_have_the_same_means(self, made, tmp_path, step, cells):
        path, store = made
        other = rewritten(path, ("step = 1.0", f"step = {step}"))
        ingest_patches(other, tmp_path / "store")
        found = open_patches(tmp_path / "store")
        assert found.rows == cells
        fine, coarse = patches(tmp_path / "store")["N42E000"], patches(store)["N42E000"]
        assert len(fine) == cells
        for name in ("tasmin", "burned_area"):
            np.testing.assert_allclose(fine.forcing[name].mean(1), coarse.forcing[name].mean(1), rtol=1e-3)
        np.testing.assert_allclose(fine.labels["nbe"], coarse.labels["nbe"], rtol=1e-5)

    def test_a_later_product_gives_the_months_that_the_first_lacks(self, made, tmp_path):
        root = tmp_path / "gfed"
        samples.write_burned(root)
        for path in sorted(root.glob("BA2002*.nc")):
            path.unlink()
        lat, lon = samples.axis(30, 60, 0.5), samples.axis(-180, 180, 0.5)
        samples.write_grid(
            tmp_path / "mcd64.nc", "burned_fraction", np.full((24, len(lat), len(lon)), 2.5), lat, lon, units="%",
            time=samples.days(samples.months(), "2000-01-01") + 3,
        )  # fmt: skip
        later = f'burned_area = {{ path = "{root}/BA*.nc" }}\nburned_area_later = {{ path = "{tmp_path}/mcd64.nc" }}\n'
        other = rewritten(made[0], ('burned_area = { path = "gfed/BA*.nc" }\n', later))
        ingest_patches(other, tmp_path / "store")
        burned = patches(tmp_path / "store")["N42W005"].forcing["burned_area"]
        np.testing.assert_allclose(
            burned[:12], np.broadcast_to(0.01 * np.arange(1, 13)[:, None] / 12, (12, 18)), rtol=1e-5
        )
        np.testing.assert_allclose(burned[12:], 0.025, rtol=1e-6)


class TestLayouts:
    """The same field in another published form is the same store."""

    def test_grouped_plant_types_equal_those_of_classes(self, made, tmp_path):
        path, store = made
        samples.write_grouped_cover(tmp_path / "groups.nc", IGBP)
        other = rewritten(path, ('"mcd12c1.nc"', f'"{tmp_path}/groups.nc", kind = "groups"'))
        ingest_patches(other, tmp_path / "store")
        for name, patch in patches(tmp_path / "store").items():
            for one in PREDICTORS[:10]:
                np.testing.assert_allclose(patch.predictors[one], patches(store)[name].predictors[one], atol=1e-9)

    @pytest.mark.parametrize("form", ["southwards", "from 0 to 360", "transposed", "both"])
    def test_axes_in_any_direction_give_the_same_bytes(self, made, tmp_path, form):
        path, store = made
        lat, lon = samples.axis(30, 60, 1.0), samples.axis(-180, 180, 1.0)
        values = samples.in_time(lat, lon, 2.0, 1.5)
        if form in ("southwards", "both"):
            lat, values = lat[::-1], values[:, ::-1]
        if form in ("from 0 to 360", "both"):
            lon, values = np.roll(lon, -180) % 360.0, np.roll(values, -180, axis=2)
        order = (0, 2, 1) if form in ("transposed", "both") else (0, 1, 2)
        samples.write_grid(
            tmp_path / "lai.nc", "LAI", values, lat, lon, units="m^2/m^2", dimension_order=order, dtype="u1", fill=255,
            scale=0.1, time=samples.days(samples.months(), "2000-01-01") + 14,
        )  # fmt: skip
        other = rewritten(path, ('"lai.nc"', f'"{tmp_path}/lai.nc"'))
        ingest_patches(other, tmp_path / "store")
        found, expected = content(tmp_path / "store"), content(store)
        assert {name: found[name] for name in found if name.endswith(".h5")} == {
            name: expected[name] for name in expected if name.endswith(".h5")
        }

    def test_packed_era5_of_earlier_years_is_read(self, made, tmp_path):
        path, store = made
        lat, lon = np.arange(60.0, 29.5, -1.0), np.arange(0.0, 360.0, 1.0)
        values = samples.in_time(lat, lon, 288.0, 9.0)
        samples.write_packed_era5(tmp_path / "old.nc", "t2m", values, lat, lon, "K")
        table = f'tasmax = {{ path = "{tmp_path}/old.nc", variable = "t2m" }}\n'
        other = rewritten(path, ("[products]\n", f"[products]\n{table}"))
        ingest_patches(other, tmp_path / "store")
        found, expected = patches(tmp_path / "store")["N42W005"], patches(store)["N42W005"]
        np.testing.assert_allclose(found.forcing["tasmax"], expected.forcing["tasmax"], atol=1e-3)

    def test_months_stamped_at_their_ends_are_refused_unless_that_is_said(self, made, tmp_path):
        path, store = made
        samples.write_lai(tmp_path / "lai.nc", bounds=False)
        other = rewritten(path, ('"lai.nc"', f'"{tmp_path}/lai.nc"'))
        with pytest.raises(InputError, match=r'whole years that begin in February.*stamps = "end".*\[products.lai\]'):
            ingest_patches(other, tmp_path / "store")
        other = rewritten(path, ('"lai.nc"', f'"{tmp_path}/lai.nc", stamps = "end"'))
        ingest_patches(other, tmp_path / "store")
        for name, patch in patches(tmp_path / "store").items():
            np.testing.assert_array_equal(patch.labels["lai"], patches(store)[name].labels["lai"])

    def test_daily_weather_is_averaged_over_the_months(self, made, tmp_path):
        path, _ = made
        lat, lon = samples.axis(30, 60, 1.0), samples.axis(-20, 20, 1.0)
        dates = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
        day = (dates - dates.astype("datetime64[M]")).astype(float)
        values = 8.0 + day[:, None, None] + np.zeros((len(dates), len(lat), len(lon)))
        samples.write_grid(
            tmp_path / "rain.nc", "pr", values, lat, lon, units="mm d-1", time=samples.days(dates, "2000-01-01")
        )
        other = rewritten(path, ("[products]\n", f'[products]\npr = {{ path = "{tmp_path}/rain.nc" }}\n'))
        ingest_patches(other, tmp_path / "store")
        found = patches(tmp_path / "store")["N42W005"].forcing["pr"]
        due = 8.0 + 0.5 * (samples.lengths(samples.months()) - 1)
        np.testing.assert_allclose(found, np.broadcast_to(due[:, None], found.shape), rtol=1e-6)


class TestRefusals:
    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("years = [2001, 2002]", "years = [2000, 2002]", r"12 of 36 months are missing \(2000-01, "),
            ("years = [2001, 2002]", "years = [2002, 2001]", "store.years must ascend"),
            ("step = 1.0", "step = 0.3", "store.step: 0.3 does not divide the height of a box, 4 degrees; as 4, 2"),
            ("step = 1.0", "step = 1.0\nbox = [7, 5]", "store.box: the height must divide 180 degrees; got 7"),
            ("step = 1.0", "step = 1.0\nsteps = 2", "unknown key 'store.steps'. Did you mean 'step'"),
            ("memory_gb = 1.0", "memory_gb = 0.1", "store.memory_gb = 0.1 is too little; at least 0.3"),
            ("south = 42, north = 50", "south = -2, north = -1", "holds no centre of a box of 4 x 5 degrees"),
            ('co2 = { path = "co2_mm_gl.csv" }', "", r"\[products.co2\] is missing"),
            ('pft = { path = "mcd12c1.nc" }', "", r"\[products.pft\] is missing"),
            ('forest_age = { path = "forest_age.nc" }', "", "are one group of predictors: both or none"),
            ('nbe = { path = "nbe.nc" }', 'neb = { path = "nbe.nc" }', r"\[products.neb\] is unknown; valid are "),
            ('"nbe.nc"', '"nowhere.nc"', r"\[products.nbe\]: no file .*nowhere.nc"),
            ('"nbe.nc"', '"nbe.nc", variable = "flux"', r"no variable flux .*has NBE, lat, lon, time"),
            ('"nbe.nc"', '"nbe.nc", units = "K"', r"variable NBE: unit 'K'; due is g m-2 d-1"),
            ('"nbe.nc"', '"nbe.nc", kind = "other"', r"\[products.nbe\]: kind = 'other'; valid are monthly"),
            ('"sif.nc"', '"sif.nc", herbaceous = ["GRA"]', r"herbaceous goes with \[products.gpp\]"),
            ('"mcd12c1.nc"', '"mcd12c1.nc", units = "1"', r"no land cover in any cell.*the file says '1'"),
            ('"mcd12c1.nc"', '"parts.nc", kind = "groups"', "add up to 1 per cent at the median.*100 are due"),
            ('"elevation.nc"', '"canopy_height.nc"', r"no variable elevation .*has canopy_height, lat, lon"),
            ('"gfed/BA*.nc"', '"gfed/BA2001*.nc"', r"12 of 24 months are missing \(2002-01, "),
            ('"carbon/*.nc4"', '"carbon/AWT_T_SOC.nc4"', "is that of one layer alone; topsoil and subsoil are due"),
            ('"grace.nc"', '"elevation.nc", variable = "elevation"', "no time axis with units|neither"),
            ('"lai.nc"', '"lai.nc", units = "%"', "unit '%'; due is m2 m-2"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named_and_nothing_is_written(self, made, tmp_path, old, new, says):
        with pytest.raises(InputError, match=says):
            ingest_patches(rewritten(made[0], (old, new)), tmp_path / "store")
        assert not (tmp_path / "store").exists()

    def test_all_findings_are_told_at_once(self, made, tmp_path):
        other = rewritten(
            made[0], ('"nbe.nc"', '"nowhere.nc"'), ('"grace.nc"', '"grace.nc", units = "K"'),
            ('"gfed/BA*.nc"', '"gfed/BA2001*.nc"'), ('"co2_mm_gl.csv"', '"absent.csv"'),
            ('"elevation.nc"', '"canopy_height.nc"'),
        )  # fmt: skip
        with pytest.raises(InputError, match="5 findings") as refused:
            ingest_patches(other, tmp_path / "store")
        for said in ("nowhere.nc", "unit 'K'", "12 of 24 months", "absent.csv", "no variable elevation"):
            assert said in str(refused.value)

    @pytest.mark.parametrize(
        ("table", "name", "values", "unit", "says"),
        [
            ("rsds", "rsds", 0.01, "W m-2", "at most .* MJ m-2 d-1 in the mean of the valid cells"),
            ("vpd", "vpd", 0.6, "hPa", "at most 0.6 hPa .* less than 1.5; the file says 'hPa'"),
            ("pr", "tp", 0.08, "m", "80 mm d-1 in the mean of the valid cells and 10 steps, more than 25"),
            ("tasmax", "tasmax", 290.0, "degC", "290 degC at .*outside"),
            ("lai", "LAI", np.nan, "1", "no value in any of 53 valid cells"),
            ("sif", "sif", 400.0, "W m-2 um-1 sr-1", "400 mW m-2 sr-1 nm-1 at .*outside"),
        ],
    )
    def test_values_that_betray_another_unit_are_refused(self, made, tmp_path, table, name, values, unit, says):
        lat, lon = samples.axis(30, 60, 1.0), samples.axis(-180, 180, 1.0)
        samples.write_grid(
            tmp_path / "odd.nc", name, np.full((24, len(lat), len(lon)), values), lat, lon, units=unit,
            time=samples.days(samples.months(), "2000-01-01") + 3, fill=-1.0,
        )  # fmt: skip
        text = made[0].read_text()
        lines = [line for line in text.splitlines() if not line.startswith(f"{table} =")]
        other = made[0].with_name("odd.toml")
        other.write_text("\n".join(lines) + f'\n{table} = {{ path = "{tmp_path}/odd.nc" }}\n')
        with pytest.raises(InputError, match=says):
            ingest_patches(other, tmp_path / "store")
        assert not (tmp_path / "store").exists()

    def test_a_label_of_one_patch_alone_is_kept(self, made, tmp_path):
        lat, lon = samples.axis(46, 50, 1.0), samples.axis(-5, 0, 1.0)
        samples.write_grid(
            tmp_path / "vod.nc", "VOD", np.full((24, len(lat), len(lon)), 0.5), lat, lon,
            time=samples.days(samples.months(), "2000-01-01") + 3,
        )  # fmt: skip
        other = rewritten(made[0], ("[products]\n", f'[products]\nvod = {{ path = "{tmp_path}/vod.nc" }}\n'))
        ingest_patches(other, tmp_path / "store")
        found = patches(tmp_path / "store")
        assert ["vod" in one.labels for one in found.values()] == [False, False, True]
        assert (found["N46W005"].labels["vod"] == 0.5).all()

    def test_a_product_of_elsewhere_is_refused(self, made, tmp_path):
        lat, lon = samples.axis(-40, -30, 1.0), samples.axis(100, 120, 1.0)
        samples.write_grid(
            tmp_path / "south.nc", "LAI", np.ones((24, len(lat), len(lon))), lat, lon,
            time=samples.days(samples.months(), "2000-01-01") + 3,
        )  # fmt: skip
        other = rewritten(made[0], ('"lai.nc"', f'"{tmp_path}/south.nc"'))
        with pytest.raises(InputError, match="covers no valid cell: it reaches over latitude -40 to -30"):
            ingest_patches(other, tmp_path / "store")

    def test_the_template_is_valid_and_names_every_product(self, tmp_path):
        path = copy_template(OWN_TEMPLATES[What.PATCHES], tmp_path / "global.toml")
        file = load_patches_file(path)
        assert file.grid.cells == 320
        assert set(patch_choices(file, tmp_path)) | {"co2", "towers"} == set(file.products)
        assert len(file.products) == 20


class TestResume:
    def test_memory_for_few_cells_gives_the_same_bytes(self, made, tmp_path, monkeypatch):
        path, store = made
        monkeypatch.setattr(job._PatchIngest, "_cells_at_once", lambda *_: 20)
        monkeypatch.setattr(job._PatchIngest, "_piece_bytes", lambda *_: 3000)
        ingest_patches(path, tmp_path / "store")
        assert "3 passes" in (tmp_path / "store/ingest.log").read_text()
        assert content(tmp_path / "store") == content(store)

    @pytest.mark.engine
    def test_killed_again_and_again_it_ends_with_the_same_bytes(self, made, tmp_path, record_property):
        """SIGKILL at random moments, and just when a patch has appeared."""
        path, store = made
        out, kills, amid, rng = tmp_path / "store", 0, 0, random.Random(11)
        command = [sys.executable, "-m", "phloem", "ingest", str(path), "--what", "patches", "--out", str(out)]
        while kills < KILLS:
            if (out / "patches.json").exists():  # it has come to its end: take some away, so that there is work again
                for name in ("patches.json", "patches.copy.json"):
                    (out / name).unlink()
            there = sorted(out.glob("patches/*.h5"))
            if len(there) == 3:
                for patch in rng.sample(there, 2):
                    patch.unlink()
            before = set(out.glob("patches/*.h5"))
            process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            if kills % 3 == 0:
                time.sleep(rng.uniform(0.2, 2.0))
            else:
                while process.poll() is None and len(set(out.glob("patches/*")) - before) < 1 + kills % 2:
                    pass
                time.sleep(rng.uniform(0.0, 0.01))
            process.send_signal(signal.SIGKILL)
            if process.wait() == -signal.SIGKILL:
                kills += 1
                amid += 0 < len(set(out.glob("patches/*.h5"))) < 3 or not (out / "patches.json").exists()
        subprocess.run(command, env=environment(), check=True, capture_output=True)
        assert content(out) == content(store)
        assert not list(out.rglob("*.tmp"))
        assert amid >= 3
        record_property("faults", f"ingest of patches: {kills} SIGKILLs, {amid} amid the work: the same store")

    @pytest.mark.engine
    def test_killed_at_any_call_that_changes_a_file_it_ends_with_the_same_bytes(self, made, tmp_path, record_property):
        """Kills before, after and in the middle of calls spread over all that an ingest makes."""
        path, store = made
        library = build(tmp_path)
        if library is None:
            pytest.skip("faults in system calls need Linux and a C compiler")
        log = tmp_path / "log"

        def run(out: Path, fault: Fault) -> int:
            command = [sys.executable, "-m", "phloem", "ingest", str(path), "--what", "patches", "--out", str(out)]
            variables = {"LD_PRELOAD": str(library), **fault.environment(out, log)}
            log.unlink(missing_ok=True)
            return subprocess.run(command, env=environment(**variables), capture_output=True).returncode

        assert run(tmp_path / "counted", Fault()) == 0
        numbers = [call.number for call in read_log(log)[0]]
        writes = [call.number for call in read_log(log)[0] if call.kind == "write"]
        assert len(numbers) > 40
        killed = 0
        for mode, some in (("before", numbers), ("half", writes), ("after", numbers)):
            offset = 3 if mode == "after" else 0
            for place in np.linspace(offset, len(some) - 1, CALLS).astype(int):
                out = tmp_path / f"{mode}{place}"
                killed += run(out, Fault(mode, some[place], broken=CHANGES)) == -signal.SIGKILL
                assert run(out, Fault()) == 0
                assert content(out) == content(store), f"killed {mode} call {some[place]}"
                assert not list(out.rglob("*.tmp"))
                shutil.rmtree(out)
        assert killed == 3 * CALLS
        record_property("faults", f"ingest of patches: killed at {killed} of {len(numbers)} calls: the same store")

    @pytest.mark.parametrize("after", range(4))
    def test_what_is_done_is_not_done_again(self, made, tmp_path, monkeypatch, after):
        path, store = made
        plain, written = IngestFolder.commit, []

        def commit(self, number, *rest):
            if len(written) == after:
                raise KeyboardInterrupt
            written.append(number)
            plain(self, number, *rest)

        monkeypatch.setattr(IngestFolder, "commit", commit)
        if after < 3:
            with pytest.raises(KeyboardInterrupt):
                ingest_patches(path, tmp_path / "store")
        monkeypatch.setattr(IngestFolder, "commit", plain)
        assert ingest_patches(path, tmp_path / "store").made == 3 - after % 3
        assert content(tmp_path / "store") == content(store)

    def test_a_damaged_patch_is_made_again(self, made, tmp_path):
        path, store = made
        ingest_patches(path, tmp_path / "store")
        patch = tmp_path / "store/patches/N42E000.h5"
        data = bytearray(patch.read_bytes())
        data[len(data) // 2] ^= 1
        patch.write_bytes(data)
        (tmp_path / "store/domain.h5").write_bytes(b"nonsense")
        assert ingest_patches(path, tmp_path / "store").made == 1
        assert content(tmp_path / "store") == content(store)

    def test_other_input_is_refused_and_named(self, tmp_path):
        path = samples.write_everything(tmp_path)
        ingest_patches(path, tmp_path / "store")
        os.utime(tmp_path / "nbe.nc")
        with pytest.raises(InputError, match=r"begun with something else:\s+.*nbe.nc: has changed"):
            ingest_patches(path, tmp_path / "store")
        other = rewritten(path, ("[products]", "[valid]\nwater = 40\n\n[products]"))
        with pytest.raises(InputError, match=r"valid.water: begun with 50.0, now 40.0"):
            ingest_patches(other, tmp_path / "store")

    def test_two_at_once_and_folders_of_others_are_refused(self, made, tmp_path):
        path, _ = made
        with (
            IngestFolder(PatchStorePaths(tmp_path / "store")).held(),  # type: ignore[arg-type]
            pytest.raises(WorkError, match="another ingest is at work"),
        ):
            ingest_patches(path, tmp_path / "store")
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match="exists and holds no ingest"):
            ingest_patches(path, tmp_path)

    def test_a_forcing_that_no_patch_has_leaves_nothing(self, made, tmp_path):
        lat, lon = samples.axis(30, 60, 1.0), samples.axis(-180, 180, 1.0)
        values = np.full((24, len(lat), len(lon)), 3.0)
        values[7] = np.nan
        samples.write_grid(
            tmp_path / "pr.nc", "pr", values, lat, lon, units="mm d-1", fill=-1.0,
            time=samples.days(samples.months(), "2000-01-01") + 3,
        )  # fmt: skip
        other = rewritten(made[0], ("[products]\n", f'[products]\npr = {{ path = "{tmp_path}/pr.nc" }}\n'))
        with pytest.raises(InputError, match=r"no patch is left: 53 cells: incomplete forcing, as .*first 2001-08"):
            ingest_patches(other, tmp_path / "store")
        assert not (tmp_path / "store").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


class TestCommand:
    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "phloem", "ingest", *arguments, "--what", "patches"]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)

    def test_json_and_exit_codes(self, made, tmp_path):
        path, _ = made
        done = self.run(str(path), "--out", str(tmp_path / "store"), "--json")
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["patches"], said["cells"], said["labels"]["nbe"]) == (3, 52, 48)
        wrong = self.run(str(tmp_path / "absent.toml"), "--out", str(tmp_path / "x"))
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert self.run(str(path)).returncode == 2
        assert self.run("--template", str(tmp_path / "mine.toml")).returncode == 0
        assert "phloem ingest mine.toml --what patches --out STORE" in (tmp_path / "mine.toml").read_text()

    @pytest.mark.engine
    def test_a_full_disk_is_told_and_room_lets_it_go_on(self, made, tmp_path, small_disk):
        path, store = made
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * 480_000)
        full = self.run(str(path), "--out", str(small_disk / "store"))
        assert full.returncode == 1
        assert "the disk is full" in full.stderr
        filler.unlink()
        done = self.run(str(path), "--out", str(small_disk / "store"))
        assert done.returncode == 0, done.stderr
        assert content(small_disk / "store") == content(store)

    @pytest.mark.engine
    def test_memory_stays_within_what_is_stated(self, tmp_path):
        """Cells whose values alone are larger than the memory that is left beside the program."""
        from benchmarks.ingest import measure
        from benchmarks.ingest_patches import write_monthly_products, write_patches_file

        write_monthly_products(tmp_path, 24, 23)
        write_patches_file(tmp_path / "ingest.toml", 24, 23, 0.36)
        found = measure(tmp_path / "ingest.toml", tmp_path / "store", "patches")
        assert found["cells"] * 276 * 11 * 4 / 1e6 > 100
        assert 50 < found["peak_mb"] < 360
