"""Synthetic cells, and files of them with one thing wrong."""

import math
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.drivers.tower_cell import Cell, count_training_days
from phloem.io.drivers.tower_files import read_tower, write_tower
from phloem.jobs.synthetic.weather import boreal_weather
from phloem.names import FORCING

Edit = Callable[[netCDF4.Dataset], None]


def make_cell(name: str = "XX-Syn", seed: int = 1, years: int = 2, first_year: int = 2010) -> Cell:
    """A synthetic cell without findings: generated weather, and observations that follow it."""
    w = boreal_weather(61.0, years, np.random.default_rng(seed), first_year)
    warm = np.maximum(w["tasmax"], 0.0)
    streams = {"gpp": 0.4 * warm, "reco": 0.3 * warm + 0.2, "et": 0.1 * warm, "lai": 0.5 + 0.1 * warm}
    return Cell(
        name=name,
        latitude=61.0,
        longitude=24.25,
        time=w["time"],
        doy=w["doy"],
        forcing={key: w[key] for key in FORCING},
        observations=streams,
        evaporative_fraction=np.clip(0.02 * warm, 0.0, 1.0),
        training_days=count_training_days(w["time"]),
        findings=(),
        source="",
        checksum="",
    )


def damaged(folder: Path, edit: Edit | None = None, name: str = "XX-Syn", **options: int) -> Path:
    """Writes a sound synthetic file and then changes it."""
    path = folder / f"{name}.nc"
    write_tower(path, make_cell(name, **options))
    if edit is not None:
        with netCDF4.Dataset(path, "a") as file:
            edit(file)
    return path


def scale(name: str, factor: float, offset: float = 0.0, unit: str | None = None) -> Edit:
    def edit(file: netCDF4.Dataset) -> None:
        file[name][:] = file[name][:] * factor + offset
        if unit is not None:
            file[name].units = unit

    return edit


def place(name: str, where: slice, value: float) -> Edit:
    def edit(file: netCDF4.Dataset) -> None:
        file[name][where] = value

    return edit


def refusal(path: Path, **options) -> str:
    """The message of a refused file; it always names the file and the cell."""
    with pytest.raises(InputError) as caught:
        read_tower(path, **options)
    assert str(path) in str(caught.value)
    assert f"cell {path.stem}" in str(caught.value)
    return str(caught.value)


def same_data(a: Cell, b: Cell) -> None:
    """Bit-identical data."""
    assert (a.name, a.latitude, a.training_days) == (b.name, b.latitude, b.training_days)
    assert a.longitude == b.longitude or (math.isnan(a.longitude) and math.isnan(b.longitude))
    for one, two in ((a.forcing, b.forcing), (a.observations, b.observations)):
        assert list(one) == list(two)
        for key in one:
            np.testing.assert_array_equal(one[key], two[key], strict=True)
    np.testing.assert_array_equal(a.evaporative_fraction, b.evaporative_fraction, strict=True)
    np.testing.assert_array_equal(a.time, b.time, strict=True)
    np.testing.assert_array_equal(a.doy, b.doy, strict=True)


def serious(cell: Cell) -> list[tuple[str, str]]:
    return [(f.severity, f.variable) for f in cell.findings if f.severity != "note"]
