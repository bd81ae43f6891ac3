import math
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.drivers.tower_cell import Cell
from phloem.io.drivers.tower_files import list_towers, read_tower, write_tower
from tests.support.drivers.tower_samples import damaged, make_cell, same_data, serious

SWAPPED = ["AU-DaS", "AU-Dry", "AU-Stp"]
SITES = [*SWAPPED, "DE-Hai", "DE-Tha", "FI-Hyy", "FR-Pue", "NL-Loo", "US-MMS", "US-SRG", "US-Var"]


def write_reference(path: Path, site: str, cell: Cell, factors: dict[str, float]) -> None:
    """The cell as a reference in the tower_daily layout: int16, days since 1991, deficit wrapping."""
    sources = {
        "tmin": (cell.forcing["tasmin"], 0.002),
        "tmax": (cell.forcing["tasmax"], 0.002),
        "ssrd": (cell.forcing["rsds"], 0.002),
        "vpd": (cell.forcing["vpd"], 0.001),
        "gpp_nt": (cell.observations["gpp"], 0.002),
        "gpp_dt": (cell.observations["gpp"] ** 2 / 10.0, 0.002),
        "reco_nt": (cell.observations["reco"], 0.002),
    }
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("site", 2)
        file.createDimension("time", len(cell.time) - 10)
        names = file.createVariable("site", str, ("site",))
        names[:] = np.array(["ZZ-Zzz", site], dtype=object)
        time = file.createVariable("time", "i8", ("time",))
        time.units = "days since 1991-01-01"
        time[:] = cell.time[10:] + 3653
        for name, (values, step) in sources.items():
            variable = file.createVariable(name, "i2", ("site", "time"), fill_value=-32768)
            variable.set_auto_scale(False)
            variable.scale_factor = step
            packed = np.full((2, len(values) - 10), -32768, np.int64)
            whole = np.nan_to_num(np.round(values * factors.get(name, 1.0) / step), nan=-32768.0)[10:]
            packed[1] = whole
            variable[:] = packed.astype(np.int16)


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ({}, []),
        ({"gpp_nt": 1 / 1.33, "reco_nt": 1 / 1.33}, ["GPP", "RECO"]),
        ({"vpd": 4.0}, ["VPD"]),  # up to 80 hPa: packed beyond what int16 holds
        ({"ssrd": 1.3}, ["SSRD"]),
    ],
)
def test_reference_differences_are_warned_of(tmp_path, factors, expected):
    reference = tmp_path / "reference.dat"
    write_reference(reference, "XX-Syn", make_cell(), factors)
    cell = read_tower(damaged(tmp_path), reference=reference, quality="refuse")
    assert serious(cell) == [("warning", name) for name in expected]
    if "gpp_nt" in factors:
        assert "1.33 times the reference over 720 common days (r = 1.00): gpp_nt of reference.dat" in (
            cell.findings[0].message
        )
    same_data(cell, make_cell())


def test_a_site_that_the_reference_lacks_is_noted(tmp_path):
    reference = tmp_path / "reference.dat"
    write_reference(reference, "OTHER", make_cell(), {})
    (finding,) = read_tower(damaged(tmp_path), reference=reference).findings
    assert (finding.severity, finding.variable) == ("note", "site")
    with pytest.raises(InputError, match=r"none\.dat"):
        read_tower(damaged(tmp_path), reference=tmp_path / "none.dat")
    with pytest.raises(InputError, match="variable site: is missing"):
        read_tower(damaged(tmp_path), reference=damaged(tmp_path, name="B"))


def test_real_towers_have_their_known_defects_and_no_others(data_dir):
    towers = list_towers(data_dir / "fluxnet_daily")
    assert list(towers) == SITES
    for name, path in towers.items():
        cell = read_tower(path, reference=data_dir / "tower_daily" / "fluxnet2015_daily.nc")
        assert serious(cell) == ([("repaired", "VPD")] if name in SWAPPED else []), name
        notes = [f.variable for f in cell.findings if f.severity == "note"]
        assert notes[:3] == ["time", "GPP RECO ET LAI", "T2M_MIN T2M_MAX"]
        assert cell.training_days in (1826, 1827)
        assert not math.isnan(cell.longitude)
        assert 3285 < len(cell.time) < 3289
        assert all(np.isfinite(values).all() for values in cell.forcing.values())


def test_vapour_pressure_is_found_at_towers_of_every_climate(data_dir, tmp_path):
    for name, path in list_towers(data_dir / "fluxnet_daily").items():
        sound = read_tower(path)
        pressure = saturation_pressure(sound.forcing["tasmin"]) + saturation_pressure(sound.forcing["tasmax"])
        pressure = np.maximum(0.5 * pressure - sound.forcing["vpd"], 0.01)
        swapped = Cell(**{**vars(sound), "forcing": {**sound.forcing, "vpd": pressure}})
        copy = tmp_path / f"{name}.nc"
        write_tower(copy, swapped)
        assert serious(read_tower(copy)) == [("repaired", "VPD")], name
        write_tower(copy, sound)
        assert serious(read_tower(copy, quality="refuse")) == [], name


def test_mended_deficit_of_a_real_tower(data_dir):
    """The docstring's figures, against the deficit that AU-Dry measured."""
    cell = read_tower(data_dir / "fluxnet_daily" / "AU-Dry.nc")
    with netCDF4.Dataset(data_dir / "tower_daily" / "fluxnet2015_daily.nc") as file:
        row = [str(site) for site in file["site"][:]].index("AU-Dry")
        measured = np.ma.filled(file["vpd"][row].astype(float), np.nan)
        measured = np.where(measured < 0.0, measured + 65.536, measured)
        _, here, there = np.intersect1d(cell.time, np.asarray(file["time"][:]) - 3653, return_indices=True)
    a, b = cell.forcing["vpd"][here], measured[there]
    assert len(a) == np.isfinite(b).sum() == 1461
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.94, abs=0.01)
    assert np.mean(a - b) == pytest.approx(1.1, abs=0.1)
    assert np.sqrt(np.mean((a - b) ** 2)) == pytest.approx(2.8, abs=0.1)


def test_flux_scaling_of_a_real_tower_is_found(data_dir, tmp_path):
    """DE-Tha's carbon fluxes are 1.33 times the published ones; the published are rebuilt."""
    path = data_dir / "fluxnet_daily" / "DE-Tha.nc"
    reference = tmp_path / "published.dat"
    write_reference(reference, "DE-Tha", read_tower(path), {"gpp_nt": 1 / 1.33, "reco_nt": 1 / 1.33})
    cell = read_tower(path, reference=reference)
    assert serious(cell) == [("warning", "GPP"), ("warning", "RECO")]
