"""Wrong parameters files and options of simulate and evaluate: exit status 2 and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from phloem.kernels.calibrations.dalec_daily.tables import TOWERS
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from tests.support.campaigns.campaigns import command, files, tower_file

MIDDLE = [str(round((limits.lower * limits.upper) ** 0.5, 6)) for limits in UNKNOWNS]


def write(folder: Path, **changed: str | None) -> Path:
    """Write a sound row with changes; None leaves a column out."""
    row = {
        name: text for name, text in {**dict(zip(TOWERS.unknown_names, MIDDLE, strict=True)), **changed}.items() if text
    }
    path = folder / "P.csv"
    path.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    return path


def refuse(folder: Path, *more: object, parts: tuple[str, ...], name: str = "simulate") -> None:
    before = files(folder)
    out = () if name == "evaluate" else ("--out", "O.nc")
    done = command(name, "--drivers", "AA-One.nc", "--parameters", "P.csv", *out, *more, folder=folder)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr
    assert files(folder) == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tower_file(tmp_path, "AA-One")
    return tmp_path


def test_values_and_columns(folder: Path) -> None:
    write(folder, lcma="201")
    refuse(folder, parts=("P.csv", "member 0", "lcma = 201", "outside its bounds [5, 200]"))
    refuse(folder, parts=("P.csv", "member 0", "lcma = 201", "outside its bounds [5, 200]"), name="evaluate")
    write(folder, initial_wood="nan")
    refuse(folder, parts=("P.csv", "initial_wood", "outside its bounds"))
    write(folder, uwue=None, initial_som=None)
    refuse(folder, parts=("P.csv", "missing columns: uwue, initial_som", "f_auto"))
    write(folder, f_auto="half")
    refuse(folder, parts=("P.csv", "member 0", "f_auto", "'half' is not a number"))
    (folder / "P.csv").write_text(",".join(TOWERS.unknown_names) + "\n")
    refuse(folder, parts=("P.csv", "no row"))
    (folder / "P.csv").unlink()
    refuse(folder, parts=("P.csv", "No such file"))


@pytest.mark.parametrize(
    ("option", "valid"),
    [
        (("--mode", "loose"), "'strict', 'compat'"),
        (("--precision", "float16"), "'float32', 'float64'"),
        (("--backend", "abacus"), "'auto', 'xla', 'cpu', 'gpu'"),
        (("--quality", "ignore"), "'repair', 'keep', 'refuse'"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_options(folder: Path, option: tuple[str, str], valid: str) -> None:
    write(folder)
    refuse(folder, *option, parts=(option[1], valid))


def test_files(folder: Path) -> None:
    write(folder)
    (folder / "AA-One.nc").write_bytes(b"not a file of drivers")
    refuse(folder, parts=("AA-One.nc", "not a readable NetCDF file"))
    (folder / "AA-One.nc").unlink()
    refuse(folder, parts=("AA-One.nc", "No such file"), name="evaluate")
    tower_file(folder, "AA-One")
    refuse(folder, "--out", "absent/O.nc", parts=("absent", "name a file in a folder that exists"))
