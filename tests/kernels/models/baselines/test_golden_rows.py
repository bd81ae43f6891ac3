"""Baselines against files of golden rows: each column, each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phloem.kernels.models.baselines.air import saturation_vapour_pressure
from phloem.kernels.models.baselines.evaporation import priestley_taylor, water_of_latent_heat
from phloem.kernels.models.baselines.p_model import PModel, gross_production, p_model
from phloem.kernels.models.baselines.pt_jpl import PtJpl, pt_jpl
from phloem.kernels.models.baselines.respiration import lloyd_taylor, q10

GROSS = ("gpp", "gpp_jmax_none", "gpp_pyrealm", "gpp_jmax_none_pyrealm")


def close(found: object, golden: pd.Series) -> None:
    """Compare with 12 printed digits to 1e-10."""
    found = np.asarray(found)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, golden.to_numpy(), rtol=1e-10, atol=1e-14)


def golden_rows(data_dir: Path, pathway: str) -> pd.DataFrame:
    """Return the rows of one pathway; every column is an input or compared below."""
    rows = pd.read_csv(data_dir / "oracle/golden_pmodel.csv")
    assert {*rows} == {"pathway", "T", "D", "co2", "p", "fapar", "ppfd", *PModel._fields, *GROSS}
    return rows[rows.pathway == pathway]


@pytest.mark.parametrize("pathway", ["C3", "C4"])
def test_every_column_of_the_golden_p_model_is_met(data_dir: Path, pathway: str) -> None:
    rows = golden_rows(data_dir, pathway)
    assert len(rows) == 200
    drivers = [rows[name].to_numpy() for name in ("T", "D", "co2", "p")]
    limited = p_model(*drivers, pathway=pathway.lower())
    for name in PModel._fields:
        close(getattr(limited, name), rows[name])
    for jmax, column in (("wang17", "gpp"), ("none", "gpp_jmax_none")):
        lue = p_model(*drivers, pathway=pathway.lower(), jmax=jmax).lue
        production = np.asarray(gross_production(lue, rows.fapar.to_numpy(), rows.ppfd.to_numpy()))
        close(production, rows[column])
        there = rows[f"{column}_pyrealm"].notna().to_numpy()
        close(production[there], rows[f"{column}_pyrealm"][there])


def test_production_is_zero_where_pyrealm_has_none(data_dir: Path) -> None:
    rows = golden_rows(data_dir, "C3")
    rows = rows[rows.gpp_pyrealm.isna()]
    assert len(rows) == 2
    found = p_model(*(rows[name].to_numpy() for name in ("T", "D", "co2", "p")))
    assert (np.asarray(found.mj) <= 0.41).all()
    assert (np.asarray(found.lue) == 0).all()


def test_both_forms_of_golden_respiration_are_met(data_dir: Path) -> None:
    rows = pd.read_csv(data_dir / "oracle/golden_reco.csv")
    assert [*rows] == ["T", "rref", "reco_q10", "reco_lloyd_taylor"]
    close(q10(rows["T"].to_numpy(), rows.rref.to_numpy()), rows.reco_q10)
    close(lloyd_taylor(rows["T"].to_numpy(), rows.rref.to_numpy()), rows.reco_lloyd_taylor)


def test_every_column_of_golden_latent_heat_is_met(data_dir: Path) -> None:
    rows = pd.read_csv(data_dir / "oracle/golden_le.csv")
    assert [*rows] == ["T", "ndvi", "rn", "es_kPa", "delta_kPa_K", "alpha", "le_Wm2", "et_mm_d"]
    found = priestley_taylor(rows["T"].to_numpy(), rows.ndvi.to_numpy(), rows.rn.to_numpy())
    close(saturation_vapour_pressure(rows["T"].to_numpy()), rows.es_kPa)
    close(found.delta, rows.delta_kPa_K)
    close(found.alpha, rows.alpha)
    close(found.le, rows.le_Wm2)
    close(water_of_latent_heat(found.le), rows.et_mm_d)


def overpasses(data_dir: Path) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Return overpasses of a satellite with what PT-JPL made of them, and its inputs."""
    rows = pd.read_csv(data_dir / "ptjpl/ptjpl_calval.csv.gz")
    return rows, [rows[name].to_numpy() for name in ("Ta_C", "RH", "NDVI", "Rn", "G_Wm2", "Topt_C", "fAPARmax")]


def test_compat_pt_jpl_gives_all_parts_of_the_public_code(data_dir: Path) -> None:
    rows, drivers = overpasses(data_dir)
    found = pt_jpl(*drivers, mode="compat")
    columns = ("Rn_soil", "Rn_canopy", "PET", "LE_soil", "LE_canopy", "LE_interception", "LE")
    assert len(rows) == 538
    for name, column in zip(PtJpl._fields, columns, strict=True):
        np.testing.assert_allclose(getattr(found, name), rows[f"{column}_Wm2"], rtol=0, atol=7e-6, err_msg=name)


def test_strict_pt_jpl_differs_at_the_soil_and_on_bare_ground_alone(data_dir: Path) -> None:
    _, drivers = overpasses(data_dir)
    drivers[4] = np.where(np.isnan(drivers[4]), 0.0, drivers[4])
    strict, compat = (pt_jpl(*drivers, mode=mode) for mode in ("strict", "compat"))
    bare, cold = drivers[2] <= 0.05, 0.611 * np.exp(17.27 * drivers[0] / (drivers[0] + 237.7)) < 1
    assert bare.any()
    assert np.isnan(np.asarray(compat.le))[bare].all()
    for part in strict:
        assert np.isfinite(np.asarray(part)).all()
    for name in set(PtJpl._fields) - {"le_soil", "le", "pet"}:
        np.testing.assert_array_equal(
            np.asarray(getattr(strict, name))[~bare], np.asarray(getattr(compat, name))[~bare]
        )
    differ = np.asarray(strict.le_soil) != np.asarray(compat.le_soil)
    assert differ[cold & ~bare].any()
    assert not differ[~cold & ~bare].any()
    assert (np.asarray(strict.le_soil) >= np.asarray(compat.le_soil))[~bare].all()
