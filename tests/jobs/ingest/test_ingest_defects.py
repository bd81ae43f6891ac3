"""`phloem ingest` refuses what would make an empty or wrong store in silence, and leaves nothing behind then."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.drivers.store import open_store
from phloem.io.ingest.ingest_folder import IngestFolder
from phloem.jobs.ingest.ingest_products import ingest
from tests.support.drivers import product_samples as samples


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """All products with their ingest file, of one year."""
    path = samples.write_everything(tmp_path, (2003,))
    replace(path, "years = [2003, 2004]", "years = [2003, 2003]")
    return path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def move(path: Path, degrees: float) -> None:
    with netCDF4.Dataset(str(path), "a") as file:
        file["lon"][:] = file["lon"][:] + degrees


class TestNoValueAnywhere:
    def test_a_product_elsewhere(self, path):
        for file in (path.parent / "fluxsat").iterdir():
            move(file, 40.0)
        says = (
            r"GPP_FluxSat_daily_v2_200301.nc4: variable GPP of \[products.gpp\] covers no cell of the store: it "
            r"reaches over latitude 60 to 62, longitude 64 to 65.5, the store's 8 cells over latitude 60.5 to 62, "
            r"longitude 24 to 25.5"
        )
        with pytest.raises(InputError, match=says):
            ingest(path, path.parent / "store")
        assert not (path.parent / "store").exists()

    def test_a_product_without_any_value(self, path):
        samples.write_gleam(path.parent / "gleam", "E", (2003,), np.nan)
        with pytest.raises(
            InputError, match=r"E_2003.*: variable E of \[products.et\]: no value in any of the 8 cells"
        ):
            ingest(path, path.parent / "store")
        assert not (path.parent / "store").exists()

    @pytest.mark.parametrize(("name", "key"), [("sla", "sla"), ("rs", "root_shoot"), ("clay", "clay"), ("agb", "agb")])
    def test_a_layer_elsewhere_or_without_any_value(self, path, name, key):
        file = path.parent / f"{name}.nc"
        move(file, -100.0)
        with pytest.raises(
            InputError, match=rf"{name}.nc: variable {key} of .*covers no cell .* longitude -76 to -74.5"
        ):
            ingest(path, path.parent / "store")
        move(file, 100.0)
        with netCDF4.Dataset(str(file), "a") as opened:
            opened[key][:] = np.ma.masked
        with pytest.raises(InputError, match=rf"{name}.nc: variable {key} of .*has no value in any cell of the store"):
            ingest(path, path.parent / "store")
        assert not (path.parent / "store").exists()

    def test_a_stream_without_a_value_in_some_cells_is_told(self, path):
        samples.write_fluxsat(
            path.parent / "fluxsat", (2003,), lambda lat, lon: np.where(lon < 24.5, np.nan, 4.0 + lat * 0)
        )
        finished = ingest(path, path.parent / "store")
        assert "gpp: no value in 3 of 8 cells" in finished.lines()
        assert finished.as_json()["no_value"]["gpp"] == 3
        log = (path.parent / "store/ingest.log").read_text()
        assert "gpp: no value in 3 of 8 cells" in log
        assert "et: no value" not in log
        assert len(open_store(path.parent / "store")) == 8


class TestFloats:
    def test_the_stated_scale_is_for_whole_numbers(self, path):
        """GLASS as floats without scale_factor: 3.0 is 3.0; as bytes without it: 30 is 3.0."""
        lat, lon = samples.centres(0.05)
        for dtype, value in (("f4", 3.0), ("u1", 30.0)):
            for file in (path.parent / "lai").iterdir():
                samples.write_grid(file, "LAI", np.full((40, 30), value), lat, lon, units=None, dtype=dtype, fill=255)
            ingest(path, path.parent / dtype)
            cell = open_store(path.parent / dtype).read([0])[0]
            assert cell.observations["lai"][0] == pytest.approx(3.0), dtype


class TestNames:
    @pytest.mark.parametrize("name", ["biomass_snapshot", "growth_k", "lcma"])
    def test_a_layer_with_a_reserved_name(self, path, name):
        replace(path, "soil_clay =", f"{name} =")
        says = rf"\[products.{name}\]: a layer {name} would overwrite .*reserved are biomass_snapshot, lcma, cue"
        with pytest.raises(InputError, match=says):
            ingest(path, path.parent / "store")

    def test_layers_whose_joined_name_is_reserved_or_stands_twice(self, path):
        plain = 'soil_clay = { path = "clay.nc", variable = "clay" }'
        replace(path, plain, 'biomass = { path = "clay.nc", layers = { snapshot = 1 } }')
        with pytest.raises(InputError, match="a layer biomass_snapshot would overwrite"):
            ingest(path, path.parent / "store")
        replace(path, "biomass = {", plain + "\nsoil = {")
        replace(path, "snapshot = 1", "clay = 1")
        with pytest.raises(
            InputError, match=r"\[products.soil\] and \[products.soil_clay\] both give a layer soil_clay"
        ):
            ingest(path, path.parent / "store")


class TestNothingLeft:
    def test_an_ingest_without_any_cell_takes_itself_back(self, path):
        def holes(name, year, values):
            if name == "pre":
                for place in range(12):
                    values[place * 4 + 100, place // 3, place % 3] = np.nan  # another day in each cell
            return values

        samples.write_crujra(path.parent / "cru", (2003,), change=holes)
        with pytest.raises(InputError, match="no cell is left: 8 cells: incomplete forcing"):
            ingest(path, path.parent / "store")
        assert not (path.parent / "store").exists()
        samples.write_crujra(path.parent / "cru", (2003,))
        assert len(ingest(path, path.parent / "store").store) == 8

    def test_files_of_others_stay(self, path, monkeypatch):
        samples.write_gleam(path.parent / "gleam", "E", (2003,), np.nan)
        plain = IngestFolder.commit

        def commit(self, *rest):
            (path.parent / "store/notes.txt").write_text("mine")
            plain(self, *rest)

        monkeypatch.setattr(IngestFolder, "commit", commit)
        with pytest.raises(InputError, match="no value in any of the 8 cells"):
            ingest(path, path.parent / "store")
        assert [one.name for one in (path.parent / "store").iterdir()] == ["notes.txt"]


class TestNoTraceback:
    @pytest.mark.parametrize("value", [np.nan, np.ma.masked])
    def test_a_missing_time(self, path, value):
        file = path.parent / "gleam/E_2003_GLEAM_v4.2a.nc"
        with netCDF4.Dataset(str(file), "a") as opened:
            opened["time"][7] = value
        with pytest.raises(InputError, match=r"E_2003.*: variable time: step 7: no time"):
            ingest(path, path.parent / "store")

    def test_a_missing_time_bound(self, tmp_path, path):
        lat, lon = samples.centres(0.1)
        time = samples.gregorian(2003)
        bounds = np.stack([time, time + 1], axis=1)
        bounds[3, 1] = np.nan
        file = path.parent / "gleam/E_2003_GLEAM_v4.2a.nc"
        field = np.full((365, len(lat), len(lon)), 2.0)
        samples.write_grid(file, "E", field, lat, lon, units="mm d-1", time=time, bounds=bounds)
        with pytest.raises(InputError, match=r"E_2003.*: variable time_bnds: step 3: no time"):
            ingest(path, path.parent / "store")

    def test_an_infinite_year(self, path):
        (path.parent / "co2.csv").write_text("Year,Mean\n2003,375\ninf,400\n")
        with pytest.raises(InputError, match=r"co2.csv: row 2: 'inf, 400' is not a year and a number"):
            ingest(path, path.parent / "store")

    def test_cells_too_small(self, path):
        replace(path, "[store]", "[store]\nstep = 0.0001")
        with pytest.raises(InputError, match=r"store.step: .*greater than or equal to 0.05"):
            ingest(path, path.parent / "store")

    @pytest.mark.parametrize("below", ["notes.txt/store", "notes.txt/a/b"])
    def test_a_folder_below_a_file(self, path, below):
        (path.parent / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match=r"notes.txt is a file, not a folder; name another folder with --out"):
            ingest(path, path.parent / below)


class TestLayers:
    def test_layers_of_a_map_without_a_further_dimension(self, path):
        replace(path, 'variable = "clay"', 'variable = "clay", layers = { a = 1 }')
        says = r"clay.nc: variable clay has no further dimension \(lat, lon\), so no layer 1; leave out layers"
        with pytest.raises(InputError, match=says):
            ingest(path, path.parent / "store")
