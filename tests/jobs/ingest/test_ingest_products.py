"""`phloem ingest`: what the store holds, what is refused, killed and resumed, memory."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError, WorkError
from phloem.io.drivers.store import open_store
from phloem.io.ingest.mature_forest import choose
from phloem.io.references.growth_curves import richards_chapman, total_biomass
from phloem.jobs.commands.ingest import TEMPLATE
from phloem.jobs.config.ingest_file import choices, load_ingest_file
from phloem.jobs.config.toml_file import copy_template
from phloem.jobs.ingest.ingest_products import ingest
from tests.support.drivers import product_samples as samples
from tests.support.processes import environment

KILLS = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """All products with their ingest file, and the store that an undisturbed ingest makes of them."""
    root = tmp_path_factory.mktemp("products")
    path = samples.write_everything(root)
    ingest(path, root / "store")
    return path, root / "store"


def content(store: Path) -> list[tuple[str, str]]:
    """Names and checksums of all cells, proved by reading every one of them."""
    found = open_store(store)
    cells = found.read(range(len(found)))
    return [(cell.name, cell.checksum) for cell in cells]


def rewritten(path: Path, old: str, new: str, name: str = "other.toml") -> Path:
    text = path.read_text()
    assert old in text
    other = path.with_name(name)
    other.write_text(text.replace(old, new))
    return other


class TestStore:
    def test_its_cells_and_why_others_are_not_there(self, made):
        _, store = made
        found = open_store(store)
        assert found.names == [
            f"N{lat}E{lon}"
            for lat in ("60.75", "61.25", "61.75")
            for lon in ("024.25", "024.75", "025.25")
            if (lat, lon) != ("61.75", "025.25")
        ]
        rows = list(csv.DictReader((store / "dropped.csv").open()))
        assert [(row["cell"], row["reason"]) for row in rows] == [
            *((f"N60.25E{lon}", "no growth curve") for lon in ("024.25", "024.75", "025.25")),
            ("N61.75E025.25", "no mature forest"),
        ]
        assert rows[-1]["detail"] == "no pixel with biomass"
        log = (store / "ingest.log").read_text()
        for said in (
            "forcing: tmp of 2 files, 4 x 3 cells of 0.5 degrees, south to north, noleap, Degrees K -> degC",
            "29 February is left out",
            "cells need complete forcing, and: growth, mature_forest",
            "left out: 3 cells: no growth curve",
            "left out: 1 cells: no mature forest",
            "sea, or no forcing at all: 388 cells",
        ):
            assert said in log
        assert found.facts["calendar"] == "noleap"
        assert found.facts["statics"]["soil_clay"] == "%"

    def test_observations_are_means_over_the_mature_forest(self, tmp_path):
        """GPP that equals the biomass of its pixel: its mean is that of the pixels that a plain loop keeps."""

        def gpp(lat, lon):
            return samples.patchy(lat, lon) / 10.0

        path = samples.write_everything(tmp_path)
        samples.write_fluxsat(tmp_path / "fluxsat", (2003, 2004), gpp)
        ingest(path, tmp_path / "store")
        cell = open_store(tmp_path / "store").read([0])[0]
        lat, lon = samples.centres(0.05)
        inside = (abs(lat[:, None] - 60.75) < 0.25) & (abs(lon[None, :] - 24.25) < 0.25)
        pixels = samples.patchy(lat[:, None], lon[None, :])
        kept = choose(pixels[inside])[0]
        area = np.broadcast_to(np.cos(np.deg2rad(lat))[:, None], pixels.shape)[inside]
        expected = np.average(pixels[inside][kept], weights=area[kept])
        assert 5 <= kept.sum() <= 10
        assert cell.observations["gpp"][0] == pytest.approx(expected / 10.0, rel=1e-6)
        assert cell.statics["biomass_snapshot"] == pytest.approx(float(total_biomass(expected, 0.25)), rel=1e-6)

    def test_numbers_of_a_cell(self, made):
        _, store = made
        cell = open_store(store).read([0])[0]
        expected = total_biomass(richards_chapman(np.arange(1, 108), 200.0, 0.03, 1.5), 0.25)
        np.testing.assert_allclose(cell.trajectory, expected, rtol=1e-6)
        assert cell.statics["lcma"] == pytest.approx(50.0)
        assert cell.statics["cue"] == pytest.approx(0.5)
        assert cell.statics["soil_clay"] == pytest.approx(20.0)
        np.testing.assert_allclose(cell.evaporative_fraction[[0, 100]], [0.5, 2.1 / 4.1], rtol=1e-5)
        assert (cell.forcing["co2"] == np.repeat([403.0, 404.0], 365)).all()
        assert cell.forcing["tasmin"].min() > -20
        assert np.isfinite(cell.observations["lai"]).sum() == 92

    def test_memory_chunks_and_orientation_change_no_bit(self, made, tmp_path):
        path, store = made
        expected = content(store)
        other = rewritten(path, "cells_per_chunk = 2\nmemory_gb = 1.0", "cells_per_chunk = 5\nmemory_gb = 0.36")
        ingest(other, tmp_path / "small")
        assert content(tmp_path / "small") == expected
        lat, _ = samples.centres(0.5)
        samples.write_crujra(tmp_path / "cru", (2003, 2004), lat=lat[::-1])
        turned = rewritten(path, 'path = "cru/*.nc"', f'path = "{tmp_path}/cru/*.nc"', "turned.toml")
        ingest(turned, tmp_path / "turned")
        assert content(tmp_path / "turned") == expected

    def test_forcing_with_gaps_costs_the_cell_or_is_refused(self, tmp_path):
        path = samples.write_everything(tmp_path)

        def holes(name, year, values):
            if (name, year) == ("pre", 2004):
                values[101, 2, 1] = np.nan  # 26 January, in one cell
            if name == "dswrf":
                values[:, 3, 0] = np.nan  # another land mask, as radiation has
            if (name, year) == ("tmp", 2004):
                values[40, 2, 2] = 500.0
            return values

        samples.write_crujra(tmp_path / "cru", (2003, 2004), change=holes)
        ingest(path, tmp_path / "store")
        rows = {row["cell"]: row for row in csv.DictReader((tmp_path / "store/dropped.csv").open())}
        assert rows["N61.25E024.75"]["detail"] == "pr: no value on 1 day, first 2004-01-26"
        assert rows["N61.75E024.25"]["detail"] == "rsds: no value on 730 days, first 2003-01-01"
        assert rows["N61.25E025.25"]["detail"].startswith("tasmax: impossible on 1 day, first 2004-01-11")
        assert len(open_store(tmp_path / "store")) == 5
        assert "left out: 3 cells: incomplete forcing" in (tmp_path / "store/ingest.log").read_text()

        def everywhere(name, year, values):
            if (name, year) == ("spfh", 2004):
                values[101] = np.nan
            return values

        samples.write_crujra(tmp_path / "cru", (2003, 2004), change=everywhere)
        with pytest.raises(InputError, match=r"spfh.2004.*variable spfh: 2004-01-26: no value in any of the 8 cells"):
            ingest(path, tmp_path / "refused")
        assert not (tmp_path / "refused").exists()

    def test_values_that_show_another_unit(self, tmp_path):
        path = samples.write_everything(tmp_path)
        samples.write_crujra(tmp_path / "cru", (2003, 2004), units={"tmp": "degC"})
        with pytest.raises(
            InputError, match=r"tmp.2003.*26\d.* degC at N60.75E024.25, outside -95..65.*the file says 'degC'"
        ):
            ingest(path, tmp_path / "store")

        def watts(name, year, values):
            return values / 21600 if name == "dswrf" else values

        samples.write_crujra(tmp_path / "cru", (2003, 2004), change=watts)
        with pytest.raises(InputError, match=r"dswrf.2003.*in January and in June; the file says 'J/m2'"):
            ingest(path, tmp_path / "store")
        samples.write_crujra(tmp_path / "cru", (2003, 2004))
        samples.write_static(tmp_path / "sla.nc", "sla", 10.0, "m2 g-1")
        with pytest.raises(InputError, match=r"sla.nc: variable sla: 10000 m2 kg-1 at N60.75.*the file says 'm2 g-1'"):
            ingest(path, tmp_path / "store")
        assert not (tmp_path / "store").exists()

    def test_a_store_without_growth_and_forest_and_with_layers(self, made, tmp_path):
        path, _ = made
        lat, lon = samples.centres(0.5)
        field = np.stack([np.full((4, 3), 0.1 * n) for n in range(3)])
        samples.write_grid(
            tmp_path / "igbp.nc",
            "fraction",
            field,
            lat,
            lon,
            time=np.array([0.0, 1, 4]),
            time_name="class",
            time_units=None,
        )
        text = path.read_text().split("agb =")[0]
        text += f'pft = {{ path = "{tmp_path}/igbp.nc", variable = "fraction", layers = {{ enf = 1, dbf = 4 }} }}\n'
        other = path.with_name("plain.toml")
        other.write_text(text)
        ingest(other, tmp_path / "store")
        found = open_store(tmp_path / "store")
        cell = found.read([0])[0]
        assert len(found) == 12
        assert np.isnan(cell.trajectory).all()
        assert (cell.statics["pft_enf"], cell.statics["pft_dbf"]) == (pytest.approx(0.1), pytest.approx(0.2))

    def test_nothing_required_and_one_year_observed(self, made, tmp_path):
        """Cells without curve or forest stay, without what they lack; windows tile the years that are not observed."""
        path, _ = made
        other = rewritten(path, "cells_per_chunk = 2", "cells_per_chunk = 1\nrequire = []\nobserved = [2004, 2004]")
        ingest(other, tmp_path / "store")
        cells = open_store(tmp_path / "store").read(range(12))
        counts = [{name: int(np.isfinite(values).sum()) for name, values in c.observations.items()} for c in cells]
        assert counts[:11] == [{"gpp": 365, "reco": 36, "et": 365, "lai": 46}] * 11
        assert set(counts[11].values()) == {0}
        assert [int(np.isfinite(cell.trajectory).sum()) for cell in cells] == [0] * 3 + [107] * 9
        assert np.isnan(cells[11].statics["biomass_snapshot"])
        assert all(
            cell.window_start.sum() == 72 and not np.isfinite(cell.observations["gpp"][:365]).any() for cell in cells
        )

    def test_real_static_layers(self, made, tmp_path, data_dir):
        path, _ = made
        text = path.read_text().split("gpp =")[0]
        source = data_dir / "static_0p5/static_0p5.nc"
        text += f'elevation = {{ path = "{source}" }}\n'
        text += f'pft = {{ path = "{source}", variable = "igbp_fraction", layers = {{ enf = 1, mixed = 5 }} }}\n'
        other = path.with_name("real.toml")
        other.write_text(text)
        ingest(other, tmp_path / "store")
        cells = open_store(tmp_path / "store").read(range(12))
        assert all(0 <= cell.statics["elevation"] < 300 for cell in cells)
        assert any(cell.statics["pft_enf"] + cell.statics["pft_mixed"] > 0.2 for cell in cells)


class TestIngestFile:
    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("years = [2003, 2004]", "yeers = [2003, 2004]", "unknown key 'store.yeers'. Did you mean 'years'"),
            ("years = [2003, 2004]", "years = [2004, 2003]", "store.years must ascend"),
            ("memory_gb = 1.0", "memory_gb = 0.1", "store.memory_gb = 0.1 is too little; at least 0.35"),
            ("south = 55", "southern = 55", "unknown key 'store.region.southern'. Did you mean 'south'"),
            ('co2 = { path = "co2.csv" }', "", r"\[products.co2\] is missing"),
            ('root_shoot = { path = "rs.nc" }', "", "NOT REFUSED"),
            ('path = "rs.nc"', 'path = "rs.nc", kind = "sla"', r"kind = 'sla'; valid are root_shoot"),
            (
                'path = "rs.nc"',
                'path = "rs.nc", unit = "1"',
                "unknown key 'products.root_shoot.unit'. Did you mean 'units'",
            ),
            ('"fluxsat/*.nc4"', '"nowhere/*.nc4"', r"\[products.gpp\]: no file .*nowhere"),
            ("cells_per_chunk = 2", 'cells_per_chunk = 2\nrequire = ["fire"]', "store.require"),
            ("[store]", "[store", "is not valid TOML"),
        ],
    )
    def test_what_is_wrong_is_named(self, made, tmp_path, old, new, says):
        path, _ = made
        other = rewritten(path, old, new)
        if says == "NOT REFUSED":  # growth.csv may have the ratio; here it has none
            says = "no cell is left: .*no root:shoot ratio"
        with pytest.raises(InputError, match=says):
            ingest(other, tmp_path / "store")
        assert not (tmp_path / "store").exists()

    def test_the_template_is_valid_and_names_every_product(self, tmp_path):
        path = copy_template(TEMPLATE, tmp_path / "boreal.toml")
        file = load_ingest_file(path)
        assert set(choices(file, tmp_path)) | {"co2", "growth"} == set(file.products)
        assert len(file.products) == 12
        with pytest.raises(InputError, match="exists already"):
            copy_template(TEMPLATE, path)


class TestResume:
    @pytest.mark.engine
    def test_killed_again_and_again(self, made, tmp_path, record_property):
        """SIGKILL at random moments, and just when a chunk has appeared: the same store as without."""
        path, store = made
        path = rewritten(path, "cells_per_chunk = 2", "cells_per_chunk = 1", "single.toml")
        out, kills, amid, rng = tmp_path / "store", 0, 0, random.Random(7)
        command = [sys.executable, "-m", "phloem", "ingest", str(path), "--out", str(out)]
        while kills < KILLS:
            chunks = set(out.glob("chunks/*/*.nc"))
            if (out / "store.json").exists():  # it has come to its end: take some away, so that there is work again
                for name in ("store.json", "store.copy.json"):
                    (out / name).unlink()
                for chunk in rng.sample(sorted(chunks), 6):
                    chunk.unlink()
                chunks = set(out.glob("chunks/*/*.nc"))
            process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            if kills % 3 == 0:
                time.sleep(rng.uniform(0.2, 2.0))
            else:
                while process.poll() is None and len(set(out.glob("chunks/*/*")) - chunks) < 1 + kills % 2:
                    pass
                time.sleep(rng.uniform(0.0, 0.02))
            process.send_signal(signal.SIGKILL)
            if process.wait() == -signal.SIGKILL:
                kills += 1
                amid += 0 < len(set(out.glob("chunks/*/*.nc"))) < 8
        subprocess.run(command, env=environment(), check=True, capture_output=True)
        assert content(out) == content(store)
        assert (out / "dropped.csv").read_bytes() == (store / "dropped.csv").read_bytes()
        assert not list(out.rglob("*.tmp"))
        assert amid >= 3
        record_property("faults", f"ingest: {kills} SIGKILLs, {amid} with some chunks and not all: the same store")

    @pytest.mark.engine
    @pytest.mark.parametrize("after", range(5))
    def test_killed_after_each_chunk(self, made, tmp_path, monkeypatch, after):
        """What is done is not done again, and the content is the same."""
        path, store = made
        from phloem.io.ingest.ingest_folder import IngestFolder

        plain, written = IngestFolder.commit, []

        def commit(self, number, *rest):
            if len(written) == after:
                raise KeyboardInterrupt
            written.append(number)
            plain(self, number, *rest)

        monkeypatch.setattr(IngestFolder, "commit", commit)
        if after < 4:
            with pytest.raises(KeyboardInterrupt):
                ingest(path, tmp_path / "store")
        monkeypatch.setattr(IngestFolder, "commit", plain)
        finished = ingest(path, tmp_path / "store")
        assert finished.made == (4 if after == 4 else 4 - after)
        assert content(tmp_path / "store") == content(store)

    def test_a_damaged_chunk_is_made_again(self, made, tmp_path):
        path, store = made
        ingest(path, tmp_path / "store")
        chunk = sorted((tmp_path / "store").glob("chunks/*/*.nc"))[1]
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(data)
        assert ingest(path, tmp_path / "store").made == 1
        assert content(tmp_path / "store") == content(store)
        (tmp_path / "store/domain.h5").write_bytes(b"nonsense")
        (tmp_path / "store/chunks/000/chunk_000000.nc").unlink()
        assert ingest(path, tmp_path / "store").made == 1
        assert content(tmp_path / "store") == content(store)

    def test_other_input_is_refused_and_named(self, tmp_path):
        path = samples.write_everything(tmp_path)
        ingest(path, tmp_path / "store")
        os.utime(tmp_path / "gleam/E_2003_GLEAM_v4.2a.nc")
        with pytest.raises(InputError, match=r"begun with something else:\s+.*E_2003_GLEAM_v4.2a.nc: has changed"):
            ingest(path, tmp_path / "store")
        other = rewritten(path, "cells_per_chunk = 2", "cells_per_chunk = 3")
        with pytest.raises(InputError, match=r"store.cells_per_chunk: begun with 2, now 3"):
            ingest(other, tmp_path / "store")

    def test_more_memory_is_not_something_else(self, tmp_path):
        path = samples.write_everything(tmp_path)
        first = ingest(path, tmp_path / "store")
        again = ingest(rewritten(path, "memory_gb = 1.0", "memory_gb = 3.0"), tmp_path / "store")
        assert (first.made, again.made) == (4, 0)

    def test_two_at_once(self, made, tmp_path, monkeypatch):
        path, _ = made
        from phloem.io.drivers.store import StorePaths
        from phloem.io.ingest.ingest_folder import IngestFolder

        with (
            IngestFolder(StorePaths(tmp_path / "store")).held(),
            pytest.raises(WorkError, match="another ingest is at w"),
        ):
            ingest(path, tmp_path / "store")

    def test_a_folder_of_something_else(self, made, tmp_path):
        path, _ = made
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match="exists and holds no ingest"):
            ingest(path, tmp_path)


class TestCommand:
    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "phloem", "ingest", *arguments]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)

    def test_json_and_exit_codes(self, made, tmp_path):
        path, _ = made
        done = self.run(str(path), "--out", str(tmp_path / "store"), "--json")
        assert done.returncode == 0, done.stderr
        assert '"cells": 8' in done.stdout
        assert '"no growth curve": 3' in done.stdout
        wrong = self.run(str(tmp_path / "absent.toml"), "--out", str(tmp_path / "x"))
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "absent.toml" in wrong.stderr
        assert self.run(str(path)).returncode == 2
        assert "'stones' is not one of 'drivers', 'monthly'" in self.run("--what", "stones").stderr

    @pytest.mark.engine
    def test_memory_stays_within_what_is_stated(self, tmp_path):
        """A few thousand cells whose records alone are larger than the memory that is stated."""
        from benchmarks.ingest import measure, write_ingest_file, write_products

        write_products(tmp_path, 44, 8, 1)
        write_ingest_file(tmp_path / "ingest.toml", 8, 0.4, (24.0, 60.0, 29.0, 60.0))
        found = measure(tmp_path / "ingest.toml", tmp_path / "store")
        records = 44 * 44 * 8 * 365 * 11 * 4 / 1e6
        assert found["cells"] == 44 * 44
        assert records > 240
        assert 50 < found["peak_mb"] < 400
