"""The two fitters that the command line offers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.references.growth_curves import read_growth_curves, richards_chapman
from phloem.jobs.ingest.fit_curves import fit_growth_curves, fit_leaf_economics

AGES = np.arange(4.0, 120.0, 6.0)


def write_traits(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    lma = np.exp(rng.normal(4.5, 0.5, 40))
    months = 12.0 * np.exp(-4.0 + 1.1 * np.log(0.5 * lma) + 0.5 * rng.standard_normal(40))
    rows = [f"{span:.4f},{mass:.4f}" for span, mass in zip(months, lma, strict=True)]
    path = folder / "traits.csv"
    path.write_text("\n".join(["leaf_lifespan_months,lma_g_m2", *rows, "NA,80", "24,0"]) + "\n")
    return path


def write_stands(folder: Path) -> Path:
    """A cell with an outlier, one that is too young, and one with too few ages."""
    rng = np.random.default_rng(2)
    rows = ["latitude,longitude,age,agb"]
    agb = (np.sqrt(richards_chapman(AGES, 150.0, 0.03, 1.5)) + 0.5 * rng.standard_normal(len(AGES))) ** 2
    rows += [f"60.25,24.25,{age:g},{value:.3f}" for age, value in zip(AGES, agb, strict=True)]
    rows += ["60.25,24.25,34,1.0"]
    rows += [f"-3.25,-54.75,{age:g},{10 * age:g}" for age in range(1, 13)]
    rows += [f"0.25,0.25,{age:g},{10 * age:g}" for age in range(1, 4)]
    path = folder / "stands.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_leaf_economics_is_fitted_and_written(tmp_path: Path) -> None:
    out = tmp_path / "line.toml"
    told = fit_leaf_economics(write_traits(tmp_path), out)
    text = "\n".join(told)
    assert "traits.csv: 40 of 42 rows fitted" in told[0]
    assert "  1 rows left out: no leaf_lifespan_months" in told
    assert "  1 rows left out: lma_g_m2 is not greater than 0" in told
    assert "warning" not in text
    line = tomllib.loads(out.read_text())["experiment"]["leaf_economics"]
    assert line["gamma"] == pytest.approx(1.1, abs=0.4)
    assert line["sigma"] == pytest.approx(0.5, abs=0.15)
    assert out.read_text() == "\n".join(told[-4:]) + "\n"
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line.png", "line.toml", "traits.csv"]


def test_leaf_economics_needs_no_file(tmp_path: Path) -> None:
    path = write_traits(tmp_path)
    told = fit_leaf_economics(path, carbon_fraction=0.47)
    assert told[-4] == "[experiment.leaf_economics]"
    assert list(tmp_path.iterdir()) == [path]
    # ln lifespan = alpha + gamma ln(0.5 LMA): a smaller carbon fraction raises alpha by gamma ln(0.5 / 0.47).
    half, less = (
        tomllib.loads("\n".join(lines[-4:]))["experiment"]["leaf_economics"]
        for lines in (fit_leaf_economics(path), told)
    )
    assert less["gamma"] == pytest.approx(half["gamma"], rel=1e-5)
    assert less["alpha"] - half["alpha"] == pytest.approx(half["gamma"] * np.log(0.5 / 0.47), abs=1e-4)


def test_a_slope_that_cannot_be_meant_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "turned.csv"
    path.write_text("leaf_lifespan_years,lma_g_m2\n3,50\n2,100\n1,200\n1.5,150\n")
    assert any(line.startswith("warning: heavier leaves") for line in fit_leaf_economics(path))
    path.write_text("leaf_lifespan_years,lma_g_m2\n1,50\n2,100\n4,200\n")
    assert any("sigma must be greater than 0" in line for line in fit_leaf_economics(path))


def test_growth_curves_are_fitted_and_written(tmp_path: Path) -> None:
    out = tmp_path / "curves.csv"
    told = fit_growth_curves(write_stands(tmp_path), out)
    assert any("0.25 N 0.25 E: 3 distinct ages above 0; a fit needs 5" in line for line in told)
    assert any(line.startswith("60.25 N 24.25 E: outlier left out: line 22, age 34, 1.0 Mg") for line in told)
    assert any(line.startswith("3.25 S 54.75 W: young:") for line in told)
    assert "2 of 3 cells fitted, 1 without a flag" in told
    curves = read_growth_curves(out)
    assert curves[60.25, 24.25].yearly(100)[-1] == pytest.approx(richards_chapman(100.0, 150.0, 0.03, 1.5), rel=0.15)
    assert curves[60.25, 24.25].flags == ()
    assert "young" in curves[-3.25, -54.75].flags
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    only = tmp_path / "only.csv"
    fit_growth_curves(tmp_path / "stands.csv", only, unflagged=True)
    assert list(read_growth_curves(only)) == [(60.25, 24.25)]
    names = ["curves.csv", "curves.png", "only.csv", "only.png", "stands.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_nothing_is_written_where_nothing_can_be_fitted(tmp_path: Path) -> None:
    path = tmp_path / "stands.csv"
    path.write_text("latitude,longitude,age,agb\n60,24,10,5\n60,24,20,9\n")
    with pytest.raises(
        InputError, match=r"stands\.csv: no cell can be fitted \(stands of 60\.25 N 24\.25 E: 2 distinct"
    ):
        fit_growth_curves(path, tmp_path / "curves.csv")
    path.write_text("latitude,longitude,age,agb\n" + "".join(f"60,24,{age},{10 * age}\n" for age in range(1, 13)))
    with pytest.raises(InputError, match="none of 1 curves is without a flag"):
        fit_growth_curves(path, tmp_path / "curves.csv", unflagged=True)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["no/folder/curves.csv", "curves.png", "", "stands.csv"])
def test_where_nothing_can_be_written_nothing_is_fitted(tmp_path: Path, name: str) -> None:
    stands, traits = write_stands(tmp_path), write_traits(tmp_path)
    text = stands.read_text()
    with pytest.raises(InputError, match="--out"):
        fit_growth_curves(stands, tmp_path / name)
    with pytest.raises(InputError, match="--out"):
        fit_leaf_economics(traits, tmp_path / name.replace("stands", "traits"))
    assert stands.read_text() == text
    assert sorted(tmp_path.iterdir()) == [stands, traits]


def test_growth_curves_of_groa(data_dir: Path, tmp_path: Path) -> None:
    """What docs/growth.md says; how many are without a flag may differ by one or two where a band is at its limit."""
    told = fit_growth_curves(data_dir / "growth" / "groa_agb_age.csv", tmp_path / "groa.csv")
    curves = read_growth_curves(tmp_path / "groa.csv")
    good = [cell for cell, curve in curves.items() if not curve.flags]
    assert (len(curves), sum(line.startswith("left out") for line in told)) == (45, 30)
    assert 5 <= len(good) <= 9
    assert {(-1.25, -46.75), (9.25, -79.75), (10.75, -85.75), (20.25, -89.25)} <= set(good)
    assert all(curve.yearly(107).max() <= 2000.0 for curve in curves.values())
